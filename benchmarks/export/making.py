"""The variants that are measured, made from one portable file and held to the trained network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from voiceflow_ml.errors import ExportError
from voiceflow_ml.export import Precision, Source
from voiceflow_ml.export.folded_dft import fold_dft
from voiceflow_ml.export.half import to_fp16
from voiceflow_ml.export.half_search import find_half
from voiceflow_ml.export.int8_search import find_float
from voiceflow_ml.export.parity import Parity, check_parity, measure_parity, worst_parity
from voiceflow_ml.export.precision import to_int8
from voiceflow_ml.export.speech import ExportSpeech
from voiceflow_ml.export.tuning import contest

Say = Callable[[str], None]
Build = Callable[[], tuple[onnx.ModelProto, str]]
"""A graph, and what was found out on the way."""


@dataclass(frozen=True)
class Made:
    """A variant.

    Attributes:
        name: what it is.
        path: its file; None when it could not be made.
        parity: how far it is from the trained network; None without a checkpoint.
        note: what was found out on the way.
        refused: why an export would refuse it; empty when it would not.
    """

    name: str
    path: Path | None
    parity: Parity | None = None
    note: str = ""
    refused: str = ""


def made_variants(portable: Path, source: Source | None, speech: ExportSpeech, folder: Path, say: Say) -> list[Made]:
    """The portable file, and it written otherwise and in other precisions; one that fails does not stop the others."""
    plain, folded = onnx.load(portable), fold_dft(onnx.load(portable))
    builds: dict[str, tuple[Precision, Build]] = {
        "fp16": (Precision.FP16, lambda: _half(plain, speech, say)),
        "int8": (Precision.INT8, lambda: (to_int8(plain, speech.calibration), "")),
    }
    if folded is not None:
        builds |= {
            "fp32, folded DFT": (Precision.FP32, lambda: (folded, "")),
            "int8, folded DFT": (Precision.INT8, lambda: (to_int8(folded, speech.calibration), "")),
        }
    tuned = folded or plain
    builds["int8, tuned"] = (Precision.INT8, lambda: _tuned(tuned, speech, say))
    made = [_held("fp32", Precision.FP32, Made("fp32", portable), source, speech)]
    for name, (precision, build) in builds.items():
        say(f"making {name}")
        made.append(_held(name, precision, _built(name, build, folder), source, speech))
    return made


def _half(model: onnx.ModelProto, speech: ExportSpeech, say: Say) -> tuple[onnx.ModelProto, str]:
    plan = find_half(model, speech.calibration, say)
    return to_fp16(model, plan.whole), plan.describe()


def _tuned(model: onnx.ModelProto, speech: ExportSpeech, say: Say) -> tuple[onnx.ModelProto, str]:
    plan = find_float(model, speech.calibration, contest, say)
    return to_int8(model, speech.calibration, plan.left_out), "; ".join(plan.notes)


def _built(name: str, build: Build, folder: Path) -> Made:
    path = folder / f"{name.replace(', ', '-').replace(' ', '-')}.onnx"
    try:
        model, note = build()
    except ExportError as error:
        return Made(name, None, refused=str(error))
    onnx.save(model, path)
    return Made(name, path, note=note)


def _held(name: str, precision: Precision, made: Made, source: Source | None, speech: ExportSpeech) -> Made:
    if source is None or made.path is None:
        return made
    sets = (speech.audio, *(windows.audio for windows in speech.scored.values()))
    parity = worst_parity([measure_parity(source.network, made.path, audio) for audio in sets])
    try:
        check_parity(precision, parity)
    except ExportError as error:
        return Made(name, made.path, parity, made.note, str(error))
    return Made(name, made.path, parity, made.note)
