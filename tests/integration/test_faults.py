"""The fault matrix: a part of it planted here, and what docs/reliability.md says of the whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.matrix import RESULTS, ROWS
from tests.faults.row import NotHereError, Row
from tests.faults.table import render

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
QUICK = [row for row in ROWS if row.quick]


@pytest.mark.parametrize("row", QUICK, ids=lambda row: row.id)
def test_a_fault_loses_nothing(row: Row, tmp_path: Path) -> None:
    try:
        survived = row.plant(tmp_path)
    except NotHereError as reason:
        pytest.skip(str(reason))
    assert survived.finished >= 0


def test_there_are_as_many_kills_as_were_asked_for() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert len({row.planted for row in ROWS if row.fault == "kill -9"}) >= 30


def test_the_document_says_what_became_of_every_row() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert [entry["id"] for entry in results["rows"]] == [row.id for row in ROWS]
    said = [(entry["fault"], entry["planted"], entry["holds"]) for entry in results["rows"]]
    assert said == [(row.fault, row.planted, row.holds) for row in ROWS]
    assert render(results) in DOCUMENT.read_text(encoding="utf-8")
    assert sum(entry["lost"] for entry in results["rows"]) == 0
