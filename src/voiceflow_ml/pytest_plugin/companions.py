"""How each test is to be measured, and which of them can be measured in turns."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from voiceflow_ml.pytest_plugin.state import ASSIGNMENT, MEASURED_AHEAD, MEASUREMENT, SETTINGS, Assignment, is_worker

if TYPE_CHECKING:
    from voiceflow_ml.hardware.targets import Target
    from voiceflow_ml.latency import SamplingPlan
    from voiceflow_ml.pytest_plugin.options import Settings
    from voiceflow_ml.sla.objectives import Promise

_SERVICE_BLOCK_CALLS = 50


def sampling_plan(assignment: Assignment, settings: Settings) -> SamplingPlan:
    """The plan for an assignment under the settings of this run."""
    from voiceflow_ml.latency import SamplingPlan  # noqa: PLC0415
    from voiceflow_ml.latency.plan import fewest_for_met, planned_looks  # noqa: PLC0415

    promise = assignment.promise
    quantiles = [objective.quantile for objective in promise.objectives]
    return SamplingPlan(
        looks=planned_looks(quantiles),
        aimed_samples=max(fewest_for_met(quantile) for quantile in quantiles),
        mode=promise.measuring.mode,
        interval_ns=promise.measuring.interval_ns,
        block_calls=_block_calls(promise),
        span_ns=settings.span_ns,
        time_budget_ns=settings.time_budget_ns,
        # Of its own, so that measurements that take turns do not march in step.
        seed=zlib.crc32(promise.label.encode()),
    )


def _block_calls(promise: Promise) -> int:
    """Requests to a service in one block: so many that how a block begins, with nobody waiting, says little."""
    from voiceflow_ml.latency import Mode, SamplingPlan  # noqa: PLC0415
    from voiceflow_ml.sla.objectives import Stage  # noqa: PLC0415

    of_service = promise.stage is not Stage.MODEL_INFERENCE and promise.measuring.mode is Mode.OPEN_LOOP
    return _SERVICE_BLOCK_CALLS if of_service else SamplingPlan.block_calls


def companions_of(item: pytest.Item) -> list[pytest.Item]:
    """Later tests of this session that can be measured in turns with this one."""
    settings, mine = item.config.stash[SETTINGS], item.stash[ASSIGNMENT]
    # One of xdist's workers collects all tests and is not told which of them it will run.
    if is_worker(item.config) or not sampling_plan(mine, settings).can_take_turns:
        return []
    later = item.session.items[item.session.items.index(item) + 1 :]
    return [other for other in later if _can_take_turns(other, mine, settings)]


def _can_take_turns(other: pytest.Item, mine: Assignment, settings: Settings) -> bool:
    assignment = other.stash.get(ASSIGNMENT, None)
    if assignment is None or assignment.prepare is None or MEASUREMENT in other.stash or MEASURED_AHEAD in other.stash:
        return False
    # A condition is pytest's to judge, when the test's turn comes.
    conditional = any(other.get_closest_marker(name) for name in ("skip", "skipif"))
    same_device = _device(assignment.target) == _device(mine.target)
    return not conditional and same_device and sampling_plan(assignment, settings).can_take_turns


def _device(target: Target) -> str:
    """What measurements take turns on; on other machines those of several targets go on at the same time."""
    if target.elsewhere:
        return "elsewhere"
    return "cuda" if target.is_cuda else "cpu"
