"""torch modules on a target: eager, compiled, or as a CUDA graph, synchronised before the clock is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from voiceflow_ml.errors import ConfigError, ModelFileError
from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.gpu import UNKNOWN
from voiceflow_ml.hardware.runtime import Boundary
from voiceflow_ml.hardware.targets import CPU, Target

if TYPE_CHECKING:
    import torch

_GRAPH_WARMUPS = 3


class TorchMode(StrEnum):
    """How a module is executed."""

    EAGER = "eager"
    COMPILE = "compile"
    CUDA_GRAPH = "cuda-graph"


class TorchModel:
    """A torch module on one target, measurable. Build it with :func:`open_torch`.

    CUDA computes while Python goes on: every call ends by waiting for the device, or the clock would time the launch.
    """

    def __init__(
        self, module: torch.nn.Module, target: Target, mode: TorchMode, boundary: Boundary, threads: int
    ) -> None:
        import torch  # noqa: PLC0415

        self.threads = threads
        self._torch = torch
        self._target, self._mode, self._boundary = target, mode, boundary
        self._device = torch.device("cuda", 0) if target.is_cuda else torch.device("cpu")
        self._module = module.eval().to(self._device)
        self._function: Any = torch.compile(self._module) if mode is TorchMode.COMPILE else self._module
        self._output_devices: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        """The target that the module was put on."""
        return self._target

    @property
    def boundary(self) -> str:
        """What lies between the two clock reads."""
        done = ", ended by torch.cuda.synchronize()" if self._target.is_cuda else ""
        if self._boundary is Boundary.DEVICE_ONLY:
            return f"{self._boundary}: one forward pass, from inputs in device memory to outputs in device memory{done}"
        return f"{self._boundary}: inputs to the device, one forward pass, outputs to host memory{done}"

    def bind(self, *inputs: object) -> Callable[[], object]:
        """Fix the inputs and return a call that runs the module on them, and has it done when it returns.

        Args:
            inputs: tensors or arrays, in the order of ``forward``.
        """
        torch, device = self._torch, self._device
        # Copies: what the caller does to them later must not change what is measured.
        hosted = [torch.as_tensor(value).detach().clone().cpu() for value in inputs]
        placed = [value.to(device, copy=True) for value in hosted]
        forward = self._graph(placed) if self._mode is TorchMode.CUDA_GRAPH else (lambda: self._function(*placed))
        with torch.inference_mode():
            self._output_devices = tuple(sorted({str(out.device.type) for out in _tensors(forward())}))
        return self._call(forward, hosted, placed)

    def _call(self, forward: Callable[[], Any], hosted: list[Any], placed: list[Any]) -> Callable[[], object]:
        inference_mode, synchronize = self._torch.inference_mode, self._synchronize

        def on_device() -> object:
            with inference_mode():
                outputs = forward()
                synchronize()
                return outputs

        def from_host() -> object:
            with inference_mode():
                for here, there in zip(hosted, placed, strict=True):
                    there.copy_(here)
                outputs = [output.cpu() for output in _tensors(forward())]
                synchronize()
                return outputs

        return on_device if self._boundary is Boundary.DEVICE_ONLY else from_host

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            self._torch.cuda.synchronize(self._device)

    def _graph(self, placed: list[Any]) -> Callable[[], Any]:
        """Record the kernels once; a replay launches them together, on the same memory."""
        torch = self._torch
        with torch.inference_mode():
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_GRAPH_WARMUPS):
                    self._function(*placed)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                outputs = self._function(*placed)

        def replay() -> Any:
            graph.replay()
            return outputs

        return replay

    def __call__(self, *inputs: object) -> Any:
        """Run the module once, to the end."""
        return self.bind(*inputs)()

    def facts(self) -> dict[str, str]:
        """Versions, execution and precision switches."""
        torch = self._torch
        facts = {
            "runtime": f"torch {torch.__version__}",
            "execution": str(self._mode),
            "intra-op threads": str(torch.get_num_threads()),
        }
        if self._target.is_cuda:
            facts |= {
                # Of the device that ran, from the runtime itself.
                "GPU UUID of torch": str(getattr(torch.cuda.get_device_properties(self._device), "uuid", UNKNOWN)),
                "CUDA of torch": str(torch.version.cuda),
                "cuDNN of torch": str(torch.backends.cudnn.version()),
                "TF32 in products": str(torch.backends.cuda.matmul.allow_tf32),
                "TF32 in convolutions": str(torch.backends.cudnn.allow_tf32),
                "cuDNN benchmark": str(torch.backends.cudnn.benchmark),
            }
        return facts

    def findings(self) -> tuple[Finding, ...]:
        """Where weights and outputs are, and whether its threads are still as they were set."""
        values = [*self._module.parameters(), *self._module.buffers()]
        devices = sorted({str(value.device.type) for value in values} | set(self._output_devices))
        found = [device_finding(devices, self._target)]
        if self._torch.get_num_threads() != self.threads:
            fact = f"torch has {self._torch.get_num_threads()} threads now, it was opened with {self.threads}"
            found.append(Finding(Severity.INVALID, fact, "do not call torch.set_num_threads after open_torch"))
        return tuple(found)


def device_finding(devices: Sequence[str], target: Target) -> Finding:
    """Judge where weights, buffers and outputs of a module are.

    Args:
        devices: kinds of devices that hold any of them.
        target: where they should be.
    """
    wanted = "cuda" if target.is_cuda else "cpu"
    elsewhere = [device for device in devices if device != wanted]
    if elsewhere or not devices:
        where = " and ".join(elsewhere) or "no device: it was not run"
        fact = f"weights or outputs of the module are on {where}, promised is {target.name}"
        return Finding(Severity.INVALID, fact, f"move the module and all it makes to {wanted}")
    return Finding(Severity.INFORMATION, f"all weights and outputs of the module are on {wanted}")


def _tensors(outputs: Any) -> list[Any]:
    """The tensors in what a module returned: one, or several in tuples, lists and dictionaries."""
    if hasattr(outputs, "device"):
        return [outputs]
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, list | tuple):
        return [tensor for entry in outputs for tensor in _tensors(entry)]
    return []


def open_torch(
    module: torch.nn.Module,
    target: Target = CPU,
    *,
    mode: TorchMode | str = TorchMode.EAGER,
    boundary: Boundary | str = Boundary.HOST_TO_HOST,
    threads: int = 1,
) -> TorchModel:
    """Put a torch module on a target, to be measured there.

    Args:
        module: the module; it is moved, and set to evaluation.
        target: where it must run.
        mode: ``"eager"``, ``"compile"`` (``torch.compile``) or ``"cuda-graph"``.
        boundary: ``"host-to-host"`` has the copies to and from the device in the latency, ``"device-only"`` has not.
        threads: intra-op threads of torch, for the whole process, at least 1.

    Raises:
        ConfigError: an unknown mode or boundary, a CUDA graph without a GPU, or ``threads`` below 1.
        ModelFileError: torch is not installed, or has no CUDA for a GPU target.
    """
    if mode not in list(TorchMode):
        raise ConfigError(f"unknown mode {mode!r}; valid: {', '.join(TorchMode)}")
    if boundary not in list(Boundary):
        raise ConfigError(f"unknown boundary {boundary!r}; valid: {', '.join(Boundary)}")
    if threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    if TorchMode(mode) is TorchMode.CUDA_GRAPH and not target.is_cuda:
        raise ConfigError(f"mode {str(mode)!r} needs a GPU target, got {target.name}")
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        raise ModelFileError('torch is not installed: pip install "voiceflow-ml[train]"') from None
    if target.is_cuda and not torch.cuda.is_available():
        raise ModelFileError(
            f"this torch ({torch.__version__}) finds no CUDA device for {target.name}; "
            "install a build for CUDA, and the driver"
        )
    torch.set_num_threads(threads)
    return TorchModel(module, target, TorchMode(mode), Boundary(boundary), threads)
