"""Which software would run a model: builds of onnxruntime and libraries of CUDA, as they are installed."""

from __future__ import annotations

from importlib import metadata

from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.gpu import UNKNOWN

# Distributions that all bring a module of the name onnxruntime.
ORT_BUILDS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-rocm",
    "onnxruntime-migraphx",
    "onnxruntime-qnn",
    "onnxruntime-training",
)
_CUDA_LIBRARIES = {
    "CUDA runtime": ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu13", "nvidia-cuda-runtime-cu12"),
    "cuDNN": ("nvidia-cudnn-cu13", "nvidia-cudnn-cu12", "nvidia-cudnn"),
    "TensorRT": ("tensorrt-cu13", "tensorrt-cu12", "tensorrt"),
}


def version_of(distribution: str) -> str | None:
    """Installed version of a distribution; None when it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def ort_builds() -> dict[str, str]:
    """Installed distributions that bring onnxruntime -> version; more than one overwrite each other's files."""
    versions = {name: version_of(name) for name in ORT_BUILDS}
    return {name: version for name, version in versions.items() if version is not None}


def software_facts(*, cuda: bool) -> dict[str, str]:
    """What a reader needs to install the same.

    Args:
        cuda: whether a GPU is in play.
    """
    builds = ", ".join(f"{name} {version}" for name, version in ort_builds().items())
    facts = {"onnxruntime comes from": builds or UNKNOWN}
    if cuda:
        for what, names in _CUDA_LIBRARIES.items():
            found = [f"{name} {version}" for name in names if (version := version_of(name))]
            facts[what] = ", ".join(found) or UNKNOWN
    return facts


def builds_finding(builds: dict[str, str]) -> Finding | None:
    """Say so when several builds of onnxruntime lie over each other; None when it is one."""
    if len(builds) < 2:
        return None
    names = " and ".join(builds)
    fact = f"{names} are installed together: two builds of one module, and which files of which one ran is chance"
    remedy = f"pip uninstall {' '.join(builds)}, then install the one that is meant"
    return Finding(Severity.CAUTION, fact, remedy)
