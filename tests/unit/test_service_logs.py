"""The log: one JSON object a line, whatever comes from outside."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from voiceflow_ml.service.logs import say, set_up


@pytest.fixture(name="log")
def _log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    set_up("info", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_an_event_is_one_line_with_time_level_and_fields(log: io.StringIO) -> None:
    say("model loaded", version="1.4.0", milliseconds=12.5)
    entry = json.loads(log.getvalue())
    assert (entry["event"], entry["level"]) == ("model loaded", "info")
    assert (entry["version"], entry["milliseconds"]) == ("1.4.0", 12.5)
    assert entry["at"].endswith("+00:00")


@pytest.mark.parametrize(
    "sent", ['x\n{"event": "forged"}', "x\r\nx", "\x1b[31mred", "\u2028x", '"}, {"event": "forged"']
)
def test_nothing_that_was_sent_passes_for_a_line_of_its_own(log: io.StringIO, sent: str) -> None:
    say("request failed", reason=sent)
    say("request failed", level=logging.ERROR, reason=sent, at=sent)
    lines = log.getvalue().split("\n")
    assert len(lines) == 3
    assert [json.loads(line)["event"] for line in lines[:2]] == ["request failed", "request failed"]
    assert json.loads(lines[0])["reason"] == sent
    assert log.getvalue().isascii()
    assert "\x1b" not in log.getvalue()


def test_what_is_long_is_cut(log: io.StringIO) -> None:
    say("request failed", reason="x" * 10_000)
    assert len(json.loads(log.getvalue())["reason"]) == 500


def test_a_traceback_is_a_field(log: io.StringIO) -> None:
    try:
        raise ZeroDivisionError("a\nb")
    except ZeroDivisionError as error:
        say("request failed", level=logging.ERROR, error=error)
    assert "ZeroDivisionError: a\nb" in json.loads(log.getvalue())["traceback"]


def test_what_is_below_the_level_is_not_written(log: io.StringIO) -> None:
    say("detail", level=logging.DEBUG)
    logging.getLogger("uvicorn.error").info("connection open")
    assert log.getvalue() == ""
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert json.loads(log.getvalue())["event"] == "Invalid HTTP request received."
