from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voiceflow_ml.latency import ClockChannel, Mode, Outcome, Verdict, judge
from voiceflow_ml.latency.channels import own_threads_problem, take_off_wait
from voiceflow_ml.latency.run import SchedulerRecord, channels_of

LIMIT_NS = 10_000_000
MET, BREACHED, INCONCLUSIVE = Outcome.MET, Outcome.BREACHED, Outcome.INCONCLUSIVE
OWN = "the process used {} times the CPU time of the measuring thread, so the wait may be for its own threads"


@pytest.mark.parametrize(
    ("wall_ns", "run_delay_ns", "thread_time_ns", "adjusted_ns"),
    [
        (100, 0, 100, 100),
        (100, 30, 70, 70),
        # What is taken off stays within the time that the thread did not run.
        (100, 60, 70, 70),
        # Waiting for something else than a CPU stays on.
        (100, 30, 20, 70),
        # The thread's clock may tick past the wall's, reading it included.
        (100, 50, 130, 100),
        (100, 100, 0, 0),
        (0, 0, 0, 0),
    ],
)
def test_the_wait_is_taken_off(wall_ns: int, run_delay_ns: int, thread_time_ns: int, adjusted_ns: int) -> None:
    one = (np.array([value]) for value in (wall_ns, run_delay_ns, thread_time_ns))
    assert take_off_wait(*one).tolist() == [adjusted_ns]


durations = st.integers(0, 2**40)


@given(st.lists(st.tuples(durations, durations, durations), min_size=1, max_size=50))
def test_adjusted_samples_lie_between_nothing_and_the_wall(rows: list[tuple[int, int, int]]) -> None:
    wall_ns, run_delay_ns, thread_time_ns = np.array(rows, dtype=np.int64).T
    adjusted_ns = take_off_wait(wall_ns, run_delay_ns, thread_time_ns)
    assert adjusted_ns.dtype == np.int64
    assert np.all(adjusted_ns <= wall_ns)
    assert np.all(adjusted_ns >= np.minimum(thread_time_ns, wall_ns))
    assert np.all(adjusted_ns >= wall_ns - run_delay_ns)


@pytest.mark.parametrize(
    ("process_ns", "thread_ns", "problem"),
    [
        (0, 0, ""),
        (1_000, 1_000, ""),
        (1_050, 1_000, ""),
        (1_051, 1_000, OWN.format("1.05")),
        (2_000, 1_000, OWN.format("2.00")),
        (1, 0, OWN.format("inf")),
    ],
)
def test_other_threads_of_the_process_end_the_adjusted_reading(process_ns: int, thread_ns: int, problem: str) -> None:
    assert own_threads_problem(process_ns, thread_ns) == problem


def record(*, source: str = "schedstat", process_ns: int = 100) -> SchedulerRecord:
    counts = np.array([10, 20], dtype=np.int64)
    return SchedulerRecord(source, counts, 2 * counts, None, process_ns, 100)


@pytest.mark.parametrize(
    ("scheduler", "mode", "problem"),
    [
        (record(), Mode.STEADY, ""),
        (record(source="involuntary switches"), Mode.PACED, ""),
        (record(), Mode.BACK_TO_BACK, ""),
        (None, Mode.STEADY, "the scheduler's counters were not read"),
        (record(source="none"), Mode.STEADY, "this system does not count how long a thread waits for a CPU"),
        (
            record(),
            Mode.OPEN_LOOP,
            "an open-loop latency includes waiting behind earlier requests, which is not the scheduler's doing",
        ),
        (record(process_ns=106), Mode.STEADY, OWN.format("1.06")),
    ],
)
def test_when_the_adjusted_reading_counts(scheduler: SchedulerRecord | None, mode: Mode, problem: str) -> None:
    wall_ns = np.array([100, 100], dtype=np.int64)
    channels = channels_of(wall_ns, scheduler, mode)
    assert channels.wall_ns is wall_ns
    assert channels.problem == problem
    if problem:
        assert channels.adjusted_ns is None
    else:
        assert channels.adjusted_ns is not None
        assert channels.adjusted_ns.tolist() == [90, 80]


def evenly(samples: int, count: int) -> NDArray[np.intp]:
    return ((np.arange(count) + 0.5) * samples / max(1, count)).astype(np.intp)


