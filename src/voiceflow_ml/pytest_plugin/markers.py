"""The ``hardware`` and ``sla`` markers: checked at collection, turned into parameters and assignments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from voiceflow_ml.errors import ConfigError, quoted
from voiceflow_ml.hardware.targets import CPU, Catalogue, Target
from voiceflow_ml.pytest_plugin.state import ASSIGNMENT, SETTINGS, Assignment, sla_at
from voiceflow_ml.units import parse_duration_ns

if TYPE_CHECKING:
    from voiceflow_ml.sla.objectives import Measuring

_HARDWARE_FORM = '@pytest.mark.hardware or @pytest.mark.hardware(targets=["cpu", "cuda-t4"])'
_PREPARE_FORM = "@pytest.mark.hardware(prepare=open_it), a function of the target that returns (model, *inputs)"
_SLA_FORM = '@pytest.mark.sla("fast-cnn", stage="model-inference") or @pytest.mark.sla(p99="10ms")'


_MEASURING_KEYS = ("clock", "mode", "interval")
_Value = TypeVar("_Value")


def register_markers(config: pytest.Config, catalogue: Catalogue) -> None:
    """Make the markers known to pytest, one for each target included."""
    config.addinivalue_line(
        "markers",
        "hardware(targets=[...], prepare=function): runs once for each target that is selected (cpu always, others "
        "with --gpu); with prepare, a function of the target that returns (model_or_callable, *inputs), a test can "
        "be measured in turns with others.",
    )
    config.addinivalue_line(
        "markers",
        "sla(model, stage='model-inference', p99='10ms', ...): the promise that the latency fixture judges; "
        "with a model name the limits come from sla.toml, with p50, p99 and the like they stand here, and "
        "beside them clock ('wall' or 'adjusted'), mode ('steady', 'back-to-back', 'paced' or 'open-loop') and "
        "interval ('100ms', for the last two).",
    )
    config.addinivalue_line("markers", "cuda: the test's target is an NVIDIA GPU (added by hardware).")
    for target in catalogue.values():
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
        declared = _declared_targets(hardware, metafunc.config.stash[SETTINGS].catalogue)
        uses_latency = "latency" in metafunc.fixturenames
        if uses_latency and sla is None:
            raise ConfigError(f"the latency fixture needs a promise to judge: add {_SLA_FORM}")
        if sla in metafunc.definition.own_markers and not uses_latency:
            raise ConfigError("the sla marker needs the latency fixture: a promise that nothing measures is not kept")
        if hardware in metafunc.definition.own_markers and not uses_latency and "prepare" in hardware.kwargs:
            raise ConfigError("prepare needs the latency fixture: what it returns is there to be measured")
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
    hardware = item.get_closest_marker("hardware")
    if hardware is None or not isinstance(target, Target):
        return
    sla = item.get_closest_marker("sla")
    if sla is not None and "latency" in getattr(item, "fixturenames", ()):
        request = _parse_sla(sla, getattr(item, "originalname", item.name))
        file, line, _ = item.location
        where = f"{Path(file).as_posix()}:{(line or 0) + 1}"
        promise = _promise_for(item.config, request, target, where)
        item.stash[ASSIGNMENT] = Assignment(promise, target, hardware.kwargs.get("prepare"))
    if not item.config.stash[SETTINGS].selects(target.name):
        item.add_marker(pytest.mark.skip(reason=not_selected_reason(target)))


@dataclass(frozen=True)
class _Request:
    """The ``sla`` marker's arguments, checked: a name to look up, or limits that stand in the marker."""

    model: str
    stage: str
    limits_ns: Mapping[float, int]
    measuring: Measuring


def _declared_targets(marker: pytest.Mark, catalogue: Catalogue) -> list[Target]:
    """Targets that the marker names, its arguments checked; empty when it leaves them to the promise."""
    unknown = sorted(set(marker.kwargs) - {"targets", "prepare"})
    if unknown or marker.args:
        what = repr(unknown[0]) if unknown else f"the positional argument {marker.args[0]!r}"
        raise ConfigError(f"the hardware marker does not take {what}; write {_HARDWARE_FORM}")
    names = marker.kwargs.get("targets", [])
    # What can be gone through only once would be empty the next time, and a target lost.
    if not isinstance(names, list | tuple | set | frozenset) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"targets must be a list of names, got {quoted(repr(names))}; write {_HARDWARE_FORM}")
    if "prepare" in marker.kwargs and not callable(marker.kwargs["prepare"]):
        raise ConfigError(f"prepare must be a function, got {marker.kwargs['prepare']!r}; write {_PREPARE_FORM}")
    return [catalogue.find(name) for name in dict.fromkeys(names)]


