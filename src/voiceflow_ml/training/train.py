"""Train Fast CNN on simulated conversations; resumes exactly where it stopped."""

from __future__ import annotations

import csv
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from voiceflow_ml.errors import TrainingError
from voiceflow_ml.files import atomic_path
from voiceflow_ml.models.fast_cnn import FastCnn
from voiceflow_ml.training.batches import Batch, batches
from voiceflow_ml.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.losses import PowersetLoss, SpeakerLoss, embeddable
from voiceflow_ml.training.simulate.bank import SpeechBank

CHECKPOINT_NAME = "checkpoint.pt"
CURVE_NAME = "learning-curve.csv"


@dataclass(frozen=True)
class CurvePoint:
    """One line of the learning curve: means over the steps since the line before."""

    step: int
    seconds: float
    loss: float
    segmentation_loss: float
    speaker_loss: float
    learning_rate: float


class Run:
    """A training run's network, losses and optimizer."""

    def __init__(self, config: TrainConfig, bank: SpeechBank) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.bank = bank
        self.step = 0
        self.seconds = 0.0
        self.model = FastCnn(config.model).train()
        self.segmentation = PowersetLoss()
        self.speaker = SpeakerLoss(
            len(bank.voices) * len(config.simulation.speeds),
            config.model.embedding_dim,
            margin=config.speaker_margin,
            scale=config.speaker_scale,
            targets=_targets(config, bank),
            teacher_weight=config.teacher_weight,
        )
        self.parameters = [*self.model.parameters(), *self.speaker.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay)

    def train_step(self, batch: Batch) -> tuple[float, float]:
        """One optimizer step.

        Args:
            batch: This step's windows.

        Returns:
            Segmentation loss and speaker loss, before the step.

        Raises:
            TrainingError: The loss is not finite.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.config.bf16):
            logits, embeddings = self.model(batch.audio, batch.activity.float())
        segmentation = self.segmentation(logits, batch.classes)
        labels = embeddable(batch.activity, batch.identities, min_alone_s=self.config.min_alone_s)
        speaker = self.speaker(embeddings, labels)
        loss = segmentation + self.config.speaker_weight * speaker
        if not bool(torch.isfinite(loss)):
            raise TrainingError(f"loss is {loss.item()} at step {self.step}; lower learning_rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        self.optimizer.step()
        self.step += 1
        return float(segmentation.detach()), float(speaker.detach())

    def checkpoint(self) -> Checkpoint:
        """The run's state between two steps."""
        return Checkpoint(
            config=self.config,
            step=self.step,
            seconds=self.seconds,
            hardware=f"{os.cpu_count()}-core {platform.machine()} CPU",
            manifest_sha256=self.bank.manifest_sha256,
            teaching_sha256=self.bank.teaching.sha256 if self.bank.teaching else "",
            speakers=tuple(voice.speaker for voice in self.bank.voices),
            model=self.model.state_dict(),
            speaker_loss=self.speaker.state_dict(),
            optimizer=self.optimizer.state_dict(),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint.

        Raises:
            TrainingError: It was trained with another configuration or on other data.
        """
        if checkpoint.config != self.config:
            raise TrainingError("the checkpoint was trained with another configuration; use another run folder")
        if checkpoint.manifest_sha256 != self.bank.manifest_sha256:
            raise TrainingError("the checkpoint was trained on other speech data; use another run folder")
        if checkpoint.teaching_sha256 != (self.bank.teaching.sha256 if self.bank.teaching else ""):
            raise TrainingError("the checkpoint was trained with another teacher; use another run folder")
        self.model.load_state_dict(checkpoint.model)
        self.speaker.load_state_dict(checkpoint.speaker_loss)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.step, self.seconds = checkpoint.step, checkpoint.seconds


def _targets(config: TrainConfig, bank: SpeechBank) -> torch.Tensor | None:
    """Where the teacher puts every (voice, speed), ``[voices * speeds, dim]``; ``None`` without a teacher.

    Raises:
        TrainingError: The teacher heard other speeds, or its embeddings have another size.
    """
    if bank.teaching is None:
        return None
    if bank.teaching.speeds != config.simulation.speeds:
        raise TrainingError(f"the teacher heard the speeds {bank.teaching.speeds}, not {config.simulation.speeds}")
    rows = bank.teaching.target_rows(tuple(voice.speaker for voice in bank.voices))
    if rows.shape[2] != config.model.embedding_dim:
        raise TrainingError(f"embedding_dim must be the teacher's {rows.shape[2]}, got {config.model.embedding_dim}")
    return torch.from_numpy(rows.reshape(-1, rows.shape[2]))


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear rise, then half a cosine down to zero.

    Args:
        config: The run.
        step: Number of the step, from 0.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def train(
    config: TrainConfig,
    bank: SpeechBank,
    run_dir: Path,
    *,
    progress: Callable[[str], None],
    max_seconds: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """Train until the last step or until the time is up; a second call continues.

    Args:
        config: The run.
        bank: The training voices.
        run_dir: Holds the checkpoint and the learning curve.
        progress: Called with one line per point of the curve.
        max_seconds: Stop after this much wall time (of this call) and save.
        clock: Seconds, rising.

    Returns:
        The checkpoint's path.

    Raises:
        TrainingError: The folder holds another run, or the loss is not finite.
    """
    run, curve = _open_run(config, bank, run_dir)
    before, started = run.seconds, clock()
    losses: list[tuple[float, float]] = []
    for batch in batches(bank, config, run.step):
        losses.append(run.train_step(batch))
        run.seconds = before + clock() - started
        if run.step % config.log_every == 0 or run.step == config.steps:
            curve.append(_point(run, losses))
            progress(_progress_line(curve[-1], config.steps))
            losses = []
        out_of_time = clock() - started >= max_seconds
        if run.step % config.save_every == 0 or run.step == config.steps or out_of_time:
            save_checkpoint(run_dir / CHECKPOINT_NAME, run.checkpoint())
            write_curve(run_dir / CURVE_NAME, curve)
        if out_of_time:
            break
    return run_dir / CHECKPOINT_NAME


def _open_run(config: TrainConfig, bank: SpeechBank, run_dir: Path) -> tuple[Run, list[CurvePoint]]:
    """A new run, or the one in the folder with its curve up to the checkpoint."""
    run = Run(config, bank)
    path = run_dir / CHECKPOINT_NAME
    if not path.exists():
        return run, []
    run.restore(load_checkpoint(path))
    return run, [point for point in read_curve(run_dir / CURVE_NAME) if point.step <= run.step]


def _point(run: Run, losses: list[tuple[float, float]]) -> CurvePoint:
    segmentation = sum(pair[0] for pair in losses) / len(losses)
    speaker = sum(pair[1] for pair in losses) / len(losses)
    total = segmentation + run.config.speaker_weight * speaker
    rate = learning_rate(run.config, run.step - 1)
    return CurvePoint(run.step, round(run.seconds, 1), total, segmentation, speaker, rate)


def _progress_line(point: CurvePoint, steps: int) -> str:
    left_s = point.seconds / point.step * (steps - point.step)
    return (
        f"step {point.step}/{steps}  loss {point.loss:.3f}  segmentation {point.segmentation_loss:.3f}  "
        f"speaker {point.speaker_loss:.2f}  {point.seconds:.0f} s, about {left_s:.0f} s left"
    )


def write_curve(path: Path, curve: list[CurvePoint]) -> None:
    """Write the learning curve as CSV, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in fields(CurvePoint)])
        for point in curve:
            writer.writerow([getattr(point, field.name) for field in fields(CurvePoint)])


def read_curve(path: Path) -> list[CurvePoint]:
    """Read a learning curve; none yet gives an empty list.

    Raises:
        TrainingError: The file is damaged.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        return [
            CurvePoint(int(row["step"]), *(float(row[field.name]) for field in fields(CurvePoint)[1:])) for row in rows
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: damaged learning curve ({error}); delete it to go on") from error
