"""JUnit: what CI reads."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.integration.plugin_project import THREE_VERDICTS, Project

SKIPPED = """
@pytest.mark.hardware(targets=["cuda-t4"])
@met
def test_gpu(latency):
    latency(work)
"""

# What plugins that write reports do: look at every property of every report, where they are gathered.
LISTENER = """
import os

def pytest_runtest_logreport(report):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with open("seen.txt", "a") as stream:
            print(*(name for name, _ in report.user_properties), file=stream)
"""

# What plugins that run failed tests again do.
RUN_TWICE = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for again in (False, True):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        runtestprotocol(item, nextitem=nextitem)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""


def read_cases(project: Project) -> dict[str, ElementTree.Element]:
    """The test cases of the file by name."""
    cases = list(ElementTree.parse(project.root / "junit.xml").iter("testcase"))
    names = [case.attrib["name"] for case in cases]
    assert len(set(names)) == len(names), f"a test appears twice: {names}"
    return dict(zip(names, cases, strict=True))


def properties(case: ElementTree.Element) -> dict[str, str]:
    """Name -> value; a name that appears twice fails."""
    pairs = [(entry.attrib["name"], entry.attrib["value"]) for entry in case.iter("property")]
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_a_breach_is_a_failure_of_its_test_with_the_numbers(project: Project, workers: list[str]) -> None:
    (project.root / "conftest.py").write_text(LISTENER, encoding="utf-8")
    project.write_test(THREE_VERDICTS + SKIPPED)
    run = project.run_apart if workers else project.run
    run("-W", "error", "--junitxml=junit.xml", *workers).assert_outcomes(passed=2, failed=1, skipped=1)
    cases = read_cases(project)
    assert set(cases) == {"test_first[cpu]", "test_second[cpu]", "test_third[cpu]", "test_gpu[cuda-t4]"}

    breach = cases["test_second[cpu]"]
    (failure,) = breach.findall("failure")
    assert failure.attrib["message"].startswith("Failed: BREACHED, P99 ")
    assert failure.attrib["message"].endswith("[test_second · model-inference · cpu]")
    assert "\n" not in failure.attrib["message"]
    stored = project.results()[1]["measurement"]["verdicts"][0]
    numbers = properties(breach)
    assert numbers == {
        "sla.model": "test_second",
        "sla.stage": "model-inference",
        "sla.target": "cpu",
        "sla.state": "measured",
        "sla.span_ns": numbers["sla.span_ns"],
        "sla.p99.verdict": "BREACHED",
        "sla.p99.limit_ns": "1",
        "sla.p99.measured_ns": str(stored["measured_ns"]),
        "sla.p99.low_ns": str(stored["interval"]["low_ns"]),
        "sla.p99.confidence": "0.99",
        "sla.p99.samples": "500",
        "sla.p99.exceedances": "500",
        "sla.p99.clock": "wall",
        "sla.p99.log_e_met": numbers["sla.p99.log_e_met"],
        "sla.p99.log_e_breached": numbers["sla.p99.log_e_breached"],
    }, "500 samples have no upper bound of a P99"
    assert float(numbers["sla.p99.log_e_met"]) < 0 < float(numbers["sla.p99.log_e_breached"])

    third = properties(cases["test_third[cpu]"])
    assert (third["sla.p50.verdict"], third["sla.p99.verdict"]) == ("MET", "MET")
    assert not cases["test_third[cpu]"].findall("failure")

    skipped = cases["test_gpu[cuda-t4]"]
    assert skipped.find("skipped") is not None
    assert properties(skipped)["sla.state"] == "skipped"
    assert "cuda-t4 was not asked for: add --gpu=t4" in skipped.find("skipped").attrib["message"]  # type: ignore[union-attr]

    assert "voiceflow_ml." not in (project.root / "junit.xml").read_text(encoding="utf-8")
    seen = (project.root / "seen.txt").read_text(encoding="utf-8").split()
    assert seen.count("sla.p99.verdict") == 3
    assert not [name for name in seen if name.startswith("voiceflow_ml.")], "what travels is nobody else's business"


def test_inconclusive_under_strict_is_a_failure_in_its_own_words(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    arguments = ["--sla-policy=strict", "--sla-time-budget=1ns", "--junitxml=junit.xml"]
    project.run("-k", "first", *arguments).assert_outcomes(failed=1, deselected=2)
    case = read_cases(project)["test_first[cpu]"]
    (failure,) = case.findall("failure")
    assert failure.attrib["message"].startswith("Failed: INCONCLUSIVE, P99 ")
    assert properties(case)["sla.p99.verdict"] == "INCONCLUSIVE"


def test_a_test_that_could_not_measure_says_so(project: Project) -> None:
    project.promise("cpu")
    (project.root / "tiny.onnx").unlink()
    project.run("--junitxml=junit.xml", "sla.toml").assert_outcomes(failed=1)
    case = read_cases(project)["tiny[model-inference-cpu]"]
    (failure,) = case.findall("failure")
    assert "tiny.onnx does not exist" in failure.attrib["message"]
    assert properties(case) == {
        "sla.model": "tiny",
        "sla.stage": "model-inference",
        "sla.target": "cpu",
        "sla.state": "error",
    }


def test_a_test_that_is_run_again_is_measured_again_and_reported_once(project: Project) -> None:
    (project.root / "conftest.py").write_text(RUN_TWICE, encoding="utf-8")
    project.write_test(THREE_VERDICTS)
    project.run("-W", "error", "-k", "first", "--junitxml=junit.xml").assert_outcomes(passed=2, deselected=2)
    case = next(ElementTree.parse(project.root / "junit.xml").iter("testcase"))
    assert properties(case)["sla.p99.verdict"] == "MET"
    assert project.result_files() == ["0000-test-it-py-test-first-cpu.json", "session.json"]
