"""The lie detector: every planted lie is caught, no honest run is doubted, and the documented table says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lies.honest import HONEST, Honest
from tests.lies.lie import OUTCOMES, Lie
from tests.lies.table import BEGIN, DOCUMENT, LIES, summary


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_is_caught(lie: Lie, tmp_path: Path) -> None:
    assert lie.plant(tmp_path)
    assert lie.caught in OUTCOMES


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: honest.name)
def test_an_honest_run_is_not_doubted(honest: Honest, tmp_path: Path) -> None:
    assert honest.false_alarms(tmp_path) == []


def test_the_documented_table_is_what_is_planted_here() -> None:
    assert len({lie.name for lie in LIES}) == len(LIES) >= 25
    documented = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2]
    rows = [f"| {lie.name} | {lie.planted} | {lie.caught} |" for lie in LIES]
    assert documented.strip().splitlines()[2 : 2 + len(rows)] == rows
    # Each lie and each honest run is a test of its own above: a table with other numbers is not what they say.
    assert summary(len(LIES), len(LIES), 0) in documented
