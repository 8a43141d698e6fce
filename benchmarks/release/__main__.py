"""From a checkpoint to a promoted version, by the commands that a user types, and one refusal on the way.

    python -m benchmarks.release CHECKPOINT.pt --data data/speech [--recordings recordings/dev]

Exports, measures the exported file against its promise (a real run, judged), publishes and promotes it without a
waiver; then tightens the promise, which asks for more than a patch, is refused one, and is published as a minor
version after another measurement. Writes what was typed and answered to docs/examples/release.txt. Where that is
allowed the measurements have real-time priority, so that they are of the model and not of its neighbours.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from voiceflow_ml.files import write_text_atomic

TRANSCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "release.txt"
HEAD = """\
From a checkpoint to a promoted version: a real run of `python -m benchmarks.release`.
"""
_SLA = """\
version = 1

[models.fast-cnn]
file = "{folder}/fast-cnn.onnx"
threads = 1
inputs = {{ audio = "builtin:speech" }}

[[objective]]
model = "fast-cnn"
target = "cpu"
p99 = "{limit}"
"""
_MODULES = {"voiceflow": "voiceflow_ml.cli", "pytest": "pytest"}
_INHERITED = ("CI", "GITHUB_", "PYTEST_", "VOICEFLOW_")
_PROGRESS = re.compile(r"^(fp16: part|int8: .* in fp32$|diarizing|waiting: )|samples, .* (left|more)")
_TOO_SMALL = "too small a step"


class UnexpectedError(Exception):
    """A command ended otherwise than it must."""


@dataclass
class Transcript:
    """What was typed, and what was answered.

    Attributes:
        folder: where the commands run.
        text: so far.
    """

    folder: Path
    text: str = HEAD

    def run(self, command: str, *, status: int = 0, needs: str = "", prepare: Callable[[], None] | None = None) -> None:
        """Run a command and write it down.

        Args:
            command: as a user types it; ``voiceflow`` and ``pytest`` are those of this Python.
            status: what it must end with.
            needs: what it must say.
            prepare: called in the new process first.

        Raises:
            UnexpectedError: it ends otherwise, or does not say it.
        """
        print(f"$ {command}", file=sys.stderr, flush=True)
        program, *arguments = shlex.split(command)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_INHERITED)}
        done = subprocess.run(
            [sys.executable, "-m", _MODULES[program], *arguments],
            cwd=self.folder,
            env={**inherited, "COLUMNS": "120", "VOICEFLOW_REGISTRY": (self.folder / "registry").as_uri()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            preexec_fn=prepare,
        )
        shown = shortened(done.stdout.replace(str(self.folder), "."))
        ended = f"exit status {done.returncode}\n" if done.returncode else ""
        self.text += f"\n$ {command}\n{shown}{ended}"
        if done.returncode != status or needs not in done.stdout:
            raise UnexpectedError(f"{command} ended with {done.returncode}, not {status} and {needs!r}:\n{done.stdout}")

    def measure(self, reports: str) -> None:
        """Measure the promise of ``sla.toml``, on whose file is exported there."""
        self.run(f"pytest -m hardware sla.toml --sla-report={reports}", needs="MET", prepare=_first_in_line)


def shortened(output: str) -> str:
    """An output without the lines that tell of progress in parts."""
    lines = [line.rstrip() for line in output.splitlines()]
    kept = [line for line in lines if not _PROGRESS.search(line)]
    return "".join(f"{line}\n" for line in kept if line)


def _first_in_line() -> None:
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))


def release(
    transcript: Transcript, checkpoint: Path, options: str, folders: Mapping[str, Path], limits: tuple[str, str]
) -> None:
    """All commands.

    Args:
        transcript: receives them.
        checkpoint: what is released.
        options: of every export.
        folders: name -> what the options mean by it.
        limits: the promise, and the tighter one.

    Raises:
        UnexpectedError: one of them ended otherwise than it must.
    """
    folder = transcript.folder
    (folder / "checkpoint.pt").symlink_to(checkpoint.resolve())
    for name, place in folders.items():
        (folder / name).symlink_to(place.resolve())
    sla = folder / "sla.toml"
    sla.write_text(_SLA.format(folder="out", limit=limits[0]), encoding="utf-8")
    transcript.run(f"voiceflow export checkpoint.pt --out out --sla sla.toml {options}")
    transcript.run("voiceflow contract check out/fast-cnn.onnx")
    transcript.measure("reports")
    transcript.run("voiceflow publish out 1.0.0 --results reports/results", needs="published fast-cnn 1.0.0")
    transcript.run('voiceflow promote fast-cnn@1.0.0 --channel prod --why "the first"')

    transcript.text += f"\nThe promise is tightened in sla.toml: p99 = {limits[1]}.\n"
    sla.write_text(_SLA.format(folder="next", limit=limits[1]), encoding="utf-8")
    transcript.run(f"voiceflow export checkpoint.pt --out next --sla sla.toml {options}")
    transcript.run("voiceflow contract diff out next", needs="minor")
    transcript.measure("reports-next")
    arguments = "--results reports-next/results"
    transcript.run(f"voiceflow publish next 1.0.1 {arguments}", status=2, needs=_TOO_SMALL)
    transcript.run(f"voiceflow publish next 1.1.0 {arguments}", needs="published fast-cnn 1.1.0")
    transcript.run('voiceflow promote fast-cnn@1.1.0 --channel prod --why "a tighter promise"')
    transcript.run("voiceflow list fast-cnn")
    transcript.run("voiceflow fetch fast-cnn@prod --out fetched")
    transcript.run("voiceflow verify fetched")


def main() -> int:
    """Run it and write the transcript; 1 when a command ended otherwise than it must."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.release", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pt of a training run")
    parser.add_argument("--data", type=Path, help="folder that `voiceflow data prepare` filled (default: no scores)")
    parser.add_argument("--recordings", type=Path, action="append", default=[], help="folder of recordings with .rttm")
    parser.add_argument("--options", default="--precision fp32,int8", help="what else voiceflow export is given")
    parser.add_argument("--limits", nargs=2, default=("10ms", "9ms"), help="the P99 promised first, and then")
    parser.add_argument("--out", type=Path, default=TRANSCRIPT, help="where the transcript goes")
    given = parser.parse_args()
    options, folders = given.options, {}
    if given.data is not None:
        options, folders["speech"] = f"{options} --data speech", given.data
    for place in given.recordings:
        options, folders[place.resolve().name] = f"{options} --recordings {place.resolve().name}", place
    with tempfile.TemporaryDirectory() as name:
        transcript = Transcript(Path(name).resolve())
        try:
            release(transcript, given.checkpoint, options, folders, tuple(given.limits))
        except UnexpectedError as error:
            print(error, file=sys.stderr)
            return 1
    write_text_atomic(given.out, transcript.text)
    print(transcript.text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
