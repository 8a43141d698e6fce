"""What a report says, as finished text: all arithmetic and wording happens here, none in a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from voiceflow_ml.reporting.budget import BudgetSection, budget_section, paper_budgets
from voiceflow_ml.reporting.detail import Detail, build_detail
from voiceflow_ml.reporting.integrity import advice_lines, integrity_lines
from voiceflow_ml.reporting.rows import ERROR, NOT_RUN, WORST_FIRST, Row, build_rows, headline
from voiceflow_ml.reporting.section import Section
from voiceflow_ml.reporting.sections import build_sections
from voiceflow_ml.reporting.text import more_text, one_line
from voiceflow_ml.results.record import Result, Session

_MOST_NAMED = 20
"""Promises without a measurement that the coverage names."""


@dataclass(frozen=True)
class ReportView:
    """Everything the report's template may use; ``more_...`` say what was left out to fit, if anything."""

    headline: str
    coverage: str
    report_only: bool
    interrupted: bool
    confidence: str
    rows: tuple[Row, ...]
    details: tuple[Detail, ...]
    environment: tuple[tuple[str, str], ...]
    started_at: str
    command: str
    integrity: tuple[str, ...]
    advice: tuple[str, ...]
    budgets: tuple[BudgetSection, ...]
    sections: tuple[Section, ...]
    more_rows: str = ""
    more_details: str = ""
    more_budgets: str = ""

    def cut(self, rows: int, parts: int, where: str) -> ReportView:
        """The view with its worst rows and, of details and budgets, the worst alone; ``where`` has the others."""
        return replace(
            self,
            rows=self.rows[:rows],
            details=self.details[:parts],
            budgets=self.budgets[:parts],
            sections=tuple(section.cut(parts, where) for section in self.sections),
            more_rows=more_text(len(self.rows) - rows, where),
            more_details=more_text(len(self.details) - parts, where),
            more_budgets=more_text(len(self.budgets) - parts, where),
        )


def build_view(session: Session, results: Sequence[Result]) -> ReportView:
    """Word a session and its results for a report, the worst first.

    Args:
        session: the session's record.
        results: its finished tests, in the order of the plan.
    """
    rows = build_rows(session, results)
    worst_first = tuple(sorted(rows, key=lambda row: (WORST_FIRST.index(row.verdict), -row.excess)))
    place = {row.label: place for place, row in reversed(tuple(enumerate(worst_first)))}
    details = (build_detail(result, result.measurement) for result in results if result.measurement)
    return ReportView(
        headline=headline(rows),
        coverage=_coverage(rows),
        report_only=session.policy == "report-only",
        interrupted=not session.finished,
        confidence=f"{session.confidence * 100:g} %",
        rows=worst_first,
        details=tuple(sorted(details, key=lambda detail: place.get(one_line(detail.label), len(place)))),
        environment=tuple(session.environment.items()),
        started_at=session.started_at,
        command=session.command,
        integrity=tuple(map(one_line, integrity_lines(session, results))),
        advice=tuple(map(one_line, advice_lines(results))),
        budgets=tuple(map(budget_section, paper_budgets(session, results))),
        sections=build_sections(results),
    )


def _coverage(rows: Sequence[Row]) -> str:
    """How much of what was declared has a number. A promise that any test measured is covered."""
    measured = {row.label for row in rows if row.verdict not in (NOT_RUN, ERROR)}
    missing = {row.label: row.verdict for row in rows if row.label not in measured}
    if not rows:
        return "No promise was declared."
    if not missing:
        return "Every declared promise was measured."
    left = len(missing) - _MOST_NAMED
    named = [f"{label} ({verdict})" for label, verdict in list(missing.items())[:_MOST_NAMED]]
    names = ", ".join([*named, *([f"and {left} more"] if left > 0 else [])])
    have = "has" if len(missing) == 1 else "have"
    return f"{len(missing)} of {len(measured) + len(missing)} declared promises {have} no measurement: {names}."
