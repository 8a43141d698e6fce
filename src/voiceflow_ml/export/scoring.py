"""Error rate of a variant, and what an int8 variant may lose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.speech import ExportSpeech
from voiceflow_ml.training.evaluate import evaluate, onnx_segmenter

MOST_POINTS_LOST = 1.0
"""Percentage points of error rate that int8 may cost."""
SCORE = "local_der_percent"
WHAT = "local DER over 3 s windows, 20 ms frames, overlap scored, no collar, simulated conversations"

Scores = Mapping[str, Mapping[str, float | int]]
"""Split -> counts and percentages."""


def score(path: Path, speech: ExportSpeech) -> dict[str, dict[str, float | int]]:
    """Score a variant on every split; nothing without a data folder."""
    segment = onnx_segmenter(path)
    return {split: evaluate(segment, windows).to_dict() for split, windows in speech.scored.items()}


def check_score(name: str, scores: Scores, reference: Scores) -> None:
    """Refuse a variant whose error rate is more than a point above that of fp32.

    Raises:
        ExportError: it is, on any split.
    """
    for split, counts in scores.items():
        before, after = float(reference[split][SCORE]), float(counts[SCORE])
        # Written so that a NaN fails, too.
        if not after <= before + MOST_POINTS_LOST:
            raise ExportError(
                f"local DER of {name} on {split} voices is {after:g} %, that of fp32 {before:g} %; "
                f"at most {MOST_POINTS_LOST:g} points more are let pass"
            )


def evaluation_record(scores: Scores, speech: ExportSpeech) -> dict[str, Any]:
    """The scores of the portable file, as its record keeps them; empty when nothing was scored."""
    if not scores:
        return {}
    about = {"what": WHAT, "conversations_per_split": speech.conversations, "data_sha256": speech.data_sha256}
    return {**about, **{split: dict(counts) for split, counts in scores.items()}}
