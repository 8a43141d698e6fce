"""Verdicts as GitHub workflow commands: the lines that GitHub shows on top of a run and of a pull request.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from voiceflow_ml.latency import Outcome
from voiceflow_ml.reporting.text import one_line, shortened
from voiceflow_ml.reporting.view import NOT_RUN, NOT_SLOWER, ReportView, Row

MOST_OF_A_KIND = 10
"""GitHub keeps this many errors, warnings and notices of one step, and drops the rest."""
# GitHub cuts longer messages, and refuses longer titles.
_LONGEST_MESSAGE = 4_000
_LONGEST_TITLE = 250
_GOOD = (Outcome.MET, NOT_SLOWER)
_ERROR = "error"
_WARNING = "warning"


def annotation_lines(view: ReportView | None, problems: Sequence[str], *, policy: str) -> list[str]:
    """One error or warning for each objective that is not good, worst first, and one notice for the whole.

    What fails the run is an error, what does not is a warning. Promises that were loosened or waived are warnings
    before all others.

    Args:
        view: the report; None when no test was planned.
        problems: what went wrong beside the tests; each is an error.
        policy: ``"strict"``, ``"lenient"`` or ``"report-only"``.
    """
    errors = [("latency promises", problem) for problem in problems]
    warnings = [("changed or waived", line) for line in view.integrity] if view is not None else []
    for row in view.rows if view is not None else ():
        if row.verdict in _GOOD:
            continue
        of_its_kind = errors if _fails(row, policy) else warnings
        sentence = f"{row.sentence}; {row.waived}" if row.waived else row.sentence
        of_its_kind.append((f"{row.verdict}: {row.label}, {row.objective}", sentence))
    lines = [*_limited(_ERROR, errors), *_limited(_WARNING, warnings)]
    if view is not None:
        lines.append(_command("notice", "latency promises", _whole(view)))
    return lines


def _fails(row: Row, policy: str) -> bool:
    if row.waived or row.verdict == NOT_RUN or policy == "report-only":
        return False
    return row.verdict != Outcome.INCONCLUSIVE or policy == "strict"


def _whole(view: ReportView) -> str:
    parts = (
        "Report only, no verdict fails this run." if view.report_only else "",
        "The run did not finish." if view.interrupted else "",
        f"{view.headline}.",
        view.coverage,
    )
    return " ".join(filter(None, parts))


def _limited(kind: str, entries: Sequence[tuple[str, str]]) -> Iterable[str]:
    shown = entries if len(entries) <= MOST_OF_A_KIND else entries[: MOST_OF_A_KIND - 1]
    yield from (_command(kind, title, message) for title, message in shown)
    if len(shown) < len(entries):
        yield _command(kind, "latency promises", f"and {len(entries) - len(shown)} more: see the report")


def _command(kind: str, title: str, message: str) -> str:
    title, message = shortened(one_line(title), _LONGEST_TITLE), shortened(one_line(message), _LONGEST_MESSAGE)
    return f"::{kind} title={_escape(title).replace(':', '%3A').replace(',', '%2C')}::{_escape(message)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
