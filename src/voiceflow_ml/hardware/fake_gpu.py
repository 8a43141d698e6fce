"""One GPU of the fake driver, and how it answers the driver's questions through pointers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_SUCCESS, _NOT_SUPPORTED = 0, 3
_NVIDIA = 0x10DE
GIB = 2**30


@dataclass
class FakeGpu:
    """One GPU of the fake driver. Change a field, and the driver answers otherwise from then on.

    Attributes:
        name: what the driver calls it.
        uuid: its identity.
        pci_device_id: without the maker's 0x10DE.
        compute_capability: ``(major, minor)``.
        memory_bytes: total memory.
        sm_mhz: SM clock now; several are given one after the other, the last for ever.
        default_sm_mhz: SM clock of the default application clocks.
        max_sm_mhz: highest SM clock.
        temperature_c: of the chip.
        slowed_ns: number of a slowdown counter (74, 269, 270, 271) -> nanoseconds so far.
        slowed_ns_per_read: what each reading adds to a counter, so that it grows over a measurement.
        pids: compute processes on it.
        virtualization_mode: 0 bare metal, 1 passed through, 2 vGPU.
        mig: whether it is cut into slices.
        not_supported: names of the driver's functions that this GPU does not answer; ``"*"`` is every question about it
            but its name and identity.
    """

    name: str = "Tesla T4"
    uuid: str = "GPU-00000000-0000-0000-0000-000000000004"
    pci_device_id: int = 0x1EB8
    compute_capability: tuple[int, int] = (7, 5)
    memory_bytes: int = 16 * GIB
    sm_mhz: list[int] = field(default_factory=lambda: [1110])
    default_sm_mhz: int = 585
    max_sm_mhz: int = 1590
    temperature_c: int = 58
    slowed_ns: dict[int, int] = field(default_factory=lambda: dict.fromkeys((74, 269, 270, 271), 0))
    slowed_ns_per_read: dict[int, int] = field(default_factory=dict)
    pids: list[int] = field(default_factory=lambda: [os.getpid()])
    virtualization_mode: int = 0
    mig: bool = False
    not_supported: frozenset[str] = frozenset()


def _text(attribute: str) -> Callable[..., None]:
    def answer(gpu: FakeGpu, buffer: Any, _size: Any) -> None:
        buffer.value = getattr(gpu, attribute).encode()

    return answer


def _capability(gpu: FakeGpu, major: Any, minor: Any) -> None:
    major._obj.value, minor._obj.value = gpu.compute_capability


def _memory(gpu: FakeGpu, memory: Any) -> None:
    memory._obj.total = gpu.memory_bytes


def _pci(gpu: FakeGpu, info: Any) -> None:
    info._obj.pciDeviceId = gpu.pci_device_id << 16 | _NVIDIA


def _mig(gpu: FakeGpu, now: Any, pending: Any) -> None:
    now._obj.value = pending._obj.value = int(gpu.mig)


def _number(attribute: str) -> Callable[..., None]:
    def answer(gpu: FakeGpu, *arguments: Any) -> None:
        arguments[-1]._obj.value = getattr(gpu, attribute)

    return answer


def _clock(gpu: FakeGpu, _kind: Any, clock: Any) -> None:
    clock._obj.value = gpu.sm_mhz.pop(0) if len(gpu.sm_mhz) > 1 else gpu.sm_mhz[0]


def _fields(gpu: FakeGpu, _count_of: Any, values: Any) -> None:
    for value in values._obj:
        number = int(value.fieldId)
        if number not in gpu.slowed_ns:
            value.nvmlReturn = _NOT_SUPPORTED
            continue
        value.nvmlReturn, value.value.ullVal = _SUCCESS, gpu.slowed_ns[number]
        gpu.slowed_ns[number] += gpu.slowed_ns_per_read.get(number, 0)


ABOUT_A_GPU: dict[str, Callable[..., None]] = {
    "nvmlDeviceGetName": _text("name"),
    "nvmlDeviceGetUUID": _text("uuid"),
    "nvmlDeviceGetCudaComputeCapability": _capability,
    "nvmlDeviceGetMemoryInfo": _memory,
    "nvmlDeviceGetPciInfo_v3": _pci,
    "nvmlDeviceGetMigMode": _mig,
    "nvmlDeviceGetVirtualizationMode": _number("virtualization_mode"),
    "nvmlDeviceGetDefaultApplicationsClock": _number("default_sm_mhz"),
    "nvmlDeviceGetMaxClockInfo": _number("max_sm_mhz"),
    "nvmlDeviceGetTemperature": _number("temperature_c"),
    "nvmlDeviceGetClockInfo": _clock,
    "nvmlDeviceGetFieldValues": _fields,
}
"""The driver's functions about one GPU, by their C names."""
