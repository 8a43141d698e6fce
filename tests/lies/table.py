"""The lie detector's table, made by planting everything that is in it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.lies import machine, placement, samples
from tests.lies.honest import HONEST

LIES = (*placement.LIES, *machine.LIES, *samples.LIES)
DOCUMENT = Path(__file__).parents[2] / "docs" / "hardware.md"
BEGIN, END = "<!-- lies: written by python -m tests.lies -->", "<!-- lies: end -->"


def table() -> str:
    """Plant every lie and run every honest run; a lie that is believed is an error."""
    lines = ["| lie | planted | caught |", "|---|---|---|"]
    for lie in LIES:
        with tempfile.TemporaryDirectory() as folder:
            lie.plant(Path(folder))
        lines.append(f"| {lie.name} | {lie.planted} | {lie.caught} |")
    raised = 0
    for honest in HONEST:
        with tempfile.TemporaryDirectory() as folder:
            raised += bool(honest.false_alarms(Path(folder)))
    return "\n".join([*lines, "", summary(len(LIES), len(LIES), raised)])


def summary(planted: int, caught: int, false_alarms: int) -> str:
    """The last line of the table."""
    return f"Planted {planted}, caught {caught}; {false_alarms} false alarms in {len(HONEST)} honest runs."


def with_table(document: str, text: str) -> str:
    """A document with this table in the place that is marked for it."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} has no place for the table: {BEGIN} ... {END}")
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"
