"""A fake NVIDIA driver for tests without a GPU. It stands behind the real ``pynvml`` binding.

Code under test asks the binding as it always does, so what is tested is what runs::

    from voiceflow_ml.hardware.fake_nvml import FakeNvml

    with FakeNvml.t4_at_146_mhz().installed():
        assert pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0)) == "Tesla T4"
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from voiceflow_ml.hardware.fake_gpu import ABOUT_A_GPU, GIB, FakeGpu

__all__ = ["DRIVER_NOT_LOADED", "LIBRARY_NOT_FOUND", "FakeGpu", "FakeNvml"]

_SUCCESS, _NOT_SUPPORTED, _NOT_FOUND, _INSUFFICIENT_SIZE = 0, 3, 6, 7
DRIVER_NOT_LOADED = 9
LIBRARY_NOT_FOUND = 12


_ALWAYS_ANSWERED = frozenset({"nvmlDeviceGetName", "nvmlDeviceGetUUID"})


class FakeNvml:
    """The driver's library: functions by their C names, answering through pointers as the real ones do.

    Args:
        gpus: in the driver's order, which is that of the PCI bus.
        problem: what starting the driver answers; 0 when it is there.
        driver: its version.
        cuda: newest CUDA it speaks, as the driver writes it (13000 is 13.0).
    """

    def __init__(self, *gpus: FakeGpu, problem: int = _SUCCESS, driver: str = "580.82.07", cuda: int = 13_000) -> None:
        self.gpus = list(gpus)
        self._problem, self._driver, self._cuda = problem, driver, cuda

    @classmethod
    def t4(cls) -> FakeNvml:
        """A healthy T4, as it runs under load."""
        return cls(FakeGpu())

    @classmethod
    def h200(cls) -> FakeNvml:
        """A healthy H200."""
        return cls(
            FakeGpu(
                name="NVIDIA H200",
                uuid="GPU-00000000-0000-0000-0000-000000000200",
                pci_device_id=0x2335,
                compute_capability=(9, 0),
                memory_bytes=141 * 10**9,
                sm_mhz=[1980],
                default_sm_mhz=1980,
                max_sm_mhz=1980,
                temperature_c=41,
            )
        )

    @classmethod
    def throttling_t4(cls) -> FakeNvml:
        """A T4 whose hardware slows it down because it is hot, more at every reading."""
        hot = FakeGpu(sm_mhz=[1005, 840, 705, 600], temperature_c=93, slowed_ns_per_read={270: 40_000_000})
        return cls(hot)

    @classmethod
    def t4_at_146_mhz(cls) -> FakeNvml:
        """A T4 that runs at a quarter of its default clock although it is cool; such are on record."""
        return cls(FakeGpu(sm_mhz=[146], temperature_c=53))

    @classmethod
    def mig_slice(cls) -> FakeNvml:
        """An A100 that is cut into MIG slices."""
        return cls(
            FakeGpu(
                name="NVIDIA A100-SXM4-40GB",
                uuid="GPU-00000000-0000-0000-0000-000000000100",
                pci_device_id=0x20B0,
                compute_capability=(8, 0),
                memory_bytes=40 * GIB,
                sm_mhz=[1410],
                default_sm_mhz=1095,
                max_sm_mhz=1410,
                mig=True,
            )
        )

    @classmethod
    def missing_driver(cls) -> FakeNvml:
        """A machine without an NVIDIA driver."""
        return cls(problem=LIBRARY_NOT_FOUND)

    @classmethod
    def not_supported_everywhere(cls) -> FakeNvml:
        """A T4 of which the driver tells the name and the identity, and nothing else."""
        return cls(FakeGpu(not_supported=frozenset({"*"})))

    @contextmanager
    def installed(self) -> Iterator[FakeNvml]:
        """Have the binding speak to this driver, and afterwards to the one before."""
        import pynvml  # noqa: PLC0415

        before, pointers = pynvml.nvmlLib, dict(pynvml._nvmlGetFunctionPointer_cache)
        # The binding keeps the functions that it has looked up once.
        pynvml._nvmlGetFunctionPointer_cache.clear()
        pynvml.nvmlLib = self
        try:
            yield self
        finally:
            pynvml.nvmlLib = before
            pynvml._nvmlGetFunctionPointer_cache.clear()
            pynvml._nvmlGetFunctionPointer_cache.update(pointers)

    def __getattr__(self, name: str) -> Callable[..., int]:
        """A function of the driver's library; what this fake does not know, the driver does not have."""
        answer = _ANSWERS.get(name)
        if answer is None:
            raise AttributeError(name)
        return lambda *arguments: answer(self, *arguments)

    def _gpu(self, function: str, handle: Any) -> FakeGpu | None:
        """The GPU behind a handle, or None when it does not answer this."""
        gpu = self.gpus[(ctypes.cast(handle, ctypes.c_void_p).value or 1) - 1]
        silent = function in gpu.not_supported or ("*" in gpu.not_supported and function not in _ALWAYS_ANSWERED)
        return None if silent else gpu


