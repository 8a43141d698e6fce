"""Our measuring loop beside pytest-benchmark, pyperf, polygraphy and MLPerf LoadGen, and what the loop costs.

One run measures everything, in rounds of random order, so that a drifting machine moves all of it. A peer that is
not installed is left out, and a line says what to install::

    python -m benchmarks.harness --json results.json
"""

from __future__ import annotations

from benchmarks.harness.report import main

if __name__ == "__main__":
    main()
