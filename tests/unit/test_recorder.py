from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.fake_service import Service
from voiceflow_ml.latency import FakeClock, FakeCounters
from voiceflow_ml.latency.recorder import Recorder


def recorder_of(service: Service, *, capacity: int = 100, blocks: int = 20) -> Recorder:
    return Recorder(service, service.clock, service.counters, capacity=capacity, blocks=blocks)


def counting(service: Service, *, cpu_wait_ns: int | None = 0) -> Service:
    service.counters = FakeCounters(cpu_wait_ns=cpu_wait_ns)
    return service


@pytest.mark.parametrize("prepared", [lambda service: service, counting], ids=["bare", "counted"])
def test_a_closed_block_keeps_what_comes_after_its_settling_calls(prepared: Callable[[Service], Service]) -> None:
    service = prepared(Service(lambda n: n))
    recorder = recorder_of(service)
    recorder.closed_block(3, 2)
    service.clock.advance_ns(1_000)
    recorder.closed_block(2, 1)
    assert recorder.samples_ns.tolist() == [3, 4, 5, 7, 8]
    assert (recorder.taken, recorder.blocks, recorder.late_calls) == (5, 2, 0)
    assert recorder.block_starts_ns.tolist() == [123, 123 + 15 + 1_000]
    assert recorder.block_durations_ns.tolist() == [15, 6 + 7 + 8]


def test_without_counters_there_is_no_scheduler_record() -> None:
    recorder = recorder_of(Service(1))
    recorder.closed_block(2, 0)
    assert recorder.scheduler is None


def test_counts_belong_to_their_samples_and_totals_to_all_calls() -> None:
    # The n-th call takes 10 n and waits n; the process uses twice what the thread does.
    service = counting(Service(lambda n: 10 * n, waits_ns=lambda n: n, process_share=2))
    recorder = recorder_of(service)
    recorder.closed_block(2, 1)
    between = service.counters
    assert between is not None
    # What moves between blocks is none of theirs.
    between.advance(run_delay_ns=500, thread_time_ns=500, process_time_ns=500, cpu_wait_ns=500)
    recorder.closed_block(1, 1)
    record = recorder.scheduler
    assert record is not None
    assert record.source == "schedstat"
    assert record.run_delay_ns.tolist() == [2, 3, 5]
    assert record.thread_time_ns.tolist() == [18, 27, 45]
    assert (record.thread_total_ns, record.process_total_ns) == (9 * 15, 2 * 9 * 15)
    assert record.cpu_wait_ns is not None
    assert record.cpu_wait_ns.tolist() == [1 + 2 + 3, 4 + 5]


@pytest.mark.parametrize("from_due", [False, True])
def test_counts_of_scheduled_calls_belong_to_their_samples(from_due: bool) -> None:
    service = counting(Service(lambda n: 10 * n, waits_ns=lambda n: n))
    recorder = recorder_of(service)
    recorder.scheduled_block([0, 100, 200], from_due=from_due)
    assert recorder.scheduler is not None
    assert recorder.scheduler.run_delay_ns.tolist() == [1, 2, 3]
    assert recorder.scheduler.thread_time_ns.tolist() == [9, 18, 27]


def test_reading_the_counters_takes_no_time_of_a_call_that_is_yet_to_be_due() -> None:
    service = counting(Service(5, clock=FakeClock()))

    def slow_read() -> int:
        service.clock.advance_ns(1)
        return 0

    assert service.counters is not None
    service.counters.run_delay_ns = service.counters.thread_time_ns = slow_read
    recorder = recorder_of(service)
    recorder.scheduled_block([100, 200], from_due=True)
    assert recorder.samples_ns.tolist() == [5, 5]


