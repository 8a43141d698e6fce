"""``performance.html``: the report as one page that needs nothing else, neither script nor network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voiceflow_ml.reporting.budget import BudgetSection, paper_budgets
from voiceflow_ml.reporting.charts import ChartCache, charts_of_budget
from voiceflow_ml.reporting.detail import Detail
from voiceflow_ml.reporting.render import fill_template
from voiceflow_ml.reporting.svg import STYLE
from voiceflow_ml.reporting.view import build_view
from voiceflow_ml.results.record import Result, Session

if TYPE_CHECKING:
    from markupsafe import Markup

PAGE_TEMPLATE = "performance.html.j2"
MOST_DRAWN = 40
"""Tests whose charts are in the page, worst first; it names the files of the others, so that it opens at once."""


def render_page(
    session: Session, results: Sequence[Result], override_folder: Path, cache: ChartCache | None = None
) -> str:
    """Render the report as a page: the order and the words of the Markdown report, with its charts inside.

    Args:
        session: the session's record.
        results: its finished tests, in the order of the plan.
        override_folder: a template of the same name here replaces the packaged one.
        cache: has the charts that are drawn already.

    Raises:
        ResultError: as :func:`voiceflow_ml.reporting.render.render_report` does.
    """
    from markupsafe import Markup  # noqa: PLC0415

    kept = cache or ChartCache()
    view = build_view(session, results)
    inside = {detail.node_id for detail in view.details[:MOST_DRAWN]}
    by_node = {result.planned.node_id: result for result in results}
    budgets = {paper.key: charts_of_budget(paper) for paper in paper_budgets(session, results)}

    def charts(part: Detail | BudgetSection) -> list[Markup]:
        if isinstance(part, Detail):
            drawn = list(kept.drawings(by_node[part.node_id]).values()) if part.node_id in inside else []
        else:
            drawn = [chart.draw() for chart in budgets[part.key]]
        # Safe as markup: every name in a drawing was escaped when it was drawn.
        return [Markup(drawing.inline()) for drawing in drawn]  # noqa: S704 - see above # nosec B704

    def elsewhere(detail: Detail) -> list[str]:
        return [] if detail.node_id in inside else list(kept.drawings(by_node[detail.node_id]))

    return fill_template(
        PAGE_TEMPLATE,
        override_folder,
        filters={"charts": charts, "elsewhere": elsewhere},
        names={"view": view, "chart_style": Markup(STYLE)},  # noqa: S704 - a constant # nosec B704
        html=True,
    )
