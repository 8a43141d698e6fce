"""The tables of the service's benchmark: no goal is reached by a trial that decides nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from benchmarks.marked import block_of
from benchmarks.service.docs import BLOCK, PAGE, RESULTS
from benchmarks.service.parts import largest
from benchmarks.service.table import render
from benchmarks.service.trials import ours, plain, speech

TRIAL: dict[str, Any] = {
    "valid": True,
    "problems": [],
    "statuses": {"200": 90, "503": 10},
    "latency_ns": {"P50": 5e6, "P99": 9e6},
}
RESULT: dict[str, Any] = {
    "measured_at": "2026-01-02T03:04:05+00:00",
    "machine": {"CPU": "a CPU"},
    "cores": 2,
    "priority": "at nice 0",
    "load_average": [0.5, 1.5],
    "baseline": {
        "connections": 20,
        "max_batch": 5,
        "trials": {"ours": [TRIAL], "batched": [TRIAL], "baseline": [TRIAL]},
        "rate_per_s": {"ours": 90.0, "batched": 200.0, "baseline": 20.0},
        "p99_ns": {"ours": 9e6, "batched": 9e6, "baseline": 9e8},
        "rate_ratio": {"ours": 4.5, "batched": 10.0},
        "p99_ratio": {"ours": 0.01, "batched": 0.3},
    },
    "half": {"capacity_per_s": 200.0, "trials": [TRIAL], "model_p99_ns": [4e6, 5e6], "p99_ns": 9e6, "ratio": 1.8},
    "streams": {"sustained": 2, "trials": {"2": {**TRIAL, "sustained": True}, "4": {**TRIAL, "sustained": False}}},
    "overload": {
        "capacity_per_s": 200.0,
        "trial": TRIAL,
        "resident_bytes": {"before": 100 << 20, "most": 120 << 20, "after": 105 << 20},
        "probes": {"turned_away": 3, "with_retry_after": 3},
    },
    "clients": {"aiohttp": 200.0},
}


def test_every_part_has_its_table_and_its_goals() -> None:
    text = render(RESULT)
    assert text.count("### ") == 5
    assert text.count(": reached") == 7
    assert "missed" not in text
    assert "undecided" not in text
    assert "load average of the machine 0.5 before and 1.5 after" in text
    assert "**2** streams at once are sustained" in text


def test_streams_beyond_those_that_a_late_generator_could_tell_are_not_denied() -> None:
    late = {**TRIAL, "valid": False, "sustained": False}
    trials = {"2": {**TRIAL, "sustained": True}, "4": late}
    assert "**at least 2** streams" in render({**RESULT, "streams": {"sustained": 2, "trials": trials}})


def test_a_part_that_was_not_run_is_not_shown() -> None:
    text = render({name: value for name, value in RESULT.items() if name not in ("streams", "overload")})
    assert "streams" not in text
    assert "Five times" not in text


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("baseline", {"rate_ratio": {"ours": 4.9, "batched": 4.8}}),
        ("baseline", {"p99_ratio": {"ours": 0.21, "batched": 0.3}}),
        ("half", {"ratio": 5.1}),
        ("overload", {"probes": {"turned_away": 3, "with_retry_after": 2}}),
        ("overload", {"probes": {"turned_away": 0, "with_retry_after": 0}}),
        ("overload", {"resident_bytes": {"before": 100, "most": 200, "after": 111}}),
        ("overload", {"trial": {**TRIAL, "statuses": {"200": 1, "500": 1}}}),
        ("overload", {"trial": {**TRIAL, "statuses": {"0": 1}}}),
        ("overload", {"trial": {**TRIAL, "latency_ns": {"P99": 1.6e9}}}),
        ("overload", {"trial": {**TRIAL, "latency_ns": {"P99": None}}}),
    ],
)
def test_a_goal_that_is_missed_is_said_to_be(part: str, changes: dict[str, Any]) -> None:
    assert render({**RESULT, part: {**RESULT[part], **changes}}).count("**missed**") == 1


@pytest.mark.parametrize("part", ["baseline", "half", "overload"])
def test_an_invalid_trial_decides_nothing(part: str) -> None:
    results = deepcopy(RESULT)
    bad = {**TRIAL, "valid": False, "problems": ["the generator was late"]}
    found = results[part]
    if part == "baseline":
        found["trials"]["baseline"] = [bad]
    elif part == "half":
        found["trials"] = [TRIAL, bad]
    else:
        found["trial"] = bad
    text = render({name: value for name, value in results.items() if name in (part, *list(RESULT)[:5])})
    assert "undecided" in text
    assert ": reached" not in text
    assert "INVALID: the generator was late" in text


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7, 8, 9, 16, 40])
def test_the_largest_number_that_holds_is_found_within_the_most_there_may_be(limit: int) -> None:
    asked: list[int] = []

    def holds(count: int) -> bool:
        asked.append(count)
        return count <= limit

    assert largest(holds, 16) == min(limit, 16)
    assert max(asked) <= 16
    assert len(asked) == len(set(asked)) <= 10


def test_both_servers_are_sent_the_same_window() -> None:
    assert len(ours().body) > 4 * 48_000
    assert len(plain().body) > len(ours().body)
    assert len(speech()) % 2 == 0


@pytest.mark.skipif(not RESULTS.is_file(), reason="no results are kept yet")
def test_the_page_says_what_the_results_say() -> None:
    import json  # noqa: PLC0415

    assert block_of(PAGE.read_text(encoding="utf-8"), BLOCK) == render(json.loads(RESULTS.read_text(encoding="utf-8")))
