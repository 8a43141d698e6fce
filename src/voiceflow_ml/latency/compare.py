"""Is a candidate slower than its baseline? Three answers, from samples of both taken in one session.

Both arms are cut at the same places into batches, and each pair of batches gives one logarithm of the ratio
of their quantiles, d = ln(Q(candidate) / Q(baseline)). The interval of the ratio is the exact signed-rank
interval of those d: with the order of the two arms drawn afresh for every pair of blocks, two equal versions
give d a fair sign in every batch whatever the machine did meanwhile, so bursts, drift, pauses and switching
clocks cannot raise the rate of false alarms. Student's t interval keeps that rate as well, but one batch hit
by a burst widens it for all: it finds a P99 that is 10 % slower in 64 to 80 % of bursty runs, this one in 95
to 99 %.

A batch is a whole number of blocks of ten and holds at least one sample of the tail; there are 20 batches for
the fewest samples and 40 to 79 from twice as many on, because the median gains power by more batches and a
P99 of less than 100 samples is a maximum. Q averages the logarithms of the order statistics within one
binomial standard deviation of the nearest rank (those ranks that hold the quantile as likely), which at
equal false alarms finds more than the nearest rank alone. Nothing finds 10 % in a P99 of 2 000 samples whose
tail is heavy, or whose P99 is the edge of a rare pause: such a comparison stays INCONCLUSIVE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.quantiles import Samples, as_samples_ns, check_fraction, nearest_rank, percentile
from voiceflow_ml.latency.signed_rank import centre_interval
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.units import format_count, format_ns

BLOCK_SAMPLES = 10
"""Samples of one arm between two draws of the order; batches are whole blocks, so that signs are fair."""
FEWEST_BATCHES = 20
FEWEST_SAMPLES = 400
_BATCHES = 40
_MOST_SAMPLES_FORECAST = 1_000_000
# A ratio exactly on the tolerance is not to be decided by the rounding of logarithms.
_ROUNDING = 1e-12


class Change(StrEnum):
    """The three answers of a comparison."""

    SLOWER = "SLOWER"
    NOT_SLOWER = "NOT_SLOWER"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Comparison:
    """One quantile of a candidate against the same of its baseline.

    Attributes:
        outcome: SLOWER, NOT_SLOWER or INCONCLUSIVE.
        quantile: the quantile compared, 0 < quantile < 1.
        tolerance: the slowdown allowed, as a fraction of the baseline.
        confidence: 1 - the largest chance of a wrong SLOWER, and of a wrong NOT_SLOWER.
        baseline_samples: samples given of the baseline.
        candidate_samples: samples given of the candidate.
        baseline_ns: nearest-rank percentile of all samples of the baseline.
        candidate_ns: nearest-rank percentile of all samples of the candidate.
        ratio: the candidate's latency over the baseline's, estimated from the batches; None when the samples
            are too few to be cut into batches.
        ratio_low: lower end of the interval of the ratio; None when it is not bounded.
        ratio_high: upper end; each end holds with ``confidence``.
        batches: number of batches that each arm was cut into; 0 when the samples are too few.
        samples_needed: for INCONCLUSIVE, samples per arm that would decide at the present spread; None when
            no number up to a million would.
        sentence: the comparison in one sentence.
    """

    outcome: Change
    quantile: float
    tolerance: float
    confidence: float
    baseline_samples: int
    candidate_samples: int
    baseline_ns: int
    candidate_ns: int
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    batches: int
    samples_needed: int | None
    sentence: str


def default_tolerance(quantile: float) -> float:
    """Slowdown that is let pass unless told otherwise: 5 % below P90, 10 % from P90 on."""
    return 0.05 if check_fraction(quantile, "quantile") < 0.9 else 0.1


def samples_per_arm(quantile: float) -> int:
    """Fewest samples of each arm that a comparison decides on: 2 000 for a P99, never below 400."""
    return max(FEWEST_SAMPLES, FEWEST_BATCHES * _smallest_batch(check_fraction(quantile, "quantile")))


def compare(
    baseline_ns: Samples, candidate_ns: Samples, *, quantile: float, confidence: float = 0.99, tolerance: float
) -> Comparison:
    """Compare a quantile of two versions measured in one session.

    The samples of both arms must be taken interleaved: pairs of blocks of ten, one block of each arm, the
    order within each pair drawn at random. A baseline stored from another session is no substitute: on
    shared machines two sessions of the *same* version differ by more than 5 % in a double-digit percentage
    of cases, and no statistic can tell that from a change.

    The guarantee is for one look: fix the number of samples beforehand, since looking again and again until
    the answer pleases multiplies the errors.

    Samples that fill no whole batch, and those that one arm has beyond the other, are left out at the end.

    Args:
        baseline_ns: latencies of the baseline in whole nanoseconds, shape ``[n]``, in arrival order.
        candidate_ns: latencies of the candidate, likewise.
        quantile: the quantile as a fraction, 0 < quantile < 1; P99 is 0.99.
        confidence: 1 - the error rate allowed in each direction, 0 < confidence < 1.
        tolerance: the slowdown allowed, as a fraction: 0.1 lets the candidate be 10 % slower.

    Raises:
        SampleError: unfit samples, a fraction outside (0, 1), a tolerance that is negative or not finite, or
            a batch whose quantile is 0 ns.
    """
    arms = as_samples_ns(baseline_ns), as_samples_ns(candidate_ns)
    check_fraction(confidence, "confidence")
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise SampleError(f"tolerance must be a finite fraction of at least 0 (0.1 is 10 %), got {tolerance!r}")
    fewest = samples_per_arm(quantile)
    comparison = Comparison(
        outcome=Change.INCONCLUSIVE,
        quantile=quantile,
        tolerance=float(tolerance),
        confidence=confidence,
        baseline_samples=int(arms[0].size),
        candidate_samples=int(arms[1].size),
        baseline_ns=percentile(arms[0], quantile),
        candidate_ns=percentile(arms[1], quantile),
        ratio=None,
        ratio_low=None,
        ratio_high=None,
        batches=0,
        samples_needed=fewest,
        sentence="",
    )
    samples = min(arms[0].size, arms[1].size)
    if samples >= fewest:
        comparison = _decided(comparison, _log_ratios(arms[0][:samples], arms[1][:samples], quantile))
    return replace(comparison, sentence=_sentence(comparison))


def _smallest_batch(quantile: float) -> int:
    """Samples of the smallest batch that the tail is in at all, in whole blocks."""
    tail = 1 / min(quantile, 1 - quantile)
    return BLOCK_SAMPLES * max(1, math.ceil(round(tail / BLOCK_SAMPLES, 9)))


def _log_ratios(
    baseline_ns: NDArray[np.int64], candidate_ns: NDArray[np.int64], quantile: float
) -> NDArray[np.float64]:
    """ln(Q(candidate) / Q(baseline)) of each pair of batches, shape ``[batches]``; both arms equally long."""
    smallest = _smallest_batch(quantile)
    size = smallest * max(1, baseline_ns.size // (smallest * _BATCHES))
    return _log_quantiles(candidate_ns, size, quantile) - _log_quantiles(baseline_ns, size, quantile)


def _log_quantiles(samples_ns: NDArray[np.int64], size: int, quantile: float) -> NDArray[np.float64]:
    """Logarithm of the quantile of each batch of ``size`` samples."""
    count = samples_ns.size // size
    ordered = np.sort(samples_ns[: count * size].reshape(count, size), axis=1)
    rank = nearest_rank(size, quantile)
    # A batch holds a sample of the tail, so this is never beyond its last rank; before its first it can be.
    reach = min(round(math.sqrt(size * quantile * (1 - quantile))), rank - 1)
    around = ordered[:, rank - 1 - reach : rank + reach]
    if around.min() == 0:
        raise SampleError(
            f"the {statistic_name(quantile)} of a batch is 0 ns, so there is no ratio: the clock is too coarse for "
            "this call; time several calls as one sample"
        )
    logarithms: NDArray[np.float64] = np.log(around).mean(axis=1)
    return logarithms


def _decided(comparison: Comparison, log_ratios: NDArray[np.float64]) -> Comparison:
    low, middle, high = centre_interval(log_ratios, comparison.confidence)
    bound = math.log1p(comparison.tolerance)
    outcome = Change.INCONCLUSIVE
    if low is not None and low > bound + _ROUNDING:
        outcome = Change.SLOWER
    elif high is not None and high < bound - _ROUNDING:
        outcome = Change.NOT_SLOWER
    needed = None
    if outcome is Change.INCONCLUSIVE and low is not None and high is not None:
        samples = min(comparison.baseline_samples, comparison.candidate_samples)
        needed = _samples_needed(samples, middle - bound, middle - low if middle > bound else high - middle)
    return replace(
        comparison,
        outcome=outcome,
        ratio=math.exp(middle),
        ratio_low=None if low is None else math.exp(low),
        ratio_high=None if high is None else math.exp(high),
        batches=int(log_ratios.size),
        samples_needed=needed,
    )


def _samples_needed(samples: int, gap: float, half_width: float) -> int | None:
    """Samples per arm at which an interval that shrinks with their square root would clear the gap."""
    if abs(gap) <= half_width * math.sqrt(samples / _MOST_SAMPLES_FORECAST) + _ROUNDING:
        return None
    return max(samples + BLOCK_SAMPLES, math.ceil(samples * (half_width / gap) ** 2))


def _percent(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.1f} %"


def _sentence(comparison: Comparison) -> str:
    name = statistic_name(comparison.quantile)
    slower = f"more than {comparison.tolerance * 100:g} % slower" if comparison.tolerance else "slower"
    sure = f"{comparison.confidence * 100:.10g} % confidence"
    measured = f"{format_ns(comparison.candidate_ns)} against {format_ns(comparison.baseline_ns)}"
    if comparison.ratio is None:
        fewest = format_count(samples_per_arm(comparison.quantile))
        return (
            f"{name} is not compared ({measured}): it takes {fewest} samples of each arm, "
            f"got {format_count(comparison.baseline_samples)} of the baseline and "
            f"{format_count(comparison.candidate_samples)} of the candidate"
        )
    if comparison.ratio_low is None or comparison.ratio_high is None:
        return (
            f"whether {name} is {slower} is open ({measured}): {comparison.batches} batches cannot show anything with "
            f"{sure}; take more samples of each arm or ask for less confidence"
        )
    interval = f"[{_percent(comparison.ratio_low)}, {_percent(comparison.ratio_high)}]"
    counted = f"{measured}, {_percent(comparison.ratio)} {interval}"
    if comparison.outcome is Change.SLOWER:
        return f"{name} is {slower} with {sure}: {counted}"
    if comparison.outcome is Change.NOT_SLOWER:
        return f"{name} is not {slower} with {sure}: {counted}"
    need = "the change is too close to the tolerance for any practical number of samples"
    if comparison.samples_needed is not None:
        need = f"about {format_count(comparison.samples_needed)} samples of each arm would decide at this spread"
    return f"whether {name} is {slower} is open at {sure}: {counted}; {need}"