def test_what_passes_before_a_paced_call_begins_is_none_of_it() -> None:
    service = counting(Service(5, clock=FakeClock(), waits_ns=lambda _: 2))
    counters, wait_until_ns = service.counters, service.clock.wait_until_ns
    assert counters is not None

    def interrupted_wait(time_ns: int) -> None:
        wait_until_ns(time_ns)
        counters.advance(run_delay_ns=1, thread_time_ns=1)

    service.clock.wait_until_ns = interrupted_wait  # type: ignore[method-assign]
    recorder = recorder_of(service)
    recorder.scheduled_block([100, 200], from_due=False)
    assert recorder.scheduler is not None
    assert recorder.scheduler.run_delay_ns.tolist() == [2, 2]
    assert recorder.scheduler.thread_time_ns.tolist() == [3, 3]


@pytest.mark.parametrize(("duration_ns", "wait_ns", "kept_ns"), [(10, 9, 9), (10, 10, 10), (10, 11, 10), (0, 5, 0)])
@pytest.mark.parametrize("scheduled", [False, True])
def test_a_wait_is_at_most_the_sample(duration_ns: int, wait_ns: int, kept_ns: int, scheduled: bool) -> None:
    service = counting(Service(duration_ns, waits_ns=lambda _: wait_ns))
    recorder = recorder_of(service)
    if scheduled:
        recorder.scheduled_block([service.clock.now_ns()], from_due=False)
    else:
        recorder.closed_block(1, 0)
    assert recorder.scheduler is not None
    assert recorder.scheduler.run_delay_ns.tolist() == [kept_ns]


def test_counters_are_read_once_between_two_samples_and_never_inside_one() -> None:
    service = counting(Service(5))
    reads: list[tuple[str, int]] = []

    def noted(name: str, inner: Callable[[], int]) -> Callable[[], int]:
        def read() -> int:
            reads.append((name, service.calls))
            return inner()

        return read

    for name in ("run_delay_ns", "thread_time_ns", "process_time_ns", "cpu_wait_ns"):
        setattr(service.counters, name, noted(name, getattr(service.counters, name)))
    recorder_of(service).closed_block(3, 2)
    assert [calls for name, calls in reads if name == "run_delay_ns"] == [2, 3, 4, 5]
    # Thread time is read with it, and for the totals before and after the block.
    assert [calls for name, calls in reads if name == "thread_time_ns"] == [0, 2, 3, 4, 5, 5]
    assert [calls for name, calls in reads if name == "process_time_ns"] == [0, 5]
    assert [calls for name, calls in reads if name == "cpu_wait_ns"] == [0, 5]


def test_a_system_that_does_not_say_how_long_tasks_wait_is_not_taken_at_zero() -> None:
    service = counting(Service(5), cpu_wait_ns=None)
    recorder = recorder_of(service)
    recorder.closed_block(3, 0)
    assert recorder.scheduler is not None
    assert recorder.scheduler.cpu_wait_ns is None


def test_a_machine_on_which_nothing_waits_has_a_wait_of_nothing() -> None:
    service = counting(Service(5))
    recorder = recorder_of(service)
    recorder.closed_block(3, 0)
    assert recorder.scheduler is not None
    assert recorder.scheduler.cpu_wait_ns is not None
    assert recorder.scheduler.cpu_wait_ns.tolist() == [0]


def test_one_block_whose_wait_is_unknown_leaves_all_unknown() -> None:
    service = counting(Service(5))
    counters = service.counters
    assert counters is not None
    recorder = recorder_of(service)
    recorder.closed_block(3, 0)
    counters.cpu_wait_ns = lambda: None
    recorder.closed_block(3, 0)
    assert recorder.scheduler is not None
    assert recorder.scheduler.cpu_wait_ns is None


@pytest.mark.parametrize("readings", [(None, 5), (5, None)])
def test_a_wait_that_is_known_at_one_end_of_a_block_alone_is_unknown(readings: tuple[int | None, ...]) -> None:
    service = counting(Service(5))
    counters, left = service.counters, iter(readings)
    assert counters is not None
    counters.cpu_wait_ns = lambda: next(left)
    recorder = recorder_of(service)
    recorder.closed_block(3, 0)
    assert recorder.scheduler is not None
    assert recorder.scheduler.cpu_wait_ns is None


SLOW_SECOND = [2, 25, 2, 2, 2]


