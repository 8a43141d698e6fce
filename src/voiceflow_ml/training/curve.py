"""The learning curve: what a run's losses and its errors on dev were, as CSV files that are rewritten whole."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

from voiceflow_ml.errors import TrainingError
from voiceflow_ml.files import atomic_path

CURVE_NAME = "learning-curve.csv"
DEV_CURVE_NAME = "dev-curve.csv"


@dataclass(frozen=True)
class CurvePoint:
    """One line of the learning curve: means over the steps since the line before."""

    step: int
    seconds: float
    loss: float
    segmentation_loss: float
    speaker_loss: float
    learning_rate: float


@dataclass(frozen=True)
class DevPoint:
    """One validation: local DER and its parts on the dev speakers, as fractions of the reference speech."""

    step: int
    seconds: float
    local_der: float
    missed: float
    false_alarm: float
    confused: float


_Point = TypeVar("_Point", CurvePoint, DevPoint)


def write_curve(path: Path, points: Iterable[CurvePoint] | Iterable[DevPoint], kind: type[_Point]) -> None:
    """Write a curve as CSV, atomically.

    Args:
        path: The file.
        points: Its lines.
        kind: What they are, for the head of the table.

    Raises:
        TrainingError: The file cannot be written.
    """
    try:
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow([field.name for field in fields(kind)])
            writer.writerows(astuple(point) for point in points)
    except OSError as error:
        raise TrainingError(f"{path}: learning curve cannot be written: {error.strerror or error}") from error


def read_curve(path: Path, kind: type[_Point]) -> list[_Point]:
    """Read a curve; none yet gives an empty list.

    Args:
        path: The file.
        kind: What its lines are.

    Raises:
        TrainingError: The file is damaged.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        names = [field.name for field in fields(kind)][1:]
        return [kind(int(row["step"]), *(float(row[name]) for name in names)) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: damaged learning curve ({error}); delete it to go on") from error
