"""The one way from a checkpoint to an ONNX file, with proof that both compute the same."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from voiceflow_ml.errors import ExportError
from voiceflow_ml.files import atomic_path, hash_file, write_text_atomic
from voiceflow_ml.models.fast_cnn import parameter_count
from voiceflow_ml.models.powerset import CLASS_SPEAKERS
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES
from voiceflow_ml.training.checkpoint import Checkpoint, load_checkpoint, load_model

OPSET = 20
OUTPUT_NAMES = ("powerset_logits", "embeddings")
PARITY_LIMIT = 1e-5
"""Largest allowed |ONNX - torch| per output, over the larger of 1 and the output's root mean square."""


@dataclass(frozen=True)
class ExportResult:
    """What an export left behind.

    Attributes:
        model_path: The ONNX file: fp32, weights inside, dynamic ``batch`` and ``samples``.
        card_path: JSON with everything known about the model.
        sha256: Hash of the ONNX file.
        parity_error: Per output, the largest difference to torch on the given speech, over
            the larger of 1 and the output's root mean square.
    """

    model_path: Path
    card_path: Path
    sha256: str
    parity_error: dict[str, float]


def export(checkpoint_path: Path, out_dir: Path, *, speech: NDArray[np.float32]) -> ExportResult:
    """Export a checkpoint and prove it equal to the trained network.

    Args:
        checkpoint_path: A checkpoint of ``voiceflow train``.
        out_dir: Receives ``fast-cnn.onnx`` and ``fast-cnn.json``, or ``transformer.*``; a failed
            export leaves neither, and keeps files of an earlier export as they were.
        speech: float32 ``[samples]`` of real speech at 16 kHz, at least 3 s, for the proof.

    Returns:
        Where the files are and how well they match.

    Raises:
        TrainingError: The checkpoint cannot be read.
        ExportError: The speech is too short, the network cannot be exported, or
            the graph's outputs differ from the network's.
    """
    if speech.ndim != 1 or speech.size < WINDOW_SAMPLES:
        raise ExportError(f"parity is proved on at least {WINDOW_SAMPLES} samples of speech, got {list(speech.shape)}")
    checkpoint = load_checkpoint(checkpoint_path)
    model = load_model(checkpoint)
    name = checkpoint.config.architecture
    model_path, card_path = out_dir / f"{name}.onnx", out_dir / f"{name}.json"
    with atomic_path(model_path) as temporary:
        onnx.save(_to_onnx(model, name), temporary)
        errors = parity(model, temporary, speech)
        _check_parity(errors)
        digest = hash_file(temporary)
        card = _card(checkpoint, model, digest, temporary.stat().st_size, errors)
        write_text_atomic(card_path, json.dumps(card, indent=2) + "\n")
    return ExportResult(model_path, card_path, digest, errors)


def parity(model: nn.Module, onnx_path: Path, speech: NDArray[np.float32]) -> dict[str, float]:
    """Compare ONNX Runtime with torch: all windows as one batch, one window, and an odd length.

    Args:
        model: The network, in evaluation mode.
        onnx_path: Its export.
        speech: float32 ``[samples]`` at 16 kHz, at least 3 s.

    Returns:
        Per output, the largest absolute difference over the larger of 1 and the
        output's root mean square.

    Raises:
        ExportError: ONNX Runtime cannot run the file.
    """
    whole = speech.size - speech.size % WINDOW_SAMPLES
    inputs = (
        speech[:whole].reshape(-1, WINDOW_SAMPLES),
        speech[None, :WINDOW_SAMPLES],
        speech[None, : WINDOW_SAMPLES - 12_345],
    )
    worst = dict.fromkeys(OUTPUT_NAMES, 0.0)
    try:
        session = onnxruntime.InferenceSession(str(onnx_path), providers=["CPUExecutionProvider"])
        for audio in inputs:
            with torch.no_grad():
                expected = model(torch.from_numpy(audio.copy()))
            actual = session.run(list(OUTPUT_NAMES), {"audio": audio})
            for name, ours, reference in zip(OUTPUT_NAMES, actual, expected, strict=True):
                worst[name] = max(worst[name], _scaled_error(ours, reference.numpy()))
    except Exception as error:  # ONNX Runtime's exceptions have no common base but this
        raise ExportError(f"ONNX Runtime cannot run the exported graph: {error}") from error
    return worst


def _scaled_error(ours: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    if ours.shape != reference.shape:
        return float("inf")
    scale = max(1.0, float(np.sqrt(np.square(reference).mean())))
    return float(np.abs(ours - reference).max()) / scale


def _check_parity(errors: dict[str, float]) -> None:
    for name, error in errors.items():
        # Written so that a NaN fails, too.
        if not error <= PARITY_LIMIT:
            raise ExportError(
                f"{name} of the exported graph differs from torch by {error:.3g}; {PARITY_LIMIT:g} is allowed"
            )


def _to_onnx(model: nn.Module, name: str) -> onnx.ModelProto:
    # Two windows, not one: an example of batch one would be baked in as a constant.
    example = torch.zeros(2, WINDOW_SAMPLES)
    try:
        with _quiet():
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["audio"],
                output_names=list(OUTPUT_NAMES),
                dynamic_shapes={"audio": {0: "batch", 1: "samples"}},
                verbose=False,
            )
    except Exception as error:  # whatever the exporter's passes raise, the user needs one sentence
        raise ExportError(f"torch could not export the network: {str(error).splitlines()[0]}") from error
    if program is None:
        raise ExportError("torch exported nothing")
    proto: onnx.ModelProto = program.model_proto
    _describe(proto, name)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _describe(proto: onnx.ModelProto, name: str) -> None:
    """Name the output's time axis, drop traces of the source tree, and say what the numbers mean."""
    logits = next(output for output in proto.graph.output if output.name == OUTPUT_NAMES[0])
    logits.type.tensor_type.shape.dim[1].dim_param = "frames"
    # The exporter's notes hold stack traces with paths of the machine it ran on.
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del proto.graph.metadata_props[:]
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del value.metadata_props[:]
    facts: dict[str, Any] = {
        "model": name,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "window_samples": WINDOW_SAMPLES,
        "frame_samples": FRAME_SAMPLES,
        "class_speakers": CLASS_SPEAKERS,
    }
    onnx.helper.set_model_props(proto, {key: json.dumps(value) for key, value in facts.items()})


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


def _card(
    checkpoint: Checkpoint, model: nn.Module, digest: str, size_bytes: int, errors: dict[str, float]
) -> dict[str, Any]:
    return {
        "model": checkpoint.config.architecture,
        "sha256": digest,
        "size_bytes": size_bytes,
        "parameters": parameter_count(model),
        "opset": OPSET,
        "precision": "fp32",
        "parity_error": errors,
        "training": {
            "steps_done": checkpoint.step,
            "wall_seconds": round(checkpoint.seconds, 1),
            "hardware": checkpoint.hardware,
            "seed": checkpoint.config.seed,
            "manifest_sha256": checkpoint.manifest_sha256,
            "teaching_sha256": checkpoint.teaching_sha256,
            "speakers": len(checkpoint.speakers),
            "config": checkpoint.config.to_dict(),
        },
    }
