from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.speech_data import TINY_RUN, TINY_TRANSFORMER_RUN
from voiceflow_ml.errors import TrainingError
from voiceflow_ml.training.config import TrainConfig


def transformer_fields(**encoder: object) -> dict[str, Any]:
    plain: dict[str, Any] = TINY_TRANSFORMER_RUN.to_dict()["model"]
    return {**plain, "encoder": {**plain["encoder"], **encoder}}


def test_config_survives_plain_data_and_refuses_nonsense() -> None:
    assert TrainConfig.from_dict(TINY_RUN.to_dict()) == TINY_RUN
    with pytest.raises(TrainingError, match="does not fit this version"):
        TrainConfig.from_dict({**TINY_RUN.to_dict(), "colour": "red"})
    assert TrainConfig.from_dict(TINY_TRANSFORMER_RUN.to_dict()) == TINY_TRANSFORMER_RUN
    with pytest.raises(TrainingError, match="unknown architecture 'tree'; known are fast-cnn and transformer"):
        TrainConfig.from_dict({**TINY_RUN.to_dict(), "architecture": "tree"})
    with pytest.raises(TrainingError, match="does not fit this version: heads must divide"):
        TrainConfig.from_dict({**TINY_TRANSFORMER_RUN.to_dict(), "model": transformer_fields(heads=3)})
    with pytest.raises(TrainingError, match="precision must be one of fp32, bf16, fp16, got 'int8'"):
        TrainConfig(precision="int8")  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="patience must be at least 0, got -1"):
        TrainConfig(patience=-1)
    with pytest.raises(TrainingError, match="steps must be at least 1, got 0"):
        TrainConfig(steps=0)
    with pytest.raises(TrainingError, match="learning_rate must be positive"):
        TrainConfig(learning_rate=0.0)


def test_runs_from_before_the_transformer_are_read_as_what_they_were() -> None:
    plain = TINY_RUN.to_dict()
    new = ("architecture", "precision", "encoder_rate", "validate_every", "validate_conversations", "patience")
    old = {key: value for key, value in plain.items() if key not in new}
    assert TrainConfig.from_dict({**old, "bf16": True}) == TINY_RUN
    assert TrainConfig.from_dict({**old, "bf16": False}) == replace(TINY_RUN, precision="fp32")
