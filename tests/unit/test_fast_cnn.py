from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.speech_data import TINY_MODEL
from voiceflow_ml.models.blocks import DepthwiseTime, TemporalBlock, TimeAttention, temporal_stack
from voiceflow_ml.models.fast_cnn import FastCnn, FastCnnConfig, output_frames, parameter_count
from voiceflow_ml.models.log_mel import LogMel, mel_filters


def test_the_shipped_shape_has_at_most_two_and_a_half_million_parameters() -> None:
    assert parameter_count(FastCnn(FastCnnConfig())) <= 2_500_000


@pytest.mark.parametrize("samples", [640, 47_999, 48_000, 48_001, 100_000])
def test_output_shapes(samples: int) -> None:
    model = FastCnn(TINY_MODEL).eval()
    with torch.no_grad():
        logits, embeddings = model(torch.zeros(2, samples))
    assert logits.shape == (2, output_frames(samples), 7)
    assert embeddings.shape == (2, 3, TINY_MODEL.embedding_dim)


def test_three_seconds_give_150_frames_of_20_ms() -> None:
    assert output_frames(48_000) == 150


def test_embeddings_have_length_one_and_silence_is_finite() -> None:
    model = FastCnn(TINY_MODEL).eval()
    with torch.no_grad():
        logits, embeddings = model(torch.zeros(1, 48_000))
    assert torch.isfinite(logits).all()
    assert embeddings.norm(dim=2).allclose(torch.ones(1, 3), atol=1e-3)


def test_windows_of_a_batch_do_not_touch_each_other() -> None:
    torch.manual_seed(0)
    model = FastCnn(TINY_MODEL).eval()
    audio = torch.randn(3, 16_000) * 0.1
    with torch.no_grad():
        together, _ = model(audio)
        alone, _ = model(audio[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0.0)


def test_loudness_hardly_matters() -> None:
    # The mean of the log spectrum is removed, so a gain shifts nothing but the floor.
    torch.manual_seed(0)
    log_mel = LogMel(16)
    audio = torch.randn(1, 16_000) * 0.1
    torch.testing.assert_close(log_mel(audio), log_mel(audio * 0.5), atol=1e-2, rtol=0.0)


def test_a_tone_lights_the_band_that_holds_it() -> None:
    # A tone that is switched on half-way, since a constant one is the mean that is removed.
    seconds = torch.arange(16_000) / 16_000
    tone = torch.sin(2 * math.pi * 1_000.0 * seconds) * (seconds > 0.5) * 0.5
    rise = LogMel(32)(tone[None])[0, 0, :, 80] - LogMel(32)(tone[None])[0, 0, :, 20]
    centre_bin = mel_filters(32)[int(rise.argmax())].argmax()
    assert abs(float(centre_bin) * 40.0 - 1_000.0) <= 80.0


@pytest.mark.parametrize("mels", [16, 64, 80])
def test_mel_filters_are_complete(mels: int) -> None:
    filters = mel_filters(mels)
    assert filters.shape == (mels, 201)
    np.testing.assert_allclose(filters.sum(dim=1).numpy(), 1.0, rtol=1e-5)
    assert bool((filters >= 0).all())


def test_given_activity_decides_whose_frames_are_pooled() -> None:
    torch.manual_seed(0)
    model = FastCnn(TINY_MODEL).eval()
    audio = torch.randn(1, 48_000) * 0.1
    first_half = torch.zeros(1, 150, 3)
    first_half[:, :75, 0] = 1.0
    swapped = first_half[:, :, [1, 0, 2]]
    with torch.no_grad():
        _, one = model(audio, first_half)
        _, other = model(audio, swapped)
    torch.testing.assert_close(one[:, 0], other[:, 1])


def test_the_branches_share_nothing_that_is_trained() -> None:
    torch.manual_seed(0)
    model = FastCnn(TINY_MODEL).train()
    logits, embeddings = model(torch.randn(2, 16_000) * 0.1, torch.ones(2, 50, 3))
    logits.square().sum().backward()
    assert model.embed.weight.grad is None
    assert model.voice_stem.project[0].weight.grad is None
    model.zero_grad(set_to_none=True)
    embeddings[:, :, 0].sum().backward()
    assert model.classify.weight.grad is None
    assert model.embed.weight.grad is not None


def test_attention_lets_the_first_frame_know_of_the_last() -> None:
    torch.manual_seed(0)
    attention = TimeAttention(16).eval()
    features = torch.randn(1, 16, 1, 400)
    later = features.clone()
    later[..., -1] += 3.0
    with torch.no_grad():
        moved = (attention(later) - attention(features)).abs()
    assert float(moved[..., 0].max()) > 1e-6


def test_a_stack_puts_attention_where_it_is_asked_for() -> None:
    kinds = [type(layer) for layer in temporal_stack(16, 4, expansion=2, kernel=5, attention_after=(1, 4))]
    assert kinds == [TemporalBlock, TimeAttention, TemporalBlock, TemporalBlock, TemporalBlock, TimeAttention]


def test_half_precision_in_training_stops_before_the_embeddings() -> None:
    torch.manual_seed(0)
    model = FastCnn(TINY_MODEL).train()
    audio = torch.randn(2, 16_000) * 1e-3
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, embeddings = model(audio, torch.ones(2, 50, 3))
    assert logits.dtype == torch.bfloat16
    assert embeddings.dtype == torch.float32


@pytest.mark.parametrize(("time", "dilation"), [(30, 1), (75, 4), (7, 2)])
def test_the_band_product_of_training_is_the_convolution(time: int, dilation: int) -> None:
    torch.manual_seed(0)
    layer = DepthwiseTime(6, 11, dilation)
    features = torch.randn(3, 6, 1, time, requires_grad=True)
    outputs, gradients = [], []
    for mode in (True, False):
        output = layer.train(mode)(features)
        outputs.append(output.detach())
        gradients.append(torch.autograd.grad(output.square().sum(), [features, layer.weight]))
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(gradients[0], gradients[1])
