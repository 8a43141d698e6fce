"""pytest-benchmark works on our samples as on its own."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.plugin_project import THREE_VERDICTS, Project, table
from voiceflow_ml.pytest_plugin.exit_status import ExitStatus

REPORT_ONLY = "--sla-policy=report-only"


def read_json(project: Project, name: str) -> dict[str, dict[str, Any]]:
    """A pytest-benchmark JSON file's benchmarks by name."""
    content = json.loads((project.root / name).read_text(encoding="utf-8"))
    return {entry["name"]: entry for entry in content["benchmarks"]}


def test_json_holds_our_samples_percentiles_and_verdicts(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    result = project.run("-W", "error", REPORT_ONLY, "--benchmark-json=out.json", "--benchmark-save-data")
    result.assert_outcomes(passed=2, xfailed=1)
    benchmarks = read_json(project, "out.json")
    assert list(benchmarks) == ["test_first[cpu]", "test_second[cpu]", "test_third[cpu]"]
    for ours, theirs in zip(project.results(), benchmarks.values(), strict=True):
        samples_ns = ours["measurement"]["run"]["samples_ns"]
        stats = theirs["stats"]
        assert stats["rounds"] == len(samples_ns)
        assert [round(seconds * 1e9) for seconds in stats["data"]] == samples_ns
        percentiles_ns = {name: round(stats[name] * 1e9) for name in ("p50", "p90", "p95", "p99", "p999")}
        expected_ns = ours["measurement"]["percentiles_ns"]
        assert percentiles_ns == {name: expected_ns[name.upper().replace("999", "99.9")] for name in percentiles_ns}
    assert benchmarks["test_third[cpu]"]["extra_info"]["label"] == "test_third · model-inference · cpu"
    verdicts = benchmarks["test_third[cpu]"]["extra_info"]["verdicts"]
    assert [(entry["statistic"], entry["outcome"], entry["limit_ns"]) for entry in verdicts] == [
        ("P50", "MET", 10_000_000_000),
        ("P99", "MET", 10_000_000_000),
    ]
    (breach,) = benchmarks["test_second[cpu]"]["extra_info"]["verdicts"]
    assert breach["outcome"] == "BREACHED"
    assert breach["measured_ns"] == project.results()[1]["measurement"]["percentiles_ns"]["P99"]
    assert breach["sentence"].startswith("P99 is over 1 ns")


def test_two_runs_compare(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    storage = f"--benchmark-storage=file://{project.root}/store"
    first = project.run("-W", "error", REPORT_ONLY, storage, "--benchmark-save=before")
    first.assert_outcomes(passed=2, xfailed=1)
    second = project.run("-W", "error", REPORT_ONLY, storage, "--benchmark-compare=0001")
    second.assert_outcomes(passed=2, xfailed=1)
    second.stdout.fnmatch_lines_random(["test_first* (0001_before) *", "test_first* (NOW) *"])
    third = project.run(REPORT_ONLY, storage, "--benchmark-compare", "--benchmark-compare-fail=mean:1000000%")
    third.assert_outcomes(passed=2, xfailed=1)


def test_disabled_benchmarks_skip_visibly_and_are_not_green(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    result = project.run("-W", "error", "-rs", "--benchmark-disable")
    result.assert_outcomes(skipped=3)
    assert result.ret == ExitStatus.NOT_RUN
    result.stdout.fnmatch_lines(["SKIPPED *: nothing is measured under --benchmark-disable"])
    assert table(result)[0].endswith("nothing is measured under --benchmark-disable")
    assert table(result)[-2] == "4 NOT RUN"


def test_skipped_benchmarks_are_not_run(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    result = project.run("-W", "error", "--benchmark-skip")
    result.assert_outcomes(skipped=3)
    assert table(result)[-2] == "4 NOT RUN"


def test_benchmark_only_keeps_measured_tests(project: Project) -> None:
    project.promise("cpu")
    project.write_test(THREE_VERDICTS + "\ndef test_plain():\n    pass\n")
    result = project.run("-W", "error", REPORT_ONLY, "--benchmark-only", "test_it.py", "sla.toml")
    result.assert_outcomes(passed=3, xfailed=1, skipped=1)


def test_another_plugins_benchmark_fixture_is_left_alone(project: Project) -> None:
    project.write_test(
        THREE_VERDICTS
        + """
@pytest.fixture
def benchmark():
    return "not pytest-benchmark's"
"""
    )
    result = project.run("-W", "error", "-p", "no:benchmark")
    result.assert_outcomes(passed=2, failed=1)
    assert [entry["state"] for entry in project.results()] == ["measured"] * 3


# pytest-benchmark promises none of these; a release that changes one must fail here, with its name.
CONTRACT = """
import inspect

def test_fixture(benchmark):
    from pytest_benchmark.fixture import BenchmarkFixture
    assert type(benchmark) is BenchmarkFixture
    assert benchmark._mode is None
    assert benchmark.disabled is False
    assert benchmark.extra_info == {}
    assert list(inspect.signature(benchmark._make_stats).parameters) == ["iterations"]
    metadata = benchmark._make_stats(iterations=1)
    assert type(metadata.stats).__name__ == "Stats"
    metadata.stats.data = [1.0]
    benchmark._mode = "ours"
    with pytest.raises(Exception, match="Previously it was used in ours mode"):
        benchmark(work)

def test_stats():
    from pytest_benchmark.stats import Stats
    assert isinstance(Stats.fields, tuple)
    assert not {"p50", "p90", "p95", "p99", "p999"} & set(Stats.fields)
    stats = Stats()
    assert stats.data == []
    stats.data = [3.0, 1.0, 2.0]
    assert stats.sorted_data == [1.0, 2.0, 3.0]
    assert set(stats.as_dict()) == set(Stats.fields)

def test_options(pytestconfig):
    assert pytestconfig.getoption("benchmark_disable") is False
    assert pytestconfig.getoption("benchmark_enable") is False
"""


def test_the_private_names_that_the_bridge_uses_are_there(project: Project) -> None:
    project.write_test(CONTRACT)
    project.run("-W", "error").assert_outcomes(passed=3)
