"""All that is known about where and how a run was taken, as findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceflow_ml.hardware.targets import Target

if TYPE_CHECKING:
    from voiceflow_ml.hardware.evidence import Finding
    from voiceflow_ml.hardware.roofline import Roofline
    from voiceflow_ml.latency import Run, SamplingPlan
    from voiceflow_ml.sla.objectives import Promise


def collect_findings(
    run: Run,
    plan: SamplingPlan,
    promise: Promise,
    target: Target,
    model: Any,
    declared_sha256: str,
    floor: Roofline | None = None,
) -> tuple[Finding, ...]:
    """Ask everything that can tell something about a run.

    Args:
        run: the run.
        plan: how it was to be taken.
        promise: what is judged on it.
        target: where it was to run.
        model: the model, if it can prove where it runs; else None.
        declared_sha256: the model file that was promised; empty when any will do.
        floor: the model's roofline on the target; None where it is not known.
    """
    found = [
        *_of_placement(target, model, declared_sha256),
        *_of_physics(run, floor),
        *_of_clocks(run, promise),
        *_of_sampling(run, plan),
    ]
    return tuple(finding for finding in found if finding is not None)


def _of_placement(target: Target, model: Any, declared_sha256: str) -> list[Finding | None]:
    from voiceflow_ml.hardware.evidence import hash_finding  # noqa: PLC0415
    from voiceflow_ml.inference.call import opaque_finding  # noqa: PLC0415

    if model is None:
        return [opaque_finding(target)]
    wrong = [_wrong_target_finding(model.target, target)] if model.target.name != target.name else []
    return [*wrong, *model.findings(), hash_finding(declared_sha256, model.facts().get("model SHA-256", ""))]


def _of_physics(run: Run, floor: Roofline | None) -> list[Finding | None]:
    from voiceflow_ml.hardware.roofline import floor_finding  # noqa: PLC0415
    from voiceflow_ml.latency import percentile  # noqa: PLC0415

    return [None if floor is None else floor_finding(floor, percentile(run.samples_ns, 0.5))]


def _of_clocks(run: Run, promise: Promise) -> list[Finding | None]:
    from voiceflow_ml.hardware import evidence  # noqa: PLC0415
    from voiceflow_ml.hardware.probe import clock_step_ns  # noqa: PLC0415
    from voiceflow_ml.latency import ClockChannel, percentile  # noqa: PLC0415

    channels, scheduler = run.channels, run.scheduler
    found: list[Finding | None] = [evidence.timer_finding(clock_step_ns(), percentile(run.samples_ns, 0.5))]
    if promise.measuring.clock is ClockChannel.ADJUSTED and channels.problem:
        found.append(evidence.adjusted_clock_finding(channels.problem))
    busy_ns = int(run.samples_ns.sum())
    waited_ns = None if channels.adjusted_ns is None else busy_ns - int(channels.adjusted_ns.sum())
    found.append(evidence.run_delay_finding(waited_ns, busy_ns))
    if scheduler is not None:
        found.append(evidence.threads_finding(scheduler.process_total_ns, scheduler.thread_total_ns))
    known_ns = scheduler.cpu_wait_ns if scheduler is not None else None
    blocks = 0 if known_ns is None else known_ns.size
    marked = 0 if known_ns is None else evidence.marked_blocks(known_ns, run.block_durations_ns)
    found.append(evidence.pressure_finding(marked, blocks))
    if run.control_ns is not None:
        found.append(evidence.control_finding(run.control_ns))
    return found


def _of_sampling(run: Run, plan: SamplingPlan) -> list[Finding | None]:
    from voiceflow_ml.hardware import evidence  # noqa: PLC0415

    spread = evidence.contiguous_finding() if plan.is_contiguous else evidence.span_finding(run.span_ns)
    return [evidence.warmup_finding(run.warmup.steady, len(run.warmup.pilot_ns)), spread]


def _wrong_target_finding(opened: Target, promised: Target) -> Finding:
    from voiceflow_ml.hardware.evidence import Finding, Severity  # noqa: PLC0415

    fact = f"the model was opened on {opened.name}, the promise is about {promised.name}"
    return Finding(Severity.INVALID, fact, "open it on the target fixture's value")
