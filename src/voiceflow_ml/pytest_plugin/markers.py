"""The ``hardware`` and ``sla`` markers: checked at collection, turned into parameters and assignments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.targets import CPU, TARGETS, Target, find_target
from voiceflow_ml.pytest_plugin.state import ASSIGNMENT, SETTINGS, Assignment, sla_at
from voiceflow_ml.units import parse_duration_ns

_HARDWARE_FORM = '@pytest.mark.hardware or @pytest.mark.hardware(targets=["cpu", "cuda-t4"])'
_SLA_FORM = '@pytest.mark.sla("fast-cnn", stage="model-inference") or @pytest.mark.sla(p99="10ms")'


def register_markers(config: pytest.Config) -> None:
    """Make the markers known to pytest, one for each target included."""
    config.addinivalue_line(
        "markers",
        "hardware(targets=[...]): runs once for each target that is selected (cpu always, others with --gpu).",
    )
    config.addinivalue_line(
        "markers",
        "sla(model, stage='model-inference', p99='10ms', ...): the promise that the latency fixture judges; "
        "with a model name the limits come from sla.toml, with p50, p90, p95, p99 or p999 they stand here.",
    )
    config.addinivalue_line("markers", "cuda: the test's target is an NVIDIA GPU (added by hardware).")
    for target in TARGETS.values():
        config.addinivalue_line("markers", f"{target.marker}: the test's target is {target.name} (added by hardware).")


def target_markers(target: Target) -> list[pytest.MarkDecorator]:
    """The markers of a target: ``cpu``, or ``cuda`` and ``cuda_t4``."""
    names = ["cuda", target.marker] if target.is_cuda else [target.marker]
    return [getattr(pytest.mark, name) for name in names]


def not_selected_reason(target: Target) -> str:
    """Why a test of an unselected target does not run, and what would run it."""
    return f"{target.name} was not asked for: add --gpu={target.gpu_name}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a hardware test one item for each of its targets; refuse marker arguments that make no sense."""
    hardware = metafunc.definition.get_closest_marker("hardware")
    sla = metafunc.definition.get_closest_marker("sla")
    if hardware is None and sla is None:
        return
    try:
        if hardware is None:
            raise ConfigError(f"the sla marker needs the hardware marker beside it: {_HARDWARE_FORM}")
        declared = _declared_targets(hardware)
        uses_latency = "latency" in metafunc.fixturenames
        if uses_latency and sla is None:
            raise ConfigError(f"the latency fixture needs a promise to judge: add {_SLA_FORM}")
        if sla in metafunc.definition.own_markers and not uses_latency:
            raise ConfigError("the sla marker needs the latency fixture: a promise that nothing measures is not kept")
        request = _parse_sla(sla, metafunc.function.__name__) if sla is not None else None
        targets = declared or _default_targets(metafunc.config, request)
        if request is not None:
            for target in targets:
                _promise_for(metafunc.config, request, target)
    except ConfigError as error:
        raise pytest.Collector.CollectError(f"{metafunc.definition.nodeid}: {error}") from None
    if "target" not in metafunc.fixturenames:
        # Without the fixture there is nothing to parametrise; the promise still has one target.
        metafunc.fixturenames.append("target")
    metafunc.parametrize(
        "target",
        [pytest.param(target, marks=target_markers(target)) for target in targets],
        ids=[target.name for target in targets],
        indirect=True,
    )


def assign(item: pytest.Item) -> None:
    """Attach to a collected hardware item what it is to measure, and skip it when its target is unselected."""
    callspec = getattr(item, "callspec", None)
    target = callspec.params.get("target") if callspec is not None else None
    if item.get_closest_marker("hardware") is None or not isinstance(target, Target):
        return
    sla = item.get_closest_marker("sla")
    if sla is not None and "latency" in getattr(item, "fixturenames", ()):
        request = _parse_sla(sla, getattr(item, "originalname", item.name))
        item.stash[ASSIGNMENT] = Assignment(_promise_for(item.config, request, target), target)
    if not item.config.stash[SETTINGS].selects(target.name):
        item.add_marker(pytest.mark.skip(reason=not_selected_reason(target)))


@dataclass(frozen=True)
class _Request:
    """The ``sla`` marker's arguments, checked: a name to look up, or limits that stand in the marker."""

    model: str
    stage: str
    limits_ns: Mapping[float, int]


def _declared_targets(marker: pytest.Mark) -> list[Target]:
    """Targets that the marker names; empty when it leaves them to the promise."""
    unknown = sorted(set(marker.kwargs) - {"targets"})
    if unknown or marker.args:
        what = repr(unknown[0]) if unknown else f"the positional argument {marker.args[0]!r}"
        raise ConfigError(f"the hardware marker does not take {what}; write {_HARDWARE_FORM}")
    names = marker.kwargs.get("targets", [])
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"targets must be a list of names, got {names!r}; write {_HARDWARE_FORM}")
    return [find_target(name) for name in dict.fromkeys(names)]


def _parse_sla(marker: pytest.Mark, test_name: str) -> _Request:
    from voiceflow_ml.sla.objectives import STATISTICS, find_stage  # noqa: PLC0415

    keywords: dict[str, Any] = dict(marker.kwargs)
    stage = find_stage(keywords.pop("stage", "model-inference"))
    model = marker.args[0] if marker.args else keywords.pop("model", None)
    if len(marker.args) > 1 or not isinstance(model, str | None):
        raise ConfigError(f"the sla marker takes one model name, got {marker.args!r}; write {_SLA_FORM}")
    limits_ns = {}
    for key, value in keywords.items():
        if key not in STATISTICS:
            valid = ", ".join(["model", "stage", *STATISTICS])
            raise ConfigError(f"the sla marker does not take {key!r}; valid: {valid}")
        try:
            limits_ns[STATISTICS[key]] = parse_duration_ns(value)
        except ConfigError as error:
            raise ConfigError(f"sla marker: {key}: {error}") from None
    if model is None and not limits_ns:
        raise ConfigError(f"the sla marker needs a model name or a limit; write {_SLA_FORM}")
    return _Request(model or test_name, stage, limits_ns)


def _default_targets(config: pytest.Config, request: _Request | None) -> list[Target]:
    """Targets of a test whose hardware marker names none: those of its promise, else the CPU."""
    if request is None or request.limits_ns:
        return [CPU]
    from voiceflow_ml.sla.objectives import Stage  # noqa: PLC0415

    sla = sla_at(config, config.stash[SETTINGS].sla_file)
    names = sla.targets(request.model, Stage(request.stage))
    return [find_target(name) for name in names] or [CPU]


def _promise_for(config: pytest.Config, request: _Request, target: Target) -> Any:
    """The promise that a test is judged against on one target."""
    from voiceflow_ml.sla.objectives import Objective, Promise, Stage  # noqa: PLC0415

    stage = Stage(request.stage)
    if request.limits_ns:
        objectives = tuple(
            Objective(request.model, stage, target.name, quantile, limit_ns)
            for quantile, limit_ns in sorted(request.limits_ns.items())
        )
        return Promise(request.model, stage, target.name, objectives, where="the sla marker")
    sla = sla_at(config, config.stash[SETTINGS].sla_file)
    promise = sla.promise(request.model, stage, target.name)
    if promise is None:
        promised = "; ".join(entry.label for entry in sla.promises) or "nothing"
        raise ConfigError(
            f"{sla.path} promises nothing for {request.model} · {stage} · {target.name}; it promises: {promised}"
        )
    return promise
