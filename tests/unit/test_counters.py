from __future__ import annotations

import pytest

from voiceflow_ml.latency.counters import Counters, FakeCounters


def readings(counters: Counters) -> tuple[int, int, int, int | None]:
    return counters.run_delay_ns(), counters.thread_time_ns(), counters.process_time_ns(), counters.cpu_wait_ns()


def test_fake_counters_start_at_zero_as_the_kernels_own_file() -> None:
    counters = FakeCounters()
    assert readings(counters) == (0, 0, 0, 0)
    assert counters.source == "schedstat"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("run_delay_ns", (14, 0, 0, 0)),
        ("thread_time_ns", (0, 14, 0, 0)),
        ("process_time_ns", (0, 0, 14, 0)),
        ("cpu_wait_ns", (0, 0, 0, 14)),
    ],
)
def test_each_fake_counter_moves_alone_and_adds_up(name: str, expected: tuple[int, int, int, int]) -> None:
    counters = FakeCounters()
    counters.advance(**{name: 4})
    counters.advance(**{name: 10})
    assert readings(counters) == expected


def test_fake_counters_can_lack_what_a_system_lacks() -> None:
    counters = FakeCounters("none", cpu_wait_ns=None)
    counters.advance(cpu_wait_ns=5, thread_time_ns=1)
    assert readings(counters) == (0, 1, 0, None)
    assert counters.source == "none"


def test_a_function_taken_from_fake_counters_keeps_moving() -> None:
    counters = FakeCounters(cpu_wait_ns=7)
    run_delay_ns, cpu_wait_ns = counters.run_delay_ns, counters.cpu_wait_ns
    counters.advance(run_delay_ns=3, cpu_wait_ns=1)
    assert (run_delay_ns(), cpu_wait_ns()) == (3, 8)
