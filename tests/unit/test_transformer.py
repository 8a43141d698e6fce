from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from torch import nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from tests.speech_data import TINY_TRANSFORMER
from voiceflow_ml.errors import ConfigError, ModelFileError
from voiceflow_ml.models.fast_cnn import output_frames, parameter_count
from voiceflow_ml.models.recurrent import BiLstm
from voiceflow_ml.models.transformer import Transformer, pretrained_shape
from voiceflow_ml.models.transformer_config import SMALL_ENCODER, EncoderShape, Head, TransformerConfig


def make(config: TransformerConfig = TINY_TRANSFORMER) -> Transformer:
    torch.manual_seed(0)
    return Transformer(config).eval()


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Wav2Vec2Model]:
    """A small encoder as `transformers` saves it: config.json and model.safetensors."""
    torch.manual_seed(1)
    model = Wav2Vec2Model(
        Wav2Vec2Config(
            conv_dim=[8] * 7,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=24,
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=4,
            do_stable_layer_norm=True,
            feat_extract_norm="layer",
            conv_bias=True,
        )
    )
    model.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder", model.eval()


def edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("head", ["lstm", "linear"])
@pytest.mark.parametrize("samples", [640, 799, 800, 47_999, 48_000, 48_001, 48_159])
def test_the_contract_is_that_of_fast_cnn_at_every_length(samples: int, head: Head) -> None:
    model = make(replace(TINY_TRANSFORMER, head=head))
    with torch.no_grad():
        logits, embeddings = model(torch.randn(2, samples) * 0.1)
    assert logits.shape == (2, output_frames(samples), 7)
    assert embeddings.shape == (2, 3, TINY_TRANSFORMER.embedding_dim)
    torch.testing.assert_close(embeddings.norm(dim=2), torch.ones(2, 3), atol=1e-3, rtol=0.0)


def test_every_length_gives_the_frames_of_the_contract() -> None:
    # Two frames of 640 samples: every remainder that the rule distinguishes.
    model = make()
    with torch.no_grad():
        for samples in range(640, 1_290, 39):
            assert model(torch.zeros(1, samples))[0].shape[1] == output_frames(samples), samples


def test_a_frame_is_centred_on_its_own_20_ms() -> None:
    # A click in the middle of frame k moves the convolutions' output most at frame k.
    encoder = make().encoder.feature_extractor
    quiet = torch.zeros(1, 16_080)
    with torch.no_grad():
        for frame in (3, 20, 40):
            click = quiet.clone()
            click[0, 40 + 320 * frame + 160] = 1.0
            change = (encoder(click) - encoder(quiet)).abs().sum(dim=1)[0]
            assert int(change.argmax()) == frame


def test_loudness_and_offset_change_nothing() -> None:
    model, audio = make(), torch.randn(1, 16_000) * 0.1
    with torch.no_grad():
        torch.testing.assert_close(model(audio)[0], model(audio * 0.1 + 0.05)[0], atol=1e-3, rtol=1e-3)


def test_silence_is_finite_and_windows_of_a_batch_do_not_touch_each_other() -> None:
    model = make()
    audio = torch.stack([torch.zeros(16_000), torch.randn(16_000) * 0.1])
    with torch.no_grad():
        together, voices = model(audio)
        alone, _ = model(audio[1:])
    assert torch.isfinite(together).all()
    assert torch.isfinite(voices).all()
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=0.0)


def test_given_activity_decides_whose_frames_are_pooled() -> None:
    model, audio = make(), torch.randn(1, 48_000) * 0.1
    first_half = torch.zeros(1, 150, 3)
    first_half[:, :75, 0] = 1.0
    with torch.no_grad():
        _, one = model(audio, first_half)
        _, other = model(audio, first_half[:, :, [1, 0, 2]])
        _, second_half = model(audio, first_half.flip(1))
    torch.testing.assert_close(one[:, 0], other[:, 1])
    assert not torch.allclose(one[:, 0], second_half[:, 0], atol=1e-4)


def test_gradients_reach_every_weight_but_frozen_convolutions() -> None:
    model = Transformer(replace(TINY_TRANSFORMER, freeze_convolutions=True)).train()
    logits, embeddings = model(torch.randn(2, 3_200) * 0.1)
    (logits.square().mean() + embeddings[:, :, 0].sum()).backward()
    without = {name for name, weight in model.named_parameters() if weight.grad is None}
    assert without == {name for name, _ in model.named_parameters() if name.startswith("encoder.feature_extractor.")}


