"""Calls that time themselves, in every mode of a run."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.hardware.targets import CPU, TARGETS
from voiceflow_ml.latency import FakeClock, FakeCounters, Instruments, Mode, Run, Sampler, SamplingPlan, SelfTimed
from voiceflow_ml.load import PROFILES
from voiceflow_ml.load import served_evidence as evidence
from voiceflow_ml.pytest_plugin.companions import sampling_plan
from voiceflow_ml.pytest_plugin.state import Assignment
from voiceflow_ml.sla.objectives import Measuring, Objective, Promise, Stage
from voiceflow_ml.units import NS_PER_MS

if TYPE_CHECKING:
    from voiceflow_ml.pytest_plugin.options import Settings


class Requests:
    """Requests that overlap: each takes 50 ms, whatever else is under way; what is told is its number."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.count = clock, 0
        self.due_ns: list[int] = []
        self.blocks: list[list[int]] = []

    def __call__(self) -> int:
        self.clock.advance_ns(50 * NS_PER_MS)
        self.count += 1
        return self.count

    def send_at(self, offsets_ns: Sequence[int]) -> list[int]:
        self.blocks.append(list(offsets_ns))
        self.due_ns += [self.clock.now_ns() + offset_ns for offset_ns in offsets_ns]
        self.clock.advance_ns(offsets_ns[-1] + 50 * NS_PER_MS)
        return [self() and self.count for _ in offsets_ns]


def run(mode: Mode, interval_ns: int = 0, *, counted: bool = False) -> tuple[Run, Requests]:
    clock = FakeClock()
    requests = Requests(clock)
    plan = SamplingPlan((40,), 40, mode=mode, interval_ns=interval_ns, pilot_calls=25, span_ns=0, seed=3)
    sampler = Sampler(requests, plan, Instruments(clock, FakeCounters() if counted else None))
    sampler.begin()
    while not sampler.finished:
        sampler.block()
    return sampler.run(), requests


def test_what_has_both_ways_of_calling_is_recognised() -> None:
    assert isinstance(Requests(FakeClock()), SelfTimed)
    assert not isinstance(lambda: 1, SelfTimed)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize(
    ("mode", "interval_ns"), [(Mode.STEADY, 0), (Mode.PACED, NS_PER_MS), (Mode.OPEN_LOOP, NS_PER_MS)]
)
def test_the_told_latency_is_kept_and_not_the_waiting_of_the_thread(
    mode: Mode, interval_ns: int, counted: bool
) -> None:
    taken, requests = run(mode, interval_ns, counted=counted)
    last = requests.count
    assert taken.samples_ns.tolist() == list(range(last - 39, last + 1))
    assert taken.block_starts_ns.size * taken.block_calls == 40


def test_no_time_is_taken_off_what_was_told() -> None:
    taken, _ = run(Mode.STEADY, counted=True)
    adjusted_ns = taken.channels.adjusted_ns
    assert adjusted_ns is None or adjusted_ns.tolist() == taken.samples_ns.tolist()
    assert taken.scheduler is not None
    assert taken.scheduler.run_delay_ns.tolist() == [0] * 40


def test_arrivals_go_on_where_they_stood_and_none_is_late_for_an_answer() -> None:
    taken, requests = run(Mode.OPEN_LOOP, 2 * NS_PER_MS)
    assert [len(block) for block in requests.blocks] == [10] * 4
    assert requests.blocks[0][0] == 0
    # Answers take 50 ms and the next arrival comes within a few: it is due that much after the start of its block.
    assert all(0 < block[0] < 20 * NS_PER_MS for block in requests.blocks[1:])
    assert all(np.all(np.diff(block) > 0) for block in requests.blocks)
    assert taken.late_calls == 0


def test_a_paced_block_begins_one_interval_after_the_last_call_of_the_one_before() -> None:
    _, requests = run(Mode.PACED, 2 * NS_PER_MS)
    first = [n * 2 * NS_PER_MS for n in range(10)]
    assert requests.blocks == [first, *[[due_ns + 2 * NS_PER_MS for due_ns in first]] * 3]


def test_another_file_than_the_promised_one_makes_it_invalid() -> None:
    assert evidence.file_finding("", "b") is None
    assert evidence.file_finding("a", "a") is None
    for served in ("b", ""):
        found = evidence.file_finding("a", served)
        assert found is not None
        assert found.severity is Severity.INVALID


def test_a_services_word_is_no_proof_of_a_gpu() -> None:
    assert evidence.where_finding(CPU).severity is Severity.INFORMATION
    assert evidence.where_finding(TARGETS.find("cuda-t4")).severity is Severity.INVALID


@pytest.mark.parametrize(
    ("late_ns", "severity"), [(NS_PER_MS, Severity.INFORMATION), (10 * NS_PER_MS, Severity.INVALID)]
)
def test_late_requests_make_it_invalid(late_ns: int, severity: Severity) -> None:
    found = evidence.lateness_finding([late_ns] * 200, 50 * NS_PER_MS, 10, "P99 of whole requests")
    assert found is not None
    assert found.severity is severity
    assert "of 5 ms that are allowed (one 10th of the P99 of whole requests, at least 1 ms)" in found.fact
    assert evidence.lateness_finding([], 0, 10, "") is None


def test_what_was_turned_away_and_what_is_played_is_said() -> None:
    assert evidence.put_off_finding(0) is None
    turned_away = evidence.put_off_finding(3)
    assert turned_away is not None
    assert turned_away.severity is Severity.CAUTION
    assert evidence.network_finding(PROFILES["none"]) is None
    played = evidence.network_finding(PROFILES["same-region"])
    assert played is not None
    assert played.fact == "the network is played, not real: same-region: 10 ms to 40 ms round trip, drawn evenly"


@pytest.mark.parametrize(
    ("stage", "mode", "calls"),
    [
        (Stage.END_TO_END, Mode.OPEN_LOOP, 50),
        (Stage.SERVER_PROCESSING, Mode.OPEN_LOOP, 50),
        (Stage.END_TO_END, Mode.STEADY, 10),
        (Stage.MODEL_INFERENCE, Mode.OPEN_LOOP, 10),
    ],
)
def test_requests_to_a_service_come_in_longer_blocks(stage: Stage, mode: Mode, calls: int) -> None:
    measuring = Measuring(mode=mode, interval_ns=NS_PER_MS if mode.has_schedule else 0)
    objective = Objective("m", stage, "cpu", 0.99, NS_PER_MS)
    promise = Promise("m", stage, "cpu", (objective,), "sla.toml:1", measuring)
    settings = cast("Settings", SimpleNamespace(span_ns=None, time_budget_ns=NS_PER_MS))
    assert sampling_plan(Assignment(promise, CPU), settings).block_calls == calls
