"""ONNX Runtime sessions: opened on a target, and asked node by node where the graph was placed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voiceflow_ml.errors import ConfigError, ModelFileError
from voiceflow_ml.files import hash_file
from voiceflow_ml.hardware.evidence import Finding
from voiceflow_ml.hardware.runtime import Boundary, RuntimeOptions, with_provider
from voiceflow_ml.hardware.targets import CPU, Target
from voiceflow_ml.inference.ort_session import ORT_DTYPES, asked_options, make_session, profile_once
from voiceflow_ml.inference.placement import Placed, failover_finding, placement_finding, recorded_placement

LARGEST_FILE_BYTES = 2 << 30
"""ONNX is protobuf, which ends at 2 GiB."""
_BOUNDARIES = {
    Boundary.HOST_TO_HOST: "host-to-host: one session.run, from inputs in host memory to outputs in host memory",
    Boundary.DEVICE_ONLY: "device-only: one bound run, from inputs in device memory to outputs in device memory, "
    "synchronised",
}


@dataclass(frozen=True)
class InputInfo:
    """A model input: name, numpy dtype and shape; a dynamic axis is its name, or empty."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]


class OnnxModel:
    """An ONNX model in a session on one target. Build it with :func:`open_onnx`.

    Without a session it is known by its file alone, for another machine to open: nothing runs on it here, and nothing
    that is asked of it here can be taken for a proof.
    """

    def __init__(
        self, path: Path, sha256: str, target: Target, threads: int, session: Any, options: RuntimeOptions
    ) -> None:
        self.path = path
        self.sha256 = sha256
        self.threads = threads
        self.options = options
        self._target = target
        self._opened = session
        self._feeds: dict[str, Any] = {}
        self._opened_with = [] if session is None else list(session.get_providers())
        self.inputs = () if session is None else tuple(_input_info(path, node) for node in session.get_inputs())
        self.output_names = () if session is None else tuple(str(node.name) for node in session.get_outputs())

    @property
    def _session(self) -> Any:
        if self._opened is None:
            raise ConfigError(
                f"{self.path} is measured on another machine's {self._target.name} and cannot run here: hand the model "
                "itself to latency(model, *inputs), or leave --ray-address away"
            )
        return self._opened

    @property
    def target(self) -> Target:
        """The target that the session was opened on."""
        return self._target

    @property
    def boundary(self) -> str:
        """What lies between the two clock reads."""
        return _BOUNDARIES[self.options.boundary]

    def bind(self, *inputs: object) -> Callable[[], object]:
        """Check the inputs and return a call that does nothing but run the session on them.

        Args:
            inputs: one array for each model input, in the model's order.

        Raises:
            ConfigError: the number, type or shape of the arrays does not fit the model.
        """
        session = self._session
        if len(inputs) != len(self.inputs):
            names = ", ".join(info.name for info in self.inputs)
            raise ConfigError(f"{self.path} takes {_counted(len(self.inputs), 'input')} ({names}), got {len(inputs)}")
        feeds = {}
        for info, value in zip(self.inputs, inputs, strict=True):
            # A copy: what the caller does to the array later must not change what is measured.
            array = np.array(value, order="C")
            try:
                check_fit(info, array)
            except ConfigError as error:
                raise ConfigError(f"{self.path}: {error}") from None
            feeds[info.name] = array
        self._feeds = feeds
        if self.options.boundary is Boundary.DEVICE_ONLY:
            return self._bind_on_device(feeds)
        run, names_out = session.run, list(self.output_names)
        return lambda: run(names_out, feeds)

    def _bind_on_device(self, feeds: dict[str, Any]) -> Callable[[], object]:
        """Inputs are on the device before the call, and outputs stay there; bound once, not at each call."""
        import onnxruntime as ort  # noqa: PLC0415

        device = "cuda" if self._target.is_cuda else "cpu"
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array, device, 0))
        for name in self.output_names:
            binding.bind_output(name, device, 0)
        binding.synchronize_inputs()
        run, done = self._session.run_with_iobinding, binding.synchronize_outputs

        def call() -> object:
            run(binding)
            done()
            return binding

        return call

    def __call__(self, *inputs: object) -> list[Any]:
        """Run the model once; arrays in, a list of output arrays out, in the model's order."""
        returned: Any = self.bind(*inputs)()
        if self.options.boundary is Boundary.DEVICE_ONLY:
            return list(returned.copy_outputs_to_cpu())
        return list(returned)

    def facts(self) -> dict[str, str]:
        """File, hash, runtime, providers and threads."""
        import onnxruntime  # noqa: PLC0415

        session = self._session
        provider = self._opened_with[0]
        # Some providers do not say which options they have.
        used = {
            **asked_options(provider, self._target, self.threads),
            **session.get_provider_options().get(provider, {}),
        }
        options = ", ".join(f"{name} = {value}" for name, value in sorted(used.items()))
        return {
            "model file": self.path.name,
            "model SHA-256": self.sha256,
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "execution providers": ", ".join(session.get_providers()),
            **({f"options of {provider}": options} if options else {}),
            "intra-op threads": str(self.threads),
            "inter-op threads": "1",
            "thread spinning": "on" if self.options.spinning else "off",
        }

    def _placed(self) -> list[Placed]:
        if hasattr(self._session, "get_provider_graph_assignment_info"):
            return recorded_placement(self._session)
        return profile_once(self.path, self._target, self._feeds, threads=self.threads) if self._feeds else []

    def findings(self) -> tuple[Finding, ...]:
        """Where the nodes of the graph were placed, and whether the session still is what it was opened as."""
        placement = placement_finding(self._placed(), self._target)
        failover = failover_finding(self._opened_with, self._session.get_providers())
        return (placement,) if failover is None else (failover, placement)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def open_onnx(
    path: Path, target: Target = CPU, *, threads: int = 1, options: RuntimeOptions | None = None
) -> OnnxModel:
    """Open an ONNX file in a session on a target; falling back to another device is not an option.

    Args:
        path: the ONNX file.
        target: where it must run; for one that another machine has, the model is opened there, not here.
        threads: intra-op threads of a CPU session, at least 1.
        options: provider, its options, boundary and spinning; by default the target's.

    Raises:
        ModelFileError: onnxruntime is not installed, the file is missing, empty, too large or not ONNX, or the
            provider of the target is not to be had.
        ConfigError: ``threads`` is below 1, or the options do not go with the target.
    """
    if threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    options = options or RuntimeOptions()
    target = with_provider(target, options)
    _check_file(path)
    try:
        # Before the session reads it: a file that is replaced in between is not the one that was promised.
        sha256 = hash_file(path)
    except OSError as error:
        raise ModelFileError(f"model file {path} cannot be read: {error.strerror or error}") from None
    session = None
    if not target.elsewhere:
        session = make_session(path, target, threads=threads, spinning=options.spinning)
    return OnnxModel(path, sha256, target, threads, session, options)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ModelFileError(f"model file {path} is a folder; give the path of an .onnx file")
    if not path.is_file():
        # What waits for a writer, or has no end, must not be opened to find out.
        what = "is no regular file" if path.exists() else "does not exist"
        raise ModelFileError(f"model file {path} {what}; give the path of an .onnx file")
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise ModelFileError(f"model file {path} is empty; export it again")
    if size_bytes > LARGEST_FILE_BYTES:
        raise ModelFileError(f"model file {path} has {size_bytes} bytes; an ONNX file has {LARGEST_FILE_BYTES} at most")


def _input_info(path: Path, node: Any) -> InputInfo:
    if node.type not in ORT_DTYPES:
        raise ModelFileError(f"{path}: input {node.name!r} has the unsupported type {node.type}")
    shape = tuple(axis if isinstance(axis, int) else str(axis or "") for axis in node.shape)
    return InputInfo(str(node.name), np.dtype(ORT_DTYPES[node.type]), shape)


def check_fit(info: InputInfo, array: Any) -> None:
    """Check that a model input takes an array.

    Raises:
        ConfigError: another dtype, another number of axes, or another size of a fixed axis.
    """
    fits = len(array.shape) == len(info.shape) and all(
        isinstance(wanted, str) or wanted == size for wanted, size in zip(info.shape, array.shape, strict=False)
    )
    if not fits or array.dtype != info.dtype:
        axes = ", ".join(str(axis) or "?" for axis in info.shape)
        raise ConfigError(f"input {info.name!r} takes {info.dtype} [{axes}], got {array.dtype} {list(array.shape)}")
