"""Noise families: latencies as a process in time, with the exact law of a single call known.

A family is a *state* of the machine that changes in time, and what a call costs in that state. A call at time t
sees the state at t, so calls close in time share it: that is the dependence that a verdict has to survive. The
marginal law (state at a random time, then a call) gives the true quantile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.latency.quantiles import nearest_rank

Floats = NDArray[np.float64]
Rng = np.random.Generator
Emit = Callable[[Rng, Floats], Floats]

_MARGINAL_DRAWS = 4_000_000
_MARGINAL_SEED = 20_251


class State(Protocol):
    """The machine's state over time."""

    def at(self, rng: Rng, times_s: Floats) -> Floats:
        """One realisation, read at ascending times, shape ``[n]``."""

    def marginal(self, rng: Rng, n: int) -> Floats:
        """Independent reads at random times, shape ``[n]``."""


@dataclass(frozen=True)
class Still:
    """No state: calls are independent."""

    def at(self, rng: Rng, times_s: Floats) -> Floats:  # noqa: ARG002
        """Zeros."""
        return np.zeros(times_s.size)

    def marginal(self, rng: Rng, n: int) -> Floats:  # noqa: ARG002
        """Zeros."""
        return np.zeros(n)


@dataclass(frozen=True)
class OnOff:
    """A neighbour that comes and goes, both times exponential: 1 while it is there."""

    on_s: float
    off_s: float

    def at(self, rng: Rng, times_s: Floats) -> Floats:
        """Alternating renewal process, begun in its stationary state (exponential times have no memory)."""
        starts_on = rng.random() < self.on_s / (self.on_s + self.off_s)
        cycles = int((times_s[-1] - times_s[0]) / (self.on_s + self.off_s) * 1.5) + 40
        first, second = (self.on_s, self.off_s) if starts_on else (self.off_s, self.on_s)
        lengths_s = np.empty(2 * cycles)
        lengths_s[0::2], lengths_s[1::2] = rng.exponential(first, cycles), rng.exponential(second, cycles)
        changes = np.searchsorted(times_s[0] + np.cumsum(lengths_s), times_s)
        is_on: Floats = ((changes % 2 == 0) == starts_on).astype(np.float64)
        return is_on

    def marginal(self, rng: Rng, n: int) -> Floats:
        """On for its share of the time."""
        return (rng.random(n) < self.on_s / (self.on_s + self.off_s)).astype(np.float64)


@dataclass(frozen=True)
class Wander:
    """A level that wanders around zero with standard deviation 1 (Ornstein-Uhlenbeck)."""

    correlation_s: float

    def at(self, rng: Rng, times_s: Floats) -> Floats:
        """Exact transitions between successive times."""
        keep = np.exp(-np.diff(times_s) / self.correlation_s)
        kicks = rng.standard_normal(times_s.size)
        kicks[1:] *= np.sqrt(1 - keep**2)
        level = np.empty(times_s.size)
        level[0] = kicks[0]
        for i, (kept, kick) in enumerate(zip(keep.tolist(), kicks[1:].tolist(), strict=True)):
            level[i + 1] = kept * level[i] + kick
        return level

    def marginal(self, rng: Rng, n: int) -> Floats:
        """Standard normal."""
        return rng.standard_normal(n)


@dataclass(frozen=True)
class Cycle:
    """Something that comes back exactly every period; the state is the phase, 0 to 1."""

    period_s: float

    def at(self, rng: Rng, times_s: Floats) -> Floats:
        """Phases from a random start."""
        phases: Floats = (times_s / self.period_s + rng.random()) % 1.0
        return phases

    def marginal(self, rng: Rng, n: int) -> Floats:
        """Uniform phases."""
        return rng.random(n)


@dataclass(frozen=True)
class Family:
    """A kind of noise.

    Attributes:
        name: for tables.
        scale_s: how long its memory is: a cycle, or twice a correlation time; 0 when calls are independent.
        state: the machine.
        emit: what calls cost in given states, as multiples of a typical call.
    """

    name: str
    scale_s: float
    state: State
    emit: Emit

    def latencies(self, rng: Rng, times_s: Floats) -> Floats:
        """What calls at these times cost, shape ``[n]``."""
        return self.emit(rng, self.state.at(rng, times_s))

    def quantile(self, q: float) -> float:
        """The true long-run quantile, from four million independent draws of the exact marginal law."""
        return float(_marginal(self)[nearest_rank(_MARGINAL_DRAWS, q) - 1])

    def has_flat_tail(self, q: float) -> bool:
        """Whether 10 % of latency changes the share over the quantile by less than a factor of two.

        Then nobody can tell the two apart from few samples; the bar on the speed of MET excepts such families.
        """
        return self.rate_over(self.quantile(q) / 0.9) > (1 - q) / 2

    def rate_over(self, limit: float) -> float:
        """True share of calls over a limit."""
        return 1 - float(np.searchsorted(_marginal(self), limit, side="right")) / _MARGINAL_DRAWS


