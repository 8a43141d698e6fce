"""The newcomer's path: from an empty folder to a verdict on a model of one's own, by what the README says.

``python -m benchmarks.newcomer`` writes a model that has nothing to do with ours into an empty folder, makes a fresh
virtual environment there, installs this checkout, follows the README, and writes docs/examples/newcomer.txt: every
command with what it said and how long it took. Of the environment that it is started from only the package ``onnx``
is used, to write the model with.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parents[1]
TRANSCRIPT = ROOT / "docs" / "examples" / "newcomer.txt"
LONGEST_S = 600.0
"""A newcomer is to have a verdict within ten minutes."""
# What would let the environment of this run show through.
_INHERITED = ("PYTHON", "PYTEST", "VIRTUAL_ENV", "COV", "CI", "GITHUB_")
# Lines that are left out: headers, tables, what pip says of the index that it is set up with.
_OTHERS = re.compile(
    r"platform |benchmark: |rootdir: |plugins: |-{3}|Name \(time|test_\S+ +[\d.]+ |Legend:|  Outliers|  OPS|WARNING: "
)
_MELS = 40
_WORDS = 12
_FRAMES = 98
"""What the newcomer's callers send: a second of sound."""
_WIDTH = 64
_HEAD = """\
The newcomer's path: an empty folder but for a model of one's own, a fresh virtual environment, and what the README
says. A real run of `python -m benchmarks.newcomer` on a {machine}, other work running beside it, measured at
real-time priority; behind each command, how long it took. The model spots words: two inputs (features and a mask),
two open axes, nothing of ours in it; its callers send a second of sound, 98 frames. Blank lines, pytest's header,
pytest-benchmark's table and what pip says of its index are left out; the package is installed from the checkout.
"""


@dataclass(frozen=True)
class Step:
    """One command of the path.

    Attributes:
        shown: as a newcomer types it.
        seconds: how long it took.
        said: what it printed.
    """

    shown: str
    seconds: float
    said: str