def _parse_sla(marker: pytest.Mark, test_name: str) -> _Request:
    from voiceflow_ml.sla.objectives import STATISTICS, find_stage  # noqa: PLC0415

    keywords: dict[str, Any] = dict(marker.kwargs)
    stage = find_stage(keywords.pop("stage", "model-inference"))
    model = marker.args[0] if marker.args else keywords.pop("model", None)
    if len(marker.args) > 1 or not isinstance(model, str | None):
        raise ConfigError(f"the sla marker takes one model name, got {marker.args!r}; write {_SLA_FORM}")
    how = {key: keywords.pop(key) for key in _MEASURING_KEYS if key in keywords}
    unknown = next((key for key in keywords if key not in STATISTICS), None)
    if unknown is not None:
        valid = ", ".join(["model", "stage", *STATISTICS, *_MEASURING_KEYS])
        raise ConfigError(f"the sla marker does not take {unknown!r}; valid: {valid}")
    limits_ns = {STATISTICS[key]: _read(key, parse_duration_ns, value) for key, value in keywords.items()}
    if model is None and not limits_ns:
        raise ConfigError(f"the sla marker needs a model name or a limit; write {_SLA_FORM}")
    if how and not limits_ns:
        raise ConfigError(
            f"the sla marker takes {next(iter(how))!r} only beside a limit: how {model} is measured comes from "
            "sla.toml; write it in the [[objective]] there"
        )
    return _Request(model or test_name, stage, limits_ns, _parse_measuring(**how))


def _parse_measuring(clock: Any = "wall", mode: Any = "steady", interval: Any = None) -> Measuring:
    from voiceflow_ml.sla.measuring import find_clock, find_mode, read_interval_ns  # noqa: PLC0415
    from voiceflow_ml.sla.objectives import Measuring  # noqa: PLC0415

    found_clock = _read("clock", find_clock, clock)
    found_mode = _read("mode", lambda name: find_mode(name, found_clock), mode)
    return Measuring(
        found_clock, found_mode, _read("interval", lambda text: read_interval_ns(text, found_mode), interval)
    )


def _read(key: str, reader: Callable[[Any], _Value], value: Any) -> _Value:
    """Read one argument of the ``sla`` marker, with its name in front of what is wrong with it."""
    try:
        return reader(value)
    except ConfigError as error:
        raise ConfigError(f"sla marker: {key}: {error}") from None


def _default_targets(config: pytest.Config, request: _Request | None) -> list[Target]:
    """Targets of a test whose hardware marker names none: those of its promise, else the CPU."""
    if request is None or request.limits_ns:
        return [CPU]
    from voiceflow_ml.sla.objectives import Stage  # noqa: PLC0415

    sla = sla_at(config, config.stash[SETTINGS].sla_file)
    names = sla.targets(request.model, Stage(request.stage))
    return [sla.catalogue.find(name) for name in names] or [CPU]


def _promise_for(config: pytest.Config, request: _Request, target: Target, where: str = "the sla marker") -> Any:
    """The promise that a test is judged against on one target; ``where`` is the place of limits in a marker."""
    from voiceflow_ml.sla.objectives import Objective, Promise, Stage  # noqa: PLC0415

    stage = Stage(request.stage)
    if request.limits_ns:
        objectives = tuple(
            Objective(request.model, stage, target.name, quantile, limit_ns)
            for quantile, limit_ns in sorted(request.limits_ns.items())
        )
        return Promise(request.model, stage, target.name, objectives, where, request.measuring)
    sla = sla_at(config, config.stash[SETTINGS].sla_file)
    promise = sla.promise(request.model, stage, target.name)
    if promise is None:
        promised = "; ".join(entry.label for entry in sla.promises) or "nothing"
        raise ConfigError(
            f"{sla.path} promises nothing for {request.model} · {stage} · {target.name}; it promises: {promised}"
        )
    return promise
