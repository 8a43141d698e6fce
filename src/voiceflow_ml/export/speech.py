"""Real speech for an export: to prove parity, to calibrate int8, to score every variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.audio import read_wav
from voiceflow_ml.errors import ExportError
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ, WINDOW_SAMPLES
from voiceflow_ml.training.data.labels import Split
from voiceflow_ml.training.data.manifest import read_manifest
from voiceflow_ml.training.evaluate import evaluation_windows
from voiceflow_ml.training.simulate.bank import load_bank
from voiceflow_ml.training.simulate.conversation import SimulationConfig
from voiceflow_ml.training.simulate.windows import Windows

SCORED_SPLITS: tuple[Split, ...] = ("dev", "test")
_CALIBRATION_CONVERSATIONS = 13
_CALIBRATION_WINDOWS = 128


@dataclass(frozen=True)
class ExportSpeech:
    """Windows of real speech.

    Attributes:
        audio: float32 ``[windows, samples]``, to prove parity on when nothing is scored.
        calibration: float32 ``[windows, samples]``, of voices that are not scored.
        scored: split -> windows with their reference; empty when there is no data folder.
        conversations: simulated conversations of 30 s in each split.
        sources: package -> version and licence of the data.
        data_sha256: hash of the data's manifest; empty for the shipped speech.
        golden: float32 ``[samples]`` that may be passed on with the model.
    """

    audio: NDArray[np.float32]
    calibration: NDArray[np.float32]
    golden: NDArray[np.float32]
    scored: Mapping[str, Windows] = field(default_factory=dict)
    conversations: int = 0
    sources: Mapping[str, str] = field(default_factory=dict)
    data_sha256: str = ""

    def __post_init__(self) -> None:
        for name in ("audio", "calibration"):
            shape = getattr(self, name).shape
            if len(shape) != 2 or shape[0] < 1 or shape[1] < WINDOW_SAMPLES:
                raise ExportError(f"{name} must hold windows of at least {WINDOW_SAMPLES} samples, got {list(shape)}")

    @property
    def described(self) -> str:
        """What the calibration was done on, in words."""
        if not self.data_sha256:
            return f"{len(self.calibration)} windows of 3 s of the speech that ships in the package"
        return f"{len(self.calibration)} windows of 3 s of simulated conversations of training voices"


def load_speech(data_dir: Path | None, *, conversations: int = 60) -> ExportSpeech:
    """Speech from a data folder, or the speech that ships in the package.

    Args:
        data_dir: what ``voiceflow data prepare`` filled; None for the shipped speech, which cannot be scored.
        conversations: how many to simulate and score in each split.

    Raises:
        DataError: the folder holds no data, or damaged data.
    """
    shipped, _ = read_wav(shipped_speech_path(), sample_rate_hz=SAMPLE_RATE_HZ)
    windows = cut(shipped)
    if data_dir is None:
        return ExportSpeech(windows, windows, shipped)
    records, sha256 = read_manifest(data_dir)
    training = evaluation_windows(
        load_bank(data_dir, "train"), SimulationConfig(), WINDOW_SAMPLES, conversations=_CALIBRATION_CONVERSATIONS
    )
    scored: dict[str, Windows] = {
        split: evaluation_windows(
            load_bank(data_dir, split), SimulationConfig(), WINDOW_SAMPLES, conversations=conversations
        )
        for split in SCORED_SPLITS
    }
    return ExportSpeech(
        audio=windows,
        calibration=training.audio[:_CALIBRATION_WINDOWS],
        golden=shipped,
        scored=scored,
        conversations=conversations,
        sources={record.package: f"{record.version}, {record.licence}" for record in records},
        data_sha256=sha256,
    )


def cut(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Whole windows of a recording, back to back, ``[windows, samples]``.

    Raises:
        ExportError: it is shorter than one.
    """
    if audio.ndim != 1 or audio.size < WINDOW_SAMPLES:
        raise ExportError(f"at least {WINDOW_SAMPLES} samples of speech are needed, got {list(audio.shape)}")
    return audio[: audio.size - audio.size % WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
