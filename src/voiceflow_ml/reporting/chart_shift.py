"""How much slower than its baseline: the ratio of each quantile and its interval, against the tolerance."""

from __future__ import annotations

from voiceflow_ml.latency import Comparison, Outcome
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.reporting.axes import Scale
from voiceflow_ml.reporting.rows import CHANGE_WORDS
from voiceflow_ml.reporting.svg import Drawing, diamond, line, text
from voiceflow_ml.reporting.text import ratio_interval_text, ratio_text
from voiceflow_ml.results.measurement import Against

TITLE = "Slower than the baseline?"
_LEFT, _RIGHT, _TOP, _ROW = 64, 456, 36, 64
_LEAST_REACH = 1.25
"""The axis reaches at least from 1 / 1.25 to 1.25."""


def shift_chart(label: str, against: Against) -> Drawing:
    """Draw the comparison of a model with its baseline.

    Args:
        label: model, stage and target.
        against: the comparison; at least one quantile.
    """
    known = [
        value
        for entry in against.comparisons
        for value in (entry.ratio, entry.ratio_low, entry.ratio_high, 1 + entry.tolerance)
        if value
    ]
    reach = max(_LEAST_REACH, *(max(value, 1 / value) for value in known)) * 1.05
    across = Scale(1 / reach, reach, _LEFT, _RIGHT, logarithmic=True)
    invalid = bool(against.invalid_reasons)
    bottom = _TOP + _ROW * len(against.comparisons)
    parts = _frame(across, bottom)
    for index, entry in enumerate(against.comparisons):
        parts += _row(entry, across, _TOP + _ROW * index, invalid=invalid)
    description = f"{label} against {against.baseline}. Ratio of each percentile, its interval and the tolerance"
    return Drawing(TITLE, description, bottom + 48, tuple(parts))


def _frame(across: Scale, bottom: float) -> list[str]:
    parts = []
    for tick in across.ticks():
        x = float(across.at(tick))
        parts += [line(x, _TOP, x, bottom, "grid"), text(x, bottom + 17, f"{tick:g}x", anchor="middle")]
    one = float(across.at(1.0))
    caption = "latency over the baseline's; to the right is slower"
    return [
        *parts,
        line(one, _TOP, one, bottom, "ink"),
        text((_LEFT + _RIGHT) / 2, bottom + 38, caption, kind="quiet", anchor="middle"),
    ]


def _row(entry: Comparison, across: Scale, top: float, *, invalid: bool) -> list[str]:
    middle = top + 44
    word = str(Outcome.INVALID) if invalid else CHANGE_WORDS[entry.outcome]
    name = text(_LEFT - 8, middle + 4, statistic_name(entry.quantile), kind="title", anchor="end")
    if entry.ratio is None:
        return [name, text(_LEFT + 4, top + 16, f"{word}: too few samples to compare")]
    bound = float(across.at(1 + entry.tolerance))
    ends = [entry.ratio_low, entry.ratio_high]
    low, high = (
        edge if value is None else float(across.at(value)) for value, edge in zip(ends, (_LEFT, _RIGHT), strict=True)
    )
    at = float(across.at(entry.ratio))
    ticks = [line(x, middle - 10, x, middle + 10, "a solid") for x, end in ((low, ends[0]), (high, ends[1])) if end]
    return [
        name,
        text(_LEFT + 4, top + 16, f"{word}: {ratio_text(entry.ratio)} {ratio_interval_text(entry)}"),
        line(bound, middle - 22, bound, middle + 12, "limit"),
        text(bound + 4, middle + 17, f"allowed {1 + entry.tolerance:.4g}x", kind="limit"),
        line(low, middle, high, middle, "a"),
        *ticks,
        diamond(at, middle, "a"),
    ]
