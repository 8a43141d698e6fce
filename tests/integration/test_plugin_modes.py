"""How calls are made and which clock is judged: by marker, by sla.toml, and what the report says about it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.plugin_project import OBJECTIVE, TINY_MODEL, Project, one_line_with, table
from voiceflow_ml.hardware.scheduler import SchedulerCounters

LENIENT, STRICT = "--sla-policy=lenient", "--sla-policy=strict"
SPREAD = "--sla-span=1ms"

ONE = """
@cpu
@pytest.mark.sla(p50="10s"{how})
def test_it(latency):
    latency(work)
"""


def run_of(project: Project) -> dict[str, Any]:
    """The only measured run."""
    ((result),) = project.results()
    run: dict[str, Any] = result["measurement"]["run"]
    return run


def method(project: Project, name: str) -> str:
    """What the report says about one thing of the only measurement."""
    return one_line_with(project.report(), f"| {name} |").split("|")[2].strip()


SCHEDULES = {
    "paced": (
        "paced",
        "300us",
        300_000,
        "paced: one every 300 us; {late} began late",
    ),
    "open-loop": (
        "open-loop",
        "400us",
        400_000,
        (
            "open-loop: Poisson arrivals, one every 400 us on average, latency from the intended send time; "
            "{late} waited for the one before"
        ),
    ),
}


def check_schedule(project: Project, mode: str, interval_ns: int, text: str) -> None:
    """The run, the report and the verdict of a run with a schedule."""
    run = run_of(project)
    assert (run["mode"], run["interval_ns"], run["settling_calls"]) == (mode, interval_ns, 0)
    assert len(run["samples_ns"]) == 300
    assert method(project, "calls") == text.format(late=run["late_calls"])
    # The last of 300 calls was due that much later; arrivals at random may come in less, but never in half.
    assert run["span_ns"] > 299 * interval_ns / 2


@pytest.mark.parametrize(("mode", "interval", "interval_ns", "text"), SCHEDULES.values(), ids=SCHEDULES)
def test_calls_on_a_schedule_by_marker(project: Project, mode: str, interval: str, interval_ns: int, text: str) -> None:
    project.write_test(ONE.format(how=f', mode="{mode}", interval="{interval}"'))
    result = project.run("-W", "error", STRICT)
    result.assert_outcomes(passed=1)
    check_schedule(project, mode, interval_ns, text)


@pytest.mark.parametrize(("mode", "interval", "interval_ns", "text"), SCHEDULES.values(), ids=SCHEDULES)
def test_calls_on_a_schedule_by_sla_toml(
    project: Project, mode: str, interval: str, interval_ns: int, text: str
) -> None:
    objective = OBJECTIVE.replace("p99", "p50").format(target="cpu", limit="10s")
    project.write_sla(objective + f'mode = "{mode}"\ninterval = "{interval}"\n')
    result = project.run("-W", "error", STRICT, "sla.toml")
    result.assert_outcomes(passed=1)
    check_schedule(project, mode, interval_ns, text)


def test_requests_that_come_faster_than_they_are_served_wait_and_are_late(project: Project) -> None:
    project.write_test(ONE.format(how=', mode="open-loop", interval="1us"'))
    project.run("-W", "error", LENIENT).assert_outcomes(passed=1)
    run = run_of(project)
    # Every call takes some 30 us: each but the first of the schedule begins late, and the wait is in its latency.
    assert run["late_calls"] > 290
    assert max(run["samples_ns"]) > 5 * min(run["samples_ns"])
    assert method(project, "calls").endswith(f"; {run['late_calls']} waited for the one before")
    assert "open-loop latency includes waiting behind earlier requests" in method(project, "clock")


BACK_TO_BACK = [
    (', mode="back-to-back"', SPREAD, "back-to-back: one after the other, without gaps"),
    ("", "--sla-span=0s", "steady: without gaps, as its span of nothing asks for"),
]


@pytest.mark.parametrize(("how", "span", "calls"), BACK_TO_BACK, ids=["mode", "span"])
def test_back_to_back_is_never_met_under_strict_and_says_why(project: Project, how: str, span: str, calls: str) -> None:
    project.write_test(ONE.format(how=how))
    result = project.run("-W", "error", STRICT, span)
    result.assert_outcomes(failed=1)
    line = one_line_with(result.stdout.str(), "[test_it · model-inference · cpu]")
    assert line.startswith("INCONCLUSIVE, P50 ")
    assert "P50 is within 10 s with 99 % confidence" in line
    assert "taken back to back, which judges one moment of the machine: under the strict policy only samples" in line
    assert table(result)[0].startswith("INCONCLUSIVE  test_it")
    assert method(project, "calls") == calls


@pytest.mark.parametrize(("how", "span", "calls"), BACK_TO_BACK, ids=["mode", "span"])
def test_back_to_back_is_met_under_lenient_with_a_caution(project: Project, how: str, span: str, calls: str) -> None:
    project.write_test(ONE.format(how=how))
    project.run("-W", "error", LENIENT, span).assert_outcomes(passed=1)
    caution = one_line_with(project.report(), "samples taken back to back judge one moment of the machine")
    assert caution.startswith("- caution: ")
    assert method(project, "calls") == calls
    assert run_of(project)["settling_calls"] == 0


def test_a_breach_back_to_back_is_a_breach_under_strict(project: Project) -> None:
    project.write_test(ONE.format(how=', mode="back-to-back"').replace("10s", "1ns"))
    result = project.run("-W", "error", STRICT)
    result.assert_outcomes(failed=1)
    assert table(result)[0].startswith("BREACHED")


def test_samples_that_are_spread_are_met_under_strict_with_a_horizon(project: Project) -> None:
    project.write_test(ONE.format(how=""))
    result = project.run("-W", "error", STRICT, SPREAD)
    result.assert_outcomes(passed=1)
    run = run_of(project)
    assert len(run["block_starts_ns"]) == 30
    assert run["settling_calls"] == 60
    assert ", horizon " in table(result)[0]
    span, horizon = one_line_with(project.report(), "| **MET** |").split("|")[-3:-1]
    assert span.strip() != "-" != horizon.strip()
    assert "whatever the looks and stops" in " ".join(project.report().split())


adjusted = pytest.mark.skipif(
    SchedulerCounters().source == "none", reason="this system does not count how long a thread waits for a CPU"
)


@adjusted
@pytest.mark.parametrize("place", ["marker", "sla.toml"])
def test_a_promise_about_the_adjusted_clock_shows_both_numbers(project: Project, place: str) -> None:
    objective = OBJECTIVE.replace("p99", "p50").format(target="cpu", limit="10s")
    project.write_sla(objective + 'clock = "adjusted"\n')
    project.write_test(ONE.format(how=', clock="adjusted"'))
    result = project.run("-W", "error", LENIENT, "test_it.py" if place == "marker" else "sla.toml")
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines([r"MET .* adjusted \(.*s wall\) \["])
    row = one_line_with(project.report(), "| **MET** |")
    assert " adjusted (" in row
    assert " wall) |" in row
    assert method(project, "clock").startswith(
        "adjusted, as the promise declares: wall less time waiting for a CPU by "
    )
    assert "the time spent waiting for a CPU is left out, as the promise declares" in project.report()
    ((entry),) = project.results()
    measured = entry["measurement"]
    assert measured["verdicts"][0]["clock"] == "adjusted"
    assert measured["verdicts"][0]["measured_ns"] == measured["adjusted_percentiles_ns"]["P50"]
    assert len(measured["run"]["scheduler"]["run_delay_ns"]) == len(measured["run"]["samples_ns"])


HELPED = """
import hashlib
import threading

