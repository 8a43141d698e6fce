"""The sophisticated model: a wav2vec2 encoder, a recurrent or linear head, and the same contract as Fast CNN.

``normalised audio -> strided convolutions to 20 ms -> transformer layers ->
head -> powerset logits, and embeddings pooled over each local speaker's frames``

Baevski et al., "wav2vec 2.0: A framework for self-supervised learning of speech
representations", NeurIPS 2020. The encoder is that of ``transformers``: with
pretrained weights from a hub or a folder, or built from its shape alone.

Frames. The encoder's convolutions see 400 samples every 320, so by themselves
they give fewer frames than Fast CNN's ``2 * ceil(floor(samples / 160) / 4)``.
The normalised audio is padded with zeros (its mean) so that they give exactly
that many, each centred on its own 20 ms: 40 samples in front, and behind as many
as the count needs (where up to 159 samples beyond the last frame's 40 are left
over, they are cut). Nothing is interpolated.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model
from transformers.utils import logging

from voiceflow_ml.errors import ModelFileError
from voiceflow_ml.models.pooling import pool_speakers, to_length_one
from voiceflow_ml.models.powerset import CLASSES, class_activity
from voiceflow_ml.models.recurrent import BiLstm
from voiceflow_ml.models.signal import FRAME_SAMPLES
from voiceflow_ml.models.transformer_config import CONV_KERNELS, CONV_STRIDES, EncoderShape, TransformerConfig

_SEEN_SAMPLES = 400
"""What one frame of the convolutions sees."""
_EDGE_SAMPLES = (_SEEN_SAMPLES - FRAME_SAMPLES) // 2
_LONGEST_END_SAMPLES = 480
"""The count of frames rounds up to two frames of 320 samples, of which at least one 160th counts."""
_FLOOR = 1e-7
"""Of the variance, as in wav2vec2's own preprocessing."""
_FIELDS = {
    "conv_channels": "conv_dim",
    "conv_norm": "feat_extract_norm",
    "conv_bias": "conv_bias",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feed_forward": "intermediate_size",
    "position_taps": "num_conv_pos_embeddings",
    "position_groups": "num_conv_pos_embedding_groups",
    "norm_first": "do_stable_layer_norm",
}
"""Our names of an encoder's shape and those of ``transformers``."""
_COMMON: dict[str, Any] = {
    "conv_kernel": list(CONV_KERNELS),
    "conv_stride": list(CONV_STRIDES),
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "layer_norm_eps": 1e-5,
    "add_adapter": False,
}
"""What every encoder that is read here has in common."""
_UNUSED_WEIGHT = "masked_spec_embed"
"""Only masked training needs it."""


