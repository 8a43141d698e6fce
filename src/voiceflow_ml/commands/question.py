"""What ``voiceflow compare`` is asked, read from its options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voiceflow_ml.errors import ConfigError, UnitError
from voiceflow_ml.units import parse_duration_ns

if TYPE_CHECKING:
    from voiceflow_ml.hardware.targets import Target


@dataclass(frozen=True)
class Question:
    """Is the candidate slower than the baseline?

    Attributes:
        baseline: an ONNX file, or ``git:REF``.
        candidate: an ONNX file.
        quantiles: what is compared, each in (0, 1).
        confidence: of each answer.
        tolerance: slowdown that is let pass, as a fraction; None for the default of each quantile.
        target: where both must run.
        span_ns: the pairs are spread over this long; None is as long as is fit.
        time_budget_ns: no new pair begins after this.
    """

    baseline: str
    candidate: Path
    quantiles: tuple[float, ...]
    confidence: float
    tolerance: float | None
    target: Target
    span_ns: int | None
    time_budget_ns: int


def read_question(
    baseline: str,
    candidate: Path,
    *,
    quantiles: Sequence[str],
    confidence: float,
    tolerance: str | None,
    target: str,
    span: str | None,
    time_budget: str,
) -> Question:
    """Read the options.

    Args:
        baseline: as in :class:`Question`, like the next one.
        candidate: see there.
        quantiles: names such as ``"p99"``.
        confidence: from 0.5 to below 1.
        tolerance: ``"0.1"`` or ``"10%"``; None for the default of each quantile.
        target: a name of the catalogue.
        span: a duration; may be ``"0s"``, or None.
        time_budget: a duration, longer than the span.

    Raises:
        ConfigError: a value that is none of these; the message names the option.
    """
    from voiceflow_ml.hardware.targets import find_target  # noqa: PLC0415

    question = Question(
        baseline=baseline,
        candidate=candidate,
        quantiles=_parse_quantiles(quantiles),
        confidence=_checked_confidence(confidence),
        tolerance=None if tolerance is None else _parse_tolerance(tolerance),
        target=find_target(target),
        span_ns=None if span is None else _parse_duration("--span", span, allow_zero=True),
        time_budget_ns=_parse_duration("--time-budget", time_budget),
    )
    if question.span_ns is not None and question.span_ns >= question.time_budget_ns:
        raise ConfigError(f"--span {span} does not fit into --time-budget {time_budget}; give more time or less span")
    return question


def _parse_quantiles(names: Sequence[str]) -> tuple[float, ...]:
    from voiceflow_ml.sla.objectives import STATISTICS  # noqa: PLC0415

    for name in names:
        if name.lower() not in STATISTICS:
            raise ConfigError(f"--quantile {name!r} is unknown; valid: {', '.join(STATISTICS)}")
    return tuple(dict.fromkeys(STATISTICS[name.lower()] for name in names))


def _checked_confidence(confidence: float) -> float:
    if not 0.5 <= confidence < 1:
        raise ConfigError(f"--confidence {confidence:g}: write a number from 0.5 to below 1, such as 0.99")
    return confidence


def _parse_tolerance(text: str) -> float:
    """``"10%"`` or ``"0.1"`` -> 0.1. A bare number from 1 on is a percentage whose sign was forgotten."""
    number = text.strip().removesuffix("%")
    is_percentage = number != text.strip()
    try:
        value = float(number) / (100 if is_percentage else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value < (math.inf if is_percentage else 1):
        raise ConfigError(f"--tolerance {text!r}: write a fraction below 1, such as 0.1, or a percentage, such as 10%")
    return value


def _parse_duration(option: str, text: str, *, allow_zero: bool = False) -> int:
    try:
        return parse_duration_ns(text, allow_zero=allow_zero)
    except UnitError as error:
        raise UnitError(f"{option}: {error}") from None
