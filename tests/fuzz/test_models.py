"""The corpus of broken models: each is refused with one sentence, or is still a model; nothing crashes or hangs."""

from __future__ import annotations

import json

import pytest

from tests.fuzz.models.corpus import corpus
from tests.fuzz.models.run import problems, run, summary
from tests.fuzz.models.ways import FATE, GATES, WAYS
from tests.fuzz.table import RESULTS, render

_LEAST_REFUSED = 200
_QUARTER = 4
"""The whole corpus takes minutes: `python -m tests.fuzz` lets it in, and commits what became of it."""
_EVERY = 80


def test_a_quarter_of_the_corpus_by_the_ways_that_let_a_strangers_model_in() -> None:
    places = list(range(0, len(corpus()), _QUARTER))
    found = run(places, only=("open_onnx", *GATES))
    assert problems(found) == []
    counts = summary(found)
    assert counts["tries"] == len(places) * (1 + len(GATES))
    assert counts["all"]["refused_by_the_runtime"] > len(places) / 2
    assert counts["all"]["refused_at_every_gate"] > len(places) / 2


def test_a_part_of_the_corpus_by_every_way() -> None:
    found = run(list(range(0, len(corpus()), _EVERY)))
    assert problems(found) == []
    assert {one.way for one in found} == set(WAYS)


def test_names_are_unique_and_the_committed_counts_have_no_failure() -> None:
    names = [mutant.name for mutant in corpus()]
    assert len(names) == len(set(names))
    committed = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert committed["all"]["mutants"] == len(names)
    assert committed["all"]["refused_by_the_runtime"] >= _LEAST_REFUSED
    assert committed["all"]["refused_at_every_gate"] >= _LEAST_REFUSED
    assert [committed[key] for key in ("crashes", "hangs", "opened_outside", "not_one_sentence")] == [0, 0, 0, 0]
    assert f"| **all** | {len(names)} |" in render(committed)


@pytest.mark.parametrize("fate", ["crash", "hang", "peep"])
def test_what_must_not_be_is_seen(fate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A way that does what none may: the harness tells, and goes on with the next."""
    monkeypatch.setenv(FATE, fate)
    if fate == "hang":
        monkeypatch.setattr("tests.fuzz.models.run._SILENCE_S", 3.0)
    found = run([0, 1], only=("open_onnx",))
    assert len(found) == 2
    assert len(problems(found)) == 2