class Transformer(nn.Module):
    """The network; see the module's docstring for its shape."""

    activity_of_class: Tensor

    def __init__(self, config: TransformerConfig | None = None) -> None:
        super().__init__()
        self.config = config or TransformerConfig()
        self.encoder = Wav2Vec2Model(_encoder_config(self.config))
        if self.config.freeze_convolutions:
            self.encoder.freeze_feature_encoder()
        width, head = self.config.encoder.width, self.config.head_width
        self.head = _head(self.config)
        self.classify = nn.Linear(head, CLASSES)
        self.voice = nn.Sequential(nn.Linear(width, head), nn.ReLU())
        self.embed = nn.Linear(2 * head, self.config.embedding_dim)
        self.register_buffer("activity_of_class", torch.from_numpy(class_activity()), persistent=False)

    def forward(self, audio: Tensor, activity: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Segment and embed.

        Args:
            audio: float32 ``[batch, samples]`` in [-1, 1] at 16 kHz, at least 640 samples.
            activity: float32 ``[batch, frames, 3]``: pool embeddings over this instead of
                the model's own activity (training knows the true one).

        Returns:
            ``powerset_logits`` ``[batch, frames, 7]`` (classes as in ``powerset``), with
            ``frames = 2 * ceil(floor(samples / 160) / 4)`` of 20 ms each, and ``embeddings``
            ``[batch, 3, embedding_dim]``, of length one, one per local speaker
            (meaningless for a speaker who does not talk in the window).
        """
        features = self.encoder(_fit(_normalise(audio))).last_hidden_state
        logits = self.classify(self.head(features))
        if activity is None:
            activity = torch.softmax(logits, dim=2) @ self.activity_of_class
        voice = self.voice(features)
        # Half precision would drown small deviations; in evaluation there is none to switch off.
        with torch.autocast(audio.device.type, enabled=False) if self.training else contextlib.nullcontext():
            return logits, self._embeddings(voice.to(audio.dtype), activity.to(audio.dtype))

    def _embeddings(self, voice: Tensor, activity: Tensor) -> Tensor:
        """Weighted mean and deviation of ``voice`` ``[batch, frames, width]`` per speaker, projected."""
        return to_length_one(self.embed(pool_speakers(voice.transpose(1, 2), activity)))

    def load_pretrained(self) -> None:
        """Fill the encoder with the weights that ``config.pretrained`` names; without a name, do nothing.

        Raises:
            ModelFileError: They cannot be had, or do not fill the whole encoder.
        """
        name = self.config.pretrained
        if not name:
            return
        with _quiet():
            try:
                # Who trains chooses the encoder; what is served is exported, hashed and checked.
                found, notes = Wav2Vec2Model.from_pretrained(name, output_loading_info=True)  # nosec B615
            except Exception as error:  # the hub's, the library's and the file format's errors share no other base
                raise _unreachable(name, error) from error
        missing = sorted(key for key in notes["missing_keys"] if not key.endswith(_UNUSED_WEIGHT))
        if missing:
            raise ModelFileError(
                f"pretrained encoder {name!r} lacks {len(missing)} weights, the first of them {missing[0]}; "
                "choose another, or train from random weights"
            )
        weights = {key: value for key, value in found.state_dict().items() if not key.endswith(_UNUSED_WEIGHT)}
        try:
            self.encoder.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelFileError(f"pretrained encoder {name!r} does not have the configured shape: {error}") from error


def pretrained_shape(name: str) -> EncoderShape:
    """The shape of a pretrained encoder, told from its configuration alone.

    Args:
        name: A name on the model hub, such as ``facebook/wav2vec2-base``, or a folder.

    Raises:
        ModelFileError: It cannot be had, or is no encoder of this kind.
    """
    with _quiet():
        try:
            plain, _ = Wav2Vec2Config.get_config_dict(name)
            config = Wav2Vec2Config.from_dict(plain)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _unreachable(name, error) from error
    if not plain:
        raise _unreachable(name, FileNotFoundError("no config.json there"))
    if plain.get("model_type") != "wav2vec2":
        raise ModelFileError(f"pretrained encoder {name!r} is of type {plain.get('model_type')!r}, not wav2vec2")
    for key, expected in _COMMON.items():
        value = getattr(config, key)
        if (list(value) if isinstance(value, list | tuple) else value) != expected:
            raise ModelFileError(f"pretrained encoder {name!r} has {key} {value}; only {expected} is understood")
    return EncoderShape(**{ours: getattr(config, theirs) for ours, theirs in _FIELDS.items()})


def _encoder_config(config: TransformerConfig) -> Wav2Vec2Config:
    shape = {theirs: getattr(config.encoder, ours) for ours, theirs in _FIELDS.items()}
    drops = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout")
    return Wav2Vec2Config(
        **{**_COMMON, **shape, "conv_dim": list(config.encoder.conv_channels)},
        **dict.fromkeys(drops, config.dropout),
        # Masks and dropped layers are drawn outside torch's generator or per process: a resume would not be exact.
        apply_spec_augment=False,
        mask_time_prob=0.0,
        mask_feature_prob=0.0,
        layerdrop=0.0,
        attn_implementation="sdpa",
    )


def _head(config: TransformerConfig) -> nn.Module:
    width, head = config.encoder.width, config.head_width
    if config.head == "linear":
        return nn.Sequential(nn.Linear(width, head), nn.ReLU(), nn.Dropout(config.dropout))
    recurrent = BiLstm(width, head, config.head_layers)
    return nn.Sequential(recurrent, nn.Linear(2 * head, head), nn.ReLU(), nn.Dropout(config.dropout))


def _normalise(audio: Tensor) -> Tensor:
    """Each window with mean zero and variance one, as wav2vec2 was trained."""
    centred = audio - audio.mean(dim=1, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(dim=1, keepdim=True) + _FLOOR)


def _fit(audio: Tensor) -> Tensor:
    """Pad, and cut the end, so that the convolutions give Fast CNN's number of frames."""
    frames = 2 * ((audio.shape[1] // 160 + 3) // 4)
    padded = nn.functional.pad(audio, (_EDGE_SAMPLES, _LONGEST_END_SAMPLES + _EDGE_SAMPLES))
    return padded[:, : FRAME_SAMPLES * frames + 2 * _EDGE_SAMPLES]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's bars and load reports off the terminal: what matters becomes an error here."""
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _unreachable(name: str, error: Exception) -> ModelFileError:
    place = "folder" if Path(name).is_dir() else "name"
    first_line = next(iter(str(error).splitlines()), type(error).__name__)
    return ModelFileError(
        f"pretrained encoder {name!r}: cannot be loaded from this {place} ({first_line}); give a folder with "
        "config.json and model.safetensors, or a name on a model hub that this machine reaches"
    )
