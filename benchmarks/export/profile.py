"""Where the time of a model file goes, operator by operator.

    python -m benchmarks.export.profile MODEL.onnx [MODEL.int8.onnx ...]

Kernel times of ONNX Runtime's own profiler on one thread, one window of the shipped speech, medians over the runs;
operators of one kind and shape are added up. The profiler costs each of them about a microsecond.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from voiceflow_ml.audio import read_wav
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ, WINDOW_SAMPLES

_RUNS, _WARM_UP = 60, 10
_SHOWN = 24
_KERNEL = "_kernel_time"
Kind = tuple[str, str]
"""Operator, and the shapes of its first input and its output."""


def profiled(path: Path, audio: NDArray[np.float32]) -> dict[Kind, tuple[float, int]]:
    """Operators of one kind and shape -> microseconds of one run, and how many there are."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for _ in range(_RUNS):
            session.run(None, {"audio": audio})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times: dict[str, list[int]] = defaultdict(list)
    kinds: dict[str, Kind] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            name, facts = event["name"].removesuffix(_KERNEL), event["args"]
            times[name].append(event["dur"])
            first, last = (facts.get(f"{side}_type_shape") or [{}] for side in ("input", "output"))
            kinds[name] = (facts["op_name"], f"{_shape(first)} -> {_shape(last)}")
    found: dict[Kind, tuple[float, int]] = {}
    for name, values in times.items():
        spent, count = found.get(kinds[name], (0.0, 0))
        found[kinds[name]] = (spent + statistics.median(values[_WARM_UP:]), count + 1)
    return found


def _shape(values: list[dict[str, list[int]]]) -> str:
    return "x".join(map(str, next(iter(values[0].values()), []))) or "1"


def table(found: dict[Kind, tuple[float, int]]) -> str:
    """The dearest operators, as Markdown."""
    total = sum(spent for spent, _ in found.values())
    lines = [
        f"{total / 1000:.2f} ms in kernels",
        "",
        "| operator | shapes | how many | us | % |",
        "|---|---|---|---|---|",
    ]
    for (operator, shapes), (spent, count) in sorted(found.items(), key=lambda entry: -entry[1][0])[:_SHOWN]:
        lines.append(f"| {operator} | {shapes} | {count} | {spent:.0f} | {100 * spent / total:.1f} |")
    return "\n".join(lines)


def main() -> int:
    """Profile every file and print its table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.export.profile", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("models", type=Path, nargs="+", help=".onnx files with input audio")
    audio = read_wav(shipped_speech_path(), sample_rate_hz=SAMPLE_RATE_HZ)[0][None, :WINDOW_SAMPLES]
    for path in parser.parse_args().models:
        print(f"{path.name}: {table(profiled(path, audio))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
