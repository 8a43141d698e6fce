"""A soak over time as a picture: memory, what is open, latency, errors, load. The same results give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.soak.verdict import MIB, Results
from voiceflow_ml.reporting.axes import Scale, latency_scale
from voiceflow_ml.reporting.svg import WIDTH, Drawing, line, number, text
from voiceflow_ml.units import NS_PER_MS

_LEFT, _RIGHT = 48.0, WIDTH - 16.0
_FIRST_TOP, _PANEL, _GAP = 58.0, 84.0, 44.0
_LEGEND_PX = 6.7
"""Of a character, about."""
Values = NDArray[np.float64]


@dataclass(frozen=True)
class _Line:
    """One quantity over time; both shape ``[n]``."""

    name: str
    at_min: Values
    values: Values
    kind: str


@dataclass(frozen=True)
class _Panel:
    """Quantities of one unit; an axis of latencies is logarithmic."""

    title: str
    lines: Sequence[_Line]
    is_latency: bool = False


def draw(results: Results) -> Drawing:
    """Draw a run of at least one sample."""
    panels = _panels(results)
    last = max(float(one.at_min.max()) for panel in panels for one in panel.lines)
    across = Scale(0.0, max(last, 1e-3), _LEFT, _RIGHT)
    parts = [part for row, panel in enumerate(panels) for part in _draw(panel, row, across)]
    bottom = _FIRST_TOP + len(panels) * (_PANEL + _GAP) - _GAP
    parts.append(text(_RIGHT, bottom + 30, "minutes", kind="quiet", anchor="end"))
    said = "; ".join(f"{one.name} from {one.values[0]:.4g} to {one.values[-1]:.4g}" for one in panels[0].lines)
    kinds = ", ".join(panel.title for panel in panels)
    return Drawing("Soak", f"Over {last:.0f} minutes: {kinds}. {said}", round(bottom + 38), tuple(parts))


def _panels(results: Results) -> list[_Panel]:
    samples, windows = results["samples"], results["windows"]
    at = np.array(samples["at_s"], dtype=np.float64) / 60

    def column(name: str, label: str, kind: str, unit: float = 1.0) -> _Line:
        return _Line(label, at, np.array(samples[name], dtype=np.float64) / unit, kind)

    latency = [
        _window(windows, column, label, kind)
        for column, label, kind in (
            ("infer_p99_ns", "inference P99", "a solid"),
            ("chunk_p99_ns", "chunk P99", "b"),
            ("infer_p50_ns", "inference P50", "c"),
        )
    ]
    shown = [one for one in latency if one.values.size]
    return [
        _Panel("resident memory, MiB", [column("resident_bytes", "resident memory", "a solid", MIB)]),
        _Panel("open", [column(name, name, kind) for name, kind in _OPEN]),
        *([_Panel("latency, ms", shown, is_latency=True)] if shown else []),
        _Panel("so far", [column("turned_away", "turned away", "c"), column("troubles", "wrong, lost, errors", "b")]),
        _Panel("load average of the machine", [column("load_average", "load average", "a solid")]),
    ]


_OPEN = (("descriptors", "a solid"), ("connections", "b"), ("threads", "c"))


def _window(windows: Results, name: str, label: str, kind: str) -> _Line:
    """Percentiles in milliseconds; windows without one are left out."""
    rows = [
        (at_s / 60, value / NS_PER_MS)
        for at_s, value in zip(windows.get("at_s", []), windows.get(name, []), strict=True)
        if value is not None
    ]
    found = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return _Line(label, found[:, 0], found[:, 1], kind)


def _draw(panel: _Panel, row: int, across: Scale) -> list[str]:
    top = _FIRST_TOP + row * (_PANEL + _GAP)
    values = np.concatenate([one.values for one in panel.lines])
    up = _scale(float(values.min()), float(values.max()), top, panel)
    parts = [text(_LEFT, top - 6, panel.title, kind="quiet")]
    for value in _decades(up) if up.logarithmic else up.ticks():
        level = float(up.at(value))
        parts.append(line(_LEFT, level, _RIGHT, level, "grid"))
        parts.append(text(_LEFT - 6, level + 4, f"{value:g}", kind="quiet", anchor="end"))
    for value in across.ticks():
        at = float(across.at(value))
        parts.append(line(at, top, at, top + _PANEL, "grid"))
        parts.append(text(at, top + _PANEL + 14, f"{value:g}", kind="quiet", anchor="middle"))
    parts += [_path(across.at(one.at_min), up.at(one.values), one.kind) for one in panel.lines]
    return [*parts, *(_legend(panel.lines, top) if len(panel.lines) > 1 else [])]


def _scale(low: float, high: float, top: float, panel: _Panel) -> Scale:
    if panel.is_latency:
        return latency_scale(low, high, top + _PANEL, top)
    # From 0, so that a line that looks level is level.
    return Scale(0.0, 1.1 * high or 1.0, top + _PANEL, top)


def _decades(up: Scale) -> list[float]:
    """Powers of ten and their threefold: few on the many decades between a quiet window and a stopped process."""
    exponents = range(math.floor(math.log10(up.low)), math.ceil(math.log10(up.high)))
    rounds = [factor * 10.0**exponent for exponent in exponents for factor in (1, 3)]
    return [value for value in rounds if up.low <= value <= up.high]


def _legend(lines: Sequence[_Line], top: float) -> list[str]:
    """Names at the upper right, each behind a piece of its line."""
    parts, right = [], _RIGHT
    for one in reversed(lines):
        parts.append(text(right, top - 6, one.name, anchor="end"))
        right -= _LEGEND_PX * len(one.name) + 4
        parts.append(line(right - 22, top - 10, right, top - 10, one.kind))
        right -= 34
    return parts


def _path(x: Values, y: Values, kind: str) -> str:
    points = "L".join(f"{number(at)} {number(level)}" for at, level in zip(x.tolist(), y.tolist(), strict=True))
    # A single point is a line of no length, which round ends make visible.
    closing = "h0" if x.size == 1 else ""
    return f'<path class="{kind}{" dots" if closing else ""}" d="M{points}{closing}"/>'
