from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.git_repository import commit, forget_the_outer_repository
from tests.onnx_models import chain_model, tiny_model
from voiceflow_ml.errors import ConfigError, ModelFileError
from voiceflow_ml.files import hash_file
from voiceflow_ml.inference.baseline import open_baseline
from voiceflow_ml.inference.ort import OnnxModel, open_onnx


@pytest.fixture(name="model")
def _model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnnxModel:
    """A model that was a lighter one when it was committed, opened with two threads."""
    forget_the_outer_repository(monkeypatch, tmp_path.parent)
    path = chain_model(tmp_path / "models" / "m.onnx", layers=1)
    commit(tmp_path)
    chain_model(path, layers=2)
    return open_onnx(path, threads=2)


def test_a_file_is_opened_as_the_model_was(model: OnnxModel, tmp_path: Path) -> None:
    chain_model(tmp_path / "old.onnx", layers=1)
    for reference in ("old.onnx", str(tmp_path / "old.onnx")):
        baseline = open_baseline(reference, model, tmp_path)
        assert (baseline.target, baseline.threads) == (model.target, 2)
        assert baseline.sha256 == hash_file(tmp_path / "old.onnx") != model.sha256


def test_the_models_own_file_of_a_ref_runs_after_its_copy_is_gone(model: OnnxModel, tmp_path: Path) -> None:
    baseline = open_baseline("git:HEAD", model, tmp_path / "elsewhere")
    assert baseline.threads == 2
    assert baseline.sha256 == hash_file(chain_model(tmp_path / "light.onnx", layers=1))
    assert not baseline.path.exists()
    inputs = np.ones((2, 128), dtype=np.float32)
    np.testing.assert_array_equal(baseline(inputs)[0], open_onnx(tmp_path / "light.onnx")(inputs)[0])


def test_a_file_that_is_not_there(model: OnnxModel, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=rf"^model file {re.escape(str(tmp_path))}/gone\.onnx does not exist; "):
        open_baseline("gone.onnx", model, tmp_path)


def test_a_ref_that_is_not_there(model: OnnxModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^git:v9: unknown ref 'v9'; "):
        open_baseline("git:v9", model, tmp_path)


def test_what_was_no_model_at_a_ref_is_named_by_its_ref(tmp_path: Path, model: OnnxModel) -> None:
    model.path.write_bytes(b"not a model")
    commit(tmp_path)
    tiny_model(model.path)
    with pytest.raises(ModelFileError, match=r"^git:HEAD: .*m\.onnx is not an ONNX model that can be loaded") as caught:
        open_baseline("git:HEAD", open_onnx(model.path), tmp_path)
    assert "voiceflow-ml-" not in str(caught.value), "a file that is gone helps nobody"
