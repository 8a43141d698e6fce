from __future__ import annotations

import numpy as np
import pytest

from voiceflow_ml.errors import SampleError
from voiceflow_ml.hardware.evidence import (
    Finding,
    Severity,
    adjusted_clock_finding,
    contiguous_finding,
    control_finding,
    hash_finding,
    marked_blocks,
    pressure_finding,
    run_delay_finding,
    span_finding,
    threads_finding,
    timer_finding,
    warmup_finding,
)
from voiceflow_ml.hardware.targets import CPU, find_gpu
from voiceflow_ml.inference.call import opaque_finding
from voiceflow_ml.units import NS_PER_S


def test_a_finding_ends_in_its_remedy_where_it_has_one() -> None:
    assert Finding(Severity.CAUTION, "it rains", "take a coat").sentence == "it rains; take a coat"
    assert Finding(Severity.INFORMATION, "it is dry").sentence == "it is dry"


def test_a_clock_too_coarse_for_the_latency_makes_a_run_invalid() -> None:
    assert timer_finding(step_ns=50, median_ns=1_000) is None
    stands = timer_finding(step_ns=None, median_ns=0)
    assert stands is not None
    assert (stands.severity, stands.fact) == (Severity.INVALID, "the monotonic clock stands still")
    finding = timer_finding(step_ns=50, median_ns=999)
    assert finding is not None
    assert finding.severity is Severity.INVALID
    assert finding.sentence == (
        "two reads of the clock are at least 50 ns apart, too coarse for a median latency of 999 ns; "
        "time work that takes at least 1000 ns"
    )


def test_a_short_span_is_cautioned_with_the_option_that_mends_it() -> None:
    assert span_finding(10 * NS_PER_S) is None
    finding = span_finding(2 * NS_PER_S)
    assert finding is not None
    assert finding.severity is Severity.CAUTION
    assert finding.sentence == "the samples span only 2 s; spread them over at least 10 s (--sla-span=10s)"


def test_another_file_than_the_declared_one_makes_a_run_invalid() -> None:
    assert hash_finding("", "ab" * 32) is None
    assert hash_finding("AB" * 32, "ab" * 32) is None
    finding = hash_finding("cd" * 32, "ab" * 32)
    assert finding is not None
    assert finding.severity is Severity.INVALID
    assert finding.fact == "the model file's SHA-256 is abababababab..., declared is cdcdcdcdcdcd..."


def test_a_callable_that_proves_nothing_is_a_caution_on_a_cpu_and_invalid_on_a_gpu() -> None:
    assert opaque_finding(CPU).severity is Severity.CAUTION
    finding = opaque_finding(find_gpu("t4"))
    assert finding.severity is Severity.INVALID
    assert "nothing proves that the measured callable ran on cuda-t4" in finding.sentence
    assert "open_onnx" in finding.remedy


@pytest.mark.parametrize(
    ("waited_ns", "busy_ns", "severity", "fact"),
    [
        (0, 1_000, Severity.INFORMATION, "the measuring thread stood in the run queue for 0.0% of the timed work"),
        (50, 1_000, Severity.INFORMATION, "the measuring thread stood in the run queue for 5.0% of the timed work"),
        (51, 1_000, Severity.CAUTION, "the measuring thread stood in the run queue for 5.1% of the timed work"),
        (9_000, 1_000, Severity.CAUTION, "the measuring thread stood in the run queue for 100.0% of the timed work"),
        (None, 1_000, Severity.INFORMATION, "how long the measuring thread waited for a CPU is unknown on this system"),
        (0, 0, Severity.INFORMATION, "how long the measuring thread waited for a CPU is unknown on this system"),
    ],
)
def test_the_run_queue_is_told_and_cautioned_above_a_twentieth(
    waited_ns: int | None, busy_ns: int, severity: Severity, fact: str
) -> None:
    finding = run_delay_finding(waited_ns, busy_ns)
    assert (finding.severity, finding.fact) == (severity, fact)
    assert ('clock = "adjusted"' in finding.remedy) == (severity is Severity.CAUTION)


@pytest.mark.parametrize(
    ("cpu_wait_ns", "duration_ns", "marked"),
    [
        ([], [], 0),
        ([50, 51, 0], [1_000, 1_000, 1_000], 1),
        ([51, 51, 51], [1_000, 2_000, 500], 2),
        ([-1, -1], [1_000, 0], 0),
        ([0], [0], 0),
    ],
)
def test_a_block_with_more_than_a_twentieth_of_waiting_is_marked(
    cpu_wait_ns: list[int], duration_ns: list[int], marked: int
) -> None:
    assert marked_blocks(np.array(cpu_wait_ns, np.int64), np.array(duration_ns, np.int64)) == marked


