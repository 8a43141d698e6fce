from __future__ import annotations

import time

import pytest

from voiceflow_ml.latency import Clock, FakeClock, SystemClock


def test_a_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock(start_ns=5)
    assert clock.now_ns() == clock.now_ns() == 5
    clock.advance_ns(10)
    clock.sleep_ns(7)
    assert clock.now_ns() == 22


def test_a_sleep_into_the_past_does_not_turn_time_back() -> None:
    clock = FakeClock()
    clock.sleep_ns(-3)
    assert clock.now_ns() == 0


def test_a_fake_clock_waits_until_a_time_and_not_for_one_that_has_passed() -> None:
    clock = FakeClock(start_ns=5)
    for until_ns, now_ns in [(9, 9), (9, 9), (3, 9), (10, 10)]:
        clock.wait_until_ns(until_ns)
        assert clock.now_ns() == now_ns


def test_the_system_clock_is_the_c_function_itself() -> None:
    # A Python method around it would add its own cost to every sample.
    assert SystemClock().now_ns is time.perf_counter_ns


def test_the_system_clock_does_not_sleep_for_nothing() -> None:
    clock: Clock = SystemClock()
    clock.sleep_ns(0)
    clock.sleep_ns(-1)
    assert clock.now_ns() <= clock.now_ns()


class Ticking(SystemClock):
    """The real clock's waiting, on time that passes by one tick at each reading."""

    def __init__(self, sleeps_late_ns: int = 0) -> None:
        super().__init__()
        self.time_ns, self.sleeps_late_ns = 0, sleeps_late_ns
        self.slept_ns: list[int] = []
        self.now_ns = self._tick

    def _tick(self) -> int:
        self.time_ns += 1_000
        return self.time_ns

    def sleep_ns(self, duration_ns: int) -> None:
        if duration_ns > 0:
            self.slept_ns.append(duration_ns)
            self.time_ns += duration_ns + self.sleeps_late_ns


@pytest.mark.parametrize("late_ns", [0, 60_000, 199_000])
def test_the_end_of_a_precise_wait_is_watched_and_not_slept(late_ns: int) -> None:
    clock = Ticking(sleeps_late_ns=late_ns)
    clock.wait_until_ns(5_000_000)
    # One reading before the sleep; the last 200 us are watched, so a late sleep does no harm.
    assert clock.slept_ns == [5_000_000 - 1_000 - 200_000]
    assert clock.time_ns == 5_000_000


@pytest.mark.parametrize(("until_ns", "read"), [(0, 2), (-5, 2), (100_000, 100)])
def test_a_short_wait_is_not_slept_at_all(until_ns: int, read: int) -> None:
    clock = Ticking()
    clock.wait_until_ns(until_ns)
    assert (clock.slept_ns, clock.time_ns) == ([], read * 1_000)


def test_the_real_clock_has_reached_the_time_that_it_waited_for() -> None:
    clock = SystemClock()
    until_ns = clock.now_ns() + 300_000
    clock.wait_until_ns(until_ns)
    assert clock.now_ns() >= until_ns


def test_a_sleep_is_as_long_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slept_s: list[float] = []
    monkeypatch.setattr(time, "sleep", slept_s.append)
    for duration_ns in (-5, 0, 1, 1_500_000_000):
        SystemClock().sleep_ns(duration_ns)
    assert slept_s == [1e-9, 1.5]


def test_the_end_of_a_precise_wait_is_spent_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    slept_s: list[float] = []
    clock, readings = SystemClock(), iter(range(1_000, 2_000_000, 100_000))
    monkeypatch.setattr(time, "sleep", slept_s.append)
    clock.now_ns = lambda: next(readings)
    clock.wait_until_ns(501_000)
    # Asleep until 200 us before: 300 us after the first reading. Awake until the reading that is the time itself.
    assert slept_s == [0.0003]
    assert next(readings) == 601_000
