"""ONNX Runtime sessions: opened on a target, and asked node by node where the graph was placed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voiceflow_ml.errors import ConfigError, ModelFileError
from voiceflow_ml.files import hash_file
from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.targets import CPU, Target

# Operators that ONNX Runtime keeps on the CPU by design, because their work is metadata.
SHAPE_OPERATORS = frozenset({"Constant", "Shape", "Size"})

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True)
class InputInfo:
    """A model input: name, numpy dtype and shape; a dynamic axis is its name, or empty."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]


class OnnxModel:
    """An ONNX model in a session on one target. Build it with :func:`open_onnx`."""

    def __init__(self, path: Path, sha256: str, target: Target, threads: int, session: Any) -> None:
        self.path = path
        self.sha256 = sha256
        self.threads = threads
        self._target = target
        self._session = session
        self.inputs = tuple(_input_info(path, node) for node in session.get_inputs())
        self.output_names = tuple(str(node.name) for node in session.get_outputs())

    @property
    def target(self) -> Target:
        """The target that the session was opened on."""
        return self._target

    @property
    def boundary(self) -> str:
        """What lies between the two clock reads."""
        return "host-to-host: one session.run, from inputs in host memory to outputs in host memory"

    def bind(self, *inputs: object) -> Callable[[], object]:
        """Check the inputs and return a call that does nothing but run the session on them.

        Args:
            inputs: one array for each model input, in the model's order.

        Raises:
            ConfigError: the number, type or shape of the arrays does not fit the model.
        """
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
        run, names_out = self._session.run, list(self.output_names)
        return lambda: run(names_out, feeds)

    def __call__(self, *inputs: object) -> list[Any]:
        """Run the model once; arrays in, a list of output arrays out, in the model's order."""
        outputs: list[Any] = self.bind(*inputs)()  # type: ignore[assignment]
        return outputs

    def facts(self) -> dict[str, str]:
        """File, hash, runtime, providers and threads."""
        import onnxruntime  # noqa: PLC0415

        return {
            "model file": self.path.name,
            "model SHA-256": self.sha256,
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "execution providers": ", ".join(self._session.get_providers()),
            "intra-op threads": str(self.threads),
            "inter-op threads": "1",
            "thread spinning": "off",
        }

    def findings(self) -> tuple[Finding, ...]:
        """Where the nodes of the graph were placed."""
        placed = [
            (str(group.ep_name), str(node.name), str(node.op_type))
            for group in self._session.get_provider_graph_assignment_info()
            for node in group.get_nodes()
        ]
        return (placement_finding(placed, self._target),)


def placement_finding(placed: Sequence[tuple[str, str, str]], target: Target) -> Finding:
    """Judge the placement of a graph: every compute node on a provider of the target, no copies.

    Args:
        placed: (execution provider, node name, operator) of each node that remains after optimisation.
        target: where the nodes should be.
    """
    elsewhere = [
        (name or operator, provider)
        for provider, name, operator in placed
        if provider not in target.providers and operator not in SHAPE_OPERATORS
    ]
    copies = sum(operator.startswith("Memcpy") for _, _, operator in placed)
    exempt = sum(provider not in target.providers for provider, _, _ in placed) - len(elsewhere)
    if not placed:
        fact = "the runtime recorded no node: the graph computes nothing, or onnxruntime is older than 1.24.1"
        return Finding(Severity.INVALID, fact, "measure a graph that computes something, or update onnxruntime")
    if elsewhere:
        more = f" (+{len(elsewhere) - 1})" if len(elsewhere) > 1 else ""
        others = " and ".join(dict.fromkeys(provider for _, provider in elsewhere))
        fact = f"{len(elsewhere)} of {len(placed)} nodes ran on {others}: {elsewhere[0][0]}{more}"
        remedy = f"export a graph whose operators {target.providers[0]} supports, or check its installation"
        return Finding(Severity.INVALID, fact, remedy)
    if copies:
        fact = f"{copies} copies between host and device inside the graph"
        return Finding(Severity.INVALID, fact, "export a graph that stays on one device")
    if exempt == len(placed):
        fact = f"no node ran on {target.providers[0]}: the graph only asks for shapes"
        return Finding(Severity.INVALID, fact, "measure a graph that computes something")
    computing = len(placed) - exempt
    nodes = f"all {computing} compute nodes" if computing > 1 else "the only compute node"
    fact = f"{nodes} ran on {target.providers[0]}"
    kept = f" ({_counted(exempt, 'shape operator')} on the CPU, as the runtime intends)" if exempt else ""
    return Finding(Severity.INFORMATION, fact + kept)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def open_onnx(path: Path, target: Target = CPU, *, threads: int = 1) -> OnnxModel:
    """Open an ONNX file in a session on a target; falling back to another device is not an option.

    Args:
        path: the ONNX file.
        target: where it must run.
        threads: intra-op threads of a CPU session, at least 1.

    Raises:
        ModelFileError: onnxruntime is not installed, the file is missing or empty or not ONNX, or the
            provider of the target is not to be had.
        ConfigError: ``threads`` is below 1.
    """
    if threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    try:
        import onnxruntime as ort  # noqa: PLC0415
    except ImportError:
        extra = "gpu" if target.is_cuda else "cpu"
        raise ModelFileError(f'onnxruntime is not installed: pip install "voiceflow-ml[{extra}]"') from None
    _check_file(path)
    available = ort.get_available_providers()
    providers = [name for name in target.providers if name in available][:1]
    if not providers:
        raise ModelFileError(
            f"this onnxruntime has no {target.providers[0]} for {target.name} (it has: {', '.join(available)}); "
            'put the GPU build in its place: pip uninstall onnxruntime, then pip install "voiceflow-ml[gpu]"'
        )
    # Before the session reads it: a file that is replaced in between is not the one that was promised.
    sha256 = hash_file(path)
    try:
        session = ort.InferenceSession(str(path), _session_options(ort, threads), providers=providers)
        session.disable_fallback()
    except Exception as error:
        raise ModelFileError(f"model file {path} is not an ONNX model that can be loaded: {_reason(error)}") from None
    return OnnxModel(path, sha256, target, threads, session)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ModelFileError(f"model file {path} is a folder; give the path of an .onnx file")
    if not path.is_file():
        raise ModelFileError(f"model file {path} does not exist; give the path of an .onnx file")
    if path.stat().st_size == 0:
        raise ModelFileError(f"model file {path} is empty; export it again")


def _reason(error: Exception) -> str:
    """ONNX Runtime's reason on one line, without its error code, source location and C++ signature."""
    text = " ".join(str(error).split()).rpartition("failed:")[2].strip()
    return re.sub(r"^/\S+:\d+ .*?\) (?=[A-Z])", "", text).rstrip(".") or type(error).__name__


def _session_options(ort: Any, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _input_info(path: Path, node: Any) -> InputInfo:
    if node.type not in _DTYPES:
        raise ModelFileError(f"{path}: input {node.name!r} has the unsupported type {node.type}")
    shape = tuple(axis if isinstance(axis, int) else str(axis or "") for axis in node.shape)
    return InputInfo(str(node.name), np.dtype(_DTYPES[node.type]), shape)


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
