"""The least time that the hardware allows, what was measured, and what is promised, on one axis."""

from __future__ import annotations

from voiceflow_ml.hardware.roofline import Roofline
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.reporting.axes import Scale, latency_scale
from voiceflow_ml.reporting.floor import memory_text, share_text
from voiceflow_ml.reporting.svg import Drawing, diamond, line, text
from voiceflow_ml.reporting.text import objective_text
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.units import format_ns

TITLE = "Physical floor and what was reached"
_LEFT, _RIGHT, _TOP, _ROW = 152, 458, 66, 30
_APART = 46.0
"""Pixels from one time on the axis to the next: the rows' names leave it short."""
_FAR = 1_000
"""A time or a limit beyond this many times the floor, either way, is named at the edge of the axis."""


def floor_chart(label: str, measurement: Measurement, roofline: Roofline) -> Drawing:
    """Draw a model's floor, its measured percentiles and its limits.

    Args:
        label: model, stage and target.
        measurement: at least one sample.
        roofline: of the same model and target.
    """
    floor_ns = max(1, roofline.floor_ns)
    rows = [
        ("arithmetic at its peak", roofline.compute_ns, "a", format_ns(roofline.compute_ns)),
        ("memory traffic", roofline.memory_ns, "a", memory_text(roofline)),
        *((f"measured {name}", measurement.percentiles_ns[name], "b", "") for name in ("P50", "P99")),
    ]
    limits_ns = [verdict.limit_ns for verdict in measurement.verdicts]
    shown = [ns for _, ns, _, _ in rows] + limits_ns
    near = [ns for ns in shown if floor_ns / _FAR <= ns <= floor_ns * _FAR]
    across = latency_scale(min([*near, floor_ns]), max([*near, floor_ns]), _LEFT, _RIGHT)
    bottom = _TOP + _ROW * len(rows)
    at = float(across.at(floor_ns))
    said = f"floor {format_ns(floor_ns)}; the median reaches {share_text(roofline)} of what is possible"
    parts = [*_frame(across, bottom), line(at, _TOP - 14, at, bottom, "ink"), text(8, _TOP - 28, said)]
    for place, row in enumerate(rows):
        parts += _row(*row, across=across, y=_TOP + _ROW * (place + 0.5))
    for place, verdict in enumerate(measurement.verdicts):
        name = objective_text(statistic_name(verdict.quantile), verdict.limit_ns)
        # Neighbouring names stand on two lines.
        parts += _limit(name, verdict.limit_ns, across, (_TOP - 1 - 13 * (place % 2), bottom))
    return Drawing(TITLE, f"{label}. {roofline.sentence}. {share_text(roofline)} reached", bottom + 48, tuple(parts))


def _frame(across: Scale, bottom: float) -> list[str]:
    parts: list[str] = []
    last = -_APART
    for tick in across.ticks():
        x = float(across.at(tick))
        if x - last < _APART:
            continue
        last = x
        parts += [line(x, _TOP, x, bottom, "grid"), text(x, bottom + 17, format_ns(tick, digits=6), anchor="middle")]
    caption = "time of one inference; nothing is possible left of the floor"
    return [*parts, text((_LEFT + _RIGHT) / 2, bottom + 38, caption, kind="quiet", anchor="middle")]


def _row(name: str, time_ns: int, kind: str, said: str, *, across: Scale, y: float) -> list[str]:
    parts = [text(8, y + 4, name), line(_LEFT, y, _RIGHT, y, "grid")]
    if across.low <= time_ns <= across.high:
        x = float(across.at(time_ns))
        parts.append(diamond(x, y, kind))
        left = x > (_LEFT + _RIGHT) / 2
        parts.append(text(x - 9 if left else x + 9, y + 4, format_ns(time_ns), anchor="end" if left else "start"))
    else:
        parts.append(text(_LEFT + 4, y + 4, said))
    return parts


def _limit(name: str, limit_ns: int, across: Scale, ends: tuple[float, float]) -> list[str]:
    x, (top, bottom) = float(across.at(limit_ns)), ends
    if not across.low <= limit_ns <= across.high:
        edge = f"{name} →" if limit_ns > across.high else f"← {name}"
        return [text(_RIGHT, top, edge, kind="limit", anchor="end")]
    left = x > (_LEFT + _RIGHT) / 2
    return [
        line(x, top - 8, x, bottom, "limit"),
        text(x - 5 if left else x + 5, top, name, kind="limit", anchor="end" if left else "start"),
    ]
