from __future__ import annotations

import time

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


def test_the_system_clock_is_the_c_function_itself() -> None:
    # A Python method around it would add its own cost to every sample.
    assert SystemClock().now_ns is time.perf_counter_ns


def test_the_system_clock_does_not_sleep_for_nothing() -> None:
    clock: Clock = SystemClock()
    clock.sleep_ns(0)
    clock.sleep_ns(-1)
    assert clock.now_ns() <= clock.now_ns()
