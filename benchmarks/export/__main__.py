"""Measure the variants of a model beside its fp32 file, all in one run.

    python -m benchmarks.export CHECKPOINT.pt --data data/speech      exports first, into --out
    python -m benchmarks.export MODEL.onnx --data data/speech         makes the variants from a portable file

Ratios are of medians, measured in pairs of blocks in random order on one thread; other load on the machine hits both
of a pair alike. Writes ``benchmarks/export/results.json`` and prints the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from benchmarks.export.rows import Row, measured_row, table
from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.export import ExportOptions, Precision, export, load_source, load_speech
from voiceflow_ml.export.folded_dft import fold_dft
from voiceflow_ml.export.precision import to_fp16, to_int8
from voiceflow_ml.export.speech import ExportSpeech
from voiceflow_ml.files import hash_file, write_text_atomic
from voiceflow_ml.hardware.probe import probe_machine

RESULTS = Path(__file__).with_name("results.json")


def variants_of(portable: Path, speech: ExportSpeech, folder: Path) -> dict[str, Path]:
    """The portable file, written otherwise and in other precisions, without the checkpoint that it came from."""
    plain = onnx.load(portable)
    folded = fold_dft(plain)
    models = {
        "fp16": to_fp16(plain),
        "int8": to_int8(plain, speech.calibration),
        **(
            {}
            if folded is None
            else {"fp32, folded DFT": folded, "int8, folded DFT": to_int8(folded, speech.calibration)}
        ),
    }
    paths = {"fp32": portable}
    for name, model in models.items():
        paths[name] = folder / f"{name.replace(', ', '-').replace(' ', '-')}.onnx"
        onnx.save(model, paths[name])
    return paths


def portable_of(given: Path, speech: ExportSpeech, out: Path) -> tuple[Path, dict[str, Any]]:
    """The portable file of a checkpoint, exported with proof now, or the file itself; and the export's record."""
    if given.suffix == ".onnx":
        return given, {}
    options = ExportOptions(tuple(Precision), tune=False)
    result = export(load_source(given), out, speech, options, say=lambda text: print(text, file=sys.stderr))
    return result.variants[Precision.FP32].path, json.loads(result.record_path.read_text(encoding="utf-8"))


def main() -> int:
    """Measure, write and print; 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="a checkpoint, or a portable .onnx file")
    parser.add_argument("--data", type=Path, help="folder that `voiceflow data prepare` filled (default: no scores)")
    parser.add_argument("--conversations", type=int, default=60, help="simulated conversations to score per split")
    parser.add_argument("--out", type=Path, help="folder for the export (default: a scratch folder)")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the results go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            speech = load_speech(given.data, conversations=given.conversations)
            portable, record = portable_of(given.model, speech, given.out or Path(scratch) / "out")
            paths = variants_of(portable, speech, Path(scratch))
            rows: list[Row] = []
            for name, path in paths.items():
                print(f"measuring {name}", file=sys.stderr)
                rows.append(measured_row(name, path, portable, speech))
        except VoiceflowError as error:
            print(error, file=sys.stderr)
            return 2
        content = {
            "model_sha256": hash_file(portable),
            "parity_with_torch": {name: entry["parity"] for name, entry in record.get("variants", {}).items()},
            "onnxruntime": onnxruntime.__version__,
            "machine": probe_machine(),
            "calibration": speech.described,
            "conversations_per_split": speech.conversations,
            "rows": [row.to_dict() for row in rows],
        }
    write_text_atomic(given.json, json.dumps(content, indent=1) + "\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
