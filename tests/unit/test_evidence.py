from __future__ import annotations

import pytest

from voiceflow_ml.hardware.evidence import (
    Finding,
    Severity,
    cpu_wait_finding,
    hash_finding,
    span_finding,
    timer_finding,
)
from voiceflow_ml.hardware.targets import CPU, find_gpu
from voiceflow_ml.inference.call import opaque_finding
from voiceflow_ml.units import NS_PER_S


def test_a_finding_ends_in_its_remedy_where_it_has_one() -> None:
    assert Finding(Severity.CAUTION, "it rains", "take a coat").sentence == "it rains; take a coat"
    assert Finding(Severity.INFORMATION, "it is dry").sentence == "it is dry"


@pytest.mark.parametrize(
    ("wait_ns", "severity", "fact"),
    [
        (0, Severity.INFORMATION, "some task waited for a CPU during 0.0% of the measurement"),
        (50, Severity.INFORMATION, "some task waited for a CPU during 5.0% of the measurement"),
        (51, Severity.CAUTION, "some task waited for a CPU during 5.1% of the measurement"),
        (2_000, Severity.CAUTION, "some task waited for a CPU during 100.0% of the measurement"),
        (None, Severity.INFORMATION, "how long tasks waited for a CPU is unknown on this system"),
    ],
)
def test_waiting_for_a_cpu_is_told_and_cautioned_above_a_twentieth(
    wait_ns: int | None, severity: Severity, fact: str
) -> None:
    finding = cpu_wait_finding(wait_ns, 1_000)
    assert (finding.severity, finding.fact) == (severity, fact)
    assert bool(finding.remedy) == (severity is Severity.CAUTION)


def test_an_empty_span_has_no_share() -> None:
    assert cpu_wait_finding(5, 0).severity is Severity.INFORMATION


def test_a_clock_too_coarse_for_the_latency_makes_a_run_invalid() -> None:
    assert timer_finding(step_ns=50, median_ns=1_000) is None
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
