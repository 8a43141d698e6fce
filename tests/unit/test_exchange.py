from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.unit.result_set import (
    COMPARED,
    ELSEWHERE,
    MET,
    NASTY,
    RESULTS,
    SESSION,
    STARTED_AT,
    against,
    measured,
    planned,
    run_of,
    samples,
)
from tests.unit.test_summary import tables
from voiceflow_ml.latency import Interval
from voiceflow_ml.reporting.exchange import Point, bencher_json, benchmark_action_json, build_points
from voiceflow_ml.reporting.openmetrics import openmetrics_text
from voiceflow_ml.reporting.rows import build_rows
from voiceflow_ml.reporting.summary import job_summary, pull_request_comment
from voiceflow_ml.reporting.text import interval_text, one_line
from voiceflow_ml.reporting.view import build_view
from voiceflow_ml.results.record import Planned, Result, Session, State
from voiceflow_ml.units import format_count, format_ns

# The schema that https://bencher.dev/docs/reference/bencher-metric-format publishes.
BENCHER_SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema",
    "type": "object",
    "patternProperties": {
        ".+": {
            "type": "object",
            "patternProperties": {
                ".+": {
                    "type": "object",
                    "properties": {
                        "value": {"type": "number"},
                        "lower_value": {"type": "number"},
                        "upper_value": {"type": "number"},
                    },
                    "required": ["value"],
                }
            },
        }
    },
}
# BenchmarkResult in github-action-benchmark: name, value and unit are needed, range and extra may be there.
ACTION_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "value": {"type": "number"},
            "unit": {"type": "string"},
            "range": {"type": "string"},
            "extra": {"type": "string"},
        },
        "required": ["name", "value", "unit"],
        "additionalProperties": False,
    },
}
SLOW_NS = samples(2_000, over=4, quick_ns=4_000_000, slow_ns=12_000_000)


def strict_json(text: str) -> Any:
    """JSON as a strict reader has it: no NaN, no Infinity, no key twice."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)


def action_entries(points: tuple[Point, ...]) -> list[dict[str, Any]]:
    """The entries of benchmark-action.json, checked against their schema."""
    entries: list[dict[str, Any]] = strict_json(benchmark_action_json(points))
    jsonschema.validate(entries, ACTION_SCHEMA)
    return entries


def bencher_metrics(points: tuple[Point, ...]) -> dict[str, dict[str, int]]:
    """Name -> latency of bencher.json, checked against its schema."""
    content = strict_json(bencher_json(points))
    jsonschema.validate(content, BENCHER_SCHEMA)
    assert all(list(measures) == ["latency"] for measures in content.values())
    assert all(len(name) <= 1024 and name == name.strip() for name in content)
    return {name: measures["latency"] for name, measures in content.items()}


def families(text: str) -> dict[str, Any]:
    """OpenMetrics families by name, by the reference parser."""
    return {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]


def series(session: Session, results: tuple[Result, ...], name: str) -> dict[str, float]:
    """Value by its objective's name (or by verdict) of one OpenMetrics family."""
    samples = families(openmetrics_text(session, results))[name].samples
    found = [(one.labels.get("name") or one.labels["verdict"], one.value) for one in samples]
    assert len(dict(found)) == len(found)
    return dict(found)


def in_ns(seconds: dict[str, float]) -> dict[str, int]:
    return {name: round(value * 1e9) for name, value in seconds.items()}


def session_of(*results: Result) -> Session:
    return replace(SESSION, planned=tuple(result.planned for result in results), declared=())