@cache
def _marginal(family: Family) -> Floats:
    """Sorted draws of the marginal law."""
    rng = np.random.default_rng(_MARGINAL_SEED)
    return np.sort(family.emit(rng, family.state.marginal(rng, _MARGINAL_DRAWS)))


def _lognormal(sigma: float) -> Emit:
    return lambda rng, state: np.exp(rng.normal(0, sigma, state.size))


def _levelled(level: float, sigma: float) -> Emit:
    return lambda rng, state: np.exp(level * state + rng.normal(0, sigma, state.size))


def _slower_when_on(factor: float, share: float, sigma: float = 0.1) -> Emit:
    def emit(rng: Rng, state: Floats) -> Floats:
        hit = (state > 0) & (rng.random(state.size) < share)
        return np.exp(rng.normal(0, sigma, state.size)) * np.where(hit, factor, 1.0)

    return emit


def _wider_when_on(sigma_on: float, sigma_off: float) -> Emit:
    return lambda rng, state: np.exp(rng.normal(0, 1, state.size) * np.where(state > 0, sigma_on, sigma_off))


def _sliced(slice_share: float, wait: float) -> Emit:
    """While a neighbour is there, a call that crosses the end of a time slice waits for one slice of his."""

    def emit(rng: Rng, state: Floats) -> Floats:
        crosses = (state > 0) & (rng.random(state.size) < slice_share)
        return np.exp(rng.normal(0, 0.08, state.size)) + np.where(crosses, wait, 0.0)

    return emit


def _paused(width: float, pause: float) -> Emit:
    """A pause of the whole process in one part of the cycle; a call that meets it waits all of it."""

    def emit(rng: Rng, state: Floats) -> Floats:
        return np.exp(rng.normal(0, 0.1, state.size)) + np.where(state < width, pause, 0.0)

    return emit


def _pareto(rng: Rng, state: Floats) -> Floats:
    return 1 + 0.1 * rng.pareto(2.5, state.size)


def _stalled(rng: Rng, state: Floats) -> Floats:
    return np.exp(rng.normal(0, 0.15, state.size)) * np.where(rng.random(state.size) < 0.003, 4.0, 1.0)


FAMILIES = (
    Family("lognormal .1", 0, Still(), _lognormal(0.1)),
    Family("lognormal .25", 0, Still(), _lognormal(0.25)),
    Family("gamma", 0, Still(), lambda rng, state: 1 + rng.gamma(2.0, 0.1, state.size)),
    Family("heavy: lognormal .6", 0, Still(), _lognormal(0.6)),
    Family("heavy: Pareto", 0, Still(), _pareto),
    Family("rare stalls", 0, Still(), _stalled),
    Family("wandering .3 s", 0.6, Wander(0.3), _levelled(0.08, 0.1)),
    Family("wandering 2 s", 4, Wander(2.0), _levelled(0.05, 0.1)),
    Family("bursts .1 s", 1.1, OnOff(0.1, 1.0), _slower_when_on(1.6, 0.5)),
    Family("bursts 1 s", 5, OnOff(1.0, 4.0), _slower_when_on(2.0, 0.3)),
    Family("time slices", 2, OnOff(1.0, 1.0), _sliced(0.3, 1.5)),
    Family("pauses", 0.7, Cycle(0.7), _paused(0.03, 1.0)),
    Family("two clocks", 4, OnOff(2.0, 2.0), _slower_when_on(1.25, 1.0)),
    Family("regimes", 6, OnOff(3.0, 3.0), _wider_when_on(0.2, 0.05)),
    Family(
        "slow wave",
        6,
        Cycle(6.0),
        lambda rng, state: np.exp(rng.normal(0, 0.1, state.size) + 0.1 * np.sin(2 * math.pi * state)),
    ),
    Family("strong wandering 1 s", 2, Wander(1.0), _levelled(0.25, 0.05)),
    Family("strong wandering 3 s", 6, Wander(3.0), _levelled(0.1, 0.08)),
    Family("rare bursts", 45, OnOff(3.0, 42.0), _slower_when_on(2.0, 0.3)),
    Family("wandering 15 s", 30, Wander(15.0), _levelled(0.15, 0.1)),
)
