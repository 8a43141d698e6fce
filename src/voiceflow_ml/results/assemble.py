"""From a run to its measurement: verdicts first, then the evidence that may overrule them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.latency import Outcome, Run, SamplingPlan, Verdict, judge, percentile
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.results.record import Measurement
from voiceflow_ml.sla.objectives import Objective

REPORTED_QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


def verdicts_on(
    samples_ns: NDArray[np.int64], objectives: Sequence[Objective], plan: SamplingPlan, confidence: float
) -> tuple[Verdict, ...]:
    """Judge every objective on the same samples, int64 ns, shape ``[n]``, in arrival order."""
    return tuple(
        judge(
            samples_ns,
            limit_ns=objective.limit_ns,
            quantile=objective.quantile,
            confidence=confidence,
            looks=plan.judged_looks,
        )
        for objective in objectives
    )


def decision(
    objectives: Sequence[Objective], plan: SamplingPlan, confidence: float
) -> Callable[[NDArray[np.int64]], bool]:
    """The question that the measuring loop asks at each look: is every objective decided?"""

    def decided(samples_ns: NDArray[np.int64]) -> bool:
        verdicts = verdicts_on(samples_ns, objectives, plan, confidence)
        return all(verdict.outcome is not Outcome.INCONCLUSIVE for verdict in verdicts)

    return decided


def overrule(verdict: Verdict, findings: Sequence[Finding]) -> Verdict:
    """Turn a verdict INVALID when a finding says that the samples are not about what was declared."""
    reasons = [finding.sentence for finding in findings if finding.severity is Severity.INVALID]
    if not reasons:
        return verdict
    return replace(verdict, outcome=Outcome.INVALID, samples_needed=None, sentence="; ".join(reasons))


def assemble(
    run: Run,
    verdicts: Sequence[Verdict],
    findings: Sequence[Finding],
    *,
    boundary: str,
    inputs: str,
    facts: Mapping[str, str],
) -> Measurement:
    """Join a run, its verdicts and its evidence into the record that is written to disk."""
    percentiles_ns = {statistic_name(q): percentile(run.samples_ns, q) for q in REPORTED_QUANTILES}
    return Measurement(
        samples_ns=tuple(run.samples_ns.tolist()),
        percentiles_ns={**percentiles_ns, "max": int(run.samples_ns.max())},
        cold_start_ns=run.cold_start_ns,
        warmup_calls=len(run.warmup_ns),
        settling_calls=run.settling_calls,
        blocks=run.blocks,
        span_ns=run.span_ns,
        stopped_by=run.stopped_by,
        seed=run.seed,
        boundary=boundary,
        inputs=inputs,
        verdicts=tuple(overrule(verdict, findings) for verdict in verdicts),
        findings=tuple(findings),
        facts=dict(facts),
    )
