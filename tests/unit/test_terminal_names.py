"""A name in a report's last words on a terminal moves no cursor, clears no line and starts none."""

from __future__ import annotations

import pytest

from tests.integration.test_browser import session_named
from voiceflow_ml.reporting.annotations import annotation_lines
from voiceflow_ml.reporting.summary import job_summary
from voiceflow_ml.reporting.table import terminal_lines
from voiceflow_ml.reporting.view import build_view

NAMES = ("\x1b[2J\x1b[31mgone", "\r1 MET", "a\n::error::forged", "a\u2028b", "\x9b2K", "\u202etxt", "\x07\x08\x08")


@pytest.mark.parametrize("name", NAMES)
def test_no_control_character_of_a_name_reaches_a_terminal_or_a_workflow(name: str) -> None:
    session, results = session_named(name)
    view = build_view(session, results)
    written = [line for line, _ in terminal_lines(session, results)] + annotation_lines(view, [name], policy="strict")
    assert written
    assert [line for line in written if not line.isprintable()] == []
    assert not {"\x1b", "\x9b", "\r", "\u2028", "\u202e"} & set(job_summary(view, [name]))
    commands = [line for line in written if line.startswith("::")]
    assert all(line.split("::")[1].split()[0] in ("error", "warning", "notice") for line in commands)
