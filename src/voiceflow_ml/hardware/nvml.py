"""Questions to the NVIDIA driver. Each is answered, or the answer is None: no driver answers all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from voiceflow_ml.hardware.gpu import UNKNOWN, Gpu, GpuProbe, GpuReading

SLOWDOWNS = {
    "software power cap": 74,
    "software thermal slowdown": 269,
    "hardware thermal slowdown": 270,
    "hardware power brake": 271,
}
"""Reasons for which clocks are held down -> number of the driver's counter. By number: some releases of the binding
give the last three other numbers than the driver has."""


@contextmanager
def nvml() -> Iterator[Any]:
    """The binding, started; raises what it raises when there is no driver."""
    import pynvml  # noqa: PLC0415

    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def hold_driver() -> Callable[[], None]:
    """Keep the driver started, so that what is asked meanwhile need not start it each time; returns what lets it go."""
    held = ExitStack()
    try:
        held.enter_context(nvml())
    except Exception:
        # A driver that does not start answers nothing either: each question says so by itself.
        return held.close
    return held.close


def ask_gpus() -> GpuProbe:
    """Ask the driver for its GPUs; a missing driver is an answer, not an error."""
    try:
        with nvml() as binding:
            driver, cuda = _ask(binding, "nvmlSystemGetDriverVersion"), _ask(binding, "nvmlSystemGetCudaDriverVersion")
            count = binding.nvmlDeviceGetCount()
            handles = [binding.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
            versions = (str(driver or UNKNOWN), f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else UNKNOWN)
            return GpuProbe(tuple(_read_gpu(binding, handle, *versions) for handle in handles))
    except Exception as error:
        return GpuProbe((), problem=str(error) or type(error).__name__)


def read_now(uuid: str) -> GpuReading:
    """Read what a GPU does right now; empty, and not answered, where the driver does not answer at all."""
    try:
        with nvml() as binding:
            handle = binding.nvmlDeviceGetHandleByUUID(uuid)
            return GpuReading(
                sm_mhz=_ask(binding, "nvmlDeviceGetClockInfo", handle, binding.NVML_CLOCK_SM),
                temperature_c=_ask(binding, "nvmlDeviceGetTemperature", handle, binding.NVML_TEMPERATURE_GPU),
                slowed_ns=_slowed_ns(binding, handle),
                other_pids=_other_pids(binding, handle),
            )
    except Exception:
        return GpuReading(answered=False)


def _ask(binding: Any, question: str, *arguments: Any) -> Any:
    try:
        return getattr(binding, question)(*arguments)
    except (binding.NVMLError, AttributeError):
        return None


def _read_gpu(binding: Any, handle: Any, driver: str, cuda: str) -> Gpu:
    def ask(question: str, *arguments: Any) -> Any:
        return _ask(binding, question, handle, *arguments)

    capability, memory = ask("nvmlDeviceGetCudaComputeCapability"), ask("nvmlDeviceGetMemoryInfo")
    pci, mig = ask("nvmlDeviceGetPciInfo"), ask("nvmlDeviceGetMigMode")
    virtualization = ask("nvmlDeviceGetVirtualizationMode")
    return Gpu(
        uuid=str(ask("nvmlDeviceGetUUID") or UNKNOWN),
        name=str(ask("nvmlDeviceGetName") or UNKNOWN),
        compute_capability=(int(capability[0]), int(capability[1])) if capability else None,
        memory_bytes=int(memory.total) if memory else None,
        # The driver puts the maker's id below the device's.
        pci_device_id=int(pci.pciDeviceId) >> 16 if pci else None,
        default_sm_mhz=ask("nvmlDeviceGetDefaultApplicationsClock", binding.NVML_CLOCK_SM),
        max_sm_mhz=ask("nvmlDeviceGetMaxClockInfo", binding.NVML_CLOCK_SM),
        is_virtual=None if virtualization is None else virtualization == binding.NVML_GPU_VIRTUALIZATION_MODE_VGPU,
        is_mig=None if mig is None else bool(mig[0]),
        driver=driver,
        cuda=cuda,
    )


def _slowed_ns(binding: Any, handle: Any) -> dict[str, int]:
    """The counters that this driver keeps, in nanoseconds."""
    values = _ask(binding, "nvmlDeviceGetFieldValues", handle, list(SLOWDOWNS.values()))
    if values is None:
        return {}
    return {
        reason: int(value.value.ullVal)
        for reason, value in zip(SLOWDOWNS, values, strict=True)
        if value.nvmlReturn == binding.NVML_SUCCESS
    }


def _other_pids(binding: Any, handle: Any) -> tuple[int, ...] | None:
    processes = _ask(binding, "nvmlDeviceGetComputeRunningProcesses", handle)
    if processes is None:
        return None
    return tuple(sorted(process.pid for process in processes if process.pid != os.getpid()))
