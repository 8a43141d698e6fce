"""``pytest sla.toml``: each ``[[objective]]`` of the file is a test, with no Python written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.targets import Catalogue, Target
from voiceflow_ml.pytest_plugin.claims import collect_claims
from voiceflow_ml.pytest_plugin.handover import Handover
from voiceflow_ml.pytest_plugin.markers import not_selected_reason, target_markers
from voiceflow_ml.pytest_plugin.state import ASSIGNMENT, SETTINGS, Assignment, sla_at

if TYPE_CHECKING:
    from voiceflow_ml.pytest_plugin.fixtures import Latency
    from voiceflow_ml.sla.objectives import ModelSpec, Promise


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect an sla.toml that was named on the command line or in ``testpaths``, and what ``--claims`` asks for."""
    if file_path.suffix == ".toml" and parent.session.isinitpath(file_path):
        collector: pytest.Collector = SlaFile.from_parent(parent, path=file_path)
        return collector
    return collect_claims(file_path, parent)


class SlaFile(pytest.File):
    """An sla.toml; its items are its promises."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item for each promise, in the order of the file."""
        try:
            sla = sla_at(self.config, self.path)
        except ConfigError as error:
            raise self.CollectError(str(error)) from None
        for promise in sla.promises:
            yield SlaItem.declare(self, promise, sla.models[promise.model], sla.catalogue)


class SlaItem(pytest.Function):
    """One promise of an sla.toml. A pytest function item, so that fixtures and other plugins see a test."""

    @classmethod
    def declare(cls, parent: SlaFile, promise: Promise, spec: ModelSpec, catalogue: Catalogue) -> SlaItem:
        """Make the item of a promise.

        Args:
            parent: the file.
            promise: what is judged.
            spec: the model that is measured.
            catalogue: the targets of the file.
        """
        target = catalogue.find(promise.target)
        name = f"{promise.model}[{promise.stage}-{promise.target}]"
        item: SlaItem = cls.from_parent(parent, name=name, callobj=_measure_declared)
        item.stash[ASSIGNMENT] = Assignment(promise, target, _hand_over(spec))
        for marker in (pytest.mark.hardware, *target_markers(target)):
            item.add_marker(marker)
        reason = _cannot_run(item.config, promise, target)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        return item

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Point at the promise, not at the function that measures it."""
        promise = self.stash[ASSIGNMENT].promise
        line = promise.where.rpartition(":")[2]
        return self.path, int(line) - 1 if line.isdigit() else None, promise.label


def _cannot_run(config: pytest.Config, promise: Promise, target: Target) -> str:
    if not config.stash[SETTINGS].selects(target.name):
        return not_selected_reason(target)
    if promise.stage != "model-inference":
        return f"{promise.stage} cannot be measured from sla.toml alone: write a test that times it with latency"
    return ""


def _measure_declared(latency: Latency) -> None:
    """The test function of every declared model: what it measures is prepared."""
    latency()


def _hand_over(spec: ModelSpec) -> Callable[[Target], Handover]:
    """A ``prepare`` function for a declared model."""

    def prepare(target: Target) -> Handover:
        from voiceflow_ml.inference.declared import cold_inputs, declared_inputs, open_declared  # noqa: PLC0415

        model = open_declared(spec, target)
        if target.elsewhere:
            return Handover(model, (), "", spec.sha256, spec=spec)
        arrays, description = declared_inputs(spec, model)
        cold = {label: tuple(others) for label, others in cold_inputs(spec, model)}
        return Handover(model, tuple(arrays), description, spec.sha256, cold)

    return prepare
