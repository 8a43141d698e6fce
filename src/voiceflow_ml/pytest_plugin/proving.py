"""What is proven about a measurement beside its samples: its floor, its machine, its file, its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from voiceflow_ml.errors import ConfigError, DataError
from voiceflow_ml.pytest_plugin.state import SETTINGS, SLAS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceflow_ml.hardware.evidence import Finding
    from voiceflow_ml.hardware.roofline import Roofline
    from voiceflow_ml.hardware.targets import Target
    from voiceflow_ml.hardware.watch import MachineWatch
    from voiceflow_ml.sla.objectives import ModelSpec, Promise


def possible_floor(model: Any, arguments: Sequence[object], promise: Promise) -> Roofline | None:
    """The model's physical floor; a promise below it is refused before anything is measured.

    Raises:
        ConfigError: a limit that no implementation can keep on this target.
    """
    from voiceflow_ml.hardware.roofline import refuse_impossible  # noqa: PLC0415
    from voiceflow_ml.inference.floor import floor_of  # noqa: PLC0415

    found = floor_of(model, arguments)
    refuse_impossible(found, {objective.statistic: objective.limit_ns for objective in promise.objectives})
    return found


def start_watch(config: pytest.Config, target: Target) -> MachineWatch:
    """Watch the machine from now on."""
    from voiceflow_ml.hardware import probe  # noqa: PLC0415
    from voiceflow_ml.hardware.watch import MachineWatch  # noqa: PLC0415

    return MachineWatch(target, config.stash[SETTINGS].catalogue, probe.probe_gpus)


def source_findings(
    config: pytest.Config, promise: Promise, model: Any, arguments: Sequence[object]
) -> list[Finding | None]:
    """Whether the model file and the inputs are those that were declared, asked after the run.

    Args:
        config: pytest's configuration.
        promise: what is judged.
        model: the model, if it can prove where it runs; else None.
        arguments: what it was fed.
    """
    from voiceflow_ml.hardware.evidence import swapped_finding  # noqa: PLC0415
    from voiceflow_ml.inference.ort import OnnxModel  # noqa: PLC0415

    if not isinstance(model, OnnxModel):
        return []
    spec = _spec_of(config, promise)
    inputs = [] if spec is None or not spec.inputs else [inputs_finding(spec, model, arguments)]
    return [swapped_finding(model.path, model.sha256), *inputs]


def _spec_of(config: pytest.Config, promise: Promise) -> ModelSpec | None:
    """The model table that a promise of an sla.toml is about; None for a promise that stands in a marker."""
    for sla in config.stash.get(SLAS, {}).values():
        if promise in sla.promises:
            return sla.models.get(promise.model)
    return None


def inputs_finding(spec: ModelSpec, model: Any, arguments: Sequence[object]) -> Finding | None:
    """Hold the shapes that a model was measured with against those that its table declares."""
    from voiceflow_ml.hardware.evidence import shapes_finding  # noqa: PLC0415
    from voiceflow_ml.inference.declared import declared_inputs  # noqa: PLC0415

    try:
        declared, _ = declared_inputs(spec, model)
    except (ConfigError, DataError):
        # A test that brings its own inputs need not have the declared ones at hand; then there is nothing to compare.
        return None
    names = [info.name for info in model.inputs]
    shapes = [tuple(getattr(value, "shape", ())) for value in arguments]
    return shapes_finding(names, [value.shape for value in declared], shapes, spec.where)
