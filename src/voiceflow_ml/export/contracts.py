"""The contract of what is exported: its words, its golden pairs, and both inside every variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from voiceflow_ml.contract.document import to_json
from voiceflow_ml.contract.from_model import embed_contract, stated_contract
from voiceflow_ml.contract.golden import write_golden
from voiceflow_ml.contract.schema import CONTRACT_FILE, Contract, Golden, Signal
from voiceflow_ml.export.graph import INPUT_NAME, OUTPUT_NAMES
from voiceflow_ml.export.options import ExportOptions
from voiceflow_ml.export.source import Source
from voiceflow_ml.export.speech import ExportSpeech
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.models.powerset import CLASS_SPEAKERS
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES

_MEANINGS = {
    INPUT_NAME: "mono audio in [-1, 1]",
    OUTPUT_NAMES[0]: "one logit for each class, each 20 ms",
    OUTPUT_NAMES[1]: "one vector of length one for each local speaker; meaningless for one who does not talk",
}
_SHORT_SAMPLES = 16_000
_MARGIN = 3.0
"""Other processors round otherwise: golden outputs may be off by this many times what parity showed here,"""
_LEAST_ERROR = 1e-4
"""and by this in any case."""


def write_contract(
    folder: Path, portable: Path, source: Source, speech: ExportSpeech, options: ExportOptions
) -> Contract:
    """Write ``contract.json`` and ``golden/`` for the portable file.

    Args:
        folder: the folder of the export.
        portable: the fp32 file.
        source: the network, whose answers are the golden outputs.
        speech: where golden inputs come from.
        options: promises and licence.
    """
    graph = onnx.load(portable)
    windows = {
        "one-window": speech.golden[None, :WINDOW_SAMPLES],
        "two-short": speech.golden[: 2 * _SHORT_SAMPLES].reshape(2, _SHORT_SAMPLES),
    }
    golden = tuple(_golden(folder, name, audio, source) for name, audio in windows.items())
    contract = replace(
        stated_contract(graph, source.name, folder, _MEANINGS),
        signal=Signal(SAMPLE_RATE_HZ, WINDOW_SAMPLES, FRAME_SAMPLES),
        classes=tuple("+".join(map(str, speakers)) for speakers in CLASS_SPEAKERS),
        preprocessing=("mix to mono", f"resample to {SAMPLE_RATE_HZ} Hz", "float32 in [-1, 1]"),
        postprocessing=(
            "argmax over the classes gives the local speakers of each frame",
            "local speakers of two windows are compared by the cosine of their embeddings",
        ),
        golden=golden,
        sla=options.promises,
        licence=options.licence,
        training_data=_training_data(source, speech),
    )
    write_text_atomic(folder / CONTRACT_FILE, to_json(contract))
    return contract


def variant_contract(contract: Contract, model: onnx.ModelProto, errors: Mapping[str, float]) -> Contract:
    """The contract of another variant: the same for a caller, but for opsets and how close golden outputs are.

    Args:
        contract: of the portable file.
        model: the variant.
        errors: output -> largest difference that was measured.
    """
    stated = stated_contract(model, contract.model, Path(), _MEANINGS)
    limits = {name: max(_LEAST_ERROR, _MARGIN * error) for name, error in errors.items()}
    return replace(
        contract,
        opset=stated.opset,
        ir_version=stated.ir_version,
        computation_sha256=stated.computation_sha256,
        golden=tuple(replace(golden, max_abs_error=limits) for golden in contract.golden),
    )


def with_contract(model: onnx.ModelProto, contract: Contract) -> onnx.ModelProto:
    """The model with its contract in its metadata, and who made it."""
    embed_contract(model, contract)
    model.producer_name, model.producer_version = "voiceflow-ml", ""
    return model


def _golden(folder: Path, name: str, audio: NDArray[np.float32], source: Source) -> Golden:
    with torch.no_grad():
        outputs = source.network(torch.from_numpy(audio.copy()))
    arrays = {output: value.numpy() for output, value in zip(OUTPUT_NAMES, outputs, strict=True)}
    return write_golden(folder, name, {INPUT_NAME: audio}, arrays, dict.fromkeys(OUTPUT_NAMES, _LEAST_ERROR))


def _training_data(source: Source, speech: ExportSpeech) -> dict[str, str]:
    told = {"manifest": str(source.training.get("manifest_sha256", ""))}
    # The packages are those of the training only when it was on this very data.
    return {**told, **(speech.sources if speech.data_sha256 == told["manifest"] else {})}
