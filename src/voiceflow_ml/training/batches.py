"""Batches by number: the same bank, config and step give the same batch, on any run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from voiceflow_ml.models.powerset import activity_to_classes
from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.simulate.bank import SpeechBank
from voiceflow_ml.training.simulate.clips import clip_windows
from voiceflow_ml.training.simulate.conversation import simulate
from voiceflow_ml.training.simulate.windows import cut_windows, join, meeting_windows

_TRAINING_STREAM = 0
_MEETING_STREAM = 3
_CLIP_STREAM = 5
_AHEAD = 3


@dataclass(frozen=True)
class Batch:
    """One step's windows, as tensors.

    Attributes:
        audio: float32 ``[batch, samples]``.
        activity: bool ``[batch, frames, 3]``.
        classes: int64 ``[batch, frames]``.
        identities: int64 ``[batch, 3]``, as in ``Windows``.
        targets: float32 ``[batch, 3, dim]``, as in ``Windows``.
    """

    audio: Tensor
    activity: Tensor
    classes: Tensor
    identities: Tensor
    targets: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same windows on a device."""
        return Batch(
            self.audio.to(device),
            self.activity.to(device),
            self.classes.to(device),
            self.identities.to(device),
            None if self.targets is None else self.targets.to(device),
        )


def make_batch(bank: SpeechBank, config: TrainConfig, step: int) -> Batch:
    """Simulate the batch of one step.

    Args:
        bank: The training voices.
        config: The run.
        step: Number of the step, from 0.
    """
    window_samples = config.window_samples[step % len(config.window_samples)]
    first = step * config.conversations_per_step
    conversations = (
        simulate(bank, config.simulation, (config.seed, _TRAINING_STREAM, first + number))
        for number in range(config.conversations_per_step)
    )
    windows = cut_windows(conversations, window_samples, speeds=len(config.simulation.speeds))
    real = round(config.meeting_share * windows.audio.shape[0])
    if bank.meetings and real:
        rng = np.random.default_rng([config.seed, _MEETING_STREAM, step])
        windows = join(windows, meeting_windows(bank, rng, window_samples, real))
    if config.clips_per_step:
        rng = np.random.default_rng([config.seed, _CLIP_STREAM, step])
        # As much speech in long windows as in short ones.
        count = max(1, config.clips_per_step * min(config.window_samples) // window_samples)
        windows = join(windows, clip_windows(bank, config.simulation, rng, window_samples, count))
    return Batch(
        torch.from_numpy(windows.audio),
        torch.from_numpy(windows.activity),
        torch.from_numpy(activity_to_classes(windows.activity)),
        torch.from_numpy(windows.identities),
        None if windows.targets is None else torch.from_numpy(windows.targets),
    )


def batches(bank: SpeechBank, config: TrainConfig, first_step: int) -> Iterator[Batch]:
    """The batches from ``first_step`` to the run's last, simulated a few steps ahead in a thread."""
    with ThreadPoolExecutor(1) as pool:
        pending: list[Future[Batch]] = []
        try:
            for step in range(first_step, config.steps + _AHEAD):
                if step < config.steps:
                    pending.append(pool.submit(make_batch, bank, config, step))
                if step >= first_step + _AHEAD or step >= config.steps:
                    if not pending:
                        return
                    yield pending.pop(0).result()
        finally:
            for future in pending:
                future.cancel()
