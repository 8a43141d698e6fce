"""The charts of a report: which there are, under which names; drawn only when asked for, and once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from voiceflow_ml.reporting import chart_budget, chart_floor, chart_shift, chart_tail, chart_time
from voiceflow_ml.reporting.budget import BudgetSection, PaperBudget, paper_budgets
from voiceflow_ml.reporting.detail import Detail
from voiceflow_ml.reporting.svg import Drawing
from voiceflow_ml.results.record import Result, Session

CHARTS_FOLDER = "charts"
"""Beside the report, which links to it relatively."""
CHART_NAME = re.compile(r"(?:[A-Za-z0-9-]+-)?[0-9a-f]{8}-(?:tail|time|shift|floor|budget)\.svg")
"""Names of the files in it; whatever else lies there is not ours."""


@dataclass(frozen=True)
class Chart:
    """One chart of one test.

    Attributes:
        title: what it shows.
        link: its path from the report: letters, digits, hyphens, a slash and a dot, whatever the test is called.
        draw: makes the picture.
    """

    title: str
    link: str
    draw: Callable[[], Drawing]


def charts_of(result: Result) -> tuple[Chart, ...]:
    """What was measured: the tail, the samples over time, the shift where there is a baseline, the floor if known."""
    measurement = result.measurement
    if measurement is None:
        return ()
    label = result.planned.label
    stem = f"{CHARTS_FOLDER}/{_stem(result.planned.node_id)}"
    charts: tuple[Chart, ...] = (
        Chart(chart_tail.TITLE, f"{stem}-tail.svg", partial(chart_tail.tail_chart, label, measurement)),
        Chart(chart_time.TITLE, f"{stem}-time.svg", partial(chart_time.time_chart, label, measurement)),
    )
    against, roofline = measurement.against, measurement.roofline
    if against is not None and against.comparisons:
        shift = partial(chart_shift.shift_chart, label, against)
        charts = (*charts, Chart(chart_shift.TITLE, f"{stem}-shift.svg", shift))
    if roofline is not None:
        floor = partial(chart_floor.floor_chart, label, measurement, roofline)
        charts = (*charts, Chart(chart_floor.TITLE, f"{stem}-floor.svg", floor))
    return charts


def charts_of_budget(paper: PaperBudget) -> tuple[Chart, ...]:
    """The bars of a budget that adds up."""
    if paper.budget is None:
        return ()
    link = f"{CHARTS_FOLDER}/{_stem(paper.key)}-budget.svg"
    return (Chart(chart_budget.TITLE, link, partial(chart_budget.budget_chart, paper, paper.budget)),)


def charts_by_part(
    session: Session, results: Sequence[Result]
) -> Callable[[Detail | BudgetSection], tuple[Chart, ...]]:
    """The Markdown template's filter: the charts of one test, or of one budget, of the report."""
    by_key = {result.planned.node_id: charts_of(result) for result in results}
    by_key |= {paper.key: charts_of_budget(paper) for paper in paper_budgets(session, results)}
    return lambda part: by_key[part.key]


class ChartCache:
    """Draws the charts of each test once, however often the report around them is written."""

    def __init__(self) -> None:
        self._drawn: dict[str, tuple[Result, dict[str, Drawing]]] = {}

    def drawings(self, result: Result) -> dict[str, Drawing]:
        """The charts of a result by their links; the same objects as long as it is the same result."""
        node_id = result.planned.node_id
        known, drawn = self._drawn.get(node_id, (None, {}))
        if known is not result:
            drawn = {chart.link: chart.draw() for chart in charts_of(result)}
            self._drawn[node_id] = (result, drawn)
        return drawn

    def all_drawings(self, session: Session, results: Sequence[Result]) -> dict[str, Drawing]:
        """Every chart of a report by its link."""
        drawn = {link: drawing for result in results for link, drawing in self.drawings(result).items()}
        budgets = (chart for paper in paper_budgets(session, results) for chart in charts_of_budget(paper))
        return {**drawn, **{chart.link: chart.draw() for chart in budgets}}


def _stem(node_id: str) -> str:
    """A file name that says which test it is of and is no other test's: the next run replaces its charts."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", node_id).strip("-")[-60:].lstrip("-")
    digest = hashlib.sha256(node_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{slug}-{digest}" if slug else digest
