from __future__ import annotations

from importlib import metadata

import pytest

from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.hardware.software import builds_finding, ort_builds, software_facts, version_of


def install(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Have these distributions installed, and no other."""

    def version(name: str) -> str:
        try:
            return versions[name.replace("-", "_")]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    monkeypatch.setattr(metadata, "version", version)


def test_here_one_build_is_installed() -> None:
    assert list(ort_builds()) == ["onnxruntime"]
    assert builds_finding(ort_builds()) is None
    assert version_of("no-such-distribution") is None


def test_two_builds_lie_over_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, onnxruntime="1.32.0", onnxruntime_gpu="1.31.1")
    finding = builds_finding(ort_builds())
    assert finding is not None
    assert finding.severity is Severity.CAUTION
    assert finding.fact.startswith("onnxruntime and onnxruntime-gpu are installed together: two builds of one module")
    assert finding.remedy.startswith("pip uninstall onnxruntime onnxruntime-gpu, ")


def test_the_libraries_of_cuda_are_named_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, onnxruntime_gpu="1.31.1", nvidia_cudnn_cu13="9.14")
    assert software_facts(cuda=True) == {
        "onnxruntime comes from": "onnxruntime-gpu 1.31.1",
        "CUDA runtime": "unknown",
        "cuDNN": "nvidia-cudnn-cu13 9.14",
        "TensorRT": "unknown",
    }
    install(monkeypatch)
    assert software_facts(cuda=False) == {"onnxruntime comes from": "unknown"}
