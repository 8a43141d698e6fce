"""What the plugin costs a run that measures nothing: ``pytest --collect-only`` with it and without it.

Whole processes, in pairs of random order in one run, so that a drifting machine moves both. Prints the median of
the pairs' ratios::

    python benchmarks/collect_only.py [PAIRS]
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WITHOUT = ["-p", "no:voiceflow_ml.pytest_plugin"]


def wall_ns(folder: str, options: list[str]) -> int:
    """Wall time of one collection of one trivial test, in nanoseconds."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options]
    start_ns = time.perf_counter_ns()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter_ns() - start_ns


def main() -> None:
    """Measure and print."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    order = random.Random(0)  # noqa: S311 - the order needs to be irregular, not secret
    ratios, with_ns, without_ns = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
        for options in ([], WITHOUT):
            wall_ns(folder, options)  # byte code and file caches
        for _ in range(pairs):
            first, second = ([], WITHOUT) if order.random() < 0.5 else (WITHOUT, [])
            measured = {len(options): wall_ns(folder, options) for options in (first, second)}
            with_ns.append(measured[0])
            without_ns.append(measured[len(WITHOUT)])
            ratios.append(measured[0] / measured[len(WITHOUT)])
    print(
        f"pytest --collect-only, median of {pairs} pairs: with the plugin {statistics.median(with_ns) / 1e6:.0f} ms, "
        f"without {statistics.median(without_ns) / 1e6:.0f} ms, ratio {statistics.median(ratios):.3f}"
    )


if __name__ == "__main__":
    main()
