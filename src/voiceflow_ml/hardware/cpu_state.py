"""What the kernel says about the CPUs of this machine: steal, quota, governor. Unknown is None, never an error."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
_CGROUP_OF_SELF = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_CPUINFO = Path("/proc/cpuinfo")
# Instruction sets that decide which kernels a runtime picks.
_TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "asimd", "sve")


@dataclass(frozen=True)
class CpuReading:
    """Accumulated counts at one moment.

    Attributes:
        steal_ticks: time that a hypervisor gave to others while a task here was ready, in clock ticks.
        total_ticks: all time of all CPUs, in clock ticks.
        throttled_periods: periods in which the control group's quota was used up and its tasks stood still.
        throttled_ns: time that they stood still for it.
    """

    steal_ticks: int | None = None
    total_ticks: int | None = None
    throttled_periods: int | None = None
    throttled_ns: int | None = None


@dataclass(frozen=True)
class CpuRecord:
    """What the kernel counted over a measurement, and how the first core's clock follows the load (None: unknown)."""

    before: CpuReading
    after: CpuReading
    governor: str | None = None

    @property
    def steal_share(self) -> float | None:
        """Share of all CPU time that a hypervisor gave to others; None where it is not known."""
        steal = _grown(self.before.steal_ticks, self.after.steal_ticks)
        total = _grown(self.before.total_ticks, self.after.total_ticks)
        return steal / total if steal is not None and total else None

    @property
    def throttled_periods(self) -> int | None:
        """Periods in which the quota was used up; None where there is none or it is not known."""
        return _grown(self.before.throttled_periods, self.after.throttled_periods)

    @property
    def throttled_ns(self) -> int | None:
        """Time that tasks stood still for the quota."""
        return _grown(self.before.throttled_ns, self.after.throttled_ns)


def _grown(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(0, after - before)


class CpuWatch:
    """Reads before a measurement and after it. Paths are arguments for the tests.

    Args:
        stat: the kernel's counts of CPU time.
        cgroup: folder of this process's control group; None for the one that the kernel names.
        scaling_governor: the first core's.
    """

    def __init__(self, stat: Path = _STAT, cgroup: Path | None = None, scaling_governor: Path = _GOVERNOR) -> None:
        self._stat, self._cgroup, self._governor = stat, cgroup or own_cgroup(), scaling_governor
        self._before = read_cpu(stat, self._cgroup)

    def record(self) -> CpuRecord:
        """Read for the second time."""
        return CpuRecord(self._before, read_cpu(self._stat, self._cgroup), governor(self._governor))


def read_cpu(stat: Path, cgroup: Path) -> CpuReading:
    """Read the counts now."""
    ticks = _ticks(_text(stat))
    counts = _pairs(_text(cgroup / "cpu.stat"))
    throttled_ns = counts.get("throttled_time")
    if "throttled_usec" in counts:
        throttled_ns = counts["throttled_usec"] * 1_000
    return CpuReading(
        steal_ticks=ticks[7] if len(ticks) > 7 else None,
        # Guest time is in the first two already.
        total_ticks=sum(ticks[:8]) if len(ticks) > 7 else None,
        throttled_periods=counts.get("nr_throttled"),
        throttled_ns=throttled_ns,
    )


def own_cgroup(names: Path = _CGROUP_OF_SELF, root: Path = _CGROUPS) -> Path:
    """Folder that holds this process's ``cpu.stat``: of a unified hierarchy, or of the cpu controller's own."""
    for line in _text(names).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "" or "cpu" in controllers.split(","):
            for folder in (root / controllers, root / "cpu"):
                # Inside a container the path is the host's, and the container's group is mounted as the root.
                for candidate in (folder / path.lstrip("/"), folder):
                    if (candidate / "cpu.stat").is_file():
                        return candidate
    return root


def cpu_quota(cgroup: Path | None = None) -> float | None:
    """CPUs' worth of time that the control group may use; None for no limit, or where it is not known."""
    folder = cgroup or own_cgroup()
    quota, period = (_text(folder / "cpu.max").split() or ["max", "100000"])[:2]
    if quota == "max":
        quota = _text(folder / "cpu.cfs_quota_us").strip() or "-1"
        period = _text(folder / "cpu.cfs_period_us").strip() or "100000"
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):
        return None


def governor(file: Path = _GOVERNOR) -> str | None:
    """How the first core's clock follows the load; None where the kernel does not set it, as in most virtual ones."""
    return _text(file).strip() or None


def cpu_flags(cpuinfo: Path = _CPUINFO) -> tuple[str, ...]:
    """Instruction sets that decide which kernels a runtime picks, of those that this CPU has."""
    for line in _text(cpuinfo).splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            present = set(value.split())
            return tuple(flag for flag in _TELLING_FLAGS if flag in present)
    return ()


def allowed_cpus() -> int | None:
    """Logical CPUs that this process may run on; None where the system does not say."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _ticks(stat: str) -> list[int]:
    first = stat.partition("\n")[0].split()
    try:
        return [int(field) for field in first[1:]] if first[:1] == ["cpu"] else []
    except ValueError:
        return []


def _pairs(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
