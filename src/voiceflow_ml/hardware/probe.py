"""Facts about this machine. Every probe answers or says "unknown"; none raises, none runs at import."""

from __future__ import annotations

import platform
import time
from pathlib import Path

from voiceflow_ml.hardware.cpu_state import allowed_cpus, cpu_flags, cpu_quota, governor
from voiceflow_ml.hardware.gpu import UNKNOWN, GpuProbe
from voiceflow_ml.hardware.nvml import ask_gpus

_CPUINFO = Path("/proc/cpuinfo")
_CLOCK_STEPS = 1_000
_MOST_READS = 1_000_000
"""Enough to see several steps of a clock that counts in hundredths of a second."""


def probe_gpus() -> GpuProbe:
    """Ask the NVIDIA driver (NVML) for its GPUs; a missing driver is an answer, not an error."""
    return ask_gpus()


def probe_machine() -> dict[str, str]:
    """Describe this machine for a report: CPU, cores, memory, system, Python."""
    import psutil  # noqa: PLC0415

    quota = cpu_quota()
    return {
        "CPU": _cpu_model(),
        "logical cores": str(psutil.cpu_count() or UNKNOWN),
        "CPUs of this process": str(allowed_cpus() or UNKNOWN),
        "CPU quota": "none" if quota is None else f"{quota:g} CPUs",
        "CPU governor": governor() or UNKNOWN,
        "CPU instructions": " ".join(cpu_flags()) or UNKNOWN,
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
    }


def _memory() -> str:
    import psutil  # noqa: PLC0415

    try:
        return f"{psutil.virtual_memory().total / 2**30:.1f} GiB"
    except Exception:
        # Without /proc it raises whatever comes of a file that is not there.
        return UNKNOWN


def _cpu_model(cpuinfo: Path = _CPUINFO) -> str:
    try:
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or UNKNOWN


def clock_step_ns() -> int | None:
    """Least distance of two successive reads of the monotonic clock that differ, in nanoseconds; None: it stands still.

    The clock's own step or the cost of reading it, whichever is larger: both blur a short latency.
    """
    steps_ns: list[int] = []
    last_ns = time.perf_counter_ns()
    for _ in range(_MOST_READS):
        now_ns = time.perf_counter_ns()
        if now_ns != last_ns:
            steps_ns.append(abs(now_ns - last_ns))
            last_ns = now_ns
        if len(steps_ns) == _CLOCK_STEPS:
            break
    return min(steps_ns, default=None)
