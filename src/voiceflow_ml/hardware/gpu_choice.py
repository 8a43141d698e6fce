"""Which GPU is CUDA's device 0: told by UUID, since indices are reordered by the environment."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from voiceflow_ml.hardware.gpu import Gpu, GpuProbe
from voiceflow_ml.hardware.targets import Target

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"


@dataclass(frozen=True)
class Choice:
    """CUDA's device 0, or the reason why it cannot be told which GPU that is."""

    gpu: Gpu | None
    problem: str = ""
    remedy: str = ""


def first_cuda_device(found: GpuProbe, environment: Mapping[str, str]) -> Choice:
    """Tell which GPU CUDA calls device 0.

    CUDA numbers the fastest first unless ``CUDA_DEVICE_ORDER=PCI_BUS_ID``, and then only those in
    ``CUDA_VISIBLE_DEVICES``, in the order given there; the driver's own numbers follow the PCI bus.

    Args:
        found: what the driver answered.
        environment: the process's environment.
    """
    if not found.gpus:
        return Choice(None, found.problem or "the driver names no GPU", "install the NVIDIA driver")
    visible = environment.get(VISIBLE)
    first = "0" if visible is None else visible.split(",")[0].strip()
    if not first:
        return Choice(None, f"{VISIBLE} is empty, which hides every GPU", f"unset {VISIBLE}")
    if not first.isdecimal():
        return _by_uuid(found, first)
    return _by_index(found, int(first), by_bus=environment.get(ORDER) == "PCI_BUS_ID")


def _by_index(found: GpuProbe, index: int, *, by_bus: bool) -> Choice:
    if len(found.gpus) > 1 and not by_bus:
        return Choice(
            None,
            f"this machine has several GPUs ({found.describe()}), and CUDA numbers them in an order of its own",
            f"name the GPU by its UUID: {VISIBLE}={found.gpus[0].uuid}",
        )
    if index >= len(found.gpus):
        return Choice(None, f"{VISIBLE}={index} names no GPU of this machine: {found.describe()}", f"unset {VISIBLE}")
    return Choice(found.gpus[index])


def _by_uuid(found: GpuProbe, start: str) -> Choice:
    if start.startswith("MIG-"):
        return Choice(
            None,
            f"{VISIBLE} names a MIG slice ({start}), not a whole GPU",
            "measure on a whole GPU, or state a target of its own for the slice",
        )
    matching = [gpu for gpu in found.gpus if gpu.uuid.lower().startswith(start.lower())]
    if len(matching) == 1:
        return Choice(matching[0])
    which = "several GPUs" if matching else "no GPU"
    return Choice(None, f"{VISIBLE}={start} names {which} of this machine: {found.describe()}", "give a whole UUID")


def pin(found: GpuProbe, target: Target, environment: MutableMapping[str, str]) -> None:
    """Make the first GPU that a target names CUDA's device 0, where the user has not chosen one.

    It has to come before anything in the process starts CUDA, which reads the environment once.
    """
    if VISIBLE in environment or len(found.gpus) < 2:
        return
    for gpu in found.gpus:
        if gpu.is_a(target):
            environment[VISIBLE] = gpu.uuid
            return
