"""The kinds of network that can be trained, by name; none is imported before it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

from voiceflow_ml.errors import ConfigError


class NetworkConfig(Protocol):
    """Shape of a network: a frozen dataclass of numbers, texts and tuples, every field with a default."""

    @property
    def embedding_dim(self) -> int:
        """Size of a speaker embedding."""


@dataclass(frozen=True)
class Architecture:
    """A kind of network.

    Attributes:
        network: where its class is, ``"module:Class"``: a ``torch.nn.Module`` of its configuration, whose ``forward``
            keeps the contract of ``FastCnn.forward``.
        config: where the class of its configuration is.
        about: what ``voiceflow train NAME --help`` says; empty where a command of its own has further options.
    """

    network: str
    config: str
    about: str = ""

    def build(self, config: NetworkConfig) -> Any:
        """A network of this shape with random weights."""
        return _load(self.network)(config)

    def configure(self, plain: Mapping[str, Any] | None = None) -> NetworkConfig:
        """Its configuration from plain values, as a checkpoint holds them; the defaults without any.

        Raises:
            TypeError: a field is unknown.
            ConfigError: a value makes no sense.
        """
        kind = _load(self.config)
        # A field that is a record itself is made by what makes its default.
        parts: dict[str, Any] = {field.name: field.default_factory for field in fields(kind)}
        values = {
            name: parts[name](**value) if isinstance(value, Mapping) and name in parts else value
            for name, value in (plain or {}).items()
        }
        made: NetworkConfig = kind(**values)
        return made


ARCHITECTURES: Mapping[str, Architecture] = {
    "fast-cnn": Architecture(
        network="voiceflow_ml.models.fast_cnn:FastCnn",
        config="voiceflow_ml.models.fast_cnn:FastCnnConfig",
        about="Train the Fast CNN; the defaults are the shipped model's.",
    ),
    "transformer": Architecture(
        network="voiceflow_ml.models.transformer:Transformer",
        config="voiceflow_ml.models.transformer_config:TransformerConfig",
    ),
}


def find_architecture(name: str) -> Architecture:
    """Look up a kind of network by its name on the command line.

    Raises:
        ConfigError: nobody knows it; the message lists those that are known.
    """
    if name not in ARCHITECTURES:
        raise ConfigError(f"unknown architecture {name!r}; known are {' and '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def architecture_name(config: NetworkConfig) -> str:
    """Which kind of network a configuration is of.

    Raises:
        ConfigError: of none that is known.
    """
    kind = f"{type(config).__module__}:{type(config).__qualname__}"
    for name, architecture in ARCHITECTURES.items():
        if architecture.config == kind:
            return name
    raise ConfigError(f"{kind} is the configuration of no known architecture; known are {' and '.join(ARCHITECTURES)}")


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