def test_every_output_has_the_same_numbers() -> None:
    points = build_points(RESULTS)
    metrics = bencher_metrics(points)
    entries = action_entries(points)
    expected = {
        f"{result.planned.label} · {statistic}": verdict
        for result in RESULTS
        if result.measurement is not None
        for statistic, verdict in zip(result.planned.limits_ns, result.measurement.verdicts, strict=True)
        if verdict.outcome != "INVALID"
    }
    values = {name: verdict.measured_ns for name, verdict in expected.items()}
    lows = {name: verdict.interval.low_ns for name, verdict in expected.items()}
    highs = {name: verdict.interval.high_ns for name, verdict in expected.items()}
    assert {name: metric["value"] for name, metric in metrics.items()} == values
    assert {name: metric.get("lower_value") for name, metric in metrics.items()} == lows
    assert {name: metric.get("upper_value") for name, metric in metrics.items()} == highs
    assert {one["name"]: round(one["value"] * 1e6) for one in entries} == values
    assert in_ns(series(SESSION, RESULTS, "voiceflow_latency_seconds")) == values
    bounded = {name: low for name, low in lows.items() if low is not None}
    assert in_ns(series(SESSION, RESULTS, "voiceflow_latency_low_seconds")) == bounded
    bounded = {name: high for name, high in highs.items() if high is not None}
    assert in_ns(series(SESSION, RESULTS, "voiceflow_latency_high_seconds")) == bounded
    limits = {name: verdict.limit_ns for name, verdict in expected.items()}
    assert in_ns(series(SESSION, RESULTS, "voiceflow_latency_limit_seconds")) == limits
    taken = {name: verdict.samples for name, verdict in expected.items()}
    assert series(SESSION, RESULTS, "voiceflow_latency_samples") == taken


def test_the_tables_say_the_same_numbers_for_people() -> None:
    points = build_points(RESULTS)
    metrics = bencher_metrics(points)
    ranges = {one["name"]: one.get("range") for one in action_entries(points)}
    taken = series(SESSION, RESULTS, "voiceflow_latency_samples")
    view = build_view(SESSION, RESULTS)
    for text in (job_summary(view, []), pull_request_comment(view, [])):
        (table,) = tables(text)
        judged = [cells for cells in table if cells[0] in ("MET", "BREACHED", "INCONCLUSIVE")]
        assert len(judged) == len(metrics)
        for cells in judged:
            name = f"{cells[1]} · {cells[2].split()[0]}"
            metric = metrics[name]
            interval = interval_text(Interval(metric.get("lower_value"), metric.get("upper_value"), 0.99))
            assert cells[3].split(" adjusted")[0] == format_ns(metric["value"])
            assert cells[4] == interval == ranges[name]
            assert cells[6:7] in ([], [format_count(round(taken[name]))])


def test_ratios_are_those_of_the_rows() -> None:
    rows = [row for row in build_rows(SESSION, RESULTS) if row.measured.endswith("x")]
    ratios = series(SESSION, RESULTS, "voiceflow_slowdown_ratio")
    lows = series(SESSION, RESULTS, "voiceflow_slowdown_low_ratio")
    highs = series(SESSION, RESULTS, "voiceflow_slowdown_high_ratio")
    assert [row.measured for row in rows] == [f"{ratio:.3f}x" for ratio in ratios.values()]
    assert [row.interval for row in rows] == [f"[{lows[name]:.3f}x, {highs[name]:.3f}x]" for name in ratios]


def test_what_has_no_evidence_has_no_number_but_is_counted() -> None:
    names = {point.name for point in build_points(RESULTS)}
    assert not any(name.startswith(("wav2vec2", "last-cnn", "a¦b", "fast-cnn · end-to-end")) for name in names)
    assert not any("cuda" in name for name in names)
    counts = Counter(row.verdict for row in build_rows(SESSION, RESULTS))
    found = series(SESSION, RESULTS, "voiceflow_objectives")
    assert {verdict: count for verdict, count in found.items() if count} == counts
    assert found["INVALID"] == 1
    assert found["NOT RUN"] == 3


def test_a_comparison_with_an_invalid_baseline_has_no_ratio() -> None:
    result = measured(COMPARED, SLOW_NS, against=against((0.5, 0.99), 1.0, findings=(ELSEWHERE,)))
    session = session_of(result)
    assert series(session, (result,), "voiceflow_slowdown_ratio") == {}
    assert len(series(session, (result,), "voiceflow_latency_seconds")) == 2


def test_nothing_measured_is_an_empty_list_and_no_series() -> None:
    results = (Result(MET, State.SKIPPED, "no", STARTED_AT),)
    assert action_entries(build_points(results)) == []
    assert bencher_metrics(build_points(results)) == {}
    assert series(session_of(*results), results, "voiceflow_latency_seconds") == {}
    assert series(session_of(*results), results, "voiceflow_objectives")["NOT RUN"] == 2