def test_the_defaults_are_wav2vec2_base_and_small_is_small() -> None:
    with torch.device("meta"):
        assert 94_000_000 < parameter_count(Transformer(TransformerConfig())) < 97_000_000
    assert parameter_count(Transformer(TransformerConfig(encoder=SMALL_ENCODER))) < 1_600_000


def test_layers_of_the_lstm_are_those_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = BiLstm(6, 5, 2), nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True)
    state = theirs.state_dict()
    with torch.no_grad():
        for name, weight in ours.named_parameters():
            layer, kind = name.removeprefix("layers.").split(".")
            weight.copy_(state[kind.replace("_l0", f"_l{layer}")])
        features = torch.randn(3, 11, 6)
        torch.testing.assert_close(ours(features), theirs(features)[0])


def test_pretrained_weights_fill_the_encoder(saved: tuple[Path, Wav2Vec2Model]) -> None:
    folder, original = saved
    config = replace(TINY_TRANSFORMER, encoder=pretrained_shape(str(folder)), pretrained=str(folder), dropout=0.0)
    assert config.encoder.norm_first
    assert config.encoder.conv_channels == (8,) * 7
    model = make(config)
    audio = torch.randn(2, 8_000)
    with torch.no_grad():
        assert not torch.allclose(model.encoder(audio).last_hidden_state, original(audio).last_hidden_state, atol=1e-2)
        model.load_pretrained()
        torch.testing.assert_close(model.encoder(audio).last_hidden_state, original(audio).last_hidden_state)


def test_a_trained_model_needs_its_pretrained_files_no_more(saved: tuple[Path, Wav2Vec2Model]) -> None:
    folder, _ = saved
    config = replace(TINY_TRANSFORMER, encoder=pretrained_shape(str(folder)), pretrained=str(folder))
    model = make(config)
    model.load_pretrained()
    for path in folder.iterdir():
        path.unlink()
    again = Transformer(config).eval()
    again.load_state_dict(model.state_dict())
    audio = torch.randn(1, 8_000)
    with torch.no_grad():
        torch.testing.assert_close(again(audio), model(audio))


def test_without_a_name_there_is_nothing_to_load() -> None:
    model = make()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    model.load_pretrained()
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_weights_that_do_not_fill_the_encoder_are_refused(saved: tuple[Path, Wav2Vec2Model]) -> None:
    folder, _ = saved
    shape = pretrained_shape(str(folder))
    edit(folder, num_hidden_layers=3)
    deeper = make(replace(TINY_TRANSFORMER, encoder=replace(shape, layers=3), pretrained=str(folder)))
    with pytest.raises(ModelFileError, match=r"lacks 16 weights, the first of them encoder\.layers\.2\."):
        deeper.load_pretrained()
    other = make(replace(TINY_TRANSFORMER, encoder=replace(shape, feed_forward=8), pretrained=str(folder)))
    edit(folder, num_hidden_layers=2)
    with pytest.raises(ModelFileError, match="does not have the configured shape"):
        other.load_pretrained()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "hubert"}, "is of type 'hubert', not wav2vec2"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 1]}, "has conv_stride"),
        ({"hidden_act": "relu"}, "has hidden_act relu; only gelu is understood"),
    ],
)
def test_encoders_of_another_kind_are_refused(
    saved: tuple[Path, Wav2Vec2Model], change: dict[str, object], message: str
) -> None:
    edit(saved[0], **change)
    with pytest.raises(ModelFileError, match=message):
        pretrained_shape(str(saved[0]))


def test_what_cannot_be_had_is_one_sentence(
    saved: tuple[Path, Wav2Vec2Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in (str(tmp_path / "none"), "nobody/nothing", str(tmp_path)):
        with pytest.raises(ModelFileError, match=r"cannot be loaded from this (name|folder) .*; give a folder with"):
            pretrained_shape(name)
    folder, _ = saved
    config = replace(TINY_TRANSFORMER, encoder=pretrained_shape(str(folder)), pretrained=str(folder))
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(ModelFileError, match="cannot be loaded from this folder"):
        make(config).load_pretrained()
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match="cannot be loaded from this folder"):
        make(config).load_pretrained()
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelFileError, match="cannot be loaded from this folder"):
        pretrained_shape(str(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": "cnn"}, "head must be lstm or linear, got 'cnn'"),
        ({"dropout": 1.0}, r"dropout must be at least 0 and below 1, got 1\.0"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TINY_TRANSFORMER, **change)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="heads must divide the width of 128, got 3"):
        replace(SMALL_ENCODER, heads=3)
    with pytest.raises(ConfigError, match="conv_channels needs 7 numbers, got 2"):
        EncoderShape(conv_channels=(1, 2))