def judged(wall_over: int, adjusted_over: int, *, burst: int = 0) -> Verdict:
    """2 000 samples on both clocks, the slow ones evenly spread, but for a burst that was all waiting."""
    adjusted_ns = np.full(2_000, LIMIT_NS // 2, dtype=np.int64)
    slow = evenly(2_000, wall_over)
    adjusted_ns[slow[evenly(wall_over, adjusted_over)]] = 2 * LIMIT_NS
    wall_ns = adjusted_ns.copy()
    wall_ns[slow] = 2 * LIMIT_NS
    wall_ns[1_900 : 1_900 + burst] = 2 * LIMIT_NS
    return judge(wall_ns, limit_ns=LIMIT_NS, quantile=0.99, adjusted_ns=adjusted_ns)


COUNTED = "samples took longer (a P99 exactly on the limit gives 20 on average)"
CONVICTED = f"with 99 % confidence: 50 of 2 000 {COUNTED}, the time spent waiting for a CPU already taken off"
HOPELESS = "the percentile is too close to the limit for any practical number of samples"
WITHOUT = "without the time spent waiting for a CPU it is 5 ms, which is"
OVER = f"P99 is over 10 ms on the wall clock: 60 of 2 000 {COUNTED}"
UNDECIDED = f"10 ms is open at 99 % confidence: 20 of 2 000 {COUNTED}; {HOPELESS}"
CURE = 'a quieter machine would decide, or clock = "adjusted", which leaves it out'


@pytest.mark.parametrize(
    ("wall_over", "adjusted_over", "outcomes", "sentence"),
    [
        (3, 3, (MET, MET, MET), f"P99 is within 10 ms with 99 % confidence: 3 of 2 000 {COUNTED}"),
        (3, 0, (MET, MET, MET), f"P99 is within 10 ms with 99 % confidence: 3 of 2 000 {COUNTED}"),
        (60, 50, (BREACHED, BREACHED, BREACHED), f"P99 is over 10 ms {CONVICTED}"),
        (60, 2, (INCONCLUSIVE, BREACHED, MET), f"{OVER}; {WITHOUT} within it; {CURE}"),
        (60, 20, (INCONCLUSIVE, BREACHED, INCONCLUSIVE), f"{OVER}; {WITHOUT} open; {CURE}"),
        (20, 2, (INCONCLUSIVE, INCONCLUSIVE, MET), f"P99 against {UNDECIDED}; {WITHOUT} within it"),
        (20, 20, (INCONCLUSIVE, INCONCLUSIVE, INCONCLUSIVE), f"P99 against {UNDECIDED}; {WITHOUT} open"),
    ],
)
def test_the_wall_clock_acquits_and_the_adjusted_clock_convicts(
    wall_over: int, adjusted_over: int, outcomes: tuple[Outcome, Outcome, Outcome], sentence: str
) -> None:
    verdict = judged(wall_over, adjusted_over)
    assert verdict.adjusted is not None
    wall = judged(wall_over, wall_over)
    assert (verdict.outcome, wall.outcome, verdict.adjusted.outcome) == outcomes
    assert verdict.sentence == sentence
    # The figures beside it are those of the wall clock; the adjusted ones hang below.
    assert (verdict.clock, verdict.adjusted.clock) == (ClockChannel.WALL, ClockChannel.ADJUSTED)
    assert (verdict.exceedances, verdict.adjusted.exceedances) == (wall_over, adjusted_over)
    assert (verdict.log_e_met, verdict.log_e_breached) == (wall.log_e_met, wall.log_e_breached)
    assert verdict.adjusted.adjusted is None
    low_ns, high_ns = verdict.interval.low_ns or 0, verdict.interval.high_ns or math.inf
    if verdict.outcome is MET:
        assert low_ns <= high_ns <= LIMIT_NS
    elif verdict.outcome is BREACHED:
        assert LIMIT_NS <= low_ns <= high_ns


def test_a_burst_of_waiting_cannot_hide_that_the_rest_is_too_slow() -> None:
    verdict = judged(60, 60, burst=60)
    assert verdict.adjusted is not None
    assert verdict.log_e_breached < np.log(100) <= verdict.adjusted.log_e_breached
    assert (verdict.outcome, verdict.samples_needed) == (BREACHED, None)
    # The wall clock by itself would leave limits open on either side; the verdict does not.
    assert verdict.interval.low_ns == LIMIT_NS


def test_two_channels_forecast_what_holds_the_verdict_up() -> None:
    assert judged(12, 12).samples_needed is not None
    assert judged(12, 2).samples_needed == judged(12, 12).samples_needed
    held_up = judged(60, 30)
    assert held_up.adjusted is not None
    assert held_up.outcome is INCONCLUSIVE
    assert held_up.samples_needed == held_up.adjusted.samples_needed
    assert held_up.samples_needed is not None
    assert held_up.samples_needed > 2_000
    # Where the adjusted clock is within the limit, more of the same noise would change nothing.
    assert judged(60, 2).samples_needed is None