def test_blocks_need_a_wait_and_a_duration_each() -> None:
    with pytest.raises(SampleError, match=r"shapes \[2\] and \[1\]: give one of each per block"):
        marked_blocks(np.array([1, 2]), np.array([1]))


@pytest.mark.parametrize(
    ("marked", "blocks", "severity", "counts"),
    [
        (0, 210, Severity.INFORMATION, "in 0 of 210 blocks"),
        (42, 210, Severity.INFORMATION, "in 42 of 210 blocks"),
        (43, 210, Severity.CAUTION, "in 43 of 210 blocks"),
        (1_000, 1_000, Severity.CAUTION, "in 1 000 of 1 000 blocks"),
    ],
)
def test_pressure_is_cautioned_when_more_than_a_fifth_of_the_blocks_are_marked(
    marked: int, blocks: int, severity: Severity, counts: str
) -> None:
    finding = pressure_finding(marked, blocks)
    assert finding.severity is severity
    assert finding.fact == f"{counts} some task waited for a CPU for more than 5% of the time"
    assert bool(finding.remedy) == (severity is Severity.CAUTION)


def test_pressure_of_no_known_block_is_unknown() -> None:
    finding = pressure_finding(0, 0)
    assert finding.severity is Severity.INFORMATION
    assert "unknown" in finding.fact


@pytest.mark.parametrize(
    ("control_ns", "severity", "fact"),
    [
        ([80_000], Severity.INFORMATION, "a fixed control workload varied by 1.00x (median 80 us, P95 80 us)"),
        # The 95th of 100 is still the fast one.
        (
            [80_000] * 95 + [800_000] * 5,
            Severity.INFORMATION,
            "a fixed control workload varied by 1.00x (median 80 us, P95 80 us)",
        ),
        (
            [80_000] * 94 + [120_000] * 6,
            Severity.INFORMATION,
            "a fixed control workload varied by 1.50x (median 80 us, P95 120 us)",
        ),
        (
            [80_000] * 94 + [144_000] * 6,
            Severity.CAUTION,
            "a fixed control workload varied by 1.80x (median 80 us, P95 144 us): the machine itself changed speed",
        ),
        ([0, 0], Severity.INFORMATION, "a fixed control workload varied by 0.00x (median 0 ns, P95 0 ns)"),
    ],
)
def test_a_control_that_varies_says_that_the_machine_did(control_ns: list[int], severity: Severity, fact: str) -> None:
    finding = control_finding(np.array(control_ns, np.int64))
    assert finding is not None
    assert (finding.severity, finding.fact) == (severity, fact)
    assert bool(finding.remedy) == (severity is Severity.CAUTION)


def test_a_control_that_was_not_timed_says_nothing() -> None:
    assert control_finding(np.array([], np.int64)) is None


def test_a_warmup_without_a_steady_state_is_cautioned() -> None:
    assert warmup_finding(steady=True, calls=40) is None
    finding = warmup_finding(steady=False, calls=2_000)
    assert finding is not None
    assert finding.severity is Severity.CAUTION
    assert finding.fact == "the warm-up ended after 2 000 calls without a steady state"
    assert finding.remedy


@pytest.mark.parametrize(
    ("process_time_ns", "thread_time_ns", "told"),
    [(0, 0, False), (1_000, 1_000, False), (1_050, 1_000, False), (1_051, 1_000, True), (1, 0, True)],
)
def test_work_on_other_threads_of_the_process_is_told(process_time_ns: int, thread_time_ns: int, told: bool) -> None:
    assert (threads_finding(process_time_ns, thread_time_ns) is not None) == told


def test_work_on_other_threads_says_what_it_means_for_the_adjusted_clock() -> None:
    finding = threads_finding(process_time_ns=4_000_000, thread_time_ns=1_000_000)
    assert finding is not None
    assert finding.severity is Severity.INFORMATION
    assert finding.sentence == (
        "worker threads of the process itself used the CPU (4 ms in all, 1 ms of it on the measuring thread), "
        "so run-queue wait may be self-inflicted and the adjusted clock does not count"
    )


def test_a_promise_about_an_adjusted_clock_that_does_not_count_is_invalid() -> None:
    finding = adjusted_clock_finding("the system does not count the run delay")
    assert finding.severity is Severity.INVALID
    assert finding.sentence == (
        'the promise is about clock = "adjusted", which does not count here: '
        'the system does not count the run delay; declare clock = "wall", or give the model one thread (threads = 1)'
    )


def test_samples_back_to_back_are_cautioned_with_the_mode_that_spreads_them() -> None:
    finding = contiguous_finding()
    assert finding.severity is Severity.CAUTION
    assert 'mode = "steady"' in finding.sentence
