"""Is a percentile under its limit? Three answers, by counting samples over the limit.

With x = number of n samples over the limit and p0 = 1 - quantile, a service whose quantile lies exactly on
the limit gives x ~ Binomial(n, p0). So

* few exceedances prove MET: P(Bin(n, p0) <= x) <= alpha,
* many prove BREACHED: P(Bin(n, p0) >= x) <= alpha,
* anything between is INCONCLUSIVE.

This is the exact binomial (sign) test of a quantile (Conover, Practical Nonparametric Statistics,
section 3.2), done in both directions. alpha = (1 - confidence) / looks: the error rate is divided among the
times that the data are looked at (Bonferroni), so stopping early does not make the verdict more often wrong.

The guarantee holds for independent samples. Under dependence there is no theorem; spreading the samples in
time is what helps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.binomial import lower_tail, upper_tail
from voiceflow_ml.latency.plan import fewest_for_breached, fewest_for_met
from voiceflow_ml.latency.quantiles import (
    Interval,
    Samples,
    as_samples_ns,
    check_fraction,
    percentile,
    percentile_interval,
)
from voiceflow_ml.units import format_count, format_ns

_MOST_SAMPLES_FORECAST = 1_000_000


class Outcome(StrEnum):
    """The four verdicts. ``judge`` gives the first three; evidence about the hardware gives INVALID."""

    MET = "MET"
    BREACHED = "BREACHED"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


@dataclass(frozen=True)
class Verdict:
    """One percentile against one limit.

    Attributes:
        outcome: MET, BREACHED or INCONCLUSIVE.
        quantile: the quantile judged, 0 < quantile < 1.
        limit_ns: the limit; a sample over it is an exceedance, a sample equal to it is not.
        confidence: 1 - the largest chance of a wrong MET, and of a wrong BREACHED, for independent samples.
        samples: number of samples judged.
        exceedances: number of them over the limit.
        expected_exceedances: samples * (1 - quantile): what a quantile exactly on the limit gives.
        measured_ns: nearest-rank percentile of the samples.
        interval: its distribution-free interval at the same confidence.
        met_p_value: P(Bin(samples, 1 - quantile) <= exceedances).
        breached_p_value: P(Bin(samples, 1 - quantile) >= exceedances).
        samples_needed: for INCONCLUSIVE, total samples that would decide at the present rate; None when no
            number up to a million would.
        sentence: the verdict in one sentence.
    """

    outcome: Outcome
    quantile: float
    limit_ns: int
    confidence: float
    samples: int
    exceedances: int
    expected_exceedances: float
    measured_ns: int
    interval: Interval
    met_p_value: float
    breached_p_value: float
    samples_needed: int | None
    sentence: str


def statistic_name(quantile: float) -> str:
    """``0.99`` -> ``"P99"``, ``0.999`` -> ``"P99.9"``."""
    return f"P{round(quantile * 100, 6):g}"


def judge(samples_ns: Samples, *, limit_ns: int, quantile: float, confidence: float = 0.99, looks: int = 1) -> Verdict:
    """Judge whether a quantile of the latency is within its limit.

    Args:
        samples_ns: latencies in whole nanoseconds, shape ``[n]``, in arrival order.
        limit_ns: the limit in nanoseconds, positive.
        quantile: the quantile as a fraction, 0 < quantile < 1; P99 is 0.99.
        confidence: 1 - the error rate allowed in each direction, 0 < confidence < 1.
        looks: how many times growing prefixes of these samples are judged in all; the error rate is divided
            among them.

    Raises:
        SampleError: unfit samples, a limit or number of looks that is not a whole number from 1 on, a fraction
            outside (0, 1).
    """
    values = as_samples_ns(samples_ns)
    check_fraction(quantile, "quantile")
    check_fraction(confidence, "confidence")
    _check_count(limit_ns, "limit_ns")
    _check_count(looks, "looks")
    exceedances = int(np.count_nonzero(values > limit_ns))
    alpha = (1 - confidence) / looks
    outcome = _outcome(values.size, exceedances, quantile, alpha)
    needed = None
    if outcome is Outcome.INCONCLUSIVE:
        needed = _samples_needed(values.size, exceedances, quantile, alpha)
    verdict = Verdict(
        outcome=outcome,
        quantile=quantile,
        limit_ns=int(limit_ns),
        confidence=confidence,
        samples=int(values.size),
        exceedances=exceedances,
        expected_exceedances=values.size * (1 - quantile),
        measured_ns=percentile(values, quantile),
        interval=percentile_interval(values, quantile, confidence),
        met_p_value=lower_tail(exceedances, values.size, 1 - quantile),
        breached_p_value=upper_tail(exceedances, values.size, 1 - quantile),
        samples_needed=needed,
        sentence="",
    )
    object.__setattr__(verdict, "sentence", _sentence(verdict))
    return verdict


def _check_count(value: int, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise SampleError(f"{name} must be a whole number of at least 1, got {value!r}")


def _outcome(samples: int, exceedances: int, quantile: float, alpha: float) -> Outcome:
    """Decide from the counts alone; the minima keep a handful of samples from deciding a tail."""
    p0 = 1 - quantile
    if samples >= fewest_for_breached(quantile) and upper_tail(exceedances, samples, p0) <= alpha:
        return Outcome.BREACHED
    if samples >= fewest_for_met(quantile) and lower_tail(exceedances, samples, p0) <= alpha:
        return Outcome.MET
    return Outcome.INCONCLUSIVE


def _samples_needed(samples: int, exceedances: int, quantile: float, alpha: float) -> int | None:
    """Smallest total, on a grid of 5 % steps, that would decide if the present rate went on."""
    total = max(samples, 1)
    while total <= _MOST_SAMPLES_FORECAST:
        total = max(total + 1, round(total * 1.05))
        if _outcome(total, round(exceedances / samples * total), quantile, alpha) is not Outcome.INCONCLUSIVE:
            return total
    return None


def _average(count: float) -> str:
    return format_count(round(count)) if count >= 10 else f"{count:.2g}"


def _sentence(verdict: Verdict) -> str:
    name = statistic_name(verdict.quantile)
    limit = format_ns(verdict.limit_ns)
    counted = (
        f"{format_count(verdict.exceedances)} of {format_count(verdict.samples)} samples took longer "
        f"(a {name} exactly on the limit gives {_average(verdict.expected_exceedances)} on average)"
    )
    sure = f"{verdict.confidence * 100:g} % confidence"
    if verdict.outcome is Outcome.MET:
        return f"{name} is within {limit} with {sure}: {counted}"
    if verdict.outcome is Outcome.BREACHED:
        return f"{name} is over {limit} with {sure}: {counted}"
    fewest = fewest_for_breached(verdict.quantile)
    if verdict.samples < fewest:
        need = f"a {name} is never judged from fewer than {format_count(fewest)} samples"
    elif verdict.samples_needed is None:
        need = "the percentile is too close to the limit for any practical number of samples"
    else:
        more = verdict.samples_needed - verdict.samples
        need = f"about {format_count(more)} more samples would decide at this rate"
    return f"{name} against {limit} is open at {sure}: {counted}; {need}"