@pytest.fixture
def helper():
    stop = threading.Event()
    # Hashing a large block leaves the interpreter to others: this thread uses a CPU of its own.
    block = bytes(4_000_000)

    def burn():
        while not stop.is_set():
            hashlib.sha256(block)

    thread = threading.Thread(target=burn)
    thread.start()
    yield
    stop.set()
    thread.join()

@cpu
@pytest.mark.sla(p50="10s"{how})
def test_it(latency, helper):
    latency(work)
"""


def test_the_adjusted_clock_does_not_count_when_own_threads_work(project: Project) -> None:
    project.write_test(HELPED.format(how=', clock="adjusted"'))
    result = project.run("-W", "error", "--sla-policy=lenient")
    result.assert_outcomes(failed=1)
    line = one_line_with(result.stdout.str(), "[test_it · model-inference · cpu]")
    assert line.startswith('INVALID: the promise is about clock = "adjusted", which does not count here: ')
    assert "times the CPU time of the measuring thread, so the wait may be for its own threads" in line
    assert "adjusted (" not in one_line_with(project.report(), "| **INVALID** |")
    ((entry),) = project.results()
    assert entry["measurement"]["adjusted_percentiles_ns"] == {}


def test_on_the_wall_clock_own_threads_are_only_said(project: Project) -> None:
    project.write_test(HELPED.format(how=""))
    project.run("-W", "error", LENIENT).assert_outcomes(passed=1)
    assert method(project, "clock").startswith("wall; the adjusted clock does not count: the process used ")
    assert one_line_with(project.report(), "worker threads of the process itself").startswith("- information: ")


def cold_starts(project: Project) -> list[str]:
    """Names of the report's cold starts; each has a time."""
    rows = [line.split("|")[1:3] for line in project.report().splitlines() if line.startswith("| cold start, ")]
    assert all(time.strip()[0].isdigit() for _, time in rows)
    return [name.strip().removesuffix(" (first call, not judged)") for name, _ in rows]


def test_cold_starts_of_sla_toml_are_one_for_each_shape(project: Project) -> None:
    head = TINY_MODEL.replace("[4096, 4] }", "[4096, 4], cold_shapes = [[1, 4], [7, 4]] }")
    project.write_sla(OBJECTIVE.format(target="cpu", limit="10s"), head=head)
    project.run("-W", "error", LENIENT, "sla.toml").assert_outcomes(passed=1)
    names = cold_starts(project)
    assert names[0] == "cold start, measured inputs"
    assert len(names) == 3
    for name, shape in zip(names[1:], ("\\[1, 4\\]", "\\[7, 4\\]"), strict=True):
        assert shape in name
    assert [cold["duration_ns"] > 0 for cold in run_of(project)["cold_starts"]] == [True] * 3


def test_cold_starts_of_a_test_are_one_for_each_of_its_inputs(project: Project) -> None:
    project.write_test("""
import numpy as np

@cpu
@pytest.mark.sla(p50="10s")
def test_it(latency):
    arrays = [np.ones((size, 2), dtype=np.float32) for size in (3, 5, 5)]
    latency(lambda x: work(), np.ones((9, 2)), cold_inputs=[(array,) for array in arrays])
""")
    project.run("-W", "error", LENIENT).assert_outcomes(passed=1)
    assert [cold["inputs"] for cold in run_of(project)["cold_starts"]] == [
        "measured inputs",
        "other inputs 1: float32 [3, 2]",
        "other inputs 2: float32 [5, 2]",
        "other inputs 3: float32 [5, 2]",
    ]
    assert len(cold_starts(project)) == 4
