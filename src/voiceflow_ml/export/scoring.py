"""Error rate of a variant, over windows and of whole recordings, and what an int8 variant may lose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voiceflow_ml.diarization.diarizer import open_diarizer
from voiceflow_ml.diarization.evaluation import Evaluation, evaluate
from voiceflow_ml.diarization.scoring import Rules
from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.speech import ExportSpeech
from voiceflow_ml.export.steps import Say
from voiceflow_ml.training.evaluate import evaluate as evaluate_windows
from voiceflow_ml.training.evaluate import onnx_segmenter

MOST_POINTS_LOST = 1.0
"""Percentage points of error rate that int8 may cost."""
SCORE = "local_der_percent"
WHAT = "local DER over 3 s windows, 20 ms frames, overlap scored, no collar, simulated conversations"
WHOLE_SCORE = "der_percent"
RULES = Rules()

Scores = Mapping[str, Mapping[str, float | int]]
"""Split, or folder of recordings -> counts and percentages."""


def score(path: Path, speech: ExportSpeech) -> dict[str, dict[str, float | int]]:
    """Score a variant on the windows of every split; nothing without a data folder."""
    segment = onnx_segmenter(path)
    return {split: evaluate_windows(segment, windows).to_dict() for split, windows in speech.scored.items()}


def score_recordings(path: Path, speech: ExportSpeech, say: Say) -> dict[str, dict[str, float | int]]:
    """Diarize whole recordings with a variant and score them; nothing where none were given.

    Args:
        path: the variant.
        speech: where the recordings are.
        say: told what is being done.

    Returns:
        Folder -> seconds and percentages over all of its recordings, and how many there are; without the percentages
        where its references hold no speech.
    """
    if not speech.recordings:
        return {}
    found: dict[str, dict[str, float | int]] = {}
    diarizer = open_diarizer(path)
    for name, pairs in speech.recordings.items():
        say(f"diarizing {len(pairs)} recordings of {name} with {path.stem}")
        total = Evaluation(tuple(evaluate(pairs, diarizer, RULES)), RULES).to_dict()["total"]
        found[name] = {
            "recordings": len(pairs),
            **{key: number for key, number in total.items() if number is not None},
        }
    return found


def check_score(name: str, scores: Scores, reference: Scores) -> None:
    """Refuse a variant whose error rate over windows is more than a point above that of fp32.

    Raises:
        ExportError: it is, on any split.
    """
    for split, counts in scores.items():
        _check(f"local DER of {name} on {split} voices", float(counts[SCORE]), float(reference[split][SCORE]))


def check_recordings(name: str, scores: Scores, reference: Scores) -> None:
    """Refuse a variant whose error rate of whole recordings is more than a point above that of fp32.

    Raises:
        ExportError: it is, on any folder.
    """
    for folder, counts in scores.items():
        if WHOLE_SCORE in reference[folder]:
            after = float(counts.get(WHOLE_SCORE, "nan"))
            _check(f"DER of {name} on the recordings of {folder}", after, float(reference[folder][WHOLE_SCORE]))


def _check(what: str, after: float, before: float) -> None:
    # Written so that a NaN fails, too.
    if not after <= before + MOST_POINTS_LOST:
        raise ExportError(
            f"{what} is {after:g} %, that of fp32 {before:g} %; at most {MOST_POINTS_LOST:g} points more are let pass"
        )


def evaluation_record(scores: Scores, recordings: Scores, speech: ExportSpeech) -> dict[str, Any]:
    """The scores of the portable file, as its record keeps them; empty when nothing was scored."""
    record: dict[str, Any] = {}
    if scores:
        record = {"what": WHAT, "conversations_per_split": speech.conversations, "data_sha256": speech.data_sha256}
        record |= {split: dict(counts) for split, counts in scores.items()}
    if recordings:
        record["recordings"] = {
            "what": f"DER of whole recordings, heard offline, {RULES}, counted by pyannote.metrics",
            "sha256": speech.recordings_sha256,
            "folders": {folder: dict(counts) for folder, counts in recordings.items()},
        }
    return record
