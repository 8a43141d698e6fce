from __future__ import annotations

import itertools
import platform
import time
from pathlib import Path

import psutil
import pytest

from voiceflow_ml.hardware import probe
from voiceflow_ml.hardware.gpu import Gpu, GpuProbe
from voiceflow_ml.hardware.probe import clock_step_ns, probe_gpus, probe_machine


def _driver_is_here() -> bool:
    return Path("/proc/driver/nvidia/version").exists()


@pytest.mark.skipif(_driver_is_here(), reason="this machine has an NVIDIA driver")
def test_a_machine_without_a_driver_says_so() -> None:
    found = probe_gpus()
    assert found.gpus == ()
    assert found.problem
    assert found.describe() == f"no NVIDIA GPU ({found.problem})"


def test_gpus_are_described_by_name_and_identity() -> None:
    gpus = (Gpu("GPU-1", "Tesla T4", (7, 5), 2**34), Gpu("GPU-2", "NVIDIA L4", None, None))
    assert GpuProbe(gpus).describe() == "Tesla T4 (GPU-1), NVIDIA L4 (GPU-2)"
    assert GpuProbe(()).describe() == "no NVIDIA GPU"


def test_a_system_without_proc_answers_unknown_not_an_error(tmp_path: Path) -> None:
    assert probe._cpu_model(tmp_path / "absent") == (platform.processor() or "unknown")


def test_the_cpu_model_is_the_first_that_the_kernel_names(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_bytes(b"processor\t: 0\nmodel name\t: Fast CPU @ 3: \xff GHz\nmodel name\t: other\n")
    assert probe._cpu_model(file) == "Fast CPU @ 3: \ufffd GHz"
    file.write_text("processor\t: 0\nCPU part\t: 0xd0c\n")
    assert probe._cpu_model(file) == (platform.processor() or "unknown")


def test_a_machine_is_described_for_a_report() -> None:
    facts = probe_machine()
    assert list(facts) == [
        "CPU",
        "logical cores",
        "CPUs of this process",
        "CPU quota",
        "CPU governor",
        "CPU instructions",
        "memory",
        "system",
        "Python",
    ]
    assert all(facts.values())
    assert int(facts["logical cores"]) >= 1
    assert float(facts["memory"].removesuffix(" GiB")) > 0
    assert facts["Python"] == platform.python_version()


def test_a_machine_whose_memory_nobody_tells_is_described_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise FileNotFoundError(2, "No such file or directory", "/proc/meminfo")

    monkeypatch.setattr(psutil, "virtual_memory", absent)
    assert probe_machine()["memory"] == "unknown"


def test_the_clock_has_a_step() -> None:
    step_ns = clock_step_ns()
    assert step_ns is not None
    assert step_ns >= 1


def test_a_clock_that_stands_still_has_none_and_one_that_goes_back_has_its_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "_MOST_READS", 5_000)
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 7)
    assert clock_step_ns() is None
    readings_ns = itertools.count(start=10**9, step=-3)
    monkeypatch.setattr(time, "perf_counter_ns", lambda: next(readings_ns))
    assert clock_step_ns() == 3
