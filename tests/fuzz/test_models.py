"""The corpus of broken models: each is refused with one sentence, or is still a model; nothing crashes or hangs."""

from __future__ import annotations

import json

import pytest

from tests.fuzz.models.corpus import corpus
from tests.fuzz.models.run import problems, run, summary
from tests.fuzz.models.ways import FATE, GATES, WAYS
from tests.fuzz.table import RESULTS, render

_LEAST_REFUSED = 200
_EVERY = 80


def test_the_corpus_by_the_ways_that_let_a_strangers_model_in() -> None:
    found = run(only=("open_onnx", *GATES))
    assert problems(found) == []
    counts = summary(found)
    assert counts["tries"] == len(corpus()) * (1 + len(GATES))
    assert counts["all"]["refused_by_the_runtime"] >= _LEAST_REFUSED
    assert counts["all"]["refused_at_every_gate"] >= _LEAST_REFUSED
    committed = json.loads(RESULTS.read_text(encoding="utf-8"))
    # Another release of ONNX Runtime may refuse one more or less; the corpus itself is the same.
    assert {kind: each["mutants"] for kind, each in counts["families"].items()} == {
        kind: each["mutants"] for kind, each in committed["families"].items()
    }


def test_a_part_of_the_corpus_by_every_way() -> None:
    found = run(list(range(0, len(corpus()), _EVERY)))
    assert problems(found) == []
    assert {one.way for one in found} == set(WAYS)


def test_names_are_unique_and_the_committed_counts_have_no_failure() -> None:
    names = [mutant.name for mutant in corpus()]
    assert len(names) == len(set(names))
    committed = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert committed["all"]["mutants"] == len(names)
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
