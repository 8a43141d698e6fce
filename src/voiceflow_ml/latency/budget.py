"""A latency budget on paper: what the latencies of stages that follow each other add up to.

Nothing measured end to end stands behind it, so it is no verdict. Two answers, from the stages alone:

* the stages vary independently: their sum is simulated;
* they depend on each other in any way at all: the tail of the sum is split among them. Where each stage exceeds
  ``c_i`` with probability at most ``t_i`` and the ``t_i`` add up to ``1 - q``, the sum exceeds the sum of the ``c_i``
  with probability at most ``1 - q``, by the union bound; the best split is searched. For two stages no smaller bound
  holds (Makarov 1981; Rüschendorf 1982), for more a smaller one may (Embrechts, Puccetti and Rüschendorf 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.quantiles import Samples, as_samples_ns, check_fraction, nearest_rank

DRAWS = 100_000
"""Simulated sums: so many that their error is small beside that of the samples that they are drawn from."""
_SPLITS = 200
"""The tail is handed out in as many equal pieces."""

Durations = NDArray[np.float64]


class Stage(Protocol):
    """One stage, as far as a budget needs to know it."""

    @property
    def name(self) -> str:
        """What the stage is called."""

    def draw_ns(self, generator: np.random.Generator, count: int) -> Durations:
        """Durations in nanoseconds, as the stage might take, shape ``[count]``."""

    def ceiling_ns(self, tails: Durations) -> Durations:
        """What is exceeded with at most each of these probabilities, shape as given; infinite where nobody knows."""


@dataclass(frozen=True, eq=False)
class MeasuredStage:
    """A stage of which there are samples.

    Attributes:
        name: what it is called.
        samples_ns: latencies in whole nanoseconds, shape ``[n]``, in any order.
    """

    name: str
    samples_ns: Samples

    def draw_ns(self, generator: np.random.Generator, count: int) -> Durations:
        """Samples, each as likely as any other."""
        values = as_samples_ns(self.samples_ns)
        return values[generator.integers(0, values.size, count)].astype(np.float64)

    def ceiling_ns(self, tails: Durations) -> Durations:
        """The sample that a share of them exceeds. Of tails below one sample in n, samples say nothing."""
        values = np.sort(as_samples_ns(self.samples_ns))
        ranks = np.array([nearest_rank(values.size, 1 - tail) for tail in tails.tolist()])
        known = np.round(tails * values.size, 9) >= 1
        return np.where(known, values[ranks - 1].astype(np.float64), np.inf)


@dataclass(frozen=True)
class DeclaredStage:
    """A stage of which somebody says that it takes between two durations, and no more than that.

    Attributes:
        name: what it is called.
        low_ns: at least this, nanoseconds.
        high_ns: at most this.
    """

    name: str
    low_ns: int
    high_ns: int

    def __post_init__(self) -> None:
        if not 0 <= self.low_ns <= self.high_ns:
            raise SampleError(f"{self.name} cannot take from {self.low_ns} ns to {self.high_ns} ns: low comes first")

    def draw_ns(self, generator: np.random.Generator, count: int) -> Durations:
        """Evenly from the range, for want of anything better known."""
        return generator.uniform(self.low_ns, self.high_ns, count)

    def ceiling_ns(self, tails: Durations) -> Durations:
        """The upper end, for any tail: the range says nothing of what is likely within it."""
        return np.full(tails.shape, float(self.high_ns))


@dataclass(frozen=True)
class Part:
    """What one stage takes of the sum.

    Attributes:
        name: the stage.
        alone_ns: its own quantile.
        independent_ns: what it takes on average where the simulated sum is at its quantile (the Euler allocation:
            Tasche 1999); these add up to the sum.
        ceiling_ns: its share of the bound under any dependence; None where there is no bound.
    """

    name: str
    alone_ns: int
    independent_ns: int
    ceiling_ns: int | None


@dataclass(frozen=True)
class Budget:
    """What the stages add up to at one quantile.

    Attributes:
        quantile: of the sum.
        independent_ns: the quantile of the sum if the stages vary independently.
        ceiling_ns: what the quantile of the sum is at most, whatever their dependence; None where a measured stage
            has too few samples for its share of the tail.
        parts: one for each stage, in the order given.
    """

    quantile: float
    independent_ns: int
    ceiling_ns: int | None
    parts: tuple[Part, ...]

    @property
    def largest(self) -> Part:
        """The stage that takes most of the sum."""
        return max(self.parts, key=lambda part: part.independent_ns)


def add_up(stages: Sequence[Stage], quantile: float, *, seed: int = 0) -> Budget:
    """Add stages up.

    Args:
        stages: at least one; each takes place once, one after the other.
        quantile: of the sum, in (0, 1).
        seed: of the simulation; the same seed gives the same budget.

    Raises:
        SampleError: no stage, unfit samples, or a quantile outside (0, 1).
    """
    check_fraction(quantile, "quantile")
    if not stages:
        raise SampleError("a budget of no stages does not exist; name at least one")
    generator = np.random.default_rng(seed)
    drawn_ns = np.stack([stage.draw_ns(generator, DRAWS) for stage in stages])
    independent_ns, shares_ns = _at_quantile(drawn_ns, quantile)
    ceilings_ns = _split(stages, 1 - quantile)
    rank = nearest_rank(DRAWS, quantile) - 1
    return Budget(
        quantile=quantile,
        independent_ns=independent_ns,
        ceiling_ns=None if ceilings_ns is None else sum(ceilings_ns),
        parts=tuple(
            Part(
                name=stage.name,
                alone_ns=round(float(np.partition(own_ns, rank)[rank])),
                independent_ns=share_ns,
                ceiling_ns=None if ceilings_ns is None else ceilings_ns[place],
            )
            for place, (stage, own_ns, share_ns) in enumerate(zip(stages, drawn_ns, shares_ns, strict=True))
        ),
    )


def _at_quantile(drawn_ns: Durations, quantile: float) -> tuple[int, list[int]]:
    """The quantile of the sums of ``[stages, draws]``, and what each stage takes of it: whole ns that add up."""
    sums_ns = drawn_ns.sum(axis=0)
    order = np.argsort(sums_ns, kind="stable")
    rank = nearest_rank(DRAWS, quantile) - 1
    whole_ns = round(float(sums_ns[order[rank]]))
    # Around the quantile, and not beyond half way to either end.
    reach = max(1, round(DRAWS * min(quantile, 1 - quantile) / 5))
    near = drawn_ns[:, order[max(0, rank - reach) : rank + reach + 1]].mean(axis=1)
    total = float(near.sum()) or 1.0
    ends = np.rint(np.cumsum(near) / total * whole_ns).astype(np.int64)
    return whole_ns, np.diff(ends, prepend=0).tolist()


def _split(stages: Sequence[Stage], tail: float) -> list[int] | None:
    """What each stage may take when the tail is split among them as well as can be; None where no split is known."""
    pieces = np.arange(_SPLITS + 1)
    ceilings = [stage.ceiling_ns(tail * pieces / _SPLITS) for stage in stages]
    # The smallest sum of the stages so far with each number of pieces handed out, and how many the last one got.
    best = ceilings[0]
    given: list[NDArray[np.int64]] = []
    for ceiling in ceilings[1:]:
        left = pieces[:, np.newaxis] - pieces
        sums = np.where(left >= 0, best[np.maximum(left, 0)] + ceiling, np.inf)
        given.append(sums.argmin(axis=1))
        best = sums.min(axis=1)
    if not np.isfinite(best[_SPLITS]):
        return None
    shares: list[int] = []
    rest = _SPLITS
    for ceiling, choice in zip(reversed(ceilings[1:]), reversed(given), strict=True):
        piece = int(choice[rest])
        shares.insert(0, round(float(ceiling[piece])))
        rest -= piece
    return [round(float(ceilings[0][rest])), *shares]
