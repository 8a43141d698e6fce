"""One row of the table: a variant beside the portable file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.export.making import Made, Say
from voiceflow_ml.contract.check import onnx_run
from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.scoring import (
    SCORE,
    WHOLE_SCORE,
    check_recordings,
    check_score,
    score,
    score_recordings,
)
from voiceflow_ml.export.speech import ExportSpeech
from voiceflow_ml.export.tuning import Duel, contest
from voiceflow_ml.models.powerset import logits_to_activity
from voiceflow_ml.training.evaluate import local_der


@dataclass(frozen=True)
class Row:
    """A variant.

    Attributes:
        name: what it is.
        size_bytes: its length.
        size_share: of the portable file's.
        speedup: the portable file's median latency over the variant's; None for the portable file itself.
        speedup_low: lower end of its interval, at 99 % confidence.
        speedup_high: upper end.
        clock: which clock that was read on.
        portable_ns: median of the portable file in the same run.
        median_ns: median of the variant.
        der_percent: split -> local DER.
        whole_der_percent: folder -> DER of its whole recordings.
        disagreement_percent: speech that is decided otherwise than by the portable file, on the shipped sample.
        least_cosine: smallest cosine between an embedding and the portable file's, over speakers who talk.
        note: what was found out when it was made.
        refused: why an export refuses it; empty when it does not.
    """

    name: str
    size_bytes: int
    size_share: float
    speedup: float | None
    speedup_low: float | None
    speedup_high: float | None
    clock: str
    portable_ns: int
    median_ns: int
    der_percent: Mapping[str, float]
    whole_der_percent: Mapping[str, float]
    disagreement_percent: float
    least_cosine: float
    note: str = ""
    refused: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


_UNSCORED: dict[str, Any] = {
    "der_percent": {},
    "whole_der_percent": {},
    "disagreement_percent": 0.0,
    "least_cosine": 0.0,
}


def measured_row(made: Made, portable: Path, speech: ExportSpeech, say: Say, first: Row | None = None) -> Row:
    """Score a variant and measure it in turns with the portable file.

    Args:
        made: the variant.
        portable: the portable file.
        speech: what to score on.
        say: told what is being done.
        first: the portable file's row, None while it is that one's turn.
    """
    if made.path is None:
        return Row(made.name, 0, 0.0, **_timing(None), **_UNSCORED, refused=made.refused)
    path = made.path
    duel = contest(path, portable, speech.audio[:1], say) if path != portable else None
    disagreement, cosine = _agreement(path, portable, speech)
    row = Row(
        name=made.name,
        size_bytes=path.stat().st_size,
        size_share=path.stat().st_size / portable.stat().st_size,
        **_timing(duel),
        der_percent={split: float(counts[SCORE]) for split, counts in score(path, speech).items()},
        whole_der_percent={
            folder: float(counts[WHOLE_SCORE]) for folder, counts in score_recordings(path, speech, say).items()
        },
        disagreement_percent=disagreement,
        least_cosine=cosine,
        note=made.note,
        refused=made.refused,
    )
    return row if first is None or row.refused else replace(row, refused=_worse(row, first))


def _worse(row: Row, first: Row) -> str:
    """Why an export refuses a variant for its scores."""
    local, local_first = ({split: {SCORE: der} for split, der in one.der_percent.items()} for one in (row, first))
    whole, whole_first = (
        {name: {WHOLE_SCORE: der} for name, der in one.whole_der_percent.items()} for one in (row, first)
    )
    try:
        check_score(row.name, local, local_first)
        check_recordings(row.name, whole, whole_first)
    except ExportError as error:
        return str(error)
    return ""


def _timing(duel: Duel | None) -> dict[str, Any]:
    if duel is None:
        return {
            **dict.fromkeys(("speedup", "speedup_low", "speedup_high")),
            "clock": "",
            **dict.fromkeys(("portable_ns", "median_ns"), 0),
        }
    found = duel.comparison
    return {
        "speedup": found.ratio,
        "speedup_low": found.ratio_low,
        "speedup_high": found.ratio_high,
        "clock": "less run-queue wait" if duel.adjusted else "wall clock",
        "portable_ns": found.candidate_ns,
        "median_ns": found.baseline_ns,
    }


def _agreement(path: Path, portable: Path, speech: ExportSpeech) -> tuple[float, float]:
    wanted, given = (onnx_run(file)({"audio": speech.audio}) for file in (portable, path))
    reference, other = (
        logits_to_activity(np.asarray(run["powerset_logits"], dtype=np.float32)) for run in (wanted, given)
    )
    vectors = [np.asarray(run["embeddings"], dtype=np.float64) for run in (wanted, given)]
    norms = [np.linalg.norm(one, axis=2) for one in vectors]
    cosines = (vectors[0] * vectors[1]).sum(axis=2) / (norms[0] * norms[1])
    return 100.0 * local_der(reference, other).der, float(cosines[reference.any(axis=1)].min())


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    splits = list(rows[0].der_percent)
    folders = list(rows[0].whole_der_percent)
    heads = ["variant", "size", "of fp32", "faster than fp32", *(f"local DER, {split}" for split in splits)]
    heads += [f"DER, {folder}" for folder in folders]
    heads += ["decided otherwise", "least cosine"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        speedup = "" if row.speedup is None else f"{row.speedup:.2f}x {_interval(row)}"
        cells = [row.name, f"{row.size_bytes / 1e6:.2f} MB", f"{row.size_share:.2f}", speedup]
        if not row.size_bytes:
            lines.append(f"| {row.name} | refused |{' |' * (len(heads) - 2)}")
            continue
        cells += [f"{row.der_percent[split]:.2f} %" for split in splits]
        cells += [f"{row.whole_der_percent[folder]:.2f} %" for folder in folders]
        cells += [f"{row.disagreement_percent:.2f} %", f"{row.least_cosine:.4f}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {row.name}: {row.note}" for row in rows if row.note)]
    lines += [f"- {row.name} is refused: {row.refused}" for row in rows if row.refused]
    return "\n".join(lines).rstrip()


def _interval(row: Row) -> str:
    ends = ["?" if end is None else f"{end:.2f}" for end in (row.speedup_low, row.speedup_high)]
    return f"[{', '.join(ends)}]"
