"""What can be exported: any network that takes audio and gives logits and embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self, cast

from torch import Tensor, nn

from voiceflow_ml.errors import TrainingError
from voiceflow_ml.files import hash_file
from voiceflow_ml.models.fast_cnn import FastCnn
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


def load_source(checkpoint_path: Path, segmentation_path: Path | None = None) -> Source:
    """The network of a checkpoint of ``voiceflow train``.

    Args:
        checkpoint_path: the checkpoint.
        segmentation_path: a second one, whose segmentation branch takes the place of the first one's: the branches
            of a Fast CNN share nothing, so that they may be trained side by side.

    Raises:
        TrainingError: a checkpoint is missing, damaged, of another version, or its weights do not fit its
            configuration; or the two are not of one shape.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    # Runs of before there was more than one architecture do not say which they are of.
    name = str(getattr(checkpoint.config, "architecture", MODEL_NAME))
    source = Source(name, cast(Network, load_model(checkpoint)), hash_file(checkpoint_path), checkpoint.facts())
    return source if segmentation_path is None else _joined(source, segmentation_path)


def _joined(source: Source, segmentation_path: Path) -> Source:
    second = load_source(segmentation_path)
    first_net, second_net = source.module, second.module
    both = isinstance(first_net, FastCnn) and isinstance(second_net, FastCnn)
    if not both or source.training["config"]["model"] != second.training["config"]["model"]:
        raise TrainingError(f"{segmentation_path}: only a Fast CNN can give its segmentation to one of the same shape")
    cast(FastCnn, first_net).take_segmentation(cast(FastCnn, second_net))
    digest = hashlib.sha256(f"{source.sha256} {second.sha256}".encode()).hexdigest()
    return replace(source, sha256=digest, training={**source.training, "segmentation": second.training})
