"""Where does the steady state begin? MSER on medians of consecutive blocks of five.

MSER (White 1997, "An effective truncation heuristic for bias reduction in simulation output") leaves out the
start whose removal makes the standard error of the mean of the rest smallest: dropping warm-up calls lowers
the variance, dropping steady ones only lowers the number that is left. Medians of five keep a single
interrupted call from being taken for the end of the warm-up. All sums are exact integers, so the answer does
not depend on the size of the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import numpy as np

from voiceflow_ml.latency.quantiles import Samples, as_samples_ns

BLOCK_SAMPLES = 5
FEWEST_SAMPLES = 20
FEWEST_DISCARDED = 10
_MARGIN = Fraction(3, 2)
# The standard error of a handful of blocks is small by accident now and then.
_FEWEST_BLOCKS_LEFT = 2
_ENOUGH_BLOCKS_LEFT = 5


@dataclass(frozen=True)
class SteadyState:
    """Where the steady state of a series begins.

    Attributes:
        steady: whether a steady state was seen; it is when it covers more than half of the series.
        first_steady: how many samples came before it; all of them when none was seen.
        discard: how many samples to leave out at the start: ``first_steady`` and half as many again for
            safety, never fewer than 10.
    """

    steady: bool
    first_steady: int
    discard: int


def steady_state(samples_ns: Samples) -> SteadyState:
    """Find where the steady state begins; may be asked of growing prefixes.

    Args:
        samples_ns: latencies from the first call on, in whole nanoseconds, shape ``[n]``, in arrival order.
            With fewer than 20 no steady state is seen.

    Raises:
        SampleError: unfit samples.
    """
    values = as_samples_ns(samples_ns)
    blocks = values.size // BLOCK_SAMPLES
    first_block = blocks
    if values.size >= FEWEST_SAMPLES:
        ordered = np.sort(values[: blocks * BLOCK_SAMPLES].reshape(blocks, BLOCK_SAMPLES), axis=1)
        first_block = _truncation(ordered[:, BLOCK_SAMPLES // 2].tolist())
    # In the second half the rest is too short to tell a steady state from a pause in a trend.
    steady = 2 * first_block < blocks
    first_steady = first_block * BLOCK_SAMPLES if steady else int(values.size)
    return SteadyState(steady=steady, first_steady=first_steady, discard=_discard(first_steady))


def _truncation(series: list[int]) -> int:
    """Number of leading values whose removal makes the standard error of the rest smallest; the least such."""
    fewest_left = min(_ENOUGH_BLOCKS_LEFT, max(_FEWEST_BLOCKS_LEFT, len(series) // 3))
    sums = list(accumulate(reversed(series)))
    squares = list(accumulate(value * value for value in reversed(series)))

    def squared_error(left: int) -> Fraction:
        return Fraction(left * squares[left - 1] - sums[left - 1] ** 2, left**3)

    return len(series) - min(range(len(series), fewest_left - 1, -1), key=squared_error)


def _discard(first_steady: int) -> int:
    if first_steady <= FEWEST_DISCARDED:
        return FEWEST_DISCARDED
    return math.ceil(first_steady * _MARGIN)
