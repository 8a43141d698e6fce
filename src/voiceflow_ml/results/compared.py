"""From a pair of interleaved runs to the comparison that is written to disk."""

from __future__ import annotations

from collections.abc import Sequence

from voiceflow_ml.hardware.evidence import Finding
from voiceflow_ml.latency import Run, SamplingPlan, compare
from voiceflow_ml.latency.compare import default_tolerance, samples_per_arm
from voiceflow_ml.results.measurement import Against


def pair_plan(quantiles: Sequence[float], *, span_ns: int | None, time_budget_ns: int) -> SamplingPlan:
    """The plan for each arm of a comparison: as many samples as its most demanding quantile needs.

    A comparison is looked at once, at the end: unlike a verdict it is not valid at any time.

    Args:
        quantiles: what is compared, at least one, each in (0, 1).
        span_ns: the pairs are spread over this long; None is as long as is fit.
        time_budget_ns: no new pair begins after this.
    """
    samples = max(samples_per_arm(quantile) for quantile in quantiles)
    return SamplingPlan(looks=(samples,), aimed_samples=samples, span_ns=span_ns, time_budget_ns=time_budget_ns)


def compared(
    baseline_run: Run,
    candidate_run: Run,
    *,
    quantiles: Sequence[float],
    confidence: float,
    baseline: str,
    sha256: str,
    findings: Sequence[Finding],
    tolerance: float | None = None,
) -> Against:
    """Compare two runs that were taken in pairs.

    Args:
        baseline_run: the version that is known.
        candidate_run: the version that is asked about.
        quantiles: what is compared.
        confidence: of each end of each interval.
        baseline: what the baseline is, for the report.
        sha256: of the baseline's model file.
        findings: what is known about where the baseline ran.
        tolerance: slowdown that is let pass, as a fraction; by default that of each quantile.
    """
    comparisons = tuple(
        compare(
            baseline_run.samples_ns,
            candidate_run.samples_ns,
            quantile=quantile,
            confidence=confidence,
            tolerance=default_tolerance(quantile) if tolerance is None else tolerance,
        )
        for quantile in quantiles
    )
    return Against(
        baseline=baseline,
        sha256=sha256,
        comparisons=comparisons,
        findings=tuple(findings),
        baseline_ns=tuple(baseline_run.samples_ns.tolist()),
        candidate_ns=tuple(candidate_run.samples_ns.tolist()),
    )
