"""From a configuration to its network, and which of its weights learn how fast."""

from __future__ import annotations

from torch import nn

from voiceflow_ml.models.architectures import ARCHITECTURES, NetworkConfig, architecture_name
from voiceflow_ml.models.transformer_config import TransformerConfig


def build_network(config: NetworkConfig) -> nn.Module:
    """A network with random weights, under the contract of ``FastCnn.forward``.

    Args:
        config: Its shape.
    """
    network: nn.Module = ARCHITECTURES[architecture_name(config)].build(config)
    return network


def start_network(config: NetworkConfig) -> nn.Module:
    """The network that a new run begins with: as ``build_network``, with pretrained weights where there are any.

    Raises:
        ModelFileError: The pretrained weights cannot be had.
    """
    network = build_network(config)
    if isinstance(config, TransformerConfig):
        # Found by name, since its class is imported only where it is needed.
        network.load_pretrained()  # type: ignore[operator]
    return network


def parameter_groups(
    network: nn.Module, others: nn.Module, encoder_rate: float
) -> list[tuple[list[nn.Parameter], float]]:
    """The weights to train, with the learning rate of each group as a multiple of the run's.

    Args:
        network: The network.
        others: What is trained beside it.
        encoder_rate: Multiple of an encoder's weights.
    """
    rest = [weight for name, weight in network.named_parameters() if not name.startswith("encoder.")]
    encoder = [weight for name, weight in network.named_parameters() if name.startswith("encoder.")]
    groups = [([*rest, *others.parameters()], 1.0)]
    return [*groups, (encoder, encoder_rate)] if encoder else groups
