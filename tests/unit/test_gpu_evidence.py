from __future__ import annotations

import os
from dataclasses import replace

import pytest

from voiceflow_ml.hardware.evidence import Finding, Severity, invalid_reasons
from voiceflow_ml.hardware.fake_nvml import FakeGpu, FakeNvml
from voiceflow_ml.hardware.gpu import Gpu, GpuProbe, GpuReading, GpuRecord
from voiceflow_ml.hardware.gpu_choice import Choice, first_cuda_device, pin
from voiceflow_ml.hardware.gpu_evidence import conduct_findings, identity_findings
from voiceflow_ml.hardware.gpu_watch import GpuWatch
from voiceflow_ml.hardware.nvml import ask_gpus
from voiceflow_ml.hardware.targets import find_gpu

T4 = find_gpu("t4")
A = FakeGpu(uuid="GPU-aaaa")
B = FakeGpu(uuid="GPU-bbbb", name="NVIDIA A100-SXM4-40GB", pci_device_id=0x20B0, compute_capability=(8, 0))


def probe(*gpus: FakeGpu) -> GpuProbe:
    with FakeNvml(*gpus).installed():
        return ask_gpus()


def chosen(*gpus: FakeGpu, **environment: str) -> Choice:
    return first_cuda_device(probe(*gpus), environment)


def severities(findings: list[Finding]) -> list[Severity]:
    return [finding.severity for finding in findings]


