"""From values to pixels, and the round numbers along the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MOST_TICKS = 6
_LOG_FROM = 5.0
"""An axis of latencies is logarithmic when its largest value is this many times its smallest."""


@dataclass(frozen=True)
class Scale:
    """One axis.

    Attributes:
        low: the value at ``start``; above 0 where the axis is logarithmic.
        high: the value at ``end``; above ``low``.
        start: in pixels.
        end: in pixels; below ``start`` for an axis that points up.
        logarithmic: equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, values: ArrayLike) -> NDArray[np.float64]:
        """Pixels of values of any shape; those beyond an end are placed on it."""
        clipped = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        if self.logarithmic:
            share = np.log(clipped / self.low) / math.log(self.high / self.low)
        else:
            share = (clipped - self.low) / (self.high - self.low)
        pixels: NDArray[np.float64] = self.start + share * (self.end - self.start)
        return pixels

    def ticks(self) -> tuple[float, ...]:
        """Round values on the axis, in order, at most eight."""
        rounds = _log_ticks(self.low, self.high) if self.logarithmic else ()
        return rounds if len(rounds) > 2 else _linear_ticks(self.low, self.high)


def latency_scale(low_ns: float, high_ns: float, start: float, end: float) -> Scale:
    """An axis for latencies between two values, with a little room on both sides.

    Args:
        low_ns: the smallest, at least 0.
        high_ns: the largest, at least ``low_ns``.
        start: pixel of the low end.
        end: pixel of the high end.
    """
    low_ns, high_ns = max(1.0, low_ns), max(1.0, high_ns)
    if high_ns >= _LOG_FROM * low_ns:
        room = (high_ns / low_ns) ** 0.04
        return Scale(low_ns / room, high_ns * room, start, end, logarithmic=True)
    room = 0.05 * (high_ns - low_ns) or 0.1 * high_ns
    return Scale(low_ns - room, high_ns + room, start, end)


def _linear_ticks(low: float, high: float) -> tuple[float, ...]:
    rough = (high - low) / _MOST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # Digits of the step, not of the value: a narrow axis far from zero needs all of both.
    digits = 1 - math.floor(math.log10(step))
    return tuple(round(index * step, digits) for index in range(first, last + 1))


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1,)):
        rounds = tuple(
            value
            for decade in decades
            for value in (10.0**decade * factor for factor in factors)
            if low <= value <= high
        )
        if len(rounds) <= _MOST_TICKS:
            return rounds
    return rounds[:: math.ceil(len(rounds) / _MOST_TICKS)]
