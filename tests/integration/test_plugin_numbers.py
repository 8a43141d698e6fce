"""Every output of one run says the same numbers: all are computed here from the result files, and compared."""

from __future__ import annotations

import html
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.integration.plugin_project import THREE_VERDICTS, Project
from tests.unit.test_summary import tables
from voiceflow_ml.units import format_count, format_ns

Verdict = dict[str, Any]


@pytest.fixture(name="run")
def _run(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A run with kept and broken promises, one with two limits, that has written all it can."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.root / "summary.md"))
    project.write_test(THREE_VERDICTS)
    result = project.run("--junitxml=junit.xml", "--benchmark-json=benchmark.json")
    result.assert_outcomes(passed=2, failed=1)
    (project.root / "terminal.txt").write_text("\n".join(result.outlines), encoding="utf-8")
    return project


def verdicts(project: Project) -> dict[str, Verdict]:
    """``"test_first · model-inference · cpu · P99"`` -> its verdict, as written to disk, and its run's span."""
    found = {}
    for result in project.results():
        plan, measurement = result["planned"], result["measurement"]
        label = f"{plan['model']} · {plan['stage']} · {plan['target']}"
        for statistic, verdict in zip(plan["limits_ns"], measurement["verdicts"], strict=True):
            found[f"{label} · {statistic}"] = {**verdict, "span_ns": measurement["run"]["span_ns"]}
    return found


def cells(name: str, verdict: Verdict) -> list[str]:
    """The cells of a table's row, worded here by the two functions that write durations and counts."""
    low, high = verdict["interval"]["low_ns"], verdict["interval"]["high_ns"]
    ends = ["no lower bound" if low is None else format_ns(low), "no upper bound" if high is None else format_ns(high)]
    label, _, statistic = name.rpartition(" · ")
    margin = round(100 * (1 - verdict["measured_ns"] / verdict["limit_ns"]))
    return [
        verdict["outcome"],
        label,
        f"{statistic} <= {format_ns(verdict['limit_ns'], digits=6)}",
        format_ns(verdict["measured_ns"]),
        f"[{', '.join(ends)}]",
        f"{margin:+d} %",
        format_count(verdict["samples"]),
        format_ns(verdict["span_ns"]),
        format_ns(verdict["span_ns"] / 8) if verdict["outcome"] == "MET" else "-",
    ]


def rows_of_page(page: str) -> list[list[str]]:
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    ]


def junit(path: Path) -> dict[str, dict[str, str]]:
    """Objective -> its properties, without the statistic in their names."""
    found: dict[str, dict[str, str]] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        given = {one.attrib["name"].removeprefix("sla."): one.attrib["value"] for one in case.iter("property")}
        label = f"{given['model']} · {given['stage']} · {given['target']}"
        for key, value in given.items():
            statistic, _, what = key.partition(".")
            if what:
                entry = found.setdefault(f"{label} · {statistic.upper()}", {"span_ns": given["span_ns"]})
                entry[what] = value
    return found


def openmetrics(path: Path) -> dict[str, dict[str, Decimal]]:
    """Family -> objective -> value in nanoseconds, or the count itself."""
    found: dict[str, dict[str, Decimal]] = {}
    for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):  # type: ignore[no-untyped-call]
        scale = 9 if family.name.endswith("_seconds") else 0
        for one in family.samples:
            if "name" in one.labels:
                found.setdefault(family.name, {})[one.labels["name"]] = round(Decimal(str(one.value)).scaleb(scale))  # type: ignore[assignment]
    return found


def test_every_output_has_the_same_numbers(run: Project) -> None:
    expected = verdicts(run)
    assert len(expected) == 4
    worst_first = sorted(expected, key=lambda name: expected[name]["outcome"] != "BREACHED")
    rows = [cells(name, expected[name]) for name in worst_first]

    # For people: the report, the page, the summary, the comment, the table of the terminal.
    assert tables(run.report())[0][: len(rows)] == rows
    assert rows_of_page((run.reports / "performance.html").read_text(encoding="utf-8")) == rows
    assert tables((run.root / "summary.md").read_text(encoding="utf-8"))[0] == rows
    assert tables((run.reports / "comment.md").read_text(encoding="utf-8"))[0] == [row[:5] for row in rows]
    terminal = (run.root / "terminal.txt").read_text(encoding="utf-8").splitlines()
    for verdict, label, objective, measured, interval, _, count, span, _ in rows:
        (line,) = [one for one in terminal if one.startswith(f"{verdict} ") and label in one and f"{objective} " in one]
        for said in (measured, interval, f"n = {count}", f"{span} span"):
            assert said in line

    # For programs: JUnit, OpenMetrics, Bencher, github-action-benchmark, pytest-benchmark.
    numbers = {
        name: {
            "limit_ns": str(one["limit_ns"]),
            "measured_ns": str(one["measured_ns"]),
            **{
                f"{end}_ns": str(one["interval"][f"{end}_ns"])
                for end in ("low", "high")
                if one["interval"][f"{end}_ns"] is not None
            },
            "samples": str(one["samples"]),
            "exceedances": str(one["exceedances"]),
            "confidence": str(one["confidence"]),
            "verdict": one["outcome"],
            "clock": one["clock"],
            "span_ns": str(one["span_ns"]),
            "log_e_met": str(round(one["log_e_met"], 3)),
            "log_e_breached": str(round(one["log_e_breached"], 3)),
        }
        for name, one in expected.items()
    }
    assert junit(run.root / "junit.xml") == numbers
    metrics = openmetrics(run.reports / "openmetrics.txt")
    for family, key in (("", "measured_ns"), ("_low", "low_ns"), ("_high", "high_ns"), ("_limit", "limit_ns")):
        assert metrics[f"voiceflow_latency{family}_seconds"] == {
            name: int(one[key]) for name, one in numbers.items() if key in one
        }
    assert metrics["voiceflow_latency_samples"] == {name: int(one["samples"]) for name, one in numbers.items()}
    bencher = json.loads((run.reports / "bencher.json").read_text(encoding="utf-8"))
    keys = {"value": "measured_ns", "lower_value": "low_ns", "upper_value": "high_ns"}
    assert {name: one["latency"] for name, one in bencher.items()} == {
        name: {key: int(one[of]) for key, of in keys.items() if of in one} for name, one in numbers.items()
    }
    action = json.loads((run.reports / "benchmark-action.json").read_text(encoding="utf-8"))
    assert {one["name"]: round(one["value"] * 1e6) for one in action} == {
        name: int(one["measured_ns"]) for name, one in numbers.items()
    }
    ranges = {name: cells(name, one)[4] for name, one in expected.items()}
    assert {one["name"]: one["range"] for one in action} == ranges
    kept = json.loads((run.root / "benchmark.json").read_text(encoding="utf-8"))["benchmarks"]
    assert {
        f"{one['extra_info']['label']} · {verdict['statistic']}": (verdict["measured_ns"], verdict["limit_ns"])
        for one in kept
        for verdict in one["extra_info"]["verdicts"]
    } == {name: (int(one["measured_ns"]), int(one["limit_ns"])) for name, one in numbers.items()}
    for one in kept:
        name = f"{one['extra_info']['label']} · P99"
        assert round(one["stats"]["p99"] * 1e9) in _p99s(run, name)


def _p99s(run: Project, name: str) -> set[int]:
    """What a P99 on the wall clock may be: the percentile that the result file has."""
    return {
        one["measurement"]["percentiles_ns"]["P99"]
        for one in run.results()
        if name.startswith(f"{one['planned']['model']} · ")
    }