def _start(driver: FakeNvml, *_flags: Any) -> int:
    return driver._problem


def _stop(_driver: FakeNvml) -> int:
    return _SUCCESS


def _count(driver: FakeNvml, count: Any) -> int:
    count._obj.value = len(driver.gpus)
    return _SUCCESS


def _point(handle: Any, index: int) -> int:
    """Make a handle the address 1 + index: it is never followed."""
    ctypes.c_void_p.from_buffer(handle._obj).value = index + 1
    return _SUCCESS


def _by_index(driver: FakeNvml, index: Any, handle: Any) -> int:
    return _point(handle, index.value) if index.value < len(driver.gpus) else _NOT_FOUND


def _by_uuid(driver: FakeNvml, uuid: Any, handle: Any) -> int:
    for index, gpu in enumerate(driver.gpus):
        if gpu.uuid == uuid.value.decode():
            return _point(handle, index)
    return _NOT_FOUND


def _driver_version(driver: FakeNvml, buffer: Any, _size: Any) -> int:
    buffer.value = driver._driver.encode()
    return _SUCCESS


def _cuda_version(driver: FakeNvml, version: Any) -> int:
    version._obj.value = driver._cuda
    return _SUCCESS


def _of_gpu(name: str, answer: Callable[..., None]) -> Callable[..., int]:
    """A function about one GPU: writes its answer, or says that it is not supported."""

    def function(driver: FakeNvml, handle: Any, *arguments: Any) -> int:
        gpu = driver._gpu(name, handle)
        if gpu is None:
            return _NOT_SUPPORTED
        answer(gpu, *arguments)
        return _SUCCESS

    return function


def _processes(driver: FakeNvml, handle: Any, count: Any, entries: Any) -> int:
    gpu = driver._gpu("nvmlDeviceGetComputeRunningProcesses_v3", handle)
    if gpu is None:
        return _NOT_SUPPORTED
    count._obj.value = len(gpu.pids)
    if entries is None:
        return _INSUFFICIENT_SIZE if gpu.pids else _SUCCESS
    for entry, pid in zip(entries, gpu.pids, strict=False):
        entry.pid, entry.usedGpuMemory = pid, 500 * 2**20
    return _SUCCESS


_ANSWERS: dict[str, Callable[..., int]] = {
    "nvmlInitWithFlags": _start,
    "nvmlShutdown": _stop,
    "nvmlDeviceGetCount_v2": _count,
    "nvmlDeviceGetHandleByIndex_v2": _by_index,
    "nvmlDeviceGetHandleByUUID": _by_uuid,
    "nvmlSystemGetDriverVersion": _driver_version,
    "nvmlSystemGetCudaDriverVersion": _cuda_version,
    "nvmlDeviceGetComputeRunningProcesses_v3": _processes,
    **{name: _of_gpu(name, answer) for name, answer in ABOUT_A_GPU.items()},
}
