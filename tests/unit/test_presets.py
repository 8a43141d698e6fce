from __future__ import annotations

import pytest

from voiceflow_ml.models.transformer_config import SMALL_ENCODER, EncoderShape, TransformerConfig
from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.presets import Preset, fast_cnn_run, transformer_run


@pytest.mark.parametrize("name", ["small", "full"])
def test_every_preset_survives_its_checkpoint(name: Preset) -> None:
    for config in (fast_cnn_run(name), transformer_run(name), transformer_run(name, head="linear")):
        assert TrainConfig.from_dict(config.to_dict()) == config
    assert fast_cnn_run(name).architecture == "fast-cnn"
    assert transformer_run(name).architecture == "transformer"


def test_the_full_fast_cnn_is_the_defaults_and_small_runs_are_shorter() -> None:
    assert fast_cnn_run("full") == TrainConfig()
    assert fast_cnn_run("small").steps < fast_cnn_run("full").steps
    assert transformer_run("small").steps < transformer_run("full").steps


def test_a_pretrained_encoder_brings_its_shape_keeps_its_convolutions_and_learns_slowly() -> None:
    shape = EncoderShape(width=1024, layers=24, heads=16, feed_forward=4096, norm_first=True)
    config = transformer_run("full", pretrained="some/encoder", shape=shape)
    assert isinstance(config.model, TransformerConfig)
    assert (config.model.encoder, config.model.pretrained) == (shape, "some/encoder")
    assert config.model.freeze_convolutions
    assert config.encoder_rate < 0.1


def test_random_weights_all_learn_at_one_rate() -> None:
    for name in ("small", "full"):
        config = transformer_run(name)
        assert config.encoder_rate == 1.0
        assert isinstance(config.model, TransformerConfig)
        assert not config.model.freeze_convolutions
    small = transformer_run("small").model
    assert isinstance(small, TransformerConfig)
    assert small.encoder == SMALL_ENCODER
