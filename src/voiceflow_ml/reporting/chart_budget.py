"""What the stages take of an end-to-end limit: one bar if they are independent, one for any dependence."""

from __future__ import annotations

from collections.abc import Sequence

from voiceflow_ml.latency.budget import Budget
from voiceflow_ml.reporting.axes import Scale
from voiceflow_ml.reporting.budget import DECLARED, PaperBudget, source_text
from voiceflow_ml.reporting.svg import Drawing, hatched, line, plain, text
from voiceflow_ml.reporting.text import objective_text
from voiceflow_ml.units import format_ns

TITLE = "Latency budget, on paper"
_LEFT, _RIGHT, _TOP, _ROW, _BAR, _LEGEND = 22, 458, 40, 62, 20, 20
_KINDS = ("a", "b", "c")
_APART = 10
"""Pixels between the numbers of neighbouring stages, so that those of thin ones can be read."""


def budget_chart(paper: PaperBudget, budget: Budget) -> Drawing:
    """Draw a budget against its limit; what is only declared is hatched.

    Args:
        paper: the objective and where its stages are from.
        budget: what they add up to.
    """
    ceilings_ns = [part.ceiling_ns for part in budget.parts if part.ceiling_ns is not None]
    most_ns = max(paper.limit_ns, budget.independent_ns, sum(ceilings_ns))
    across = Scale(0.0, max(1.0, most_ns * 1.04), _LEFT, _RIGHT)
    measured = [source.run is not None for source in paper.sources]
    bars = [(f"if independent: {paper.statistic} {format_ns(budget.independent_ns)}", _parts(budget, independent=True))]
    if budget.ceiling_ns is not None:
        said = f"any dependence: {paper.statistic} at most {format_ns(budget.ceiling_ns)}"
        bars.append((said, _parts(budget, independent=False)))
    bottom = _TOP + _ROW * len(bars) + 6
    parts = [*_frame(across, bottom), *_limit(paper, across, bottom)]
    for place, (said, durations_ns) in enumerate(bars):
        top = _TOP + _ROW * place + 16
        parts += [text(_LEFT, top - 5, said), *_bar(durations_ns, measured, across, top)]
    legend = bottom + 42
    for place, source in enumerate(paper.sources):
        said = f"{place + 1} {source.stage}, {source_text(source)}"
        parts += [
            *_swatch(place, measured[place], legend + _LEGEND * place),
            text(_LEFT + 30, legend + 11 + _LEGEND * place, said),
        ]
    description = f"{paper.key}. {'; '.join(said for said, _ in bars)}. Hatched: {DECLARED}"
    return Drawing(TITLE, description, legend + _LEGEND * len(paper.sources) + 6, tuple(parts))


def _parts(budget: Budget, *, independent: bool) -> list[int]:
    return [part.independent_ns if independent else part.ceiling_ns or 0 for part in budget.parts]


def _bar(durations_ns: Sequence[int], measured: Sequence[bool], across: Scale, top: float) -> list[str]:
    """The stages side by side, each with its number below its middle."""
    parts: list[str] = []
    start_ns, last = 0, float(-_APART)
    for place, duration_ns in enumerate(durations_ns):
        left, right = (float(across.at(at_ns)) for at_ns in (start_ns, start_ns + duration_ns))
        parts.append(_segment(place, measured[place], left, top, right - left, _BAR))
        last = max((left + right) / 2, last + _APART)
        parts.append(text(last, top + _BAR + 13, str(place + 1), anchor="middle"))
        start_ns += duration_ns
    return parts


def _swatch(place: int, measured: bool, top: float) -> list[str]:
    return [_segment(place, measured, _LEFT, top, 22, 13)]


def _segment(place: int, measured: bool, left: float, top: float, width: float, height: float) -> str:
    shape = plain if measured else hatched
    return shape(left, top, width, height, _KINDS[place % len(_KINDS)])


def _frame(across: Scale, bottom: float) -> list[str]:
    parts = []
    for tick in across.ticks():
        x = float(across.at(tick))
        name = format_ns(tick, digits=6) if tick else "0"
        parts += [line(x, _TOP, x, bottom, "grid"), text(x, bottom + 17, name, anchor="middle")]
    return parts


def _limit(paper: PaperBudget, across: Scale, bottom: float) -> list[str]:
    x = float(across.at(paper.limit_ns))
    left = x > (_LEFT + _RIGHT) / 2
    name = objective_text(paper.statistic, paper.limit_ns)
    return [
        line(x, _TOP - 6, x, bottom, "limit"),
        text(x - 5 if left else x + 5, _TOP + 2, name, kind="limit", anchor="end" if left else "start"),
    ]
