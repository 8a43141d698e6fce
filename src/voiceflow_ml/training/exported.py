"""Begin where an exported Fast CNN is: its weights, read back from the ``.onnx``.

The export folds every batch norm into the convolution before it. Training needs them apart again, so each
gets the statistics of what it sees in conversations, and the scale and shift that undo them: the network says
what the exported one says, and goes on learning from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from voiceflow_ml.errors import TrainingError
from voiceflow_ml.files import hash_file
from voiceflow_ml.models.fast_cnn import FastCnn, FastCnnConfig
from voiceflow_ml.training.batches import make_batch
from voiceflow_ml.training.checkpoint import Checkpoint
from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.simulate.bank import SpeechBank

_BATCHES = 8
_CONVERSATIONS = 15
"""What the batch norms get the statistics of: 8 batches of 15 conversations, 12 minutes."""

_FACTS = {"config", "steps_done", "wall_seconds", "hardware", "speakers", "manifest_sha256", "teaching_sha256"}

_FOLDED_SUFFIX = "_bias"
"""The export names the bias that a batch norm left by the weight that took in the rest of it."""


def exported_config(path: Path) -> TrainConfig:
    """How an exported Fast CNN was trained, without a look at its weights.

    Args:
        path: The ``.onnx``, with the record that ``voiceflow export`` wrote beside it (the same name, ``.json``).

    Raises:
        TrainingError: The file or its record is missing or damaged, they do not belong together, or it is
            no Fast CNN.
    """
    return _exported(path)[1]


def read_exported(path: Path, bank: SpeechBank) -> Checkpoint:
    """An exported Fast CNN as a state to begin another run with.

    Args:
        path: As for :func:`exported_config`.
        bank: The training voices: what the batch norms' statistics are taken of.

    Returns:
        Weights without an optimizer and without a speaker loss, which no export holds.

    Raises:
        TrainingError: As :func:`exported_config`, or it is not fp32.
    """
    facts, config, shape = _exported(path)
    network = FastCnn(shape).eval()
    _fill(network, _initializers(path), path)
    heard = replace(config, conversations_per_step=_CONVERSATIONS, clips_per_step=0)
    _unfold(network, (make_batch(bank, heard, step).audio for step in range(_BATCHES)))
    return Checkpoint(
        config=config,
        step=int(facts["steps_done"]),
        seconds=float(facts["wall_seconds"]),
        hardware=str(facts["hardware"]),
        manifest_sha256=str(facts["manifest_sha256"]),
        teaching_sha256=str(facts["teaching_sha256"]),
        # Their names are not in the record, only how many they are.
        speakers=("",) * int(facts["speakers"]),
        model=network.state_dict(),
        speaker_loss={},
        optimizer={},
        began_with=facts.get("began_with", {}),
    )


def _exported(path: Path) -> tuple[dict[str, Any], TrainConfig, FastCnnConfig]:
    """What the record says of the training, how it was configured, and the network's shape."""
    facts = _training_facts(path)
    config = TrainConfig.from_dict(facts["config"])
    if not isinstance(config.model, FastCnnConfig):
        raise TrainingError(f"{path}: a {config.architecture}; only a fast-cnn can be gone on with from its .onnx")
    return facts, config, config.model


def _training_facts(path: Path) -> dict[str, Any]:
    """What the record beside the file says of its training."""
    record_path = path.with_suffix(".json")
    try:
        record = json.loads(record_path.read_text(encoding="utf-8"))
        digest, facts = record["sha256"], record["training"]
        known = set(facts) >= _FACTS
    except FileNotFoundError:
        raise TrainingError(f"{record_path}: missing; voiceflow export writes it beside the .onnx") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{record_path}: not the record of an exported model ({type(error).__name__})") from error
    if not known:
        raise TrainingError(f"{record_path}: does not say how the model was trained")
    if not path.is_file() or hash_file(path) != digest:
        raise TrainingError(f"{path}: not the file that {record_path.name} is about; export it again")
    return cast(dict[str, Any], facts)


def _initializers(path: Path) -> dict[str, Tensor]:
    import onnx  # noqa: PLC0415  (an extra that training does without otherwise)
    from onnx import numpy_helper  # noqa: PLC0415

    graph = onnx.load(str(path)).graph
    found = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    # The exporter transposes the weight of a linear layer and gives it a name of its own: found by its use.
    for node in graph.node:
        if node.op_type in ("Add", "Gemm") and "embed.bias" in node.input:
            found["embed.weight"] = _linear_weight(graph, node, found)
    return found


def _linear_weight(graph: Any, user: Any, found: dict[str, Tensor]) -> Tensor:
    producers = {output: node for node in graph.node for output in node.output}
    product = user if user.op_type == "Gemm" else producers[next(each for each in user.input if each != "embed.bias")]
    return found[product.input[1]].T.contiguous()


def _fill(network: FastCnn, found: dict[str, Tensor], path: Path) -> None:
    """Weights as they are in the file; a batch norm adds what it was folded to, and does nothing else yet."""
    state = network.state_dict()
    for name, norm in _norms(network).items():
        conv = f"{name.rpartition('.')[0]}.0.weight"
        found[f"{name}.weight"] = torch.ones_like(norm.weight)
        found[f"{name}.bias"] = found.get(conv + _FOLDED_SUFFIX, torch.empty(0))
        found[f"{name}.running_mean"] = torch.zeros_like(norm.weight)
        found[f"{name}.running_var"] = torch.ones_like(norm.weight) - norm.eps
        found[f"{name}.num_batches_tracked"] = state[f"{name}.num_batches_tracked"]
    wrong = [name for name, value in state.items() if name not in found or found[name].shape != value.shape]
    if wrong:
        raise TrainingError(f"{path}: holds no {wrong[0]} of shape {list(state[wrong[0]].shape)}; is it in fp32?")
    network.load_state_dict({name: found[name] for name in state})


def _unfold(network: FastCnn, audio: Iterable[Tensor]) -> None:
    """Give each batch norm the statistics of what it sees, and what makes up for them."""
    norms = _norms(network)
    seen = {name: _Moments() for name in norms}
    hooks = [norm.register_forward_pre_hook(seen[name].hook()) for name, norm in norms.items()]
    with torch.no_grad():
        for batch in audio:
            network(batch)
        for hook in hooks:
            hook.remove()
        for name, norm in norms.items():
            mean, variance = seen[name].result()
            shift = norm.bias.double()
            cast(Tensor, norm.running_mean).copy_(mean)
            cast(Tensor, norm.running_var).copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.copy_(shift + mean)


def _norms(network: nn.Module) -> dict[str, nn.BatchNorm2d]:
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}


class _Moments:
    """Mean and variance of each channel, over batches."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def hook(self) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        """To be called with what goes into a layer, ``[batch, channels, ...]``."""

        def see(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            channels = inputs[0].double().transpose(0, 1).flatten(1)
            self.count += channels.shape[1]
            self.total = self.total + channels.sum(dim=1)
            self.squares = self.squares + channels.square().sum(dim=1)

        return see

    def result(self) -> tuple[Tensor, Tensor]:
        mean = torch.as_tensor(self.total) / self.count
        variance = torch.as_tensor(self.squares) / self.count - mean.square()
        # A channel that never changes would divide by nothing.
        return mean, variance.clamp_min(1e-8)
