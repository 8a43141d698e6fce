"""The table at the end of a pytest run: one line for each objective, verdict first, evidence beside it."""

from __future__ import annotations

from collections.abc import Sequence

from voiceflow_ml.latency.verdict import Outcome
from voiceflow_ml.reporting.integrity import integrity_lines
from voiceflow_ml.reporting.rows import NOT_RUN, NOT_SLOWER, SLOWER, Row, build_rows, headline
from voiceflow_ml.reporting.text import one_line
from voiceflow_ml.results.record import Result, Session


def terminal_lines(session: Session, results: Sequence[Result]) -> list[tuple[str, bool | None]]:
    """The lines of the table, what was loosened or waived first, each with its colour: True good, False bad.

    Args:
        session: the session's record.
        results: its finished tests, in the order of the plan.
    """
    rows = build_rows(session, results)
    label_width = max((len(row.label) for row in rows), default=0)
    objective_width = max((len(row.objective) for row in rows), default=0)
    lines = [
        (
            (
                f"{row.verdict:<13} {row.label:<{label_width}}  {row.objective:<{objective_width}}  "
                f"{_evidence(row, session.confidence)}"
            ),
            _good(row),
        )
        for row in rows
    ]
    note = " (report-only: no verdict fails this run)" if session.policy == "report-only" else ""
    first = [(one_line(line), None) for line in integrity_lines(session, results)]
    return [*first, *lines, (f"{headline(rows)}{note}", None)]


def _evidence(row: Row, confidence: float) -> str:
    """The numbers of a decided verdict, whose sentence the report has in full; the sentence of any other."""
    sure = f"{confidence * 100:g} % conf, n = {row.samples}"
    if row.verdict in (SLOWER, NOT_SLOWER):
        return f"{row.measured} {row.interval}  {sure}"
    if row.verdict == Outcome.BREACHED:
        return f"{row.measured} {row.interval}  {sure}, {row.span} span{', waived' if row.waived else ''}"
    if row.verdict == Outcome.MET:
        return f"{row.measured} {row.interval}  {sure}, {row.span} span, horizon {row.horizon}"
    return row.sentence


def _good(row: Row) -> bool | None:
    if row.verdict in (Outcome.MET, NOT_SLOWER):
        return True
    return None if row.waived or row.verdict in (Outcome.INCONCLUSIVE, NOT_RUN) else False
