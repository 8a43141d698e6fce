"""Facts about this machine. Every probe answers or says "unknown"; none raises, none runs at import."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceflow_ml.hardware.targets import Target

UNKNOWN = "unknown"
_CPUINFO = Path("/proc/cpuinfo")
# Words that make another chip of a GeForce name.
_OTHER_PRODUCTS = frozenset({"D", "Laptop", "Max-Q", "SUPER", "Ti"})
_CLOCK_STEPS = 1_000


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU, as the driver describes it.

    Attributes:
        uuid: stable identity; indices are not, ``CUDA_VISIBLE_DEVICES`` reorders them.
        name: the driver's name of the board.
        compute_capability: ``(major, minor)``, or None when the driver does not say.
        memory_bytes: total memory, or None when the driver does not say.
    """

    uuid: str
    name: str
    compute_capability: tuple[int, int] | None
    memory_bytes: int | None

    def is_a(self, target: Target) -> bool:
        """Whether this board is what the target names.

        Form factor and memory may follow the name ("NVIDIA H100 PCIe"); another model's letters ("Tesla T4G")
        or another product's word ("RTX 4090 Laptop GPU") may not. The CPU is no GPU.
        """
        if not target.is_cuda or not self.name.startswith(target.device_name):
            return False
        rest = self.name.removeprefix(target.device_name)
        same_board = not rest[:1].isalnum() and _OTHER_PRODUCTS.isdisjoint(rest.split())
        return same_board and self.compute_capability in (None, target.compute_capability)


@dataclass(frozen=True)
class GpuProbe:
    """What the NVIDIA driver answered: the GPUs, or the reason why there are none."""

    gpus: tuple[Gpu, ...]
    problem: str = ""

    def has(self, target: Target) -> bool:
        """Whether one of the GPUs is what the target names."""
        return any(gpu.is_a(target) for gpu in self.gpus)

    def describe(self) -> str:
        """One phrase for a message: the GPUs by name, or the problem."""
        if self.gpus:
            return ", ".join(f"{gpu.name} ({gpu.uuid})" for gpu in self.gpus)
        return f"no NVIDIA GPU ({self.problem})" if self.problem else "no NVIDIA GPU"


def probe_gpus() -> GpuProbe:
    """Ask the NVIDIA driver (NVML) for its GPUs; a missing driver is an answer, not an error."""
    try:
        with _nvml() as nvml:
            count = nvml.nvmlDeviceGetCount()
            return GpuProbe(tuple(_read_gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(i)) for i in range(count)))
    except Exception as error:
        return GpuProbe((), problem=str(error) or type(error).__name__)


@contextmanager
def _nvml() -> Iterator[Any]:
    import pynvml  # noqa: PLC0415

    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _read_gpu(nvml: Any, handle: Any) -> Gpu:
    def ask(question: str) -> Any:
        try:
            return getattr(nvml, question)(handle)
        except nvml.NVMLError:
            return None

    capability = ask("nvmlDeviceGetCudaComputeCapability")
    memory = ask("nvmlDeviceGetMemoryInfo")
    return Gpu(
        uuid=str(ask("nvmlDeviceGetUUID") or UNKNOWN),
        name=str(ask("nvmlDeviceGetName") or UNKNOWN),
        compute_capability=(int(capability[0]), int(capability[1])) if capability else None,
        memory_bytes=int(memory.total) if memory else None,
    )


def probe_machine() -> dict[str, str]:
    """Describe this machine for a report: CPU, cores, memory, system, Python."""
    import psutil  # noqa: PLC0415

    memory_gib = psutil.virtual_memory().total / 2**30
    return {
        "CPU": _cpu_model(),
        "logical cores": str(psutil.cpu_count() or UNKNOWN),
        "memory": f"{memory_gib:.1f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
    }


def _cpu_model(cpuinfo: Path = _CPUINFO) -> str:
    try:
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or UNKNOWN


def clock_step_ns() -> int:
    """Least distance of two successive reads of the monotonic clock that differ, in nanoseconds.

    The clock's own step or the cost of reading it, whichever is larger: both blur a short latency.
    """
    steps_ns: list[int] = []
    last_ns = time.perf_counter_ns()
    while len(steps_ns) < _CLOCK_STEPS:
        now_ns = time.perf_counter_ns()
        if now_ns != last_ns:
            steps_ns.append(now_ns - last_ns)
            last_ns = now_ns
    return min(steps_ns)
