"""A trial as a short table for people."""

from __future__ import annotations

import numpy as np

from voiceflow_ml.latency import percentile
from voiceflow_ml.load.plan import Kind
from voiceflow_ml.load.trial import LATENESS_QUANTILE, NO_ANSWER, UNTOLD_NS, Trial
from voiceflow_ml.units import format_count, format_ns

_QUANTILES = {"P50": 0.5, "P90": 0.9, "P99": 0.99, "P99.9": 0.999}
_NAMES = {NO_ANSWER: "no answer"}


def table_lines(trial: Trial) -> tuple[str, ...]:
    """The verdict on the trial itself first, then what was measured."""
    plan = trial.plan
    word = "VALID" if trial.is_valid else "INVALID"
    head = (
        f"{word}  {plan.size}, {plan.kind}, {format_ns(plan.duration_ns)} "
        f"after {format_ns(plan.warmup_ns)} of warm-up · {trial.facts.get('network', 'no network played')}"
    )
    rows = [
        (_things(trial), f"{format_count(len(trial.shots))}: {_statuses(trial)}"),
        ("answered", f"{trial.rate_per_s:.1f} in a second"),
        ("latency", _percentiles(trial)),
        *_server_rows(trial),
        *_lateness_row(trial),
        *([("versions", _versions(trial))] if any(trial.versions) else []),
    ]
    return (
        head,
        *(f"         {problem}" for problem in trial.problems),
        *(f"  {name:<9}  {text}" for name, text in rows),
    )


def _things(trial: Trial) -> str:
    return "chunks" if trial.plan.kind is Kind.STREAMS else "requests"


def _statuses(trial: Trial) -> str:
    found = trial.statuses.items()
    return ", ".join(f"{format_count(count)} x {_NAMES.get(status, status)}" for status, count in found) or "none"


def _versions(trial: Trial) -> str:
    found = trial.versions.items()
    return ", ".join(f"{format_count(count)} x {version or 'not said'}" for version, count in found)


def _percentiles(trial: Trial) -> str:
    if not trial.latencies_ns.size:
        return "none: nothing was answered with success"
    found = ((name, trial.percentile_ns(quantile)) for name, quantile in _QUANTILES.items())
    listed = ", ".join(f"{name} {format_ns(value_ns)}" for name, value_ns in found if value_ns is not None)
    return f"{listed}, from the intended sending to the whole answer"


def _server_rows(trial: Trial) -> list[tuple[str, str]]:
    told = [(shot.server_ns, shot.model_ns) for shot in trial.shots if shot.server_ns != UNTOLD_NS]
    if not told:
        return []
    server_ns, model_ns = (percentile(np.array(column, dtype=np.int64), 0.99) for column in zip(*told, strict=True))
    text = f"P99 {format_ns(server_ns)} of processing, P99 {format_ns(model_ns)} of inference, as it says itself"
    return [("server", text)]


def _lateness_row(trial: Trial) -> list[tuple[str, str]]:
    if not trial.shots or trial.plan.kind is Kind.CLOSED_LOOP:
        return []
    late_ns = percentile(trial.lateness_ns, LATENESS_QUANTILE)
    return [("lateness", f"P99 {format_ns(late_ns)}, of the generator itself")]
