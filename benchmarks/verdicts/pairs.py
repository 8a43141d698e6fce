"""Candidate against baseline: false alarms of equal versions, and slowdowns found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdicts.cells import Study
from benchmarks.verdicts.families import Family
from benchmarks.verdicts.sampling import CALL_NS, pair_order, pair_times_s, product_plan
from voiceflow_ml.latency import Change, compare, percentile
from voiceflow_ml.latency.compare import default_tolerance, samples_per_arm

Nanoseconds = NDArray[np.int64]
SHIFTS = (1.0, 1.1)
DEAD_BAND = 1.05
"""A stored baseline alarms when the new number is over the old one by more than this."""


@dataclass
class PairCell:
    """Answers of one way to compare, on one family at one true ratio."""

    family: str
    scale_s: float
    way: str
    quantile: float
    tolerance: float
    ratio: float
    runs: int
    seed: int
    slower: int = 0
    not_slower: int = 0
    samples_per_arm: int = 0


def simulate_pairs(families: Sequence[Family], quantile: float, study: Study) -> list[PairCell]:
    """Compare a version with itself and with one that is 10 % slower, ``runs`` times for each family."""
    cells = []
    for family in families:
        study.told(f"A/B P{quantile * 100:g}: {family.name}")
        cells += _simulate_family(family, quantile, study)
    return cells


def _simulate_family(family: Family, quantile: float, study: Study) -> list[PairCell]:
    samples, plan = samples_per_arm(quantile), product_plan(quantile)
    rng = np.random.default_rng([study.seed, *family.name.encode(), round(quantile * 1000)])
    ways = _ways(quantile)
    cells = [
        PairCell(
            family.name,
            family.scale_s,
            way,
            quantile,
            tolerance,
            ratio,
            study.runs,
            study.seed,
            samples_per_arm=samples,
        )
        for way, (tolerance, _) in ways.items()
        for ratio in SHIFTS
    ]
    for _ in range(study.runs):
        times_s = pair_times_s(rng, samples, plan)
        together = family.latencies(rng, times_s)
        # Another session, some other day: nothing is shared but the model.
        stored = family.latencies(rng, times_s)[:samples]
        baseline, candidate = pair_order(rng, samples)
        for cell in cells:
            if cell.way == "A, then B":
                arms = together[:samples], together[samples:]
            elif cell.way == "stored number":
                arms = stored, together[:samples]
            else:
                arms = together[baseline], together[candidate]
            answer = ways[cell.way][1](_ns(arms[0]), _ns(arms[1] * cell.ratio))
            cell.slower += answer is Change.SLOWER
            cell.not_slower += answer is Change.NOT_SLOWER
    return cells


def _ways(quantile: float) -> dict[str, tuple[float, Callable[[Nanoseconds, Nanoseconds], Change]]]:
    """How two versions may be compared: the tolerance of each way, and its answer."""

    def by_compare(tolerance: float) -> Callable[[Nanoseconds, Nanoseconds], Change]:
        return lambda a, b: compare(a, b, quantile=quantile, tolerance=tolerance).outcome

    def by_dead_band(a: Nanoseconds, b: Nanoseconds) -> Change:
        slower = percentile(b, quantile) > DEAD_BAND * percentile(a, quantile)
        return Change.SLOWER if slower else Change.NOT_SLOWER

    default = default_tolerance(quantile)
    return {
        "interleaved": (0.0, by_compare(0.0)),
        "interleaved, default tolerance": (default, by_compare(default)),
        "A, then B": (DEAD_BAND - 1, by_dead_band),
        "stored number": (DEAD_BAND - 1, by_dead_band),
    }


def _ns(latencies: NDArray[np.float64]) -> Nanoseconds:
    return np.round(latencies * CALL_NS).astype(np.int64)
