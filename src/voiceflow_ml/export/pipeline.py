"""One export: the portable graph, its variants, the proof of each, the contract and the record."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch

from voiceflow_ml.contract.schema import Contract
from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.contracts import variant_contract, with_contract, write_contract
from voiceflow_ml.export.graph import OPSET, to_onnx
from voiceflow_ml.export.options import ExportOptions, Precision
from voiceflow_ml.export.parity import Parity, check_parity, measure_parity
from voiceflow_ml.export.precision import to_fp16, to_int8
from voiceflow_ml.export.rewrites import REWRITES
from voiceflow_ml.export.scoring import check_score, evaluation_record, score
from voiceflow_ml.export.source import Source
from voiceflow_ml.export.speech import ExportSpeech
from voiceflow_ml.export.steps import FOLDER, Say, Steps
from voiceflow_ml.export.tuning import Contest, contest
from voiceflow_ml.files import atomic_path, hash_bytes, hash_file, write_text_atomic


@dataclass(frozen=True)
class Variant:
    """One file of an export.

    Attributes:
        path: the ONNX file.
        sha256: its hash.
        size_bytes: its length.
        parity: how far it is from the trained network.
        scores: split -> counts and percentages; empty when nothing was scored.
        notes: what was done to its graph, and why.
    """

    path: Path
    sha256: str
    size_bytes: int
    parity: Parity
    scores: Mapping[str, Mapping[str, float | int]]
    notes: tuple[str, ...]


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


def export(
    source: Source,
    folder: Path,
    speech: ExportSpeech,
    options: ExportOptions | None = None,
    *,
    say: Say = lambda _: None,
    measure: Contest = contest,
) -> ExportResult:
    """Export a network: one portable file, the variants that were asked for, and proof of each.

    Until all is proven nothing in the folder changes; work that was done by an export that was stopped is kept in
    a hidden folder there and taken up again.

    Args:
        source: the network.
        folder: receives ``NAME.onnx``, ``NAME.fp16.onnx``, ``NAME.int8.onnx``, ``contract.json``, ``golden/`` and
            ``NAME.json``.
        speech: for parity, calibration and scores.
        options: what is asked for; fp32 alone by default.
        say: told what is being done.
        measure: how two graphs are compared when tuning.

    Raises:
        ExportError: the network cannot be exported, or a variant is not close enough to it.
    """
    options = options or ExportOptions()
    steps = Steps(folder / FOLDER, _key(source, speech), say)
    base, notes = _base(source, speech, options, steps, measure)
    made = {Precision.FP32: base, **_variants(base, speech, options, steps)}
    proofs = {precision: _proof(source, speech, precision, path, steps) for precision, path in made.items()}
    for precision, (parity, scores) in proofs.items():
        check_parity(precision, parity)
        check_score(precision, scores, proofs[Precision.FP32][1])
    say("writing files")
    contract = write_contract(folder, base, source, speech, options)
    variants = {
        precision: _written(folder, source, path, contract, *proofs[precision], notes if path is base else ())
        for precision, path in made.items()
    }
    record_path = folder / f"{source.name}.json"
    write_text_atomic(record_path, json.dumps(_record(source, speech, options, variants), indent=2) + "\n")
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    return ExportResult(folder, variants, contract, record_path)


def _key(source: Source, speech: ExportSpeech) -> dict[str, Any]:
    arrays = (speech.audio, speech.calibration, *(windows.audio for windows in speech.scored.values()))
    return {
        "weights": source.sha256,
        "speech": [hash_bytes(array.tobytes()) for array in arrays],
        # What was measured on one machine says nothing about another.
        "machine": platform.node(),
        "versions": [torch.__version__, onnx.__version__, onnxruntime.__version__],
    }


def _base(
    source: Source, speech: ExportSpeech, options: ExportOptions, steps: Steps, measure: Contest
) -> tuple[Path, tuple[str, ...]]:
    """The fp32 graph, rewritten where that was measured to be faster, and what was found."""
    best = steps.model("fp32", lambda: to_onnx(source))
    if not options.tune:
        return best, ()
    notes = []
    for number, (name, rewrite) in enumerate(REWRITES.items()):
        rewritten = rewrite(onnx.load(best))
        if rewritten is None:
            notes.append(f"{name}: nothing in the graph to rewrite")
            continue
        path = steps.model(f"fp32-{number}", partial(_same, rewritten))
        found = steps.facts(f"tuning-{number}", partial(_duel, measure, path, best, speech, steps.say))
        notes.append(f"{name}: {'kept' if found['kept'] else 'not kept'}; {found['sentence']}")
        best = path if found["kept"] else best
    return best, tuple(notes)


def _same(model: onnx.ModelProto) -> onnx.ModelProto:
    return model


def _duel(measure: Contest, rewritten: Path, plain: Path, speech: ExportSpeech, say: Say) -> dict[str, Any]:
    duel = measure(rewritten, plain, speech.audio[:1], say)
    return {"kept": duel.slower, "sentence": f"plain against rewritten: {duel.describe()}"}


def _variants(base: Path, speech: ExportSpeech, options: ExportOptions, steps: Steps) -> dict[Precision, Path]:
    makers = {
        Precision.FP16: lambda: to_fp16(onnx.load(base)),
        Precision.INT8: lambda: to_int8(onnx.load(base), speech.calibration),
    }
    return {
        precision: steps.model(f"{precision}-of-{base.stem}", make)
        for precision, make in makers.items()
        if precision in options.precisions
    }


def _proof(
    source: Source, speech: ExportSpeech, precision: Precision, path: Path, steps: Steps
) -> tuple[Parity, dict[str, dict[str, float | int]]]:
    def find() -> dict[str, Any]:
        parities = [
            measure_parity(source.network, path, audio)
            for audio in (speech.audio, *(windows.audio for windows in speech.scored.values()))
        ]
        return {"parity": asdict(_worst(parities)), "scores": score(path, speech)}

    found = steps.facts(f"proof of {precision} ({path.stem})", find)
    return Parity(**found["parity"]), found["scores"]


def _worst(parities: list[Parity]) -> Parity:
    names = parities[0].max_abs_error
    return Parity(
        {name: max(one.max_abs_error[name] for one in parities) for name in names},
        {name: max(one.scaled_error[name] for one in parities) for name in names},
        max(one.disagreement_percent for one in parities),
        min(one.least_cosine for one in parities),
        sum(one.windows for one in parities),
    )


def _written(
    folder: Path,
    source: Source,
    made: Path,
    contract: Contract,
    parity: Parity,
    scores: Mapping[str, Mapping[str, float | int]],
    notes: tuple[str, ...],
) -> Variant:
    precision = made.stem.split("-")[0]
    path = folder / (f"{source.name}.onnx" if precision == Precision.FP32 else f"{source.name}.{precision}.onnx")
    model = onnx.load(made)
    own = contract if precision == Precision.FP32 else variant_contract(contract, model, parity.max_abs_error)
    with atomic_path(path) as temporary:
        onnx.save(with_contract(model, own), temporary)
    return Variant(path, hash_file(path), path.stat().st_size, parity, scores, notes)


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
        "evaluation": evaluation_record(portable.scores, speech),
    }
