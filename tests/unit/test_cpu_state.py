from __future__ import annotations

import os
from pathlib import Path

import pytest

from voiceflow_ml.hardware.cpu_evidence import cpu_findings
from voiceflow_ml.hardware.cpu_state import (
    CpuReading,
    CpuRecord,
    CpuWatch,
    allowed_cpus,
    cpu_flags,
    cpu_quota,
    governor,
    own_cgroup,
    read_cpu,
)
from voiceflow_ml.hardware.evidence import Severity

STAT = "cpu  100 0 50 800 10 0 5 {steal} 0 0\ncpu0 1 2 3\n"
CPU_STAT = "usage_usec 900\nnr_periods 10\nnr_throttled {periods}\nthrottled_usec {usec}\n"


class Machine:
    """Files as a kernel writes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stat = folder / "stat"
        self.count(steal=0, periods=0, usec=0)

    def count(self, steal: int, periods: int, usec: int) -> None:
        self.stat.write_text(STAT.format(steal=steal))
        (self.folder / "cpu.stat").write_text(CPU_STAT.format(periods=periods, usec=usec))


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_counts_grow_over_a_measurement(machine: Machine) -> None:
    watch = CpuWatch(machine.stat, machine.folder)
    machine.count(steal=35, periods=4, usec=1_500)
    record = watch.record()
    # All of what passed was steal: nothing else grew.
    assert (record.steal_share, record.throttled_periods, record.throttled_ns) == (1.0, 4, 1_500_000)


def test_a_quiet_machine_has_nothing_against_a_run() -> None:
    quiet = CpuRecord(CpuReading(1, 1_000, 7, 9), CpuReading(2, 2_000, 7, 9), "performance")
    found = cpu_findings(quiet)
    assert [finding.severity for finding in found] == [Severity.INFORMATION] * 3
    assert [finding.fact for finding in found] == [
        "a hypervisor gave 0.1% of the CPU time to others",
        "no CPU quota stopped the process",
        "the CPU frequency governor is performance",
    ]


def test_what_disturbs_a_run_is_a_caution_with_a_remedy() -> None:
    disturbed = CpuRecord(CpuReading(0, 0, 0, 0), CpuReading(50, 1_000, 12, 340_000_000), "powersave")
    found = cpu_findings(disturbed)
    assert [finding.severity for finding in found] == [Severity.CAUTION] * 3
    assert all(finding.remedy for finding in found)
    assert [finding.fact for finding in found] == [
        "a hypervisor gave 5.0% of the CPU time to others",
        "the CPU quota of its control group stopped the process in 12 periods, 340 ms in all",
        "the CPU frequency governor is powersave: clocks follow the load, and gaps make them fall",
    ]


def test_what_the_kernel_does_not_say_is_unknown(tmp_path: Path) -> None:
    assert read_cpu(tmp_path / "stat", tmp_path) == CpuReading()
    found = cpu_findings(CpuRecord(CpuReading(), CpuReading()))
    assert [finding.severity for finding in found] == [Severity.INFORMATION] * 3
    assert all("unknown" in finding.fact for finding in found)
    for text in ("", "cpu one two\n", "intr 5\n", "cpu 1 2 3\n"):
        (tmp_path / "stat").write_text(text)
        assert read_cpu(tmp_path / "stat", tmp_path) == CpuReading()


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        ("0::/job\n", "job"),
        ("4:memory:/m\n3:cpu,cpuacct:/job\n", "cpu,cpuacct/job"),
        ("2:cpu:/host/path\n", "cpu"),
        ("0::/host/path\n", "."),
        ("nonsense\n", "."),
    ],
)
def test_the_control_group_is_found_in_either_hierarchy(tmp_path: Path, names: str, folder: str) -> None:
    (tmp_path / "self").write_text(names)
    root = tmp_path / "groups"
    (root / folder).mkdir(parents=True)
    (root / folder / "cpu.stat").write_text("nr_throttled 1\n")
    assert own_cgroup(tmp_path / "self", root).resolve() == (root / folder).resolve()


@pytest.mark.parametrize(
    ("file", "text", "quota"),
    [
        ("cpu.max", "150000 100000\n", 1.5),
        ("cpu.max", "max 100000\n", None),
        ("cpu.cfs_quota_us", "50000\n", 0.5),
        ("cpu.cfs_quota_us", "-1\n", None),
        ("cpu.max", "some words\n", None),
        ("nothing", "", None),
    ],
)
def test_the_quota_is_in_cpus(tmp_path: Path, file: str, text: str, quota: float | None) -> None:
    (tmp_path / file).write_text(text)
    assert cpu_quota(tmp_path) == quota


def test_an_older_kernel_counts_stopped_time_in_nanoseconds(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("nr_throttled 2\nthrottled_time 77\n")
    assert read_cpu(tmp_path / "stat", tmp_path) == CpuReading(None, None, 2, 77)


def test_the_governor_and_the_flags_are_those_of_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "governor").write_text("schedutil\n")
    (tmp_path / "cpuinfo").write_text("processor: 0\nflags\t\t: fpu avx2 avx512_vnni\n\nflags: none\n")
    assert governor(tmp_path / "governor") == "schedutil"
    assert governor(tmp_path / "none") is None
    assert cpu_flags(tmp_path / "cpuinfo") == ("avx2", "avx512_vnni")
    assert cpu_flags(tmp_path / "none") == ()


def test_this_machine_answers_without_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    CpuWatch().record()
    assert (allowed_cpus() or 1) >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert allowed_cpus() is None
