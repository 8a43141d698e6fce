"""Measure the variants of a model beside its fp32 file, all in one run.

    python -m benchmarks.export CHECKPOINT.pt --data data/speech      exports first, into --out
    python -m benchmarks.export MODEL.onnx --data data/speech         makes the variants from a portable file

Ratios are of medians, measured in pairs of blocks in random order on one thread; other load on the machine hits both
of a pair alike. A variant that an export would refuse is measured all the same, and its row says why it is refused.
Writes ``benchmarks/export/results.json`` and prints the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import onnxruntime

from benchmarks.export.making import Made, made_variants
from benchmarks.export.rows import Row, measured_row, table
from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.export import ExportOptions, Source, export, load_source, load_speech
from voiceflow_ml.export.options import Precision
from voiceflow_ml.export.speech import ExportSpeech
from voiceflow_ml.files import hash_file, write_text_atomic
from voiceflow_ml.hardware.probe import probe_machine

RESULTS = Path(__file__).with_name("results.json")


def tell(text: str) -> None:
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def portable_of(given: Path, speech: ExportSpeech, out: Path) -> tuple[Path, Source | None]:
    """The portable file of a checkpoint, exported with proof now, and its network; or the file itself."""
    if given.suffix == ".onnx":
        return given, None
    source = load_source(given)
    result = export(source, out, speech, ExportOptions(), say=tell)
    return result.variants[Precision.FP32].path, source


def main() -> int:
    """Measure, write and print; 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="a checkpoint, or a portable .onnx file")
    parser.add_argument("--data", type=Path, help="folder that `voiceflow data prepare` filled (default: no scores)")
    parser.add_argument("--conversations", type=int, default=60, help="simulated conversations to score per split")
    parser.add_argument(
        "--recordings", type=Path, action="append", default=[], help="folder of recordings with .rttm to score on"
    )
    parser.add_argument("--out", type=Path, help="folder for the export (default: a scratch folder)")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the results go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            speech = load_speech(given.data, conversations=given.conversations, recordings=given.recordings)
            portable, source = portable_of(given.model, speech, given.out or Path(scratch) / "out")
            made = made_variants(portable, source, speech, Path(scratch), tell)
            rows: list[Row] = []
            for one in made:
                tell(f"measuring {one.name}")
                rows.append(measured_row(one, portable, speech, tell, rows[0] if rows else None))
        except VoiceflowError as error:
            print(error, file=sys.stderr)
            return 2
        content = {
            "model_sha256": hash_file(portable),
            "parity_with_torch": {one.name: _parity(one) for one in made},
            "onnxruntime": onnxruntime.__version__,
            "machine": probe_machine(),
            "calibration": speech.described,
            "conversations_per_split": speech.conversations,
            "recordings": {name: len(pairs) for name, pairs in speech.recordings.items()},
            "rows": [row.to_dict() for row in rows],
        }
    write_text_atomic(given.json, json.dumps(content, indent=1) + "\n")
    print(table(rows))
    return 0


def _parity(made: Made) -> dict[str, object] | None:
    return asdict(made.parity) if made.parity else None


if __name__ == "__main__":
    sys.exit(main())
