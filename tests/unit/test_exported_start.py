"""Training goes on from an exported file: the same network, batch norms and all."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from tests.speech_data import shipped_bank
from voiceflow_ml.audio import read_wav
from voiceflow_ml.cli import app
from voiceflow_ml.errors import TrainingError
from voiceflow_ml.models.fast_cnn import FastCnn
from voiceflow_ml.models.shipped import shipped_model_path, shipped_speech_path
from voiceflow_ml.training.checkpoint import Checkpoint, load_checkpoint, load_model
from voiceflow_ml.training.exported import read_exported
from voiceflow_ml.training.presets import segmentation_run
from voiceflow_ml.training.simulate.bank import SpeechBank
from voiceflow_ml.training.train import begin, train

BANK = shipped_bank()


@pytest.fixture(name="start", scope="module")
def _start() -> Checkpoint:
    return read_exported(shipped_model_path(), BANK)


@pytest.fixture(name="copied")
def _copied(tmp_path: Path) -> Path:
    for suffix in (".onnx", ".json"):
        shutil.copy(shipped_model_path().with_suffix(suffix), tmp_path)
    return tmp_path / shipped_model_path().name


def speech(samples: int) -> NDArray[np.float32]:
    return read_wav(shipped_speech_path(), sample_rate_hz=16_000)[0][None, :samples]


def test_it_says_what_the_exported_file_says(start: Checkpoint) -> None:
    network, audio = load_model(start), speech(96_000)
    session = onnxruntime.InferenceSession(str(shipped_model_path()), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"audio": audio})
    with torch.no_grad():
        found = network(torch.from_numpy(audio))
    for wanted, got in zip(expected, found, strict=True):
        assert np.abs(wanted - got.numpy()).max() < 1e-4


def test_what_a_batch_norm_sees_is_spread_as_it_believes(start: Checkpoint) -> None:
    # Otherwise training, which goes by the statistics of its batches, would begin with another network.
    network = load_model(start)
    assert isinstance(network, FastCnn)
    audio = torch.from_numpy(speech(192_000).reshape(4, 48_000))
    with torch.no_grad():
        evaluated = network.segment(audio)
        trained = network.train().segment(audio)
    assert float((evaluated - trained).abs().mean()) < 0.5 * float(evaluated.std())


def test_a_run_begins_with_it_and_says_so(start: Checkpoint, tmp_path: Path) -> None:
    config = replace(segmentation_run(start.config, "5" * 64), steps=1, conversations_per_step=1, precision="fp32")
    begin(config, BANK, tmp_path, lambda: start)
    gone_on = load_checkpoint(train(config, BANK, tmp_path, progress=lambda _: None))
    record = json.loads(shipped_model_path().with_suffix(".json").read_text(encoding="utf-8"))
    assert gone_on.began_with["steps_done"] == record["training"]["steps_done"]
    assert gone_on.began_with["speakers"] == record["training"]["speakers"]
    assert torch.equal(gone_on.model["embed.weight"], start.model["embed.weight"])


def test_the_command_reads_the_weights_once(start: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def reading(path: Path, _bank: SpeechBank) -> Checkpoint:
        read.append(path)
        return start

    monkeypatch.setattr("voiceflow_ml.training.simulate.bank.load_bank", lambda _data, _split: BANK)
    monkeypatch.setattr("voiceflow_ml.training.exported.read_exported", reading)
    command = ["train", "segmentation", str(shipped_model_path()), "--out", str(tmp_path), "--precision", "fp32"]
    for minutes in ("0.0001", "0.0001"):
        done = CliRunner().invoke(app, [*command, "--minutes", minutes])
        assert done.exit_code == 0, done.output
    assert read == [shipped_model_path()]


def test_the_command_refuses_a_start_before_it_reads_the_voices(copied: Path, tmp_path: Path) -> None:
    copied.unlink()
    done = CliRunner().invoke(app, ["train", "voices", str(copied), "--data", str(tmp_path / "nowhere")])
    assert (type(done.exception), str(done.exception)) == (
        TrainingError,
        f"{copied}: not the file that fast-cnn.json is about; export it again",
    )


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.with_suffix(".json").unlink(), "missing; voiceflow export writes it"),
        (lambda path: path.with_suffix(".json").write_text("{}"), "not the record of an exported model"),
        (lambda path: path.with_suffix(".json").write_text('{"sha256": "", "training": {}}'), "how the model was"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "not the file that fast-cnn.json is about"),
        (lambda path: path.unlink(), "not the file that fast-cnn.json is about"),
    ],
)
def test_a_file_that_does_not_belong_to_its_record_is_one_sentence(copied: Path, damage, says: str) -> None:  # type: ignore[no-untyped-def]
    damage(copied)
    with pytest.raises(TrainingError, match=says):
        read_exported(copied, BANK)
