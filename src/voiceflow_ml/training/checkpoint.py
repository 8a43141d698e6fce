"""Checkpoints: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import pickle  # for the name of an error # nosec B403
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from voiceflow_ml.errors import TrainingError
from voiceflow_ml.files import atomic_path
from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.networks import build_network
from voiceflow_ml.training.stopping import Stopping

CHECKPOINT_VERSION = 1
"""Fields that were added since have defaults, so every checkpoint of this version can be read."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training run between two steps.

    Attributes:
        config: The run's configuration.
        step: Steps done.
        seconds: Wall time spent on them.
        hardware: What kind of machine spent it.
        manifest_sha256: The data.
        teaching_sha256: What the teacher said of it; "" without a teacher.
        speakers: Names of the training speakers, in the order of the speaker loss.
        model: State of the network.
        speaker_loss: State of the speaker loss.
        optimizer: State of the optimizer.
        scaler: State of the loss's scale; empty without fp16.
        stopping: How far the run is from stopping early.
        began_with: Facts of the run whose weights this one began with; empty for random weights.
        losses: Segmentation and speaker loss of the steps since the last line of the learning curve.
    """

    config: TrainConfig
    step: int
    seconds: float
    hardware: str
    manifest_sha256: str
    teaching_sha256: str
    speakers: tuple[str, ...]
    model: dict[str, Any]
    speaker_loss: dict[str, Any]
    optimizer: dict[str, Any]
    scaler: dict[str, Any] = field(default_factory=dict)
    stopping: Stopping = field(default_factory=Stopping)
    losses: tuple[tuple[float, float], ...] = ()
    began_with: dict[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """How it was trained, as JSON values."""
        earlier = {"began_with": self.began_with} if self.began_with else {}
        return {
            "steps_done": self.step,
            "wall_seconds": round(self.seconds, 1),
            "speakers": len(self.speakers),
            "manifest_sha256": self.manifest_sha256,
            "teaching_sha256": self.teaching_sha256,
            "hardware": self.hardware,
            "seed": self.config.seed,
            "config": self.config.to_dict(),
            **earlier,
        }


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, replacing the one before.

    Raises:
        TrainingError: The file cannot be written.
    """
    content = {
        "version": CHECKPOINT_VERSION,
        "config": checkpoint.config.to_dict(),
        "step": checkpoint.step,
        "seconds": checkpoint.seconds,
        "hardware": checkpoint.hardware,
        "manifest_sha256": checkpoint.manifest_sha256,
        "teaching_sha256": checkpoint.teaching_sha256,
        "speakers": list(checkpoint.speakers),
        "model": checkpoint.model,
        "speaker_loss": checkpoint.speaker_loss,
        "optimizer": checkpoint.optimizer,
        "scaler": checkpoint.scaler,
        "stopping": asdict(checkpoint.stopping),
        "losses": [list(pair) for pair in checkpoint.losses],
        "began_with": checkpoint.began_with,
    }
    try:
        with atomic_path(path) as temporary:
            torch.save(content, temporary)
    except OSError as error:
        raise TrainingError(f"{path}: checkpoint cannot be written: {error.strerror or error}") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        TrainingError: It is missing, damaged, or of another version.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["version"] != CHECKPOINT_VERSION:
            raise TrainingError(f"{path}: checkpoint version {content['version']}, expected {CHECKPOINT_VERSION}")
        fields = {key: value for key, value in content.items() if key != "version"}
        fields["config"] = TrainConfig.from_dict(fields["config"])
        fields["speakers"] = tuple(fields["speakers"])
        fields.setdefault("teaching_sha256", "")
        fields["stopping"] = Stopping(**fields.get("stopping", {}))
        fields["losses"] = tuple((float(first), float(second)) for first, second in fields.get("losses", ()))
        return Checkpoint(**fields)
    except FileNotFoundError:
        raise TrainingError(f"{path}: no such checkpoint; voiceflow train writes one") from None
    except (
        OSError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        raise TrainingError(f"{path}: not a readable checkpoint ({type(error).__name__})") from error


def load_model(checkpoint: Checkpoint) -> nn.Module:
    """The checkpoint's network, ready for inference.

    Raises:
        TrainingError: The weights do not fit the configuration.
    """
    model = build_network(checkpoint.config.model)
    try:
        model.load_state_dict(checkpoint.model)
    except RuntimeError as error:
        raise TrainingError(f"the checkpoint's weights do not fit its configuration: {error}") from error
    return model.eval()
