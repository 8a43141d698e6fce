"""What an export leaves behind: its files, and the record of what is known about each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx

from voiceflow_ml.contract.schema import Contract
from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.contracts import variant_contract, with_contract
from voiceflow_ml.export.graph import OPSET
from voiceflow_ml.export.half_search import PartError
from voiceflow_ml.export.options import ExportOptions, Precision
from voiceflow_ml.export.parity import Parity
from voiceflow_ml.export.scoring import Scores, evaluation_record
from voiceflow_ml.export.source import Source
from voiceflow_ml.export.speech import ExportSpeech
from voiceflow_ml.files import atomic_path, hash_file, write_text_atomic


@dataclass(frozen=True)
class Variant:
    """One file of an export.

    Attributes:
        path: the ONNX file.
        sha256: its hash.
        size_bytes: its length.
        parity: how far it is from the trained network.
        scores: split -> counts and percentages of windows; empty when nothing was scored.
        recordings: folder -> error rate of whole recordings; empty when none were given.
        notes: what was done to its graph, and why.
        parts: part of the network -> what it costs in half precision, alone; for fp16, when it was searched.
    """

    path: Path
    sha256: str
    size_bytes: int
    parity: Parity
    scores: Scores
    recordings: Scores
    notes: tuple[str, ...]
    parts: tuple[PartError, ...] = ()


@dataclass(frozen=True)
class ExportResult:
    """What an export left behind.

    Attributes:
        folder: where everything lies.
        variants: precision -> its file; fp32 is the portable one, which the contract is about.
        contract: the contract.
        record_path: JSON with everything that is known about the model.
    """

    folder: Path
    variants: Mapping[Precision, Variant]
    contract: Contract
    record_path: Path


@dataclass(frozen=True)
class Proof:
    """What is known of a variant before it is written.

    Attributes:
        made: its graph, among the finished steps.
        parity: as in :class:`Variant`.
        scores: as in :class:`Variant`.
        recordings: as in :class:`Variant`.
        notes: as in :class:`Variant`.
        parts: as in :class:`Variant`.
    """

    made: Path
    parity: Parity
    scores: Scores
    recordings: Scores
    notes: tuple[str, ...] = ()
    parts: tuple[PartError, ...] = ()


def write_variant(folder: Path, source: Source, precision: Precision, proof: Proof, contract: Contract) -> Variant:
    """Write the file of a variant, its contract inside.

    Args:
        folder: the folder of the export.
        source: the network.
        precision: which variant.
        proof: what is known of it.
        contract: of the portable file.
    """
    path = folder / file_name(source, precision)
    model = onnx.load(proof.made)
    own = contract if precision is Precision.FP32 else variant_contract(contract, model, proof.parity.max_abs_error)
    with atomic_path(path) as temporary:
        onnx.save(with_contract(model, own), temporary)
    return Variant(
        path,
        hash_file(path),
        path.stat().st_size,
        proof.parity,
        proof.scores,
        proof.recordings,
        proof.notes,
        proof.parts,
    )


def file_name(source: Source, precision: Precision) -> str:
    """What the file of a variant is called."""
    return f"{source.name}.onnx" if precision is Precision.FP32 else f"{source.name}.{precision}.onnx"


def write_record(
    folder: Path, source: Source, speech: ExportSpeech, options: ExportOptions, variants: Mapping[Precision, Variant]
) -> Path:
    """Write ``NAME.json``.

    Raises:
        ExportError: there is no fp32 variant.
    """
    path = folder / f"{source.name}.json"
    write_text_atomic(path, json.dumps(_record(source, speech, options, variants), indent=2) + "\n")
    return path


def _record(
    source: Source, speech: ExportSpeech, options: ExportOptions, variants: Mapping[Precision, Variant]
) -> dict[str, Any]:
    portable = variants.get(Precision.FP32)
    if portable is None:
        raise ExportError("an export without fp32 has no portable file")
    return {
        "model": source.name,
        "sha256": portable.sha256,
        "size_bytes": portable.size_bytes,
        "parameters": source.parameters,
        "opset": OPSET,
        "precision": str(Precision.FP32),
        "parity_error": dict(portable.parity.scaled_error),
        "training": dict(source.training),
        "licence": options.licence,
        "calibration": speech.described,
        "variants": {
            str(precision): {**asdict(variant), "path": variant.path.name} for precision, variant in variants.items()
        },
        "evaluation": evaluation_record(portable.scores, portable.recordings, speech),
    }