@pytest.mark.parametrize(
    ("from_due", "samples_ns"),
    [
        # Due at 0, 10, 20, 30, 40: the second call ends at 35, so the third begins 15 late, the fourth 7 late.
        (False, [2, 25, 2, 2, 2]),
        (True, [2, 25, 17, 9, 2]),
    ],
)
@pytest.mark.parametrize("counted", [False, True])
def test_calls_behind_a_slow_one_are_late(from_due: bool, samples_ns: list[int], counted: bool) -> None:
    service = Service(lambda n: SLOW_SECOND[n - 1], clock=FakeClock())
    service = counting(service) if counted else service
    recorder = recorder_of(service)
    recorder.scheduled_block([0, 10, 20, 30, 40], from_due=from_due)
    assert service.began_ns == [0, 10, 35, 37, 40]
    assert recorder.samples_ns.tolist() == samples_ns
    assert recorder.late_calls == 2
    assert recorder.block_durations_ns.tolist() == [42]
    if recorder.scheduler is not None:
        assert recorder.scheduler.thread_time_ns.tolist() == SLOW_SECOND


def test_a_call_whose_time_has_come_is_not_late() -> None:
    service = Service(10, clock=FakeClock())
    recorder = recorder_of(service)
    recorder.scheduled_block([0, 10, 20], from_due=True)
    assert (recorder.late_calls, recorder.samples_ns.tolist()) == (0, [10, 10, 10])


@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize("collecting", [False, True])
def test_the_collector_is_off_in_blocks_and_afterwards_as_it_was(scheduled: bool, collecting: bool) -> None:
    service, inside = Service(1), []

    def call() -> None:
        inside.append(gc.isenabled())
        service()
        if service.calls == 3:
            raise KeyError("from the model")

    recorder = Recorder(call, service.clock, None, capacity=10, blocks=5)

    def block() -> None:
        if scheduled:
            recorder.scheduled_block([0, 0], from_due=False)
        else:
            recorder.closed_block(2, 0)

    was = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        block()
        assert gc.isenabled() == collecting
        with pytest.raises(KeyError, match="from the model"):
            block()
        assert gc.isenabled() == collecting
    finally:
        (gc.enable if was else gc.disable)()
    assert inside == [False] * 3
    # A block that was broken off is no block.
    assert (recorder.blocks, recorder.block_starts_ns.size) == (1, 1)


def test_counters_that_fail_leave_the_collector_on() -> None:
    service = counting(Service(1))
    assert service.counters is not None
    service.counters.process_time_ns = lambda: 1 // 0
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        recorder_of(service).closed_block(1, 0)
    assert gc.isenabled()


def test_what_is_recorded_is_seen_in_place_and_not_copied() -> None:
    service = counting(Service(lambda n: n))
    recorder = recorder_of(service)
    recorder.closed_block(2, 0)
    early, early_counts = recorder.samples_ns, recorder.scheduler
    recorder.closed_block(2, 0)
    late, late_counts = recorder.samples_ns, recorder.scheduler
    assert np.shares_memory(early, late)
    assert early_counts is not None
    assert late_counts is not None
    assert np.shares_memory(early_counts.run_delay_ns, late_counts.run_delay_ns)
    assert (early.size, late.size, late_counts.thread_time_ns.size) == (2, 4, 4)
    assert late_counts.cpu_wait_ns is not None
    of_samples = late, late_counts.run_delay_ns, late_counts.thread_time_ns
    of_blocks = recorder.block_starts_ns, recorder.block_durations_ns, late_counts.cpu_wait_ns
    assert not any(array.flags.writeable for array in (*of_samples, *of_blocks))


def test_a_sample_takes_forty_bytes_at_most_with_all_that_is_kept_beside_it() -> None:
    capacity, block_calls = 10_000, 10
    recorder = recorder_of(counting(Service(1)), capacity=capacity, blocks=capacity // block_calls)
    held = [value for value in vars(recorder).values() if isinstance(value, np.ndarray)]
    assert len(held) == 6
    assert {array.dtype for array in held} == {np.dtype(np.int64)}
    assert sum(array.nbytes for array in held) <= 40 * capacity
