"""Is a percentile within its limit? Three answers, by counting samples on the wrong side of it.

With k of n samples over the limit and p0 = 1 - quantile, a service whose quantile lies exactly on the limit
has k / n = p0 in the long run. Evidence that the rate is below p0 proves MET; evidence that it is above proves
BREACHED; without enough of either the verdict is INCONCLUSIVE. Evidence is an e-value
(:mod:`voiceflow_ml.latency.evalue`), so a verdict may be asked for at any time, on any growing prefix, and a
run may stop as soon as it is decided.

The guarantee: under independence, or whenever each sample's conditional exceedance probability is at least p0,
P(ever MET) <= 1 - confidence whatever the looks and stops; BREACHED likewise, the other way round. Under
dependence there is no theorem, only the measured error rates of ``benchmarks/verdicts``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.counting import Count, count_violations
from voiceflow_ml.latency.quantiles import Interval, Samples, as_samples_ns, check_fraction, percentile
from voiceflow_ml.latency.verdict import Bound, ClockChannel, Outcome, Verdict
from voiceflow_ml.latency.wording import sentence_of, sentence_of_both


def judge(
    samples_ns: Samples,
    *,
    limit_ns: int,
    quantile: float,
    confidence: float = 0.99,
    adjusted_ns: Samples | None = None,
    bound: Bound | str = Bound.UPPER,
) -> Verdict:
    """Judge whether a quantile of the latency is within its limit; valid on any prefix, at any time.

    With ``adjusted_ns`` two channels are judged: MET needs the wall clock, BREACHED needs the adjusted one,
    since a run queue is the machine's doing and not the model's. Anything else is INCONCLUSIVE, and the
    sentence says what the adjusted channel says.

    Args:
        samples_ns: latencies in whole nanoseconds, shape ``[n]``, in arrival order: dependence between samples
            is read from it.
        limit_ns: the limit in nanoseconds, positive.
        quantile: the quantile as a fraction, 0 < quantile < 1; P99 is 0.99.
        confidence: 1 - the error rate allowed in each direction, 0 < confidence < 1.
        adjusted_ns: the same samples less their wait for a CPU, shape ``[n]``; none may be over its wall sample.
        bound: ``"upper"`` when the quantile must be at most the limit, ``"lower"`` when at least.

    Raises:
        SampleError: unfit samples, channels that do not belong together, a limit that is not a whole number from
            1 on, a fraction outside (0, 1), or an unknown bound.
    """
    values = as_samples_ns(samples_ns)
    check_fraction(quantile, "quantile")
    check_fraction(confidence, "confidence")
    _check_limit(limit_ns)
    side = _check_bound(bound)
    wall = _judge_channel(values, int(limit_ns), quantile, confidence, side)
    if adjusted_ns is None:
        return wall
    if side is Bound.LOWER:
        raise SampleError("adjusted_ns goes with an upper bound: taking time off makes samples smaller, never larger")
    adjusted_values = _check_pair(values, as_samples_ns(adjusted_ns))
    adjusted = _judge_channel(adjusted_values, int(limit_ns), quantile, confidence, side)
    return _join(wall, replace(adjusted, clock=ClockChannel.ADJUSTED))


def _judge_channel(
    values: NDArray[np.int64], limit_ns: int, quantile: float, confidence: float, bound: Bound
) -> Verdict:
    p0 = 1 - quantile if bound is Bound.UPPER else quantile
    count = count_violations(_violates(values, limit_ns, bound), p0, confidence)
    outcome = Outcome.INCONCLUSIVE
    if count.is_breached:
        outcome = Outcome.BREACHED
    elif count.is_met:
        outcome = Outcome.MET
    measured_ns = percentile(values, quantile)
    # Dependence at the percentile itself: a limit far from it may have no violation that could show any.
    at_percentile = count_violations(_violates(values, measured_ns, bound), p0, confidence)
    open_limits = replace(count, effects=count.effects.worse_of(at_percentile.effects))
    interval = _within_verdict(_interval(values, open_limits, confidence, bound), outcome, limit_ns, bound)
    verdict = Verdict(
        outcome=outcome,
        quantile=quantile,
        limit_ns=limit_ns,
        confidence=confidence,
        samples=count.samples,
        exceedances=count.violations,
        expected_exceedances=count.samples * p0,
        measured_ns=measured_ns,
        interval=interval,
        log_e_met=count.log_e_met,
        log_e_breached=count.log_e_breached,
        design_effect_met=count.effect_met,
        design_effect_breached=count.effect_breached,
        samples_needed=count.samples_needed() if outcome is Outcome.INCONCLUSIVE else None,
        sentence="",
    )
    return replace(verdict, sentence=sentence_of(verdict, bound))


def _violates(values: NDArray[np.int64], limit_ns: int, bound: Bound) -> NDArray[np.bool_]:
    return values > limit_ns if bound is Bound.UPPER else values < limit_ns


def _interval(values: NDArray[np.int64], count: Count, confidence: float, bound: Bound) -> Interval:
    """The limits that a count would leave open: order statistics at which it passes its thresholds."""
    most, least = count.most_for_met(), count.least_for_breached()
    if bound is Bound.UPPER:
        high_rank = None if most is None else values.size - most
        low_rank = None if least is None else values.size - least + 1
    else:
        low_rank = None if most is None else most + 1
        high_rank = least
    ranks = sorted({rank - 1 for rank in (low_rank, high_rank) if rank is not None and 1 <= rank <= values.size})
    ordered = np.partition(values, ranks) if ranks else values

    def at(rank: int | None) -> int | None:
        return int(ordered[rank - 1]) if rank is not None and 1 <= rank <= values.size else None

    return Interval(at(low_rank), at(high_rank), confidence)


def _within_verdict(interval: Interval, outcome: Outcome, limit_ns: int, bound: Bound) -> Interval:
    """End an interval at the limit where the verdict says that the percentile lies on one side of it."""
    if outcome is Outcome.INCONCLUSIVE:
        return interval
    if (outcome is Outcome.MET) == (bound is Bound.UPPER):
        high_ns = limit_ns if interval.high_ns is None else min(interval.high_ns, limit_ns)
        return replace(interval, high_ns=high_ns)
    low_ns = limit_ns if interval.low_ns is None else max(interval.low_ns, limit_ns)
    return replace(interval, low_ns=low_ns)


def _join(wall: Verdict, adjusted: Verdict) -> Verdict:
    """Two channels, one verdict: the wall clock acquits, the adjusted clock convicts."""
    outcome, needed = Outcome.INCONCLUSIVE, wall.samples_needed
    if wall.outcome is Outcome.MET:
        outcome = Outcome.MET
    elif adjusted.outcome is Outcome.BREACHED:
        outcome, needed = Outcome.BREACHED, None
    elif wall.outcome is Outcome.BREACHED:
        needed = adjusted.samples_needed
    interval = _within_verdict(wall.interval, outcome, wall.limit_ns, Bound.UPPER)
    joined = replace(wall, outcome=outcome, interval=interval, samples_needed=needed, adjusted=adjusted)
    return replace(joined, sentence=sentence_of_both(joined, wall, adjusted))


def _check_limit(limit_ns: int) -> None:
    if isinstance(limit_ns, bool) or not isinstance(limit_ns, int | np.integer) or limit_ns < 1:
        raise SampleError(f"limit_ns must be a whole number of at least 1, got {limit_ns!r}")


def _check_bound(bound: Bound | str) -> Bound:
    try:
        return Bound(bound)
    except ValueError:
        raise SampleError(f'bound must be "upper" or "lower", got {bound!r}') from None


def _check_pair(wall_ns: NDArray[np.int64], adjusted_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    if wall_ns.size != adjusted_ns.size:
        raise SampleError(f"the two channels must be as long as each other, got {wall_ns.size} and {adjusted_ns.size}")
    if np.any(adjusted_ns > wall_ns):
        place = int(np.argmax(adjusted_ns > wall_ns))
        raise SampleError(
            f"adjusted_ns can take time off a sample, not add any: sample {place} is {adjusted_ns[place]} ns, "
            f"{wall_ns[place]} ns on the wall clock"
        )
    return adjusted_ns
