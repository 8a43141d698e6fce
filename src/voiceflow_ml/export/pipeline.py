"""One export: the portable graph, its variants, the proof of each, the contract and the record."""

from __future__ import annotations

import platform
import shutil
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch

from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.contracts import write_contract
from voiceflow_ml.export.graph import to_onnx
from voiceflow_ml.export.half import to_fp16
from voiceflow_ml.export.half_search import HalfPlan, find_half
from voiceflow_ml.export.int8_search import FloatPlan, find_float
from voiceflow_ml.export.options import ExportOptions, Precision
from voiceflow_ml.export.parity import Parity, check_parity, measure_parity, worst_parity
from voiceflow_ml.export.precision import to_int8
from voiceflow_ml.export.result import ExportResult, Proof, file_name, write_record, write_variant
from voiceflow_ml.export.rewrites import REWRITES
from voiceflow_ml.export.scoring import check_recordings, check_score, score, score_recordings
from voiceflow_ml.export.source import Source
from voiceflow_ml.export.speech import ExportSpeech
from voiceflow_ml.export.steps import FOLDER, STEPS_VERSION, Say, Steps, alone_in, move_files
from voiceflow_ml.export.tuning import Contest, contest
from voiceflow_ml.files import hash_bytes


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

    Until all is proven and written aside nothing in the folder changes; work that was done by an export that was
    stopped is kept in a hidden folder there and taken up again. Variants of an earlier export that are not asked for
    any more are removed: they are of other weights.

    Args:
        source: the network.
        folder: receives ``NAME.onnx``, ``NAME.fp16.onnx``, ``NAME.int8.onnx``, ``contract.json``, ``golden/`` and
            ``NAME.json``.
        speech: for parity, calibration and scores.
        options: what is asked for; fp32 alone by default.
        say: told what is being done.
        measure: how two graphs are compared when tuning.

    Raises:
        ExportError: the network cannot be exported, a variant is not close enough to it, another export is at work
            in the folder, or there is no room.
    """
    try:
        with alone_in(folder):
            return _export(source, folder, speech, options or ExportOptions(), say, measure)
    except OSError as error:
        raise ExportError(
            f"the export to {folder} stopped: {error}; what is done is kept there, so the same command goes on"
        ) from error


def _export(
    source: Source, folder: Path, speech: ExportSpeech, options: ExportOptions, say: Say, measure: Contest
) -> ExportResult:
    steps = Steps(folder / FOLDER, _key(source, speech), say)
    base, notes = _base(source, speech, options, steps, measure)
    proofs = {Precision.FP32: _proof(source, speech, Precision.FP32, base, steps)}
    proofs[Precision.FP32] = replace(proofs[Precision.FP32], notes=notes)
    if Precision.FP16 in options.precisions:
        proofs[Precision.FP16] = _fp16(source, base, speech, steps)
    if Precision.INT8 in options.precisions:
        proofs[Precision.INT8] = _int8(source, base, speech, steps, measure if options.tune else None)
    for precision, proof in proofs.items():
        check_parity(precision, proof.parity, "; ".join(proof.notes))
        check_score(precision, proof.scores, proofs[Precision.FP32].scores)
        check_recordings(precision, proof.recordings, proofs[Precision.FP32].recordings)
    say("writing files")
    aside = steps.folder / "files"
    # One that was stopped here may have been asked for other variants.
    shutil.rmtree(aside, ignore_errors=True)
    contract = write_contract(aside, base, source, speech, options)
    variants = {
        precision: write_variant(aside, source, precision, proof, contract) for precision, proof in proofs.items()
    }
    write_record(aside, source, speech, options, variants)
    variants = {precision: replace(variant, path=folder / variant.path.name) for precision, variant in variants.items()}
    move_files(aside, folder, [folder / file_name(source, precision) for precision in Precision])
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    return ExportResult(folder, variants, contract, folder / f"{source.name}.json")


def _key(source: Source, speech: ExportSpeech) -> dict[str, Any]:
    arrays = (speech.audio, speech.calibration, *(windows.audio for windows in speech.scored.values()))
    return {
        "steps": STEPS_VERSION,
        "weights": source.sha256,
        "speech": [hash_bytes(array.tobytes()) for array in arrays],
        "recordings": speech.recordings_sha256,
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


def _fp16(source: Source, base: Path, speech: ExportSpeech, steps: Steps) -> Proof:
    def find() -> dict[str, Any]:
        return find_half(onnx.load(base), speech.calibration, steps.say).to_dict()

    plan = HalfPlan.from_dict(steps.facts(f"fp16 search ({base.stem})", find))
    path = steps.model(f"fp16-of-{base.stem}", lambda: to_fp16(onnx.load(base), plan.whole))
    proof = _proof(source, speech, Precision.FP16, path, steps)
    return replace(proof, notes=(plan.describe(),), parts=plan.measured)


def _int8(source: Source, base: Path, speech: ExportSpeech, steps: Steps, measure: Contest | None) -> Proof:
    plan, name = FloatPlan(), f"int8-of-{base.stem}"
    if measure is not None:
        # Another name than without a search: the two must not be taken for each other when an export goes on.
        name = f"int8-tuned-of-{base.stem}"
        search = partial(_search_int8, base, speech, steps, measure)
        plan = FloatPlan.from_dict(steps.facts(f"int8 search ({base.stem})", search))
    path = steps.model(name, lambda: to_int8(onnx.load(base), speech.calibration, plan.left_out))
    return replace(_proof(source, speech, Precision.INT8, path, steps), notes=plan.notes)


def _search_int8(base: Path, speech: ExportSpeech, steps: Steps, measure: Contest) -> dict[str, Any]:
    return find_float(onnx.load(base), speech.calibration, measure, steps.say).to_dict()


def _proof(source: Source, speech: ExportSpeech, precision: Precision, path: Path, steps: Steps) -> Proof:
    def find() -> dict[str, Any]:
        parities = [
            measure_parity(source.network, path, audio)
            for audio in (speech.audio, *(windows.audio for windows in speech.scored.values()))
        ]
        return {
            "parity": asdict(worst_parity(parities)),
            "scores": score(path, speech),
            "recordings": score_recordings(path, speech, steps.say),
        }

    found = steps.facts(f"proof of {precision} ({path.stem})", find)
    return Proof(path, Parity(**found["parity"]), found["scores"], found["recordings"])
