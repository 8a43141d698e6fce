"""What pytest's configuration knows of a measurement's evidence: which machine to watch, which table to hold it to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voiceflow_ml.pytest_plugin.state import SETTINGS, SLAS

if TYPE_CHECKING:
    from voiceflow_ml.hardware.targets import Target
    from voiceflow_ml.hardware.watch import MachineWatch
    from voiceflow_ml.sla.objectives import ModelSpec, Promise


def start_watch(config: pytest.Config, target: Target) -> MachineWatch:
    """Watch the machine from now on."""
    from voiceflow_ml.hardware import probe  # noqa: PLC0415
    from voiceflow_ml.hardware.watch import MachineWatch  # noqa: PLC0415

    return MachineWatch(target, config.stash[SETTINGS].catalogue, probe.probe_gpus)


def spec_of(config: pytest.Config, promise: Promise) -> ModelSpec | None:
    """The model table that a promise of an sla.toml is about; None for a promise that stands in a marker."""
    for sla in config.stash.get(SLAS, {}).values():
        if promise in sla.promises:
            return sla.models.get(promise.model)
    return None
