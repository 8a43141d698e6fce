"""Precision and recall on documents in the many ways people write them."""

from __future__ import annotations

import json

import pytest
from benchmarks.claims.__main__ import RESULTS, result_of
from benchmarks.claims.scoring import CORPUS, PARTS, score_part

LEAST = 0.95


@pytest.mark.parametrize("part", PARTS)
def test_claims_are_found_and_lookalikes_are_not(part: str) -> None:
    score = score_part(part)
    assert score.claims >= 60
    assert score.lookalikes >= 60
    assert score.precision >= LEAST
    assert score.recall >= LEAST


@pytest.mark.parametrize("part", PARTS)
def test_the_committed_scores_are_those_of_this_parser(part: str) -> None:
    assert json.loads(RESULTS.read_text(encoding="utf-8"))[part] == result_of(score_part(part))


@pytest.mark.parametrize("part", PARTS)
def test_every_label_is_where_it_says(part: str) -> None:
    labels = json.loads((CORPUS / part / "labels.json").read_text(encoding="utf-8"))
    assert sorted(labels) == sorted(path.name for path in (CORPUS / part).glob("*.md"))
    for name, labelled in labels.items():
        text = (CORPUS / part / name).read_text(encoding="utf-8")
        for label in (*labelled["claims"], *labelled["lookalikes"]):
            assert text[label["start"] : label["end"]] == label["text"]
            assert text.count("\n", 0, label["start"]) + 1 == label["line"]