def word_spotter(path: Path) -> None:
    """Write the newcomer's model: float32 ``features`` [batch, frames, 40] and ``mask`` [batch, frames] -> 12 scores.

    Two convolutions over time, the mean over the frames that the mask lets through, and a linear layer.
    """
    generator = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        scale = 1.0 / np.sqrt(np.prod(shape[1:]) or 1)
        return numpy_helper.from_array((scale * generator.standard_normal(shape)).astype(np.float32), name)

    nodes = [
        helper.make_node("Transpose", ["features"], ["channels"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["channels", "w1"], ["c1"], pads=[2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], pads=[2, 2]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Unsqueeze", ["mask", "one"], ["kept"]),
        helper.make_node("Mul", ["r2", "kept"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "two"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "one"], ["heard"], keepdims=1),
        helper.make_node("Max", ["heard", "least"], ["count"]),
        helper.make_node("Div", ["total", "count"], ["mean"]),
        helper.make_node("MatMul", ["mean", "w3"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "word-spotter",
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", "frames", _MELS]),
            helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch", "frames"]),
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", _WORDS])],
        [
            weight("w1", _WIDTH, _MELS, 5),
            weight("w2", _WIDTH, _WIDTH, 5),
            weight("w3", _WIDTH, _WORDS),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "one"),
            numpy_helper.from_array(np.array([2], dtype=np.int64), "two"),
            numpy_helper.from_array(np.array([1.0], dtype=np.float32), "least"),
        ],
    )
    path.parent.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def main() -> None:
    """Follow the path, and write what came of it."""
    with tempfile.TemporaryDirectory(prefix="newcomer-") as scratch:
        folder = Path(scratch) / "my-project"
        word_spotter(folder / "models" / "word-spotter.onnx")
        steps = []
        for step in follow(folder):
            print(f"{step.seconds:6.1f} s  {step.shown}", flush=True)
            steps.append(step)
        text = transcript(steps, folder)
    TRANSCRIPT.write_text(text, encoding="utf-8")
    print(f"wrote {TRANSCRIPT.relative_to(ROOT)}")
    if sum(step.seconds for step in steps) > LONGEST_S:
        raise SystemExit(f"longer than the {LONGEST_S:g} s that a newcomer is to need")


def follow(folder: Path) -> Iterator[Step]:
    """Every command of the path, run one after the other."""
    yield run(folder, "find . -type f")
    yield run(folder, "python3 -m venv .venv", real=f"{sys.executable} -m venv .venv")
    yield run(
        folder,
        '.venv/bin/pip install --quiet "voiceflow-ml[cpu]"',
        real=f'.venv/bin/pip install --disable-pip-version-check --quiet "{ROOT}[cpu]"',
    )
    yield run(folder, ".venv/bin/voiceflow init")
    yield run(folder, "cat sla.toml")
    yield run(folder, f"sed -i 's/16000/{_FRAMES}/' sla.toml tests/hardware/test_latency.py")
    yield run(folder, ".venv/bin/pytest -m hardware", ahead=True)
    (session,) = (folder / "reports" / "results").iterdir()
    proposed = run(folder, f".venv/bin/voiceflow calibrate reports/results/{session.name}", statuses=(0, 2))
    yield proposed
    limit = limit_from(proposed.said)
    yield run(folder, f"sed -i '/PLACEHOLDER: voiceflow/s/.*/p99 = \"{limit}\"/' sla.toml")
    yield run(folder, ".venv/bin/pytest -m hardware", ahead=True)
    yield run(folder, "head -n 12 reports/PERFORMANCE_ANALYSIS.md")


def limit_from(said: str) -> str:
    """The limit that calibrate proposes; twice what was measured where it only says what that was.

    Raises:
        SystemExit: it says neither.
    """
    proposed = re.search(r'^p99 = "([^"]+)"$', said, re.MULTILINE)
    if proposed is not None:
        return proposed[1]
    measured = re.search(r"near the measured ([\d.]+) (\w+)", said)
    if measured is None:
        raise SystemExit(f"calibrate says nothing of a limit:\n{said}")
    return f"{2 * float(measured[1]):g}{measured[2]}"


def run(folder: Path, shown: str, *, real: str = "", ahead: bool = False, statuses: tuple[int, ...] = (0,)) -> Step:
    """Run one command in the newcomer's folder.

    Args:
        folder: where.
        shown: as a newcomer types it.
        real: as it is run, where that differs.
        ahead: ahead of all other work, where that is allowed: what measures measures the model and not its neighbours.
        statuses: exit statuses that the path goes on from.

    Raises:
        SystemExit: it failed; the path is broken there.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_INHERITED)}
    if ahead:
        _set_scheduler(os.SCHED_RR)
    began = time.perf_counter()
    done = subprocess.run(
        ["bash", "-c", real or shown],
        cwd=folder,
        env={**kept, "TMPDIR": str(folder.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    _set_scheduler(os.SCHED_OTHER)
    if done.returncode not in statuses:
        raise SystemExit(f"{shown} ended with status {done.returncode}:\n{done.stdout}")
    return Step(shown, seconds, done.stdout)


def _set_scheduler(policy: int) -> None:
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, policy, os.sched_param(os.sched_get_priority_min(policy)))


def transcript(steps: list[Step], folder: Path) -> str:
    """The path as text.

    Args:
        steps: what was done.
        folder: where; named by its last part alone.
    """
    from voiceflow_ml.hardware.probe import probe_machine  # noqa: PLC0415

    machine = probe_machine()
    parts = [_HEAD.format(machine=f"{machine['logical cores']}-core machine ({machine['CPU']})")]
    for step in steps:
        lines = [line.rstrip() for line in step.said.splitlines() if _is_told(line)]
        text = "\n".join(lines).replace(str(folder), folder.name)
        parts.append(f"$ {step.shown.ljust(72)}  # {step.seconds:.1f} s\n{text}".rstrip() + "\n")
    parts.append(f"In all: {sum(step.seconds for step in steps):.0f} s\n")
    return "\n".join(parts)


def _is_told(line: str) -> bool:
    """Whether a line of output is about the path, and none of what is left out."""
    return bool(line.strip()) and _OTHERS.match(line) is None


if __name__ == "__main__":
    main()
