"""One row of the table: a variant beside the portable file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voiceflow_ml.contract.check import onnx_run
from voiceflow_ml.export.scoring import SCORE, score
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
        disagreement_percent: speech that is decided otherwise than by the portable file, on the shipped sample.
        least_cosine: smallest cosine between an embedding and the portable file's, over speakers who talk.
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
    disagreement_percent: float
    least_cosine: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def measured_row(name: str, path: Path, portable: Path, speech: ExportSpeech) -> Row:
    """Score a variant and measure it in turns with the portable file."""
    duel = contest(path, portable, speech.audio[:1], print) if path != portable else None
    disagreement, cosine = _agreement(path, portable, speech)
    return Row(
        name=name,
        size_bytes=path.stat().st_size,
        size_share=path.stat().st_size / portable.stat().st_size,
        **_timing(duel),
        der_percent={split: float(counts[SCORE]) for split, counts in score(path, speech).items()},
        disagreement_percent=disagreement,
        least_cosine=cosine,
    )


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
    heads = ["variant", "size", "of fp32", "faster than fp32", *(f"local DER, {split}" for split in splits)]
    heads += ["decided otherwise", "least cosine"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        speedup = "" if row.speedup is None else f"{row.speedup:.2f}x {_interval(row)}"
        cells = [row.name, f"{row.size_bytes / 1e6:.2f} MB", f"{row.size_share:.2f}", speedup]
        cells += [f"{row.der_percent[split]:.2f} %" for split in splits]
        cells += [f"{row.disagreement_percent:.2f} %", f"{row.least_cosine:.4f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(row: Row) -> str:
    ends = ["?" if end is None else f"{end:.2f}" for end in (row.speedup_low, row.speedup_high)]
    return f"[{', '.join(ends)}]"
