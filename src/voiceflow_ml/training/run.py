"""One training run between two steps: its network, losses, optimizer, and what a checkpoint keeps of them."""

from __future__ import annotations

import math
import os
import platform
from typing import Any

import numpy as np
import torch

from voiceflow_ml.errors import TrainingError
from voiceflow_ml.models.fast_cnn import FastCnn
from voiceflow_ml.training.batches import Batch
from voiceflow_ml.training.checkpoint import Checkpoint
from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.losses import PowersetLoss, SpeakerLoss, embeddable
from voiceflow_ml.training.networks import build_network, parameter_groups, start_network
from voiceflow_ml.training.simulate.bank import SpeechBank
from voiceflow_ml.training.stopping import Stopping

_AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
_CHANCE_STREAM = 4
"""Second part of the seed of what a step's network drops; batches draw from streams of their own."""


class Run:
    """A training run's network, losses and optimizer.

    Args:
        config: The run.
        bank: The training voices.
        device: Where it computes.
        checkpoint: Where it goes on; ``None`` for a new run.

    Raises:
        TrainingError: The checkpoint is of another configuration or other data.
        ModelFileError: A new run's pretrained weights cannot be had.
    """

    def __init__(
        self, config: TrainConfig, bank: SpeechBank, device: torch.device, checkpoint: Checkpoint | None = None
    ) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.bank = bank
        self.device = device
        self.step = 0
        self.seconds = 0.0
        self.stopping = Stopping()
        self.losses: list[tuple[float, float]] = []
        self.began_with: dict[str, Any] = {}
        network = build_network(config.model) if checkpoint else start_network(config.model)
        self.model = network.to(device).train()
        self.segmentation = PowersetLoss().to(device)
        self.speaker = _speaker_loss(config, bank).to(device)
        groups = parameter_groups(self.model, self.speaker, config.encoder_rate)
        if isinstance(self.model, FastCnn) and config.branch == "voice":
            groups = [([*self.model.voice_parameters(), *self.speaker.parameters()], 1.0)]
        if isinstance(self.model, FastCnn) and config.branch == "segmentation":
            groups = [(self.model.segmentation_parameters(), 1.0)]
        self.rates = [rate for _, rate in groups]
        self.parameters = [weight for weights, _ in groups for weight in weights]
        self.optimizer = torch.optim.AdamW(
            [{"params": weights} for weights, _ in groups], lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        if checkpoint is not None:
            self._restore(checkpoint)

    def train_step(self, batch: Batch) -> None:
        """One optimizer step; its losses are kept until the learning curve takes them.

        Args:
            batch: This step's windows.

        Raises:
            TrainingError: The loss is not finite.
        """
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * learning_rate(self.config, self.step)
        # Seeded for each step by itself, what is dropped does not depend on where a run was interrupted.
        torch.manual_seed(_chance(self.config.seed, self.step))
        batch = batch.to(self.device)
        dtype = _AUTOCAST[self.config.precision]
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            segmentation, embeddings = self._forward(batch)
        speaker = torch.zeros((), device=self.device)
        if embeddings is not None:
            labels = embeddable(batch.activity, batch.identities, min_alone_s=self.config.min_alone_s)
            speaker = self.speaker(embeddings, labels, batch.targets)
        loss = segmentation + self.config.speaker_weight * speaker
        if not bool(torch.isfinite(loss)):
            raise TrainingError(f"loss is {loss.item()} at step {self.step}; lower learning_rate")
        self._descend(loss)
        self.step += 1
        self.losses.append((float(segmentation.detach()), float(speaker.detach())))

    def _forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Segmentation loss and embeddings; 0 and ``None`` where that branch rests."""
        if isinstance(self.model, FastCnn) and self.config.branch == "segmentation":
            return self.segmentation(self.model.segment(batch.audio), batch.classes), None
        if isinstance(self.model, FastCnn) and self.config.branch == "voice":
            return torch.zeros((), device=self.device), self.model.embed_voices(batch.audio, batch.activity.float())
        logits, embeddings = self.model(batch.audio, batch.activity.float())
        return self.segmentation(logits, batch.classes), embeddings

    def _descend(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        # Without fp16 the scaler passes everything on as it is; with it, it skips a step whose gradients overflow.
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def checkpoint(self) -> Checkpoint:
        """The run's state between two steps."""
        return Checkpoint(
            config=self.config,
            step=self.step,
            seconds=self.seconds,
            hardware=_hardware(self.device),
            manifest_sha256=self.bank.manifest_sha256,
            teaching_sha256=self.bank.teaching.sha256 if self.bank.teaching else "",
            speakers=tuple(voice.speaker for voice in self.bank.voices),
            model=self.model.state_dict(),
            speaker_loss=self.speaker.state_dict(),
            optimizer=self.optimizer.state_dict(),
            scaler=self.scaler.state_dict(),
            stopping=self.stopping,
            losses=tuple(self.losses),
            began_with=self.began_with,
        )

    def begin_with(self, start: Checkpoint) -> None:
        """Take another run's weights; everything else begins anew.

        Raises:
            TrainingError: Its network has another shape, or it knows other voices.
        """
        if start.config.model != self.config.model:
            raise TrainingError("the checkpoint to begin with has a network of another shape")
        self.model.load_state_dict(start.model)
        # What was read back from an export knows no voices.
        if start.speaker_loss:
            if start.speakers != tuple(voice.speaker for voice in self.bank.voices):
                raise TrainingError(
                    "the checkpoint to begin with was trained on other voices; use the same data and teacher"
                )
            self.speaker.load_state_dict(start.speaker_loss)
        else:
            self.speaker.begin_at_targets()
        self.began_with = start.facts()

    def _restore(self, checkpoint: Checkpoint) -> None:
        if checkpoint.config != self.config:
            raise TrainingError("the checkpoint was trained with another configuration; use another run folder")
        if checkpoint.manifest_sha256 != self.bank.manifest_sha256:
            raise TrainingError("the checkpoint was trained on other speech data; use another run folder")
        if checkpoint.teaching_sha256 != (self.bank.teaching.sha256 if self.bank.teaching else ""):
            raise TrainingError("the checkpoint was trained with another teacher; use another run folder")
        self.model.load_state_dict(checkpoint.model)
        self.speaker.load_state_dict(checkpoint.speaker_loss)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        if checkpoint.scaler:
            self.scaler.load_state_dict(checkpoint.scaler)
        self.step, self.seconds, self.stopping = checkpoint.step, checkpoint.seconds, checkpoint.stopping
        self.losses = list(checkpoint.losses)
        self.began_with = checkpoint.began_with


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


def _speaker_loss(config: TrainConfig, bank: SpeechBank) -> SpeakerLoss:
    return SpeakerLoss(
        len(bank.voices) * len(config.simulation.speeds),
        config.model.embedding_dim,
        margin=config.speaker_margin,
        scale=config.speaker_scale,
        targets=_targets(config, bank),
        teacher_weight=config.teacher_weight,
    )


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


def _chance(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, _CHANCE_STREAM, step]).generate_state(1)[0])


def _hardware(device: torch.device) -> str:
    host = f"{os.cpu_count()}-core {platform.machine()} CPU"
    return f"{torch.cuda.get_device_name(device)}, {host}" if device.type == "cuda" else host
