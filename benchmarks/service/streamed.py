"""Real speech through a live stream of the service, beside its reference and the whole recording.

The shipped exchange of two voices::

    python -m benchmarks.service.streamed

Other recordings, each with an RTTM file of its name beside it: ``... recording.wav more.wav``. Each is sent as a
microphone would send it, in chunks of 100 ms, but one as soon as the last is answered: what a stream says depends on
what it has heard, not on when. Writes docs/examples/streamed-NAME.rttm and .svg, benchmarks/service/streamed.json and
the table of docs/serving-performance.md. Needs the ``serve``, ``client``, ``diarize`` and ``evaluate`` extras.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.marked import fill_page, table
from benchmarks.service.docs import PAGE
from voiceflow_ml.client import Client, exchanges
from voiceflow_ml.diarization.audio_source import open_audio
from voiceflow_ml.diarization.evaluation import find_pairs
from voiceflow_ml.diarization.scoring import Rules, score
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.load.server_process import ServerProcess
from voiceflow_ml.load.streaming import chunks_of
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.reporting.timeline import Track, matched, timeline
from voiceflow_ml.rttm import Turn, format_rttm
from voiceflow_ml.units import NS_PER_MS

RESULTS = Path(__file__).parent / "streamed.json"
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
BLOCK = "streamed-speech"
HEARD = {"stream, 2 s, corrected": ("latency_s=2",), "as said first, 2 s": ("latency_s=2", "correct_s=0")}
"""How the service is set for each column."""
_HOP_NS = 100 * NS_PER_MS
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """A recording and who speaks in it.

    Attributes:
        name: in the RTTM and of the files that are written.
        samples: float32 ``[samples]``, 16 kHz.
        reference: who speaks when.
    """

    name: str
    samples: Samples
    reference: tuple[Turn, ...]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.samples.size / SAMPLE_RATE_HZ

    def der(self, turns: Sequence[Turn]) -> float | None:
        """DER of these turns: no collar, overlap scored."""
        return score(self.reference, turns, self.seconds, Rules()).der


def main(arguments: Sequence[str] | None = None) -> None:
    """Stream, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", nargs="*", type=Path, default=[shipped_speech_path()], help="with an RTTM beside it")
    recordings = [
        Recording(pair.name, np.concatenate(list(open_audio(pair.audio).blocks())), pair.reference())
        for pair in find_pairs(parser.parse_args(arguments).audio)
    ]
    results = {recording.name: compare(recording, EXAMPLES) for recording in recordings}
    write_text_atomic(RESULTS, json.dumps(results, indent=1) + "\n")
    fill_page(PAGE, BLOCK, render(results))
    print(render(results))


def compare(recording: Recording, folder: Path) -> dict[str, Any]:
    """The recording as a whole and as streams through one service each; RTTM of the corrected one, picture of both.

    Args:
        recording: what is heard.
        folder: for the two files.
    """
    heard: dict[str, tuple[Turn, ...]] = {}
    whole: tuple[Turn, ...] = ()
    for how, settings in HEARD.items():
        arguments = [part for setting in settings for part in ("--set", setting)]
        with ServerProcess(arguments) as server, Client(server.url, timeout_s=120) as client:
            whole = client.diarize(recording.samples).turns
            heard[how] = streamed(client, recording.samples)
    _write(recording, heard, folder)
    ders = {how: recording.der(turns) for how, turns in heard.items()}
    return {"seconds": recording.seconds, "whole": recording.der(whole), "streamed": ders}


def streamed(client: Client, samples: Samples) -> tuple[Turn, ...]:
    """All turns of a stream that was sent these samples, float32 ``[samples]`` at 16 kHz."""
    with client.stream() as stream:
        for chunk in chunks_of(exchanges.as_pcm16(samples), _HOP_NS):
            stream.feed(chunk)
        return stream.finish()


def _write(recording: Recording, heard: Mapping[str, tuple[Turn, ...]], folder: Path) -> None:
    corrected = next(iter(heard.values()))
    write_text_atomic(folder / f"streamed-{recording.name}.rttm", format_rttm(corrected, recording.name))
    tracks = [Track("reference", recording.reference), *(Track(how, turns) for how, turns in heard.items())]
    drawing = timeline(recording.name, tracks, recording.seconds, matches=matched(tracks))
    write_text_atomic(folder / f"streamed-{recording.name}.svg", drawing.standalone())


def render(results: Mapping[str, Any]) -> str:
    """The table, a row for each recording."""
    head = ["DER", "whole", *HEARD]
    rows = [
        [
            f"[{name}](examples/streamed-{name}.svg), {found['seconds']:.0f} s",
            *(f"{100 * der:.1f} %" for der in (found["whole"], *found["streamed"].values())),
        ]
        for name, found in results.items()
    ]
    return table(head, rows)


if __name__ == "__main__":
    main()
