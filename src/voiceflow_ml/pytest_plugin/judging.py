"""From a run to its verdicts under the settings of this session, wherever the run was taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceflow_ml.pytest_plugin.options import Policy

if TYPE_CHECKING:
    from voiceflow_ml.latency import Run, SamplingPlan, Verdict
    from voiceflow_ml.pytest_plugin.options import Settings
    from voiceflow_ml.sla.objectives import Promise

CONTIGUOUS_REASON = (
    "taken back to back, which judges one moment of the machine: under the strict policy only samples that are "
    'spread in time can be MET (mode = "steady" and a span)'
)


def judge_run(run: Run, plan: SamplingPlan, promise: Promise, settings: Settings) -> tuple[Verdict, ...]:
    """The verdict of each objective of a promise on a run.

    Args:
        run: the raw record.
        plan: how it was to be taken.
        promise: what is judged.
        settings: of this session: confidence and policy.
    """
    from voiceflow_ml.results.assemble import verdicts_on, withhold_met  # noqa: PLC0415

    verdicts = verdicts_on(run.channels, promise, settings.confidence)
    if plan.is_contiguous and settings.policy is Policy.STRICT:
        return tuple(withhold_met(verdict, CONTIGUOUS_REASON) for verdict in verdicts)
    return verdicts
