"""All that is known about where and how a run was taken, as findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voiceflow_ml.errors import ConfigError, DataError
from voiceflow_ml.hardware import evidence
from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.probe import clock_step_ns
from voiceflow_ml.hardware.roofline import Roofline, floor_finding, refuse_impossible
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.inference.call import opaque_finding
from voiceflow_ml.inference.declared import declared_inputs
from voiceflow_ml.inference.floor import floor_of
from voiceflow_ml.inference.ort import OnnxModel
from voiceflow_ml.latency import ClockChannel, Run, SamplingPlan, percentile
from voiceflow_ml.sla.objectives import ModelSpec, Promise


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

    if model is None:
        return [opaque_finding(target)]
    wrong = [_wrong_target_finding(model.target, target)] if model.target.name != target.name else []
    return [*wrong, *model.findings(), evidence.hash_finding(declared_sha256, model.facts().get("model SHA-256", ""))]


def _of_physics(run: Run, floor: Roofline | None) -> list[Finding | None]:

    return [None if floor is None else floor_finding(floor, percentile(run.samples_ns, 0.5))]


def _of_clocks(run: Run, promise: Promise) -> list[Finding | None]:

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

    spread = evidence.contiguous_finding() if plan.is_contiguous else evidence.span_finding(run.span_ns)
    return [evidence.warmup_finding(run.warmup.steady, len(run.warmup.pilot_ns)), spread]


def _wrong_target_finding(opened: Target, promised: Target) -> Finding:

    fact = f"the model was opened on {opened.name}, the promise is about {promised.name}"
    return Finding(Severity.INVALID, fact, "open it on the target fixture's value")


def possible_floor(model: Any, arguments: Sequence[object], promise: Promise) -> Roofline | None:
    """The model's physical floor; a promise below it is refused before anything is measured.

    Raises:
        ConfigError: a limit that no implementation can keep on this target.
    """
    found = floor_of(model, arguments)
    refuse_impossible(found, {objective.statistic: objective.limit_ns for objective in promise.objectives})
    return found


def source_findings(spec: ModelSpec | None, model: Any, arguments: Sequence[object]) -> list[Finding]:
    """Whether the model file and the inputs are those that were declared, asked after the run.

    Args:
        spec: the model's table in sla.toml; None for a promise that stands in a marker.
        model: the model, if it can prove where it runs; else None.
        arguments: what it was fed.
    """
    if not isinstance(model, OnnxModel):
        return []
    inputs = None if spec is None or not spec.inputs else inputs_finding(spec, model, arguments)
    return [found for found in (evidence.swapped_finding(model.path, model.sha256), inputs) if found is not None]


def inputs_finding(spec: ModelSpec, model: OnnxModel, arguments: Sequence[object]) -> Finding | None:
    """Hold the shapes that a model was measured with against those that its table declares."""
    try:
        declared, _ = declared_inputs(spec, model)
    except (ConfigError, DataError):
        # A test that brings its own inputs need not have the declared ones at hand; then there is nothing to compare.
        return None
    names = [info.name for info in model.inputs]
    shapes = [tuple(getattr(value, "shape", ())) for value in arguments]
    return evidence.shapes_finding(names, [value.shape for value in declared], shapes, spec.where)
