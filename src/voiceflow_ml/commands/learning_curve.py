"""Draw a learning curve: the losses, and the errors on dev, over the steps. The same curve gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.reporting.axes import Scale
from voiceflow_ml.reporting.svg import WIDTH, Drawing, diamond, line, number, text
from voiceflow_ml.training.curve import CurvePoint, DevPoint

_LEFT, _RIGHT = 48.0, WIDTH - 16.0
_FIRST_TOP = 44.0
_PANEL = 104.0
_GAP = 40.0


@dataclass(frozen=True)
class _Panel:
    """One quantity over the steps; ``steps`` and ``values`` are of shape ``[points]``."""

    title: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    kind: str
    mark_lowest: bool = False


def draw_curves(curve: Sequence[CurvePoint], dev_curve: Sequence[DevPoint]) -> Drawing:
    """Draw a run.

    Args:
        curve: Its losses, at least one line.
        dev_curve: Its validations; may be empty.
    """
    steps = np.array([float(point.step) for point in curve])
    panels = [
        _Panel("segmentation loss", steps, np.array([point.segmentation_loss for point in curve]), "a"),
        _Panel("speaker loss", steps, np.array([point.speaker_loss for point in curve]), "c solid"),
    ]
    if dev_curve:
        errors = np.array([100.0 * point.local_der for point in dev_curve])
        at = np.array([float(point.step) for point in dev_curve])
        panels.append(_Panel("local DER on dev speakers, %", at, errors, "b solid", mark_lowest=True))
    last = max(panel.steps.max() for panel in panels)
    parts = [part for row, panel in enumerate(panels) for part in _draw(panel, row, last)]
    bottom = _FIRST_TOP + len(panels) * (_PANEL + _GAP) - _GAP
    parts.append(text(_RIGHT, bottom + 30, "optimizer steps", kind="quiet", anchor="end"))
    return Drawing("Learning curve", _describe(panels, last), round(bottom + 38), tuple(parts))


def _draw(panel: _Panel, row: int, last_step: float) -> list[str]:
    top = _FIRST_TOP + row * (_PANEL + _GAP)
    low, high = float(panel.values.min()), float(panel.values.max())
    room = 0.06 * (high - low) or 0.05 * max(abs(high), 1e-6)
    across, up = Scale(0.0, last_step, _LEFT, _RIGHT), Scale(low - room, high + room, top + _PANEL, top)
    parts = [text(_LEFT, top - 6, panel.title, kind="quiet")]
    for value in up.ticks():
        level = float(up.at(value))
        parts.append(line(_LEFT, level, _RIGHT, level, "grid"))
        parts.append(text(_LEFT - 6, level + 4, f"{value:g}", kind="quiet", anchor="end"))
    for value in across.ticks():
        at = float(across.at(value))
        parts.append(line(at, top, at, top + _PANEL, "grid"))
        parts.append(text(at, top + _PANEL + 14, f"{value:g}", kind="quiet", anchor="middle"))
    x, y = across.at(panel.steps), up.at(panel.values)
    parts.append(_path(x, y, panel.kind))
    if panel.mark_lowest:
        best = int(panel.values.argmin())
        anchor = "end" if x[best] > WIDTH / 2 else "start"
        label = f"{panel.values[best]:.1f} % at step {panel.steps[best]:.0f}"
        parts += [diamond(x[best], y[best], panel.kind), text(x[best], y[best] - 9, label, anchor=anchor)]
    return parts


def _path(x: NDArray[np.float64], y: NDArray[np.float64], kind: str) -> str:
    points = "L".join(f"{number(at)} {number(level)}" for at, level in zip(x.tolist(), y.tolist(), strict=True))
    # A single point is a line of no length, which round ends make visible.
    closing = "h0" if x.size == 1 else ""
    return f'<path class="{kind}{" dots" if closing else ""}" d="M{points}{closing}"/>'


def _describe(panels: Sequence[_Panel], last_step: float) -> str:
    ranges = "; ".join(f"{panel.title} from {panel.values[0]:.4g} to {panel.values[-1]:.4g}" for panel in panels)
    return f"Over {last_step:.0f} optimizer steps: {ranges}"
