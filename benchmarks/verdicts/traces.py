"""Recorded latencies of a real machine: taken, kept in a file, and judged in random parts."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdicts.cells import DISTANCES, Cell, Study
from benchmarks.verdicts.families import Rng
from benchmarks.verdicts.rules import Rule
from benchmarks.verdicts.sampling import product_plan
from voiceflow_ml.hardware.control import ControlWorkload
from voiceflow_ml.latency import percentile

Nanoseconds = NDArray[np.int64]
HEADER = ("start_ns", "latency_ns")
BLOCK_CALLS = 10
FEWEST_CALLS = 20_000


class TraceError(ValueError):
    """A trace that cannot be used; the message says why."""


def record(path: Path, seconds: float) -> int:
    """Time a small fixed computation back to back and write when each call began and how long it took.

    Returns:
        The number of calls.
    """
    work = ControlWorkload()
    rows = []
    until_ns = time.perf_counter_ns() + round(seconds * 1e9)
    while (start_ns := time.perf_counter_ns()) < until_ns:
        work()
        rows.append((start_ns, time.perf_counter_ns() - start_ns))
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([HEADER, *rows])
    return len(rows)


def read(path: Path) -> tuple[Nanoseconds, Nanoseconds]:
    """Starts and latencies of a recorded trace, nanoseconds, each shape ``[n]``.

    Raises:
        TraceError: not such a file, calls out of order, or too few to draw runs from.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from None
    if not rows or tuple(rows[0]) != HEADER:
        raise TraceError(f"{path}: not a trace: its first line must be {','.join(HEADER)}")
    try:
        values = np.array(rows[1:], dtype=np.int64).reshape(-1, 2)
    except ValueError as error:
        raise TraceError(f"{path}: not two whole numbers in each line: {error}") from None
    starts_ns, latencies_ns = values[:, 0], values[:, 1]
    if latencies_ns.size < FEWEST_CALLS:
        raise TraceError(f"{path}: {latencies_ns.size} calls are too few to draw runs from; {FEWEST_CALLS} are needed")
    if np.any(np.diff(starts_ns) < 0) or latencies_ns.min() < 0:
        raise TraceError(f"{path}: calls out of order, or a latency below 0")
    return starts_ns, latencies_ns


def replay(path: Path, rules: Mapping[str, Rule], quantile: float, study: Study) -> list[Cell]:
    """Judge random parts of a trace, spread and contiguous, against limits around its own quantile."""
    starts_ns, latencies_ns = read(path)
    truth, budget = percentile(latencies_ns, quantile), product_plan(quantile).looks[-1]
    rng = np.random.default_rng(study.seed)
    cells = []
    for sampling in ("spread", "contiguous"):
        study.told(f"{path.name}: {sampling}")
        made = [
            Cell(
                path.stem,
                0,
                round((starts_ns[-1] - starts_ns[0]) / 1e9, 2),
                False,
                sampling,
                rule,
                quantile,
                "upper",
                distance,
                study.runs,
                seed=study.seed,
            )
            for rule in rules
            for distance in DISTANCES
        ]
        for _ in range(study.runs):
            part = latencies_ns[_places(rng, latencies_ns.size, budget, sampling)]
            for cell in made:
                cell.count(*rules[cell.rule](part, round(truth / cell.distance), quantile))
        cells += made
    return cells


def _places(rng: Rng, calls: int, samples: int, sampling: str) -> NDArray[np.int64]:
    """Which calls a run gets: blocks with random gaps over the whole trace, or the calls from a random place on."""
    samples = min(samples, calls // 2)
    if sampling == "contiguous":
        first = int(rng.integers(0, calls - samples + 1))
        return np.arange(first, first + samples, dtype=np.int64)
    blocks = samples // BLOCK_CALLS
    gaps = rng.uniform(0.5, 1.5, blocks + 1)
    starts = np.floor(np.cumsum(gaps)[:-1] / gaps.sum() * (calls - samples)).astype(np.int64)
    starts += np.arange(blocks) * BLOCK_CALLS
    places: Nanoseconds = (starts[:, None] + np.arange(BLOCK_CALLS)).ravel()
    return places
