"""Real speech for an export: to prove parity, to calibrate int8, to score every variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.audio import read_wav
from voiceflow_ml.diarization.evaluation import Pair, find_pairs
from voiceflow_ml.errors import ExportError
from voiceflow_ml.files import hash_bytes, hash_file
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
        recordings: folder of whole recordings -> them, with their references; empty when none were given.
    """

    audio: NDArray[np.float32]
    calibration: NDArray[np.float32]
    golden: NDArray[np.float32]
    scored: Mapping[str, Windows] = field(default_factory=dict)
    conversations: int = 0
    sources: Mapping[str, str] = field(default_factory=dict)
    data_sha256: str = ""
    recordings: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("audio", "calibration"):
            shape = getattr(self, name).shape
            if len(shape) != 2 or shape[0] < 1 or shape[1] < WINDOW_SAMPLES:
                raise ExportError(f"{name} must hold windows of at least {WINDOW_SAMPLES} samples, got {list(shape)}")

    @cached_property
    def recordings_sha256(self) -> str:
        """Hash over all recordings and references; empty when there are none."""
        files = [file for pairs in self.recordings.values() for pair in pairs for file in (pair.audio, pair.rttm)]
        try:
            return hash_bytes("".join(map(hash_file, files)).encode()) if files else ""
        except OSError as error:
            raise ExportError(f"a recording cannot be read: {error}") from None

    @property
    def described(self) -> str:
        """What the calibration was done on, in words."""
        if not self.data_sha256:
            return f"{len(self.calibration)} windows of 3 s of the speech that ships in the package"
        return f"{len(self.calibration)} windows of 3 s of simulated conversations of training voices"


def load_speech(data_dir: Path | None, *, conversations: int = 60, recordings: Sequence[Path] = ()) -> ExportSpeech:
    """Speech from a data folder, or the speech that ships in the package; and whole recordings.

    Args:
        data_dir: what ``voiceflow data prepare`` filled; None for the shipped speech, which cannot be scored.
        conversations: how many to simulate and score in each split.
        recordings: folders of audio with an ``.rttm`` beside each, of voices that were not trained on.

    Raises:
        DataError: a folder holds no data, or damaged data.
        ExportError: two folders of recordings have one name.
    """
    whole = _find_recordings(recordings)
    shipped, _ = read_wav(shipped_speech_path(), sample_rate_hz=SAMPLE_RATE_HZ)
    windows = cut(shipped)
    if data_dir is None:
        return ExportSpeech(windows, windows, shipped, recordings=whole)
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
        recordings=whole,
    )


def _find_recordings(folders: Sequence[Path]) -> dict[str, tuple[Pair, ...]]:
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise ExportError(f"folders of recordings are told apart by their names, got {', '.join(names)}")
    return {name: find_pairs([folder]) for name, folder in zip(names, folders, strict=True)}


def cut(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Whole windows of a recording, back to back, ``[windows, samples]``.

    Raises:
        ExportError: it is shorter than one.
    """
    if audio.ndim != 1 or audio.size < WINDOW_SAMPLES:
        raise ExportError(f"at least {WINDOW_SAMPLES} samples of speech are needed, got {list(audio.shape)}")
    return audio[: audio.size - audio.size % WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
