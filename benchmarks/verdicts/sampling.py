"""When calls are made: spread in blocks with random gaps, as the product does, or one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdicts.families import Floats, Rng
from voiceflow_ml.latency.plan import SamplingPlan, fewest_for_met, planned_looks

CALL_NS = 2_000_000
"""A typical call: families are multiples of it, and its length spaces the calls of a block."""


def product_plan(quantile: float) -> SamplingPlan:
    """The plan that a promise about this quantile is measured by."""
    # For a lower bound the rare event is on the other side; the counts are the same.
    upper = max(quantile, 1 - quantile)
    return SamplingPlan(looks=planned_looks([upper]), aimed_samples=fewest_for_met(upper))


def spread_times_s(rng: Rng, samples: int, plan: SamplingPlan) -> Floats:
    """Times of kept calls in blocks with the product's random gaps, seconds, shape ``[samples]``."""
    blocks = -(-samples // plan.block_calls)
    gaps_ns = plan.gap_ns(CALL_NS) * rng.uniform(0.5, 1.5, blocks)
    block_ns = (plan.block_calls + plan.settling_calls) * CALL_NS
    starts_ns = np.cumsum(gaps_ns + block_ns)
    calls_ns = (plan.settling_calls + np.arange(plan.block_calls)) * CALL_NS
    return np.asarray((starts_ns[:, None] + calls_ns).ravel()[:samples] / 1e9)


def pair_times_s(rng: Rng, samples: int, plan: SamplingPlan) -> Floats:
    """Times of kept calls of two arms: pairs of blocks one right after the other, gaps between pairs.

    Returns:
        Seconds, shape ``[2 * samples]``, ascending; which block is whose is for :func:`pair_order` to say.
    """
    pairs = samples // plan.block_calls
    gaps_ns = plan.gap_ns(CALL_NS) * rng.uniform(0.5, 1.5, pairs)
    block_ns = (plan.block_calls + plan.settling_calls) * CALL_NS
    starts_ns = np.cumsum(gaps_ns + 2 * block_ns)
    blocks_ns = (starts_ns[:, None] + np.array([0, block_ns])).ravel()
    calls_ns = (plan.settling_calls + np.arange(plan.block_calls)) * CALL_NS
    return np.asarray((blocks_ns[:, None] + calls_ns).ravel() / 1e9, dtype=np.float64)


def contiguous_times_s(samples: int) -> Floats:
    """Times of calls one after the other, seconds, shape ``[samples]``."""
    return np.arange(samples, dtype=np.float64) * (CALL_NS / 1e9)


def pair_order(rng: Rng, samples: int, block: int = 10) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of two arms in one series of calls: pairs of blocks, the order within each pair drawn anew.

    Returns:
        Indices of the baseline and of the candidate, each shape ``[samples]``, ascending.
    """
    pairs = samples // block
    first_is_baseline = rng.random(pairs) < 0.5
    starts = np.arange(pairs) * 2 * block
    baseline = starts + np.where(first_is_baseline, 0, block)
    candidate = starts + np.where(first_is_baseline, block, 0)
    calls = np.arange(block)
    return (baseline[:, None] + calls).ravel(), (candidate[:, None] + calls).ravel()
