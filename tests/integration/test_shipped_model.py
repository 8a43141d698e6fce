"""What the package ships: the model, the speech, and that they belong together."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import subprocess
import sys
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tests.speech_data import rttm_turns
from voiceflow_ml.audio import read_wav
from voiceflow_ml.diarization.diarizer import open_diarizer
from voiceflow_ml.diarization.online import OnlineConfig
from voiceflow_ml.diarization.scoring import Rules, score
from voiceflow_ml.errors import ModelFileError
from voiceflow_ml.models.powerset import logits_to_activity, logits_to_probabilities
from voiceflow_ml.models.shipped import (
    shipped_model_card_path,
    shipped_model_path,
    shipped_speech_path,
    shipped_speech_rttm_path,
)
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES
from voiceflow_ml.rttm import read_rttm

Float = NDArray[np.float32]


@pytest.fixture(scope="module")
def session() -> Any:
    return onnxruntime.InferenceSession(str(shipped_model_path()), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(shipped_model_card_path().read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def speech() -> Float:
    return read_wav(shipped_speech_path(), sample_rate_hz=SAMPLE_RATE_HZ)[0]


def run(session: Any, audio: Float) -> tuple[Float, Float]:
    logits, embeddings = session.run(["powerset_logits", "embeddings"], {"audio": audio})
    return logits, embeddings


def windows(speech: Float) -> Float:
    whole = speech.size - speech.size % WINDOW_SAMPLES
    return speech[:whole].reshape(-1, WINDOW_SAMPLES)


def reference_speech(frames: int) -> NDArray[np.bool_]:
    active = np.zeros(frames, dtype=np.bool_)
    frame_s = FRAME_SAMPLES / SAMPLE_RATE_HZ
    for _, start_s, end_s in rttm_turns():
        active[round(start_s / frame_s) : round(end_s / frame_s)] = True
    return active


def test_the_card_is_about_this_file(card: dict[str, Any]) -> None:
    content = shipped_model_path().read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert card["size_bytes"] == len(content)
    assert card["parameters"] <= 2_500_000
    assert max(card["parity_error"].values()) <= 1e-5


def test_the_card_tells_how_it_was_trained_and_scored(card: dict[str, Any]) -> None:
    assert card["training"]["steps_done"] == card["training"]["config"]["steps"]
    assert len(card["training"]["manifest_sha256"]) == 64
    for split in ("dev", "test"):
        assert 0.0 < card["evaluation"][split]["local_der_percent"] < 100.0


def test_it_finds_speech_where_the_reference_says(session: Any, speech: Float) -> None:
    logits, _ = run(session, windows(speech))
    found = logits_to_activity(logits).any(axis=2).ravel()
    reference = reference_speech(found.size)
    assert (found & reference).sum() >= 0.85 * reference.sum()
    assert (found & ~reference).sum() <= 0.5 * (~reference).sum()


def test_it_finds_no_speech_in_silence_and_little_in_noise(session: Any) -> None:
    silence = np.zeros((1, WINDOW_SAMPLES), dtype=np.float32)
    noise = np.random.default_rng(0).normal(0.0, 0.01, silence.shape).astype(np.float32)
    for audio in (silence, noise):
        logits, embeddings = run(session, audio)
        assert np.isfinite(logits).all()
        assert np.isfinite(embeddings).all()
        assert logits_to_activity(logits).any(axis=2).mean() < 0.05


def test_shapes_for_any_batch_and_length(session: Any, speech: Float) -> None:
    for audio in (speech[None, :640], speech[None, : 5 * 16_000 + 123], windows(speech)[:3]):
        logits, embeddings = run(session, audio)
        assert logits.shape[0] == embeddings.shape[0] == audio.shape[0]
        assert logits.shape[2] == 7
        assert abs(logits.shape[1] - audio.shape[1] / FRAME_SAMPLES) <= 2
        assert embeddings.shape[1:] == (3, 192)


def test_probabilities_hold_still_when_the_same_audio_comes_louder(session: Any, speech: Float) -> None:
    window = windows(speech)[:1]
    quiet, _ = run(session, window)
    loud, _ = run(session, window * np.float32(2.0))
    difference = np.abs(logits_to_probabilities(quiet) - logits_to_probabilities(loud))
    assert float(difference.mean()) < 0.05


def test_the_first_window_of_the_shipped_speech_holds_two_speakers() -> None:
    assert len({speaker for speaker, start_s, _ in rttm_turns() if start_s < 3.0}) == 2


def test_the_shipped_exchange_is_told_apart_as_a_whole_and_as_a_stream() -> None:
    (reference,) = read_rttm(shipped_speech_rttm_path()).values()
    for online, most in ((None, 0.1), (OnlineConfig(latency_s=2.0), 0.2)):
        found = open_diarizer(online=online)(shipped_speech_path())
        assert len(found.speakers) == 2
        der = score(reference, found.turns, found.seconds, Rules()).der
        assert der is not None
        assert der < most


def test_the_speech_matches_its_reference(speech: Float) -> None:
    assert 10.0 <= speech.size / SAMPLE_RATE_HZ <= 16.0
    frames = speech[: speech.size - speech.size % FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    level_db = 10.0 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    reference = reference_speech(frames.shape[0])
    assert np.median(level_db[reference]) > np.median(level_db[~reference]) + 20.0
    assert all(end_s <= speech.size / SAMPLE_RATE_HZ for _, _, end_s in rttm_turns())
    assert shipped_speech_rttm_path().read_text(encoding="utf-8").endswith("\n")


def test_a_package_without_its_assets_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(importlib.resources, "files", lambda _: tmp_path)
    with pytest.raises(ModelFileError, match=r"fast-cnn\.onnx: missing from the installed package"):
        shipped_model_path()


def test_asking_for_the_shipped_files_imports_nothing_heavy() -> None:
    code = (
        "import sys; from voiceflow_ml.models.shipped import shipped_model_path as p; p(); "
        "import voiceflow_ml.models.powerset, voiceflow_ml.audio; "
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'scipy', 'soundfile'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
