"""Measuring what tests hand over: alone, or in turns with all others that can be prepared beforehand.

A test that hands its call over before it runs (an item of sla.toml, or one whose hardware marker has
``prepare``) is measured together with the later ones of its kind: the blocks of one fill the gaps of another,
so forty promises take little longer than the slowest. Each test then finds its measurement ready.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.pytest_plugin.companions import companions_of, sampling_plan
from voiceflow_ml.pytest_plugin.comparing import Baseline, compare_with, find_baseline
from voiceflow_ml.pytest_plugin.handover import Handover, handover_of
from voiceflow_ml.pytest_plugin.hang import MANY_LIMITS, HangWatch
from voiceflow_ml.pytest_plugin.judging import judge_run
from voiceflow_ml.pytest_plugin.proving import spec_of, start_watch
from voiceflow_ml.pytest_plugin.state import (
    ASSIGNMENT,
    MEASURED_AHEAD,
    SETTINGS,
    STARTED_AT,
    Assignment,
)

if TYPE_CHECKING:
    from voiceflow_ml.hardware.evidence import Finding
    from voiceflow_ml.hardware.roofline import Roofline
    from voiceflow_ml.hardware.watch import MachineWatch
    from voiceflow_ml.latency import Instruments, Progress, Sampler, SamplingPlan
    from voiceflow_ml.pytest_plugin.live import LiveLine
    from voiceflow_ml.pytest_plugin.options import Settings
    from voiceflow_ml.results.measurement import Measurement

# What pytest.skip and pytest.fail raise is no Exception, and is about one test all the same.
_ABOUT_ONE_TEST = (Exception, pytest.skip.Exception, pytest.fail.Exception)


def measure_alone(item: pytest.Item, handover: Handover) -> Measurement:
    """Measure what a test hands over while it runs.

    Raises:
        Exception: whatever its call raised.
    """
    return _returned(_measure_all([_member(item, handover)])[0])


def measure_prepared(item: pytest.Item) -> Measurement:
    """Measure what a test has prepared, in turns with what later tests have; or take what is measured already.

    Raises:
        Exception: whatever preparing or measuring this test raised; that of another waits for its turn.
    """
    if MEASURED_AHEAD not in item.stash:
        _measure_ahead([item, *companions_of(item)])
    ready = item.stash[MEASURED_AHEAD]
    del item.stash[MEASURED_AHEAD]
    return _returned(ready)


def _returned(measured: Measurement | BaseException) -> Measurement:
    if isinstance(measured, BaseException):
        raise measured
    return measured


def _measure_ahead(items: list[pytest.Item]) -> None:
    """Leave with each test its measurement, or the error that kept one from being taken."""
    members = []
    for item in items:
        try:
            members.append(_member(item, _prepared(item.stash[ASSIGNMENT])))
        except _ABOUT_ONE_TEST as error:
            item.stash[MEASURED_AHEAD] = error
    for member, measured in zip(members, _measure_all(members), strict=True):
        member.item.stash[MEASURED_AHEAD] = measured


def _prepared(assignment: Assignment) -> Handover:
    if assignment.prepare is None:
        raise ConfigError("latency() measures what a prepare function hands over, and this test has none")
    return handover_of(assignment.prepare(assignment.target))


def _member(item: pytest.Item, handover: Handover) -> _Member:
    assignment = item.stash[ASSIGNMENT]
    return _Member(item, assignment, handover, sampling_plan(assignment, item.config.stash[SETTINGS]))


@dataclass(eq=False)
class _Member:
    """One test of a group that takes turns."""

    item: pytest.Item
    assignment: Assignment
    handover: Handover
    plan: SamplingPlan
    baseline: Baseline | None = None
    roofline: Roofline | None = None
    watch: MachineWatch | None = None
    sampler: Sampler | None = None
    failure: BaseException | None = None
    hang_watch: HangWatch | None = None

    @property
    def model(self) -> Any:
        """The model, if it can prove where it runs."""
        from voiceflow_ml.inference.call import Measurable  # noqa: PLC0415

        return self.handover.function if isinstance(self.handover.function, Measurable) else None

    def source_findings(self) -> list[Finding]:
        """What is known about the model file and the inputs after the run."""
        from voiceflow_ml.inference.run_findings import source_findings  # noqa: PLC0415

        spec = spec_of(self.item.config, self.assignment.promise)
        return source_findings(spec, self.model, self.handover.arguments)

    def bind(self, arguments: tuple[object, ...]) -> Callable[[], object]:
        function = self.handover.function
        return self.watched(self.model.bind(*arguments) if self.model is not None else lambda: function(*arguments))

    def watched(self, call: Callable[[], Any], patience: int = 1) -> Callable[[], Any]:
        return self.hang_watch.watched(self.item, call, patience) if self.hang_watch is not None else call


def _measure_all(members: list[_Member]) -> list[Measurement | BaseException]:
    """Measure members in turns, on one device, while nobody else of this user does."""
    if not members:
        return []
    if members[0].assignment.target.elsewhere:
        from voiceflow_ml.pytest_plugin.elsewhere import measure_elsewhere  # noqa: PLC0415

        return measure_elsewhere([(member.item, member.handover, member.plan) for member in members])
    from voiceflow_ml.hardware.device_lock import device_lock  # noqa: PLC0415
    from voiceflow_ml.pytest_plugin.live import LiveLine  # noqa: PLC0415

    config, mine = members[0].item.config, members[0].assignment
    live = LiveLine(config)
    lock = device_lock("cuda" if mine.target.is_cuda else "cpu", lambda text: live.say(mine.promise.label, text))
    with live, lock, HangWatch.of(config) as watch:
        for member in members:
            member.hang_watch = watch
        _sample(members, config.stash[SETTINGS], live)
        return [_finish(member, config.stash[SETTINGS], live, len(members)) for member in members]


def _sample(members: list[_Member], settings: Settings, live: LiveLine) -> None:
    """Take the samples of all members; a failure of one ends only its own."""
    from voiceflow_ml.hardware.control import ControlWorkload  # noqa: PLC0415
    from voiceflow_ml.hardware.scheduler import SchedulerCounters  # noqa: PLC0415
    from voiceflow_ml.inference.run_findings import possible_floor  # noqa: PLC0415
    from voiceflow_ml.latency import Instruments, SystemClock, take_turns  # noqa: PLC0415

    with SchedulerCounters() as counters:
        instruments = Instruments(SystemClock(), counters, ControlWorkload())
        for place, member in enumerate(members, start=1):
            where = f" ({place} of {len(members)} in turns)" if len(members) > 1 else ""
            label = f"{member.assignment.promise.label}{where}"
            live.begin(label, f"warming up, {settings.time_budget_ns * len(members) / 1e9:.0f} s left")
            try:
                # Before anything is measured: a baseline that cannot be used must not cost a measurement.
                arguments = member.handover.arguments
                floor = partial(possible_floor, member.model, arguments, member.assignment.promise)
                member.roofline = member.watched(floor, MANY_LIMITS)()
                member.baseline = find_baseline(member.assignment, member.model, arguments, settings)
                member.watch = start_watch(member.item.config, member.assignment.target)
                member.item.stash[STARTED_AT] = datetime.now(UTC).isoformat(timespec="seconds")
                member.sampler = _sampler(member, settings, instruments, live, label, len(members))
                member.sampler.begin()
            except _ABOUT_ONE_TEST as error:
                member.failure = error
        by_sampler = {member.sampler: member for member in members if member.sampler and not member.failure}

        def failed(sampler: Sampler, error: Exception) -> None:
            by_sampler[sampler].failure = error

        take_turns(list(by_sampler), instruments.clock, failed=failed)


def _sampler(
    member: _Member, settings: Settings, instruments: Instruments, live: LiveLine, label: str, group_size: int
) -> Sampler:
    from voiceflow_ml.latency import Sampler  # noqa: PLC0415
    from voiceflow_ml.results.assemble import decision, verdicts_on  # noqa: PLC0415

    promise, confidence = member.assignment.promise, settings.confidence
    shown = live.watcher(label, lambda channels: verdicts_on(channels, promise, confidence))

    def after_block(progress: Progress) -> None:
        if member.watch is not None:
            member.watch.after_block()
        shown(progress)

    cold = {inputs: member.bind(arguments) for inputs, arguments in member.handover.cold_arguments.items()}
    return Sampler(
        member.bind(member.handover.arguments),
        member.plan,
        instruments,
        decided=decision(promise, confidence),
        watch=after_block,
        cold_calls=cold,
        # In turns they take together what they would take one after the other.
        time_budget_ns=settings.time_budget_ns * group_size,
    )


def _finish(member: _Member, settings: Settings, live: LiveLine, group_size: int) -> Measurement | BaseException:
    """Judge a member's samples, compare with its baseline, collect the evidence."""
    from voiceflow_ml.inference.call import UNSTATED_BOUNDARY  # noqa: PLC0415
    from voiceflow_ml.inference.run_findings import collect_findings  # noqa: PLC0415
    from voiceflow_ml.latency import percentile  # noqa: PLC0415
    from voiceflow_ml.results.assemble import assemble  # noqa: PLC0415

    if member.failure is not None or member.sampler is None or member.watch is None:
        return member.failure or RuntimeError("nothing was measured")
    assignment, model, handover, floor = member.assignment, member.model, member.handover, member.roofline
    others = {"measured in turns with": f"{group_size - 1} others"} if group_size > 1 else {}
    try:
        run = member.sampler.run()
        verdicts = judge_run(run, member.plan, assignment.promise, settings)
        proofs = member.watch.findings()
        proofs += member.source_findings()
        against = None
        if member.baseline is not None:
            against = compare_with(member.baseline, member.bind(handover.arguments), assignment, settings, live)
        return assemble(
            run,
            verdicts,
            (
                *collect_findings(
                    run, member.plan, assignment.promise, assignment.target, model, handover.declared_sha256, floor
                ),
                *proofs,
            ),
            boundary=model.boundary if model is not None else UNSTATED_BOUNDARY,
            inputs=handover.inputs,
            facts={**others, **(model.facts() if model is not None else {}), **member.watch.facts()},
            against=against,
            roofline=floor.reached_by(percentile(run.samples_ns, 0.5)) if floor is not None else None,
        )
    except Exception as error:
        return error
