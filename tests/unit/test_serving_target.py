"""A server runs where it was told to, or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voiceflow_ml.contract.from_model import contract_of
from voiceflow_ml.errors import ModelFileError, TargetError
from voiceflow_ml.hardware.fake_nvml import FakeNvml
from voiceflow_ml.hardware.targets import CPU, Target
from voiceflow_ml.inference.ort_session import make_session
from voiceflow_ml.models.shipped import shipped_model_path
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.opened import open_file
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.sources import BUILTIN
from voiceflow_ml.service.swaps import LoadRefused
from voiceflow_ml.service.target import serving_target
from voiceflow_ml.service.trial import Here, LoadingPlan


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_the_cpu_is_always_there() -> None:
    assert serving_target("cpu") is CPU


def test_a_t4_is_a_t4_and_nothing_else() -> None:
    with FakeNvml.t4().installed():
        assert serving_target("cuda-t4").name == "cuda-t4"
    message = "target cuda-t4 needs a Tesla T4, and CUDA's first device here is a NVIDIA H200"
    with FakeNvml.h200().installed(), pytest.raises(TargetError, match=message):
        serving_target("cuda-t4")


def test_without_a_driver_there_is_no_quiet_cpu() -> None:
    with FakeNvml(problem=12).installed(), pytest.raises(TargetError, match="or serve with target = cpu"):
        serving_target("cuda-t4")


def test_a_target_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TargetError, match="cuda-t5"):
        serving_target("cuda-t5")


def test_a_version_is_not_loaded_where_the_provider_is_missing() -> None:
    with FakeNvml.t4().installed():
        plan = LoadingPlan(target=serving_target("cuda-t4"))
    slot = ModelSlot(Loader("fast-cnn", trial=Here(plan)))
    with pytest.raises(LoadRefused, match="has no CUDAExecutionProvider for cuda-t4"):
        slot.load(BUILTIN)


def test_a_version_whose_nodes_would_run_elsewhere_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target with CUDA's names and the CPU behind them, as a session that fell back would be."""
    monkeypatch.setattr(
        "voiceflow_ml.service.opened.make_session", lambda path, _target, **options: make_session(path, CPU, **options)
    )
    path: Path = shipped_model_path()
    target = Target("cuda-t4", "Tesla T4", (7, 5), ("CUDAExecutionProvider",))
    with pytest.raises(ModelFileError, match=re.escape("nodes ran on CPUExecutionProvider")):
        open_file(path, contract_of(path), target)
