"""How a promise is to be measured, and prepared calls, as the markers say it: seen by what is assigned to each item."""

from __future__ import annotations

import pytest

from tests.integration.plugin_project import OBJECTIVE, Project

# Prints, for each item, what the plugin attached to it.
SHOW = """\
from voiceflow_ml.pytest_plugin.state import ASSIGNMENT

def pytest_collection_modifyitems(items):
    for item in items:
        assignment = item.stash.get(ASSIGNMENT, None)
        if assignment is None:
            print(item.name, "has no assignment")
            continue
        how = assignment.promise.measuring
        prepared = None if assignment.prepare is None else assignment.prepare(assignment.target)
        prepared = getattr(prepared, "inputs", prepared)
        print(item.name, how.clock, how.mode, how.interval_ns, prepared)
"""


def shown(project: Project, *arguments: str) -> list[str]:
    """What is assigned to each item, one line each."""
    (project.root / "conftest.py").write_text(SHOW, encoding="utf-8")
    result = project.run("--collect-only", "-q", "-s", "--strict-markers", "-W", "error", *arguments)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    return [line for line in result.outlines if line.startswith(("test_", "tiny[")) and "::" not in line]


def test_the_marker_says_how_its_limits_are_measured(project: Project) -> None:
    project.write_test("""
@cpu
@met
def test_default(latency): pass

@cpu
@pytest.mark.sla(p99="10ms", clock="adjusted", mode="back-to-back")
def test_adjusted(latency): pass

@cpu
@pytest.mark.sla("by-name", p50="1ms", p99="10ms", mode="paced", interval="100ms")
def test_paced(latency): pass

@cpu
@pytest.mark.sla(p99="10ms", mode="open-loop", interval="2s")
def test_open(latency): pass
""")
    assert shown(project) == [
        "test_default[cpu] wall steady 0 None",
        "test_adjusted[cpu] adjusted back-to-back 0 None",
        "test_paced[cpu] wall paced 100000000 None",
        "test_open[cpu] wall open-loop 2000000000 None",
    ]


def test_a_promise_that_is_looked_up_brings_its_way_of_measuring(project: Project) -> None:
    promise = OBJECTIVE.format(target="cpu", limit="10s")
    project.write_sla(promise + 'clock = "adjusted"\nmode = "paced"\ninterval = "5ms"\n')
    project.write_test("""
@cpu
@pytest.mark.sla("tiny")
def test_tiny(latency): pass
""")
    assert shown(project, "test_it.py", "sla.toml") == [
        "test_tiny[cpu] adjusted paced 5000000 None",
        "tiny[model-inference-cpu] adjusted paced 5000000 x: seeded synthetic float32 [4096, 4]",
    ]


def test_a_prepared_call_is_kept_for_each_target(project: Project) -> None:
    project.write_test("""
def open_it(target):
    return target.name

@pytest.mark.hardware(targets=["cpu", "cuda-t4"], prepare=open_it)
@met
def test_both(latency): pass

@pytest.mark.hardware(prepare=lambda target: ("mine", target.name))
@met
class TestAll:
    def test_one(self, latency): pass

    def test_no_latency(self, target): pass

@pytest.mark.hardware
@met
def test_none(latency): pass
""")
    assert shown(project) == [
        "test_both[cpu] wall steady 0 cpu",
        "test_both[cuda-t4] wall steady 0 cuda-t4",
        "test_one[cpu] wall steady 0 ('mine', 'cpu')",
        "test_no_latency[cpu] has no assignment",
        "test_none[cpu] wall steady 0 None",
    ]


def test_help_names_the_arguments(project: Project) -> None:
    text = " ".join(project.run("--markers").stdout.str().split())
    for part in ("prepare=function", "clock ('wall' or 'adjusted')", "interval ('100ms'"):
        assert part in text
    for mode in ("steady", "back-to-back", "paced", "open-loop"):
        assert f"'{mode}'" in text
