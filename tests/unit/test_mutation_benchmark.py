"""The mutation benchmark: what is mutated and how it is counted; page and explanations fit the committed results."""

from __future__ import annotations

import json
from typing import Any

import libcst
import pytest
from benchmarks.marked import block_of
from benchmarks.mutation.__main__ import BLOCK, PAGE, RESULTS
from benchmarks.mutation.decorated import is_wrapped_only
from benchmarks.mutation.mutants import Fate, Mutant, changed_lines, counts_of, fate_of, read_explained
from benchmarks.mutation.table import render

COMMITTED: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("exit_code", "fate"),
    [
        (None, "open"),
        (0, "survived"),
        (33, "survived"),
        (1, "killed"),
        (-24, "timeout"),
        # Interrupted, and pytest called wrongly: nothing is known of the mutant.
        (2, "open"),
        (255, "open"),
    ],
)
def test_only_what_a_test_said_counts(exit_code: int | None, fate: str) -> None:
    assert fate_of(exit_code) == fate


def test_mutants_are_told_by_their_functions() -> None:
    names = ["voiceflow_ml.latency.plan.x__fewest__mutmut_3", "voiceflow_ml.latency.counting.xǁCountǁis_met__mutmut_12"]
    assert [Mutant(name, "latency/plan", Fate.OPEN).function for name in names] == ["_fewest", "Count.is_met"]


def test_a_mutant_is_told_by_its_lines() -> None:
    diff = ["--- a.py", "+++ a.py", "@@ -1,3 +1,3 @@", " def f(", "-    a + b,", "-    c", "+    a - b,", " )"]
    assert (changed_lines(diff, "-"), changed_lines(diff, "+")) == ("a + b,\nc", "a - b,")


def test_scores_count_what_was_seen_with_and_without_the_explained() -> None:
    fates = [Fate.KILLED] * 6 + [Fate.TIMEOUT] + [Fate.SURVIVED] * 3
    found = [Mutant(str(number), "latency/plan", fate) for number, fate in enumerate(fates)]
    left = [{"module": "latency/plan", "reason": reason} for reason in ("equal", "equal", None)]
    (row,) = counts_of(found, left)
    assert (row["name"], row["mutants"], row["killed"], row["timeouts"], row["survived"]) == (
        "latency/plan",
        10,
        6,
        1,
        3,
    )
    assert (row["explained"], row["score_percent"], row["score_without_explained_percent"]) == (2, 70.0, 87.5)


def test_mutants_that_are_not_tested_yet_are_counted_and_take_no_part_in_scores() -> None:
    found = [
        Mutant(str(number), "sla/load", fate) for number, fate in enumerate([Fate.KILLED, Fate.OPEN, Fate.SURVIVED])
    ]
    (row,) = counts_of(found, [{"module": "sla/load", "reason": None}])
    assert (row["mutants"], row["tested"], row["score_percent"]) == (3, 2, 50.0)
    (row,) = counts_of(found[1:2], [])
    assert (row["tested"], row["score_percent"]) == (0, None)
    counts = {"measured_at": "2026-01-01", "tool": "mutmut 0", "packages": [{**row, "name": "sla"}], "modules": [row]}
    assert "| `sla/load` | 1 | 0 | 0 | 0 | 0 | 0 |  |  |" in render(counts)


@pytest.mark.parametrize(
    ("source", "wrapped"),
    [
        ("@property\ndef f(self): pass", True),
        ("@lru_cache(maxsize=2)\ndef f(): pass", True),
        ("@field_validator('x')\n@classmethod\ndef f(cls): pass", False),
        ("@property\n@other\ndef f(self): pass", False),
        ("def f(): pass", False),
    ],
)
def test_functions_under_decorators_that_only_wrap_are_mutated_too(source: str, wrapped: bool) -> None:
    assert is_wrapped_only(libcst.parse_module(source).body[0]) == wrapped


def test_the_page_shows_the_committed_results() -> None:
    assert block_of(PAGE.read_text(encoding="utf-8"), BLOCK) == render(COMMITTED)


def test_the_committed_run_is_whole_and_the_tests_of_the_verdict_stop_nine_of_ten_mutants() -> None:
    packages = {one["name"]: one for one in COMMITTED["packages"]}
    assert all(one["tested"] == one["mutants"] for one in packages.values())
    latency = packages["latency"]
    assert (latency["killed"] + latency["timeouts"]) / latency["mutants"] >= 0.9


def test_packages_are_the_sum_of_their_modules() -> None:
    for package in COMMITTED["packages"]:
        own = [one for one in COMMITTED["modules"] if one["name"].startswith(f"{package['name']}/")]
        for key in ("mutants", "tested", "killed", "timeouts", "survived", "explained"):
            assert package[key] == sum(one[key] for one in own)
        assert package["tested"] == package["killed"] + package["timeouts"] + package["survived"]


def test_each_explanation_is_about_a_mutant_that_survived() -> None:
    listed = {
        (one["module"], one["function"], one["was"], one["becomes"]): one["reason"] for one in COMMITTED["survivors"]
    }
    for one in read_explained():
        assert listed.get((one.module, one.function, one.was, one.becomes)) == one.reason, one


def test_every_survivor_is_explained() -> None:
    assert [one for one in COMMITTED["survivors"] if not one["reason"]] == []
