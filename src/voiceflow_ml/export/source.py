"""What can be exported: any network that takes audio and gives logits and embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, cast

from torch import Tensor, nn

from voiceflow_ml.files import hash_file
from voiceflow_ml.models.shipped import MODEL_NAME
from voiceflow_ml.training.checkpoint import load_checkpoint, load_model


class Network(Protocol):
    """The contract that every network of this package is written to; a ``torch.nn.Module`` in evaluation mode."""

    def __call__(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """float32 ``[batch, samples]`` -> powerset logits ``[batch, frames, 7]``, embeddings ``[batch, 3, dim]``."""

    def double(self) -> Self:
        """Itself, with weights of double precision from now on; it then takes float64."""


@dataclass(frozen=True)
class Source:
    """A trained network and where it comes from.

    Attributes:
        name: what the model is called; the stem of its files.
        network: the network, in evaluation mode.
        sha256: identifies its weights, so that an export that was stopped can go on.
        training: how it was trained, as JSON values.
    """

    name: str
    network: Network
    sha256: str
    training: Mapping[str, Any]

    @property
    def module(self) -> nn.Module:
        """The network as torch knows it."""
        return cast(nn.Module, self.network)

    @property
    def parameters(self) -> int:
        """Trained parameters; buffers such as the DFT are not counted."""
        return sum(parameter.numel() for parameter in self.module.parameters())


def load_source(checkpoint_path: Path) -> Source:
    """The network of a checkpoint of ``voiceflow train``.

    Raises:
        TrainingError: it is missing, damaged, of another version, or its weights do not fit its configuration.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    # Runs of before there was more than one architecture do not say which they are of.
    name = str(getattr(checkpoint.config, "architecture", MODEL_NAME))
    return Source(name, load_model(checkpoint), hash_file(checkpoint_path), checkpoint.facts())
