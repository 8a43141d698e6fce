"""What a change of sla.toml makes easier to keep: found against an earlier version, one line each.

Only what loosens is told: a stricter or a new promise needs nobody's eye.
"""

from __future__ import annotations

from collections.abc import Sequence

from voiceflow_ml.latency.plan import Mode
from voiceflow_ml.latency.verdict import ClockChannel
from voiceflow_ml.sla.objectives import Measuring, ModelSpec, Objective, Promise, Sla, Waiver
from voiceflow_ml.units import format_ns


def loosened(before: Sequence[Sla], now: Sequence[Sla]) -> tuple[str, ...]:
    """Every way in which a promise became easier to keep, or easier not to keep.

    Args:
        before: the declarations of the base; several files count as one.
        now: the declarations of this tree.

    Returns:
        One line each: deleted models and objectives first, then raised limits, waivers, and ways of measuring.
    """
    old_promises = {promise.label: promise for sla in before for promise in sla.promises}
    new_promises = {promise.label: promise for sla in now for promise in sla.promises}
    old_models = {name: spec for sla in before for name, spec in sla.models.items()}
    new_models = {name: spec for sla in now for name, spec in sla.models.items()}
    kept = [(old, new_promises[label]) for label, old in old_promises.items() if label in new_promises]
    return (
        *(f"deleted: model {name}" for name in old_models if name not in new_models),
        *(_deleted(old.objectives) for label, old in old_promises.items() if label not in new_promises),
        *(line for old, new in kept for line in _limits(old, new)),
        *(line for new in new_promises.values() for line in _waivers(old_promises.get(new.label), new)),
        *(line for old, new in kept for line in _measuring(old.label, old.measuring, new.measuring)),
        *(line for old, new in kept for line in _stages(old, new)),
        *(line for name, old in old_models.items() if name in new_models for line in _model(old, new_models[name])),
    )


def _deleted(objectives: Sequence[Objective]) -> str:
    bounds = ", ".join(_bound(objective) for objective in objectives)
    return f"deleted: {objectives[0].label}: {bounds}"


def _bound(objective: Objective) -> str:
    return f"{objective.statistic} <= {_exact(objective.limit_ns)}"


def _exact(duration_ns: int) -> str:
    return format_ns(duration_ns, digits=6)


def _limits(old: Promise, new: Promise) -> list[str]:
    limits_ns = {objective.statistic: objective.limit_ns for objective in new.objectives}
    lines = []
    for objective in old.objectives:
        now_ns = limits_ns.get(objective.statistic)
        if now_ns is None:
            lines.append(_deleted([objective]))
        elif now_ns > objective.limit_ns:
            times = f"{now_ns / objective.limit_ns:.3g}x"
            raised = f"from {_exact(objective.limit_ns)} to {_exact(now_ns)} ({times})"
            lines.append(f"loosened: {old.label}: {objective.statistic} raised {raised}")
    return lines


def _waivers(old: Promise | None, new: Promise) -> list[str]:
    lines = []
    for objective in new.objectives:
        name = objective.statistic
        earlier, waiver = old.waiver_of(name) if old else None, new.waiver_of(name)
        if waiver is None:
            continue
        if earlier is None:
            lines.append(f"waiver added: {new.label}: {name}, {_who(waiver)}")
        elif waiver.expires > earlier.expires:
            lines.append(f"waiver prolonged: {new.label}: {name}, from {earlier.expires}, {_who(waiver)}")
    return lines


def _who(waiver: Waiver) -> str:
    return f"by {waiver.owner} until {waiver.expires}: {waiver.reason}"


def _measuring(label: str, old: Measuring, new: Measuring) -> list[str]:
    lines = []
    if (old.clock, new.clock) == (ClockChannel.WALL, ClockChannel.ADJUSTED):
        lines.append(f"loosened: {label}: judged on the adjusted clock, no longer on what a caller waits")
    if old.mode != new.mode:
        lines.append(f"measured otherwise: {label}: mode {old.mode} became {new.mode}")
    elif new.mode in (Mode.PACED, Mode.OPEN_LOOP) and old.interval_ns != new.interval_ns:
        intervals = f"interval {_exact(old.interval_ns)} became {_exact(new.interval_ns)}"
        lines.append(f"measured otherwise: {label}: {intervals}")
    return lines


def _stages(old: Promise, new: Promise) -> list[str]:
    """Declared stages that take less now: the budget on paper then looks better, and nothing became faster."""
    now = {entry.stage: entry for entry in new.stages}
    lines = []
    for entry in old.stages:
        other = now.get(entry.stage)
        if other is not None and (other.low_ns < entry.low_ns or other.high_ns < entry.high_ns):
            ranges = " became ".join(f"{_exact(one.low_ns)} to {_exact(one.high_ns)}" for one in (entry, other))
            lines.append(f"declared otherwise: {new.label}: {entry.stage} {ranges}; nothing was measured")
    return lines


def _model(old: ModelSpec, new: ModelSpec) -> list[str]:
    lines = []
    if old.sha256 and not new.sha256:
        lines.append(f"loosened: model {old.name}: sha256 is no longer given, so any file will do")
    if old.threads != new.threads:
        lines.append(f"measured otherwise: model {old.name}: threads {old.threads} became {new.threads}")
    if old.runtime != new.runtime:
        lines.append(f"measured otherwise: model {old.name}: its provider, options, boundary or spinning changed")
    if dict(old.inputs) != dict(new.inputs):
        lines.append(f"measured otherwise: model {old.name}: its inputs changed")
    return lines
