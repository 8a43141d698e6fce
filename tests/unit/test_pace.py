from __future__ import annotations

import pytest

from voiceflow_ml.reporting.pace import Pace, is_rewritable

SECOND = 10**9


@pytest.mark.parametrize(("rewritable", "interval_ns"), [(True, SECOND // 5), (False, 10 * SECOND)])
def test_a_line_speaks_once_an_interval_and_not_at_once(rewritable: bool, interval_ns: int) -> None:
    pace = Pace(rewritable=rewritable, begins_ns=7)
    asked = [0, 7, 6 + interval_ns, 7 + interval_ns, 8 + interval_ns, 6 + 2 * interval_ns, 9 + 3 * interval_ns]
    assert [pace.due(now_ns) for now_ns in asked] == [False, False, False, True, False, False, True]


def test_a_line_may_speak_at_once() -> None:
    assert [Pace(rewritable=True).due(now_ns) for now_ns in (0, 1)] == [True, True]
    pace = Pace(rewritable=True)
    assert [pace.due(now_ns) for now_ns in (0, 1)] == [True, False]


def test_a_dumb_terminal_and_a_file_take_no_line_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert is_rewritable(True)
    assert not is_rewritable(False)
    monkeypatch.setenv("TERM", "dumb")
    assert not is_rewritable(True)
