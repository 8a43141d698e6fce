"""Writes docs/examples/pipeline.txt: a real model update, from a checkpoint to what users get, with its refusals.

``python -m tests.pipeline_transcript`` trains a tiny network for two steps (so its weights are worth nothing), exports,
measures, publishes, serves and promotes it for real, in a registry in a folder. It takes some minutes.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.gcp_runs import plain
from tests.speech_data import TINY_RUN, shipped_bank
from voiceflow_ml.hardware.probe import probe_machine
from voiceflow_ml.training.train import train

TRANSCRIPT = Path(__file__).parents[1] / "docs" / "examples" / "pipeline.txt"
_HEAD = """\
A real model update: voiceflow pipeline run, from a checkpoint to what users get, with its refusals.

The network is a tiny one that was trained for two steps: its weights are worth nothing, the way is what is shown. Its
promise leaves out the time spent waiting for a CPU (clock = "adjusted"), for the machine was busy. Lines of pytest are
left out but for the verdict. {machine}. Written by: python -m tests.pipeline_transcript
"""
_SLA = """\
version = 1
[models.fast-cnn]
file = "builtin:fast-cnn"
inputs.audio = "builtin:speech"
[[objective]]
model = "fast-cnn"
target = "cpu"
p99 = "{limit}"
clock = "adjusted"
"""
_KEPT = re.compile(
    r"(\[\d/\d\] |MET |BREACHED |INCONCLUSIVE |measuring: |refused: |prod is |canary |published |checking |\$ )"
)


def transcript(folder: Path) -> str:
    """The whole text; what is made goes into a folder."""
    checkpoint = train(replace(TINY_RUN, steps=2), shipped_bank(), folder / "run", progress=lambda _: None)
    text = _HEAD.format(machine=_machine())
    for title, limit in (
        ("a promise that the file does not keep", "10us"),
        ("the promise that it is made for: the same work folder goes on", "50ms"),
        ("once more: nothing is left to do", "50ms"),
    ):
        (folder / "sla.toml").write_text(_SLA.format(limit=limit), encoding="utf-8")
        text += f"\n== {title} ({limit})\n{_run(folder, checkpoint)}"
    return plain(text, folder)


def _machine() -> str:
    facts = probe_machine()
    cores, cpu = facts.get("logical cores", "?"), facts.get("CPU", "unknown")
    return f"{cores}-core x86-64 cloud CPU, {cpu}, shared with other work"


def _run(folder: Path, checkpoint: Path) -> str:
    words = ["voiceflow", "pipeline", "run", checkpoint.relative_to(folder), "--registry", f"file://{folder}/registry"]
    words += ["--work", "update", "--who", "somebody", "--measuring", "--sla-time-budget=120s --sla-span=20s"]
    command = [str(Path(sys.executable).parent / "voiceflow"), *map(str, words[1:])]
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    kept = [line for line in done.stdout.splitlines() if _KEPT.match(line)]
    return "".join(
        f"{line}\n" for line in (f"$ {shlex.join(map(str, words))}", *kept, f"[exit status {done.returncode}]")
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        TRANSCRIPT.write_text(transcript(Path(name)), encoding="utf-8")
