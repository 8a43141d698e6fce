"""The catalogue of targets: kinds of hardware that a promise can be made for. Nothing here probes."""

from __future__ import annotations

from dataclasses import dataclass

from voiceflow_ml.errors import TargetError


@dataclass(frozen=True)
class Target:
    """A kind of hardware.

    Attributes:
        name: ``"cpu"`` or ``"cuda-..."``.
        device_name: what the NVIDIA driver calls the device; a prefix, since boards add form factor and
            memory. Empty for the CPU.
        compute_capability: CUDA compute capability ``(major, minor)``; None for the CPU.
        providers: ONNX Runtime execution providers that count as having run on this target.
    """

    name: str
    device_name: str
    compute_capability: tuple[int, int] | None
    providers: tuple[str, ...]

    @property
    def is_cuda(self) -> bool:
        """Whether this is a GPU target."""
        return self.compute_capability is not None

    @property
    def gpu_name(self) -> str:
        """The name that ``--gpu`` takes: ``"t4"`` for ``"cuda-t4"``."""
        return self.name.removeprefix("cuda-")

    @property
    def marker(self) -> str:
        """The pytest marker of this target: ``"cuda_t4"`` for ``"cuda-t4"``."""
        return self.name.replace("-", "_")


CPU = Target("cpu", "", None, ("CPUExecutionProvider",))

# The plugin build of the CUDA provider registers under the second name.
_CUDA_PROVIDERS = ("CUDAExecutionProvider", "CudaPluginExecutionProvider")

# Device names and compute capabilities: NVIDIA's "CUDA GPU Compute Capability" tables and nvidia-smi output.
_GPUS = (
    ("t4", "Tesla T4", (7, 5)),
    ("l4", "NVIDIA L4", (8, 9)),
    ("a10g", "NVIDIA A10G", (8, 6)),
    ("a100", "NVIDIA A100", (8, 0)),
    ("h100", "NVIDIA H100", (9, 0)),
    ("h200", "NVIDIA H200", (9, 0)),
    ("v100", "Tesla V100", (7, 0)),
    ("rtx-4090", "NVIDIA GeForce RTX 4090", (8, 9)),
)

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        CPU,
        *(Target(f"cuda-{gpu}", device, capability, _CUDA_PROVIDERS) for gpu, device, capability in _GPUS),
    )
}


def find_target(name: str) -> Target:
    """Look up a target by its name, such as ``"cpu"`` or ``"cuda-t4"``.

    Raises:
        TargetError: not in the catalogue; the message lists what is.
    """
    if name in TARGETS:
        return TARGETS[name]
    raise TargetError(f"unknown target {name!r}; known targets: {', '.join(TARGETS)}")


def find_gpu(name: str) -> Target:
    """Look up a GPU target by what ``--gpu`` takes: ``"t4"`` or ``"cuda-t4"``, in any case.

    Raises:
        TargetError: not in the catalogue; the message lists what is.
    """
    target = TARGETS.get(f"cuda-{name.lower().removeprefix('cuda-')}")
    if target is not None:
        return target
    known = ", ".join(target.gpu_name for target in TARGETS.values() if target.is_cuda)
    raise TargetError(f"unknown GPU {name!r}; known GPUs: {known}")
