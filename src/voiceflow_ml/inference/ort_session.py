"""A session of ONNX Runtime on the providers of a target, with both of its fallbacks off."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voiceflow_ml.errors import ModelFileError, quoted
from voiceflow_ml.hardware.software import builds_finding, ort_builds
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.inference.placement import Placed, profiled_placement

ORT_DTYPES = {
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
"""ONNX Runtime's name of a type -> numpy's."""


@dataclass(frozen=True)
class Optimising:
    """What becomes of the graph before it runs.

    Attributes:
        is_done: the file is one that was saved here, and is taken as it is.
        save_as: where the optimised graph is saved; its weights in other files stay where they are, beside it.
    """

    is_done: bool = False
    save_as: Path | None = None


def make_session(
    path: Path,
    target: Target,
    *,
    threads: int,
    spinning: bool,
    profile: Path | None = None,
    optimising: Optimising | None = None,
) -> Any:
    """Open a session.

    Args:
        path: the ONNX file.
        target: its providers are asked for, all that this build has, and no other.
        threads: intra-op threads.
        spinning: whether idle threads burn their core.
        profile: begins the name of the file that a profile goes to; None for none, as for every judged run.
        optimising: None as ONNX Runtime does it by itself.

    Raises:
        ModelFileError: onnxruntime is not installed, has none of the providers, or does not load the file.
    """
    try:
        import onnxruntime as ort  # noqa: PLC0415
    except ImportError:
        extra = "gpu" if target.is_cuda else "cpu"
        raise ModelFileError(f'onnxruntime is not installed: pip install "voiceflow-ml[{extra}]"') from None
    available = ort.get_available_providers()
    names = [name for name in target.providers if name in available]
    if not names:
        raise ModelFileError(_missing(target, available))
    if target.is_cuda and hasattr(ort, "preload_dlls"):
        # The libraries of CUDA and cuDNN that pip installed are on no search path.
        ort.preload_dlls()
    # Options are the first one's; those that stand behind it get none.
    providers = [(names[0], asked_options(names[0], target, threads)), *((name, {}) for name in names[1:])]
    options = _session_options(ort, threads, spinning=spinning)
    _ask_for(optimising or Optimising(), options, ort)
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    try:
        # Falling back to other providers would measure something else: when the session is made, and when it runs.
        session = ort.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
        session.disable_fallback()
    except Exception as error:
        raise ModelFileError(f"model file {path} is not an ONNX model that can be loaded: {_reason(error)}") from None
    if names[0] not in session.get_providers():
        raise ModelFileError(
            f"{names[0]} is compiled in but cannot be started here, and onnxruntime went on without it; "
            "its libraries are missing or of another version: see onnxruntime's log, and install the GPU extra"
        )
    return session


def _ask_for(optimising: Optimising, options: Any, ort: Any) -> None:
    if optimising.is_done:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if optimising.save_as is not None:
        options.optimized_model_filepath = str(optimising.save_as)


def profile_once(path: Path, target: Target, feeds: Mapping[str, Any], *, threads: int) -> list[Placed]:
    """Where nodes run, off the profile of one run in a session of its own, for releases that record no placement."""
    with tempfile.TemporaryDirectory(prefix="voiceflow-ml-") as folder:
        session = make_session(path, target, threads=threads, spinning=False, profile=Path(folder) / "profile")
        session.run(None, dict(feeds))
        return profiled_placement(Path(session.end_profiling()))


def _missing(target: Target, available: list[str]) -> str:
    fact = f"this onnxruntime has no {target.providers[0]} for {target.name} (it has: {', '.join(available)})"
    both = builds_finding(ort_builds())
    if both is not None:
        return f"{fact}; {both.sentence}"
    if not target.is_cuda:
        return f"{fact}; install the build that has it, in an environment of its own: pip install onnxruntime-openvino"
    return f'{fact}; put the GPU build in its place: pip uninstall onnxruntime, then pip install "voiceflow-ml[gpu]"'


def asked_options(provider: str, target: Target, threads: int) -> dict[str, str]:
    """Options that a provider is given on a target; what it makes of them the session may say."""
    if provider == "OpenVINOExecutionProvider":
        # Its threads are its own: without this it takes every core.
        return {"device_type": "CPU", "num_of_threads": str(threads), **target.provider_options}
    return dict(target.provider_options)


def _reason(error: Exception) -> str:
    """ONNX Runtime's reason on one line, without its error code, source location and C++ signature."""
    text = quoted(error, 2_000).rpartition("failed:")[2].strip()
    return quoted(re.sub(r"^/\S+:\d+ .*?\) (?=[A-Z])", "", text)).rstrip(".") or type(error).__name__


def _session_options(ort: Any, threads: int, *, spinning: bool) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options
