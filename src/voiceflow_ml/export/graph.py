"""From torch to one ONNX graph, dynamic in batch and time, without a trace of the machine it was made on."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import onnx
import torch

from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.source import Source
from voiceflow_ml.models.signal import WINDOW_SAMPLES

OPSET = 20
INPUT_NAME = "audio"
OUTPUT_NAMES = ("powerset_logits", "embeddings")


def to_onnx(source: Source) -> onnx.ModelProto:
    """Export a network.

    Args:
        source: the network.

    Returns:
        A graph with input ``audio`` ``[batch, samples]``, outputs ``powerset_logits`` ``[batch, frames, 7]`` and
        ``embeddings`` ``[batch, 3, dim]``, weights inside.

    Raises:
        ExportError: torch cannot export it.
    """
    # Two windows, not one: an example of batch one would be baked in as a constant.
    example = torch.zeros(2, WINDOW_SAMPLES)
    try:
        with _quiet():
            program = torch.onnx.export(
                source.module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=list(OUTPUT_NAMES),
                dynamic_shapes={INPUT_NAME: {0: "batch", 1: "samples"}},
                verbose=False,
            )
    except Exception as error:  # whatever the exporter's passes raise, the user needs one sentence
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExportError(f"torch could not export the network: {reason}") from error
    if program is None:
        raise ExportError("torch exported nothing")
    proto: onnx.ModelProto = program.model_proto
    _clean(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _clean(proto: onnx.ModelProto) -> None:
    """Name the output's time axis, and drop the exporter's notes: stack traces with paths of the machine."""
    logits = next(output for output in proto.graph.output if output.name == OUTPUT_NAMES[0])
    logits.type.tensor_type.shape.dim[1].dim_param = "frames"
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del value.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes about optional packages and its own internals off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
