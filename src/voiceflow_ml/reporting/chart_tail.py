"""How many calls are slower than each latency, on a logarithmic scale: the tail is most of the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.latency import Verdict
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.reporting.axes import Scale, latency_scale
from voiceflow_ml.reporting.svg import Drawing, diamond, line, steps, text
from voiceflow_ml.reporting.text import objective_text
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.units import format_ns

TITLE = "How many calls are slower"
_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 330, 58, 458, 48, 280
_EXACT = 200
"""The slowest of each curve, drawn one by one."""
_THINNED = 160
_LABEL = 110
"""Pixels that the name of a limit may take; to the right of its line, where curves are low, it is in nobody's way."""
_NEAR = 4
"""A limit within this factor of the samples is on the axis; one beyond is named at its edge."""


def tail_chart(label: str, measurement: Measurement) -> Drawing:
    """Draw the tail of every reading of a measurement, with its limits.

    Args:
        label: model, stage and target.
        measurement: at least one sample.
    """
    curves = _curves(measurement)
    verdicts = measurement.verdicts
    low, high = (float(end([end(values) for _, _, values in curves])) for end in (np.min, np.max))
    limits = [verdict.limit_ns for verdict in verdicts if low / _NEAR <= verdict.limit_ns <= high * _NEAR]
    across = latency_scale(min([low, *limits]), max([high, *limits]), _LEFT, _RIGHT)
    down = Scale(0.5 / max(values.size for _, _, values in curves), 1.0, _BOTTOM, _TOP, logarithmic=True)
    parts = [*_frame(across, down), *_legend(curves)]
    for _, kind, values in curves:
        slowest_ns, shares = tail_points(values)
        # The last step goes down to the axis: no call is slower than the slowest.
        parts.append(steps(across.at(slowest_ns), np.append(down.at(shares[:-1]), _BOTTOM), kind))
    parts += _limits(verdicts, across, down)
    names = "; ".join(objective_text(statistic_name(verdict.quantile), verdict.limit_ns) for verdict in verdicts)
    return Drawing(
        TITLE, f"{label}. Share of calls slower than each latency, logarithmic. {names}", _HEIGHT, tuple(parts)
    )


def tail_points(samples_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The corners of a tail: the slowest 200 one by one, the others thinned to as many as can be seen.

    Args:
        samples_ns: int64, shape ``[n]``, n >= 1, in any order.

    Returns:
        Latencies in ns, ascending, and the share of samples above each; both shape ``[k]``, k <= 522. The first
        is the quickest with a share of 1, where the curve starts; the last is the slowest with a share of 0.
    """
    ordered = np.sort(samples_ns)
    count = ordered.size
    exact = min(_EXACT, count)
    # Evenly on the logarithmic axis below the exact ones, and evenly in rank for the quick half.
    even = np.linspace(exact, count, _THINNED)
    ratios = np.geomspace(exact, count, _THINNED)
    above = np.unique(np.concatenate([np.arange(exact), np.rint(even).astype(int), np.rint(ratios).astype(int)]))
    above = above[above < count][::-1]
    values = np.concatenate([ordered[:1], ordered[count - 1 - above]])
    shares = np.concatenate([[1.0], above / count])
    return values, shares


def _curves(measurement: Measurement) -> list[tuple[str, str, NDArray[np.int64]]]:
    channels, against = measurement.run.channels, measurement.against
    curves = [("wall clock", "a", channels.wall_ns)]
    if channels.adjusted_ns is not None:
        curves.append(("adjusted clock", "b", channels.adjusted_ns))
    if against is not None and against.baseline_ns:
        curves.append(("baseline", "c", np.asarray(against.baseline_ns, dtype=np.int64)))
    return curves


def _frame(across: Scale, down: Scale) -> list[str]:
    parts = []
    shares = [1.0, 0.5, *(10.0**-power for power in range(1, 9))]
    for share in (share for share in shares if share >= down.low):
        y = float(down.at(share))
        parts += [line(_LEFT, y, _RIGHT, y, "grid"), text(_LEFT - 6, y + 4, f"{share * 100:g} %", anchor="end")]
    for tick in across.ticks():
        x = float(across.at(tick))
        parts += [
            line(x, _TOP, x, _BOTTOM, "grid"),
            text(x, _BOTTOM + 17, format_ns(tick, digits=6), anchor="middle"),
        ]
    caption = "latency; curves to the left and below are better"
    return [*parts, text((_LEFT + _RIGHT) / 2, _BOTTOM + 38, caption, kind="quiet", anchor="middle")]


def _legend(curves: Sequence[tuple[str, str, NDArray[np.int64]]]) -> list[str]:
    parts = []
    for index, (name, kind, _) in enumerate(curves):
        x = _LEFT + 130 * index
        parts += [line(x, 34, x + 26, 34, kind), text(x + 31, 38, name)]
    return parts


def _limits(verdicts: Sequence[Verdict], across: Scale, down: Scale) -> list[str]:
    """A line for each limit, and a diamond where the curve may cross it at most."""
    parts = []
    for index, verdict in enumerate(verdicts):
        name = objective_text(statistic_name(verdict.quantile), verdict.limit_ns)
        y = _TOP + 16 * (index + 1)
        if not across.low <= verdict.limit_ns <= across.high:
            above = verdict.limit_ns > across.high
            place, anchor = (_RIGHT - 4, "end") if above else (_LEFT + 4, "start")
            parts.append(text(place, y, f"{name} →" if above else f"← {name}", kind="limit", anchor=anchor))
            continue
        x, allowed = float(across.at(verdict.limit_ns)), float(down.at(1 - verdict.quantile))
        left = x > _RIGHT - _LABEL
        parts += [
            line(x, _TOP, x, _BOTTOM, "limit"),
            diamond(x, allowed, "limit"),
            text(x - 5 if left else x + 5, y, name, kind="limit", anchor="end" if left else "start"),
        ]
    return parts