def test_an_interval_without_ends_has_no_range_and_no_bounds() -> None:
    result = measured(MET, SLOW_NS)
    assert result.measurement is not None
    verdicts = tuple(replace(one, interval=Interval(None, None, one.confidence)) for one in result.measurement.verdicts)
    open_ended = replace(result, measurement=replace(result.measurement, verdicts=verdicts))
    points = build_points((open_ended,))
    assert all("range" not in one for one in action_entries(points))
    assert [list(metric) for metric in bencher_metrics(points).values()] == [["value"], ["value"]]
    assert series(session_of(open_ended), (open_ended,), "voiceflow_latency_low_seconds") == {}


def test_the_run_says_its_policy_and_whether_it_finished() -> None:
    session = replace(SESSION, policy="report-only", finished=False)
    found = families(openmetrics_text(session, RESULTS))
    (run,) = found["voiceflow_run"].samples
    assert run.name == "voiceflow_run_info"
    assert run.labels == {
        "started_at": STARTED_AT,
        "policy": "report-only",
        "finished": "false",
        "confidence": "0.99",
        "commit": "0123abc+changes",
    }
    latency = found["voiceflow_latency_seconds"]
    assert (latency.type, latency.unit) == ("gauge", "seconds")


def test_the_clock_that_was_judged_is_named() -> None:
    noisy = [one for one in action_entries(build_points(RESULTS)) if one["name"].startswith("noisy-cnn")]
    assert [one["extra"].splitlines() for one in noisy] == [
        ["MET: P99 <= 5 ms", "99 % confidence, n = 2 000", "adjusted clock"]
    ]
    assert 'name="noisy-cnn · model-inference · cpu · P99",' in openmetrics_text(SESSION, RESULTS)
    assert 'statistic="P99",clock="adjusted"} 0.004500000\n' in openmetrics_text(SESSION, RESULTS)


def test_a_number_of_many_seconds_is_exact() -> None:
    result = measured(planned("test_slow", "slow", P50=10**18), run_of(SLOW_NS + 123_456_789_000_000_000))
    (point,) = build_points((result,))
    exact = Decimal(point.verdict.measured_ns).scaleb(-9)
    assert exact > 123_456_789
    assert f'clock="wall"}} {exact}\n' in openmetrics_text(session_of(result), (result,))


@pytest.mark.parametrize("long", ["", "x" * 2_000])
def test_two_tests_of_one_promise_keep_names_of_their_own(long: str) -> None:
    first, second = planned("test_a", f"cnn{long}", P99=5_000_000), planned("test_b", f"cnn{long}", P99=6_000_000)
    # Results of two machines, joined, may even have the test in common.
    results = tuple(measured(plan, SLOW_NS) for plan in (first, second, second))
    points = build_points(results)
    metrics = bencher_metrics(points)
    assert len(metrics) == 3
    assert [one["name"] for one in action_entries(points)] == list(metrics)
    assert list(series(session_of(*results), results, "voiceflow_latency_seconds")) == list(metrics)
    if not long:
        assert list(metrics) == [
            "cnn · model-inference · cpu · P99 · tests/hardware/test_latency.py::test_a",
            "cnn · model-inference · cpu · P99 · tests/hardware/test_latency.py::test_b",
            "cnn · model-inference · cpu · P99 · tests/hardware/test_latency.py::test_b (2)",
        ]


@given(name=st.text(max_size=60))
def test_no_name_breaks_a_file(name: str) -> None:
    for strange in (name, f"{NASTY}{name}", f'{name}"}} 1\n# EOF\\'):
        plan = replace(MET, model=strange, node_id=f"{strange}::{strange}")
        results = (replace(RESULTS[0], planned=plan), replace(RESULTS[0], planned=replace(plan, node_id="other")))
        points = build_points(results)
        names = [one["name"] for one in action_entries(points)]
        assert len(bencher_metrics(points)) == len(set(names)) == 4
        assert not any(set("|`<>\n") & set(one) for one in names)
        latency = families(openmetrics_text(session_of(*results), results))["voiceflow_latency_seconds"]
        models = {one.labels["model"] for one in latency.samples}
        assert models == {one_line(strange)}


def test_five_hundred_objectives_are_all_there() -> None:
    taken = RESULTS[0].measurement
    results = tuple(
        Result(Planned(f"t.py::{i}", f"m{i}", "model-inference", "cpu", MET.limits_ns), State.MEASURED, "", "", taken)
        for i in range(250)
    )
    points = build_points(results)
    assert len(action_entries(points)) == len(bencher_metrics(points)) == 500
    assert len(series(session_of(*results), results, "voiceflow_latency_seconds")) == 500
