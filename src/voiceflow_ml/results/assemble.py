"""From a run to its measurement: verdicts first, then the evidence that may overrule them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.hardware.evidence import Finding, invalid_reasons
from voiceflow_ml.hardware.roofline import Roofline
from voiceflow_ml.latency import Channels, ClockChannel, Outcome, Run, Verdict, judge, percentile
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.results.measurement import Against, Measurement
from voiceflow_ml.sla.objectives import STATISTICS, Objective, Promise

REPORTED_QUANTILES = tuple(sorted(STATISTICS.values()))


def verdicts_on(channels: Channels, promise: Promise, confidence: float) -> tuple[Verdict, ...]:
    """Judge every objective of a promise on the same samples, on the clock that it declares."""
    return tuple(
        _verdict_on(channels, objective, promise.measuring.clock, confidence) for objective in promise.objectives
    )


def _verdict_on(channels: Channels, objective: Objective, clock: ClockChannel, confidence: float) -> Verdict:
    def judged(samples_ns: NDArray[np.int64], adjusted_ns: NDArray[np.int64] | None = None) -> Verdict:
        return judge(
            samples_ns,
            limit_ns=objective.limit_ns,
            quantile=objective.quantile,
            confidence=confidence,
            adjusted_ns=adjusted_ns,
        )

    if clock is ClockChannel.WALL:
        return judged(channels.wall_ns, channels.adjusted_ns)
    if channels.adjusted_ns is None:
        # Shown for what it is: the evidence that the promised clock does not count turns it INVALID.
        return judged(channels.wall_ns)
    verdict = judged(channels.adjusted_ns)
    sentence = f"{verdict.sentence}; the time spent waiting for a CPU is left out, as the promise declares"
    return replace(verdict, clock=ClockChannel.ADJUSTED, sentence=sentence)


def decision(promise: Promise, confidence: float) -> Callable[[Channels], bool]:
    """The question that the measuring loop asks at each look: is every objective decided?"""

    def decided(channels: Channels) -> bool:
        verdicts = verdicts_on(channels, promise, confidence)
        return all(verdict.outcome is not Outcome.INCONCLUSIVE for verdict in verdicts)

    return decided


def overrule(verdict: Verdict, findings: Sequence[Finding]) -> Verdict:
    """Turn a verdict INVALID when a finding says that the samples are not about what was declared."""
    reasons = invalid_reasons(findings)
    if not reasons:
        return verdict
    return replace(verdict, outcome=Outcome.INVALID, samples_needed=None, sentence="; ".join(reasons))


def withhold_met(verdict: Verdict, reason: str) -> Verdict:
    """Leave a verdict open that would be MET, for a reason that is not in the samples."""
    if verdict.outcome is not Outcome.MET:
        return verdict
    return replace(verdict, outcome=Outcome.INCONCLUSIVE, sentence=f"{verdict.sentence}; {reason}")


def assemble(
    run: Run,
    verdicts: Sequence[Verdict],
    findings: Sequence[Finding],
    *,
    boundary: str,
    inputs: str,
    facts: Mapping[str, str],
    against: Against | None = None,
    roofline: Roofline | None = None,
) -> Measurement:
    """Join a run, its verdicts and its evidence into the record that is written to disk."""
    channels = run.channels
    return Measurement(
        run=run,
        percentiles_ns=_percentiles_ns(channels.wall_ns),
        adjusted_percentiles_ns=_percentiles_ns(channels.adjusted_ns) if channels.adjusted_ns is not None else {},
        adjusted_problem=channels.problem,
        boundary=boundary,
        inputs=inputs,
        verdicts=tuple(overrule(verdict, findings) for verdict in verdicts),
        findings=tuple(findings),
        facts=dict(facts),
        against=against,
        roofline=roofline,
    )


def _percentiles_ns(values: NDArray[np.int64]) -> dict[str, int]:
    return {**{statistic_name(q): percentile(values, q) for q in REPORTED_QUANTILES}, "max": int(values.max())}
