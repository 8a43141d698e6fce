"""Verdicts as GitHub workflow commands: the lines that GitHub shows on top of a run and of a pull request.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voiceflow_ml.latency import Outcome
from voiceflow_ml.reporting.rows import NOT_RUN, NOT_SLOWER, Row
from voiceflow_ml.reporting.text import one_line, shortened
from voiceflow_ml.reporting.view import ReportView

MOST_OF_A_KIND = 10
"""GitHub keeps this many errors, warnings and notices of one step, and drops the rest."""
# GitHub cuts longer messages, and refuses longer titles.
_LONGEST_MESSAGE = 4_000
_LONGEST_TITLE = 250
_GOOD = (Outcome.MET, NOT_SLOWER)
_ERROR = "error"
_WARNING = "warning"


@dataclass(frozen=True)
class Note:
    """One annotation: a title, a message, and the place that it is about."""

    title: str
    message: str
    place: str = ""

    @classmethod
    def at(cls, title: str, message: str, where: str, folder: str = "") -> Note:
        """An annotation at a line of a file.

        Args:
            title: its title.
            message: what it says.
            where: ``"file:line"``; anything else has no place.
            folder: of the file, as seen from the root of the repository.
        """
        return cls(title, message, _place(where, folder))


def annotation_lines(view: ReportView | None, problems: Sequence[str], *, policy: str, folder: str = "") -> list[str]:
    """One error or warning for each objective that is not good, worst first, and one notice for the whole.

    What fails the run is an error, what does not is a warning. Promises that were loosened or waived are warnings
    before all others. That of an objective stands at the line that its limit is written on.

    Args:
        view: the report; None when no test was planned.
        problems: what went wrong beside the tests; each is an error.
        policy: ``"strict"``, ``"lenient"`` or ``"report-only"``.
        folder: of the report's places, as seen from the root of the repository.
    """
    errors = [Note("latency promises", problem) for problem in problems]
    warnings = [Note("changed or waived", line) for line in view.integrity] if view is not None else []
    for row in view.rows if view is not None else ():
        if row.verdict in _GOOD:
            continue
        of_its_kind = errors if _fails(row, policy) else warnings
        sentence = f"{row.sentence}; {row.waived}" if row.waived else row.sentence
        of_its_kind.append(Note.at(f"{row.verdict}: {row.label}, {row.objective}", sentence, row.where, folder))
    lines = [*note_lines(_ERROR, errors), *note_lines(_WARNING, warnings)]
    if view is not None:
        lines.append(_command("notice", Note("latency promises", _whole(view))))
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


def note_lines(kind: str, notes: Sequence[Note]) -> Iterable[str]:
    """Annotations of one kind, as many as GitHub keeps.

    Args:
        kind: ``"error"``, ``"warning"`` or ``"notice"``.
        notes: what they say, the most important first.
    """
    shown = notes if len(notes) <= MOST_OF_A_KIND else notes[: MOST_OF_A_KIND - 1]
    yield from (_command(kind, note) for note in shown)
    if len(shown) < len(notes):
        yield _command(kind, Note("latency promises", f"and {len(notes) - len(shown)} more: see the report"))


def _place(where: str, folder: str) -> str:
    """``file=...,line=...``; nothing for what is in no file of the repository."""
    file, _, line = where.rpartition(":")
    path = posixpath.normpath(posixpath.join(folder, file))
    if not file or not line.isdigit() or path.startswith(("/", "..")):
        return ""
    return f"file={_escape_value(path)},line={line},"


def _command(kind: str, note: Note) -> str:
    title = _escape_value(shortened(one_line(note.title), _LONGEST_TITLE))
    return f"::{kind} {note.place}title={title}::{_escape(shortened(one_line(note.message), _LONGEST_MESSAGE))}"


def _escape_value(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
