"""Where the model and the speech that ship in the package are; nothing heavy is imported."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from voiceflow_ml.errors import ModelFileError

MODEL_NAME = "fast-cnn"
"""Name of the shipped model: `builtin:fast-cnn` in sla.toml, the stem of its files."""


def shipped_model_path() -> Path:
    """The trained Fast CNN: ONNX, fp32, weights inside.

    Input ``audio`` float32 ``[batch, samples]`` at 16 kHz in [-1, 1]; outputs
    ``powerset_logits`` ``[batch, frames, 7]`` at 20 ms and ``embeddings`` ``[batch, 3, 192]``.

    Raises:
        ModelFileError: The package was installed without it.
    """
    return _asset("fast-cnn.onnx")


def shipped_model_card_path() -> Path:
    """What is known about the shipped model, as JSON: hash, training, scores.

    Raises:
        ModelFileError: The package was installed without it.
    """
    return _asset("fast-cnn.json")


def shipped_speech_path() -> Path:
    """A real exchange of two speakers the model was not trained on: WAV, 16 kHz, mono, 16-bit PCM.

    Raises:
        ModelFileError: The package was installed without it.
    """
    return _asset("speech.wav")


def shipped_speech_rttm_path() -> Path:
    """Who speaks when in the shipped speech, as RTTM.

    Raises:
        ModelFileError: The package was installed without it.
    """
    return _asset("speech.rttm")


def _asset(name: str) -> Path:
    # A wheel is unpacked on installation, so its resources are real files.
    path = Path(str(resources.files("voiceflow_ml") / "assets" / name))
    if not path.is_file():
        raise ModelFileError(f"{path}: missing from the installed package; install voiceflow-ml again")
    return path
