"""Error rates: many runs of each family, judged by each rule against limits at known distances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdicts.families import Family
from benchmarks.verdicts.rules import Rule
from benchmarks.verdicts.sampling import CALL_NS, contiguous_times_s, product_plan, spread_times_s
from voiceflow_ml.latency import Outcome

DISTANCES = (0.75, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25)
"""How far the true quantile is beyond the limit, as its multiple: below 1 it is within, whichever the bound."""


@dataclass
class Cell:
    """Verdicts of one rule on one family at one distance."""

    family: str
    scale_s: float
    span_s: float
    flat_tail: bool
    sampling: str
    rule: str
    quantile: float
    bound: str
    distance: float
    runs: int
    met: int = 0
    breached: int = 0
    mean_samples: float = 0.0
    seed: int = 0

    @property
    def covered(self) -> bool:
        """Whether the noise is fast enough for the promise to cover it: under a fifth of the span."""
        return self.scale_s < self.span_s / 5

    def count(self, outcome: Outcome, samples: int) -> None:
        """Add one run."""
        self.met += outcome is Outcome.MET
        self.breached += outcome is Outcome.BREACHED
        self.mean_samples += samples / self.runs


@dataclass(frozen=True)
class Question:
    """What is asked of the rules.

    Attributes:
        quantile: the quantile judged.
        bound: ``"upper"`` for latencies; ``"lower"`` for throughputs, which are the reciprocals of latencies.
        distances: how far the true quantile is beyond the limit, as its multiple.
        contiguous: take samples back to back instead of spread.
    """

    quantile: float = 0.99
    bound: str = "upper"
    distances: Sequence[float] = DISTANCES
    contiguous: bool = False


@dataclass(frozen=True)
class Study:
    """How much is simulated."""

    runs: int
    seed: int
    told: Callable[[str], None] = field(default=lambda _: None)


def simulate(families: Sequence[Family], rules: Mapping[str, Rule], question: Question, study: Study) -> list[Cell]:
    """Judge ``runs`` runs of each family by each rule at each distance; the same runs for all of them."""
    cells = []
    for family in families:
        study.told(f"P{question.quantile * 100:g} {question.bound}: {family.name}")
        cells += _simulate_family(family, rules, question, study)
    return cells


def _simulate_family(family: Family, rules: Mapping[str, Rule], question: Question, study: Study) -> list[Cell]:
    plan = product_plan(question.quantile)
    budget, aimed = plan.looks[-1], plan.aimed_samples
    span_s = spread_times_s(np.random.default_rng(0), aimed, plan)[-1]
    if question.contiguous:
        span_s = contiguous_times_s(aimed)[-1]
    truth, flat = _truth(family, question)
    cells = [
        Cell(
            family.name,
            family.scale_s,
            round(float(span_s), 2),
            flat,
            "contiguous" if question.contiguous else "spread",
            rule,
            question.quantile,
            question.bound,
            distance,
            study.runs,
            seed=study.seed,
        )
        for rule in rules
        for distance in question.distances
    ]
    # Seeded by name too, so that a family gives the same runs whichever others are simulated.
    rng = np.random.default_rng([study.seed, *family.name.encode()])
    for _ in range(study.runs):
        times_s = contiguous_times_s(budget) if question.contiguous else spread_times_s(rng, budget, plan)
        values = _as_integers(family.latencies(rng, times_s), question)
        for cell in cells:
            limit = round(truth / cell.distance if question.bound == "upper" else truth * cell.distance)
            cell.count(*rules[cell.rule](values, limit, question.quantile))
    return cells


def _as_integers(latencies: NDArray[np.float64], question: Question) -> NDArray[np.int64]:
    """Nanoseconds, or calls in 1 000 hours for a throughput: whole numbers fine enough that ties do not matter."""
    scaled = latencies * CALL_NS if question.bound == "upper" else 3.6e15 / (latencies * CALL_NS)
    return np.round(scaled).astype(np.int64)


def _truth(family: Family, question: Question) -> tuple[float, bool]:
    """The true quantile in the integers of :func:`_as_integers`, and whether the tail is flat there."""
    upper = question.quantile if question.bound == "upper" else 1 - question.quantile
    quantile = family.quantile(upper)
    truth = quantile * CALL_NS if question.bound == "upper" else 3.6e15 / (quantile * CALL_NS)
    return truth, family.has_flat_tail(upper)
