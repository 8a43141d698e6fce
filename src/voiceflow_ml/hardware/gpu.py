"""What a GPU is, and what it did over a measurement: plain records, whoever asked the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voiceflow_ml.hardware.targets import Target

UNKNOWN = "unknown"
# Words that make another chip of a GeForce name.
_OTHER_PRODUCTS = frozenset({"D", "Laptop", "Max-Q", "SUPER", "Ti"})


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU, as the driver describes it. What the driver does not say is None.

    Attributes:
        uuid: stable identity; indices are not, ``CUDA_VISIBLE_DEVICES`` reorders them.
        name: the driver's name of the board.
        compute_capability: ``(major, minor)``.
        memory_bytes: total memory.
        pci_device_id: without the maker's 0x10DE.
        default_sm_mhz: SM clock of the default application clocks.
        max_sm_mhz: highest SM clock.
        is_virtual: whether a hypervisor hands out a part of it (vGPU); a GPU passed through whole is not.
        is_mig: whether it is cut into MIG slices.
        driver: version of the driver.
        cuda: newest CUDA that the driver speaks, ``"13.0"``.
    """

    uuid: str
    name: str
    compute_capability: tuple[int, int] | None
    memory_bytes: int | None
    pci_device_id: int | None = None
    default_sm_mhz: int | None = None
    max_sm_mhz: int | None = None
    is_virtual: bool | None = None
    is_mig: bool | None = None
    driver: str = UNKNOWN
    cuda: str = UNKNOWN

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

    def facts(self) -> dict[str, str]:
        """Identity and software, for a result."""
        capability = ".".join(map(str, self.compute_capability)) if self.compute_capability else UNKNOWN
        memory = UNKNOWN if self.memory_bytes is None else f"{self.memory_bytes / 2**30:.1f} GiB"
        return {
            "GPU": self.name,
            "GPU UUID": self.uuid,
            "PCI device id": UNKNOWN if self.pci_device_id is None else f"0x{self.pci_device_id:04X}",
            "compute capability": capability,
            "GPU memory": memory,
            "NVIDIA driver": self.driver,
            "CUDA of the driver": self.cuda,
        }


@dataclass(frozen=True)
class GpuProbe:
    """What the NVIDIA driver answered: the GPUs in its order, or the reason why there are none."""

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


@dataclass(frozen=True)
class GpuReading:
    """What the driver says of a GPU at one moment. What it does not say is None, or missing.

    Attributes:
        sm_mhz: SM clock.
        temperature_c: of the chip; proves nothing, is worth reading.
        slowed_ns: reason -> nanoseconds that the clocks were held down for it so far, since the driver was loaded.
        other_pids: compute processes on it that are not ours.
        answered: whether there was an answer at all: a driver that says nothing of all this is there all the same.
    """

    sm_mhz: int | None = None
    temperature_c: int | None = None
    slowed_ns: Mapping[str, int] = field(default_factory=dict)
    other_pids: tuple[int, ...] | None = None
    answered: bool = True


@dataclass(frozen=True)
class GpuRecord:
    """What a GPU did over a measurement.

    Attributes:
        gpu: which one.
        before: as the measurement began.
        after: as it ended.
        sm_mhz: SM clock right after each block; empty where the driver does not say.
        other_pids: compute processes that were on it at any of the readings; None where the driver does not say.
        span_ns: from the first reading to the last.
        readings: how often it was asked.
        unanswered: how often there was no answer at all.
    """

    gpu: Gpu
    before: GpuReading
    after: GpuReading
    sm_mhz: tuple[int, ...]
    other_pids: tuple[int, ...] | None
    span_ns: int
    readings: int = 0
    unanswered: int = 0

    def slowed_ns(self, reason: str) -> int | None:
        """How long the clocks were held down for a reason; None where the driver does not count it."""
        if reason not in self.before.slowed_ns or reason not in self.after.slowed_ns:
            return None
        return self.after.slowed_ns[reason] - self.before.slowed_ns[reason]
