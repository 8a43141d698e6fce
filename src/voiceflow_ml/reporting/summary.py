"""Verdicts as Markdown for GitHub: the summary of a job, and the comment on a pull request.

Both have a greatest size, beyond which GitHub drops the whole text: rows are worst first, and those that do not fit are
counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from voiceflow_ml.latency import Outcome
from voiceflow_ml.reporting.render import escape_markdown
from voiceflow_ml.reporting.rows import NOT_SLOWER, Row
from voiceflow_ml.reporting.text import fitted, more_text, shortened
from voiceflow_ml.reporting.view import ReportView

SUMMARY_LIMIT_BYTES = 1024 * 1024
"""GitHub's limit for everything that the steps of one job summary file hold."""
COMMENT_LIMIT_BYTES = 65_536
"""GitHub's limit is as many characters; held in bytes, it holds whatever the characters are."""
COMMENT_MARKER = "<!-- voiceflow-ml: latency promises -->"
"""First line of the comment, by which a later run finds it and replaces it."""
_COMMENT_ROWS = 30
# Together with the coverage these fit into a comment however long and strange their words are.
_MOST_PROBLEMS = 10
_MOST_INTEGRITY_LINES = 20
_LONGEST_CELL = 300
_LONGEST_SENTENCE = 1_000


def job_summary(view: ReportView | None, problems: Sequence[str], limit_bytes: int = SUMMARY_LIMIT_BYTES) -> str:
    """The whole table and what is not good in words, for ``$GITHUB_STEP_SUMMARY``.

    Args:
        view: the report; None when no test was planned.
        problems: what went wrong beside the tests.
        limit_bytes: most UTF-8 bytes of the text.

    Returns:
        The text; empty when not even its head fits.
    """
    rows = view.rows if view is not None else ()

    def render(count: int) -> str:
        shown = rows[:count]
        parts = [*_head(view, problems), _full_table(shown, view.confidence) if view is not None and shown else ""]
        return _join([*parts, more_text(len(rows) - count, "the report"), _in_words(shown), _advice(view)])

    return fitted(render, len(rows), limit_bytes)


def pull_request_comment(view: ReportView, problems: Sequence[str]) -> str:
    """A short table, for a job that has the right to comment; arguments as of :func:`job_summary`."""
    most = min(len(view.rows), _COMMENT_ROWS)

    def render(count: int) -> str:
        shown = view.rows[:count]
        parts = [COMMENT_MARKER, *_head(view, problems), _short_table(shown) if shown else ""]
        return _join([*parts, more_text(len(view.rows) - count, "the report"), _in_words(shown)])

    return fitted(render, most, COMMENT_LIMIT_BYTES)


def _head(view: ReportView | None, problems: Sequence[str]) -> list[str]:
    errors = _capped([f"- **ERROR** {_safe(problem)}" for problem in problems], _MOST_PROBLEMS)
    if view is None:
        return ["## Latency promises", errors]
    return [
        "## Latency promises",
        "> **Report only:** no verdict fails this run." if view.report_only else "",
        "> **Not finished:** the run was ended before its last test." if view.interrupted else "",
        _capped([f"- **CHANGED OR WAIVED** {_safe(line)}" for line in view.integrity], _MOST_INTEGRITY_LINES),
        f"**{view.headline}**",
        _safe(view.coverage, _LONGEST_SENTENCE),
        errors,
    ]


def _advice(view: ReportView | None) -> str:
    return "\n".join(f"- {_safe(line)}" for line in view.advice) if view is not None else ""


def _capped(lines: Sequence[str], most: int) -> str:
    left = [f"- and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join([*lines[:most], *left])


def _full_table(rows: Sequence[Row], confidence: str) -> str:
    head = (
        f"| Verdict | Model · stage · target | Objective | Measured | Interval at {confidence} | Margin | Samples "
        "| Span | Horizon |\n|---|---|---|--:|---|--:|--:|--:|--:|"
    )
    return "\n".join(
        [
            head,
            *(_line(row, row.measured, row.interval, row.margin, row.samples, row.span, row.horizon) for row in rows),
        ]
    )


def _short_table(rows: Sequence[Row]) -> str:
    head = "| Verdict | Model · stage · target | Objective | Measured | Interval |\n|---|---|---|--:|---|"
    return "\n".join([head, *(_line(row, row.measured, row.interval) for row in rows)])


def _line(row: Row, *cells: str) -> str:
    texts = map(_safe, (row.label, row.objective, *cells))
    return f"| **{row.verdict}**{' (waived)' if row.waived else ''} | {' | '.join(texts)} |"


def _in_words(rows: Sequence[Row]) -> str:
    """Why each is not good; what is good needs no words."""
    return "\n".join(
        (
            f"- **{row.verdict}** {_safe(row.label)}, {_safe(row.objective)}: {_safe(row.sentence, _LONGEST_SENTENCE)}"
            f"{f'; {_safe(row.waived)}' if row.waived else ''}."
        )
        for row in rows
        if row.verdict not in (Outcome.MET, NOT_SLOWER)
    )


def _safe(text: str, most: int = _LONGEST_CELL) -> str:
    """Any text as plain text in Markdown on GitHub, where a name must not call people or link issues either."""
    return re.sub(r"([@#])(?=\w)", r"\1&#8203;", escape_markdown(shortened(text, most)))


def _join(parts: Sequence[str]) -> str:
    return "\n\n".join(filter(None, parts)) + "\n"