@pytest.mark.parametrize(
    ("environment", "uuid"),
    [
        ({"CUDA_VISIBLE_DEVICES": "GPU-b"}, "GPU-bbbb"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-aaaa,GPU-bbbb"}, "GPU-aaaa"),
        ({"CUDA_VISIBLE_DEVICES": "1,0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, "GPU-bbbb"),
        ({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, "GPU-aaaa"),
    ],
)
def test_device_0_is_found_where_the_environment_puts_it(environment: dict[str, str], uuid: str) -> None:
    gpu = chosen(A, B, **environment).gpu
    assert gpu is not None
    assert gpu.uuid == uuid


def test_a_single_gpu_is_device_0() -> None:
    for environment in ({}, {"CUDA_VISIBLE_DEVICES": "0"}):
        assert chosen(A, **environment).gpu is not None


@pytest.mark.parametrize(
    ("gpus", "environment", "problem"),
    [
        ((A, B), {}, "this machine has several GPUs (Tesla T4 (GPU-aaaa), NVIDIA A100-SXM4-40GB (GPU-bbbb)), and"),
        ((A, B), {"CUDA_VISIBLE_DEVICES": "1"}, "this machine has several GPUs"),
        ((A,), {"CUDA_VISIBLE_DEVICES": "3"}, "CUDA_VISIBLE_DEVICES=3 names no GPU of this machine: Tesla T4"),
        ((A,), {"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES is empty, which hides every GPU"),
        ((A, B), {"CUDA_VISIBLE_DEVICES": "GPU-"}, "CUDA_VISIBLE_DEVICES=GPU- names several GPUs of this machine"),
        ((A,), {"CUDA_VISIBLE_DEVICES": "GPU-x"}, "CUDA_VISIBLE_DEVICES=GPU-x names no GPU of this machine"),
        ((A,), {"CUDA_VISIBLE_DEVICES": "MIG-1"}, "CUDA_VISIBLE_DEVICES names a MIG slice (MIG-1), not a whole GPU"),
        ((), {}, "the driver names no GPU"),
    ],
)
def test_what_cannot_be_told_is_said(gpus: tuple[FakeGpu, ...], environment: dict[str, str], problem: str) -> None:
    choice = chosen(*gpus, **environment)
    assert choice.gpu is None
    assert choice.problem.startswith(problem)
    (finding,) = identity_findings(choice, T4)
    assert finding.severity is Severity.INVALID
    assert finding.remedy


def test_an_honest_t4_is_a_t4() -> None:
    findings = identity_findings(chosen(A), T4)
    assert severities(findings) == [Severity.INFORMATION]
    assert findings[0].fact == "the GPU is a Tesla T4 (GPU-aaaa, driver 580.82.07)"


@pytest.mark.parametrize(
    ("gpu", "severity", "fact"),
    [
        (B, Severity.INVALID, "CUDA uses a NVIDIA A100-SXM4-40GB (GPU-bbbb, compute capability 8.0), promised"),
        (replace(A, virtualization_mode=2), Severity.INVALID, "the Tesla T4 is a virtual GPU"),
        (replace(A, mig=True), Severity.INVALID, "the Tesla T4 is cut into MIG slices"),
        (replace(A, pci_device_id=0x2335), Severity.INVALID, "and its PCI device id 0x2335 is that of cuda-h200"),
        (replace(A, pci_device_id=0x1234), Severity.CAUTION, "0x1234 is none that the catalogue knows for cuda-t4"),
        (replace(A, compute_capability=(8, 9)), Severity.INVALID, "a Tesla T4 (GPU-aaaa, compute capability 8.9"),
    ],
)  # fmt: skip
def test_another_board_is_named(gpu: FakeGpu, severity: Severity, fact: str) -> None:
    weighty = [
        finding for finding in identity_findings(chosen(gpu), T4) if finding.severity is not Severity.INFORMATION
    ]
    assert severity in severities(weighty)
    assert any(fact in finding.fact for finding in weighty)
    assert all(finding.remedy for finding in weighty)


def test_a_gpu_that_is_passed_through_whole_is_no_virtual_one() -> None:
    assert invalid_reasons(identity_findings(chosen(replace(A, virtualization_mode=1)), T4)) == ()


def test_a_driver_that_says_nothing_leaves_the_name() -> None:
    with FakeNvml.not_supported_everywhere().installed():
        found = identity_findings(first_cuda_device(ask_gpus(), {}), T4)
    assert severities(found) == [Severity.INFORMATION] * 2
    assert found[1].fact == "the GPU's PCI device id is unknown: the driver does not say"


def watched(driver: FakeNvml, blocks: int = 4) -> list[Finding]:
    with driver.installed():
        (gpu,) = ask_gpus().gpus
        ticks = iter([0, 1_000_000_000])
        watch = GpuWatch(gpu, now_ns=lambda: next(ticks))
        for _ in range(blocks):
            watch.after_block()
        return conduct_findings(watch.record(), T4)


def test_an_honest_run_has_nothing_against_it() -> None:
    found = watched(FakeNvml.t4())
    assert severities(found) == [Severity.INFORMATION] * 3
    assert [finding.fact for finding in found] == [
        "SM clock 1110 MHz (median after each block, 58 C), 190% of its default of 585 MHz",
        "the GPU held its clocks down for no reason during the run",
        "no other process computed on the GPU",
    ]


def test_clocks_that_collapsed_are_invalid_however_cool_it_is() -> None:
    (reason,) = invalid_reasons(watched(FakeNvml.t4_at_146_mhz()))
    assert reason.startswith(
        "the clocks collapsed: SM clock 146 MHz (median after each block, 53 C), 25% of its default"
    )


@pytest.mark.parametrize(("clock", "collapsed"), [(439, False), (438, True)])
def test_three_quarters_of_the_default_are_enough(clock: int, collapsed: bool) -> None:
    assert bool(invalid_reasons(watched(FakeNvml(FakeGpu(sm_mhz=[clock]))))) == collapsed


@pytest.mark.parametrize(("clock", "collapsed"), [(398, False), (397, True)])
def test_without_a_default_the_boost_clock_of_the_catalogue_is_asked(clock: int, collapsed: bool) -> None:
    silent = frozenset({"nvmlDeviceGetDefaultApplicationsClock"})
    assert bool(invalid_reasons(watched(FakeNvml(FakeGpu(sm_mhz=[clock], not_supported=silent))))) == collapsed


def test_a_slowdown_is_a_caution_with_its_share() -> None:
    found = [finding for finding in watched(FakeNvml.throttling_t4()) if finding.severity is Severity.CAUTION]
    assert [finding.fact for finding in found] == [
        "the GPU held its clocks down for 20.0% of the run (hardware thermal slowdown)"
    ]


def test_a_power_cap_is_normal_on_a_board_that_is_built_for_it() -> None:
    found = watched(FakeNvml(FakeGpu(slowed_ns_per_read={74: 100_000_000})))
    assert severities(found) == [Severity.INFORMATION] * 3
    assert "held its clocks down for 50.0% of the run (software power cap)" in found[1].fact


def test_another_process_on_the_gpu_is_invalid() -> None:
    (reason,) = invalid_reasons(watched(FakeNvml(FakeGpu(pids=[os.getpid(), 4242]))))
    assert reason.startswith("1 other process computed on the GPU during the run (process id 4242); stop them")


def test_what_the_driver_does_not_say_is_said() -> None:
    found = watched(FakeNvml.not_supported_everywhere())
    assert severities(found) == [Severity.INFORMATION] * 3
    assert all("unknown" in finding.fact for finding in found)


@pytest.mark.parametrize(
    ("answers", "severity", "fact"),
    [
        ("yyn", Severity.INVALID, "the NVIDIA driver stopped answering during the run (1 of 3 times)"),
        ("yny", Severity.CAUTION, "the NVIDIA driver did not answer 1 of 3 times during the run"),
        ("nnn", Severity.INVALID, "the NVIDIA driver stopped answering during the run (3 of 3 times)"),
    ],
)
def test_a_driver_that_falls_silent_is_found_out(answers: str, severity: Severity, fact: str) -> None:
    readings = iter([GpuReading(sm_mhz=1110, answered=answer == "y") for answer in answers])
    watch = GpuWatch(Gpu("u", "Tesla T4", None, None), lambda _uuid: next(readings))
    watch.after_block()
    silent = conduct_findings(watch.record(), T4)[0]
    assert silent.severity is severity
    assert silent.fact.startswith(fact)
    assert "dmesg" in silent.remedy


def test_a_target_without_any_clock_is_told_its_own() -> None:
    reading = GpuReading()
    record = GpuRecord(Gpu("u", "n", None, None), reading, reading, (900,), None, 1)
    assert conduct_findings(record, replace(T4, boost_clock_mhz=None))[0].fact.startswith("SM clock 900 MHz")


def test_of_several_gpus_the_promised_one_is_pinned_unless_the_user_chose() -> None:
    environment: dict[str, str] = {}
    pin(probe(B, A, replace(A, uuid="GPU-cccc")), T4, environment)
    assert environment == {"CUDA_VISIBLE_DEVICES": "GPU-aaaa"}
    pin(probe(B, A), find_gpu("a100"), environment)
    assert environment == {"CUDA_VISIBLE_DEVICES": "GPU-aaaa"}
    for gpus in ((A,), (B, B)):
        untouched: dict[str, str] = {}
        pin(probe(*gpus), T4, untouched)
        assert untouched == {}
