"""Validation on the dev speakers, and when it says that a run has learned what it will learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voiceflow_ml.errors import TrainingError
from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.evaluate import LocalDer, evaluate, evaluation_windows
from voiceflow_ml.training.simulate.bank import SpeechBank

Validate = Callable[[nn.Module], LocalDer]
"""Scores a network on the dev windows; leaves it in the mode that it came in."""


@dataclass(frozen=True)
class Stopping:
    """How far a run is from stopping early.

    Attributes:
        best_der: Lowest local DER of a validation, a fraction.
        best_step: The step it was at; 0 before the first validation.
        stale: Validations since.
    """

    best_der: float = math.inf
    best_step: int = 0
    stale: int = 0

    def after(self, step: int, der: float) -> Stopping:
        """The state after one more validation; only a lower error is a better one."""
        if der < self.best_der:
            return Stopping(der, step, 0)
        return Stopping(self.best_der, self.best_step, self.stale + 1)

    def is_over(self, config: TrainConfig) -> bool:
        """Whether ``config.patience`` validations in a row brought nothing better; never when it is 0."""
        return 0 < config.patience <= self.stale


def validator(config: TrainConfig, dev: SpeechBank | None, device: torch.device) -> Validate | None:
    """How a run is validated; ``None`` when its configuration does not ask for it.

    Args:
        config: The run.
        dev: The dev voices.
        device: Where the network is.

    Raises:
        TrainingError: It asks for validation, but there are no dev voices.
    """
    if not config.validate_every:
        return None
    if dev is None:
        raise TrainingError("validation needs the dev speakers; give them, or set validate_every to 0")
    windows = evaluation_windows(
        dev, config.simulation, config.window_samples[0], conversations=config.validate_conversations
    )

    def validate(model: nn.Module) -> LocalDer:
        def segment(audio: NDArray[np.float32]) -> NDArray[np.floating]:
            logits: NDArray[np.floating] = model(torch.from_numpy(audio).to(device))[0].cpu().numpy()
            return logits

        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                return evaluate(segment, windows)
        finally:
            model.train(training)

    return validate
