"""From a verdict to a test's outcome, under every policy."""

from __future__ import annotations

import pytest

from tests.integration.plugin_project import THREE_VERDICTS, Project, one_line_with, table
from voiceflow_ml.pytest_plugin.exit_status import MEANINGS, ExitStatus

LENIENT, STRICT, REPORT_ONLY = "--sla-policy=lenient", "--sla-policy=strict", "--sla-policy=report-only"

# No P99 is judged from one block of samples.
OPEN = "--sla-time-budget=1ns"

ONE_TEST = """
@cpu
@met
def test_one(latency):
    latency(work)
"""

# The clock cannot resolve what takes no time; nothing else is wrong with it.
TOO_SHORT = """
@cpu
@met
def test_one(latency):
    latency(int)
"""


def test_met_passes_and_a_breach_fails_with_one_sentence(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    result = project.run("-W", "error")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ test_second[[]cpu[]] _*",
            "BREACHED, P99 *: P99 is over 1 ns * 500 of 500 samples * [[]test_second · model-inference · cpu[]]",
            "FAILED test_it.py::test_second[[]cpu[]] - Failed: BREACHED, P99 *",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "outcomes.py" not in result.stdout.str()
    assert [line.split()[0] for line in table(result)[:4]] == ["MET", "BREACHED", "MET", "MET"]
    assert table(result)[4] == "1 BREACHED, 3 MET"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(LENIENT, {"xfailed": 1}), (STRICT, {"failed": 1}), (REPORT_ONLY, {"xfailed": 1})],
)
def test_inconclusive(project: Project, policy: str, expected: dict[str, int]) -> None:
    project.write_test(ONE_TEST)
    result = project.run("-W", "error", "-rx", OPEN, policy)
    result.assert_outcomes(**expected)
    assert result.ret == (ExitStatus.INCONCLUSIVE if policy == STRICT else pytest.ExitCode.OK)
    line = one_line_with(result.stdout.str(), "[test_one · model-inference · cpu]")
    assert "INCONCLUSIVE, P99 " in line
    assert "0 of 10 samples took longer" in line
    assert "a P99 is never judged from fewer than 500 samples" in line
    assert table(result)[0].startswith("INCONCLUSIVE  test_one")


@pytest.mark.parametrize(("policy", "expected"), [(LENIENT, "failed"), (STRICT, "failed"), (REPORT_ONLY, "xfailed")])
@pytest.mark.parametrize(
    ("source", "verdict"), [(TOO_SHORT, "INVALID"), (ONE_TEST.replace("@met", "@breached"), "BREACHED")]
)
def test_breached_and_invalid(project: Project, source: str, verdict: str, policy: str, expected: str) -> None:
    project.write_test(source)
    result = project.run("-rx", policy)
    result.assert_outcomes(**{expected: 1})
    failing = ExitStatus.INVALID if verdict == "INVALID" else pytest.ExitCode.TESTS_FAILED
    assert result.ret == (pytest.ExitCode.OK if policy == REPORT_ONLY else failing)
    result.stdout.fnmatch_lines([f"*{verdict}*"])
    assert table(result)[0].startswith(verdict)


@pytest.mark.parametrize(
    ("ci", "expected"), [("true", "failed"), ("1", "failed"), ("", "xfailed"), ("false", "xfailed")]
)
def test_ci_is_strict_and_a_desk_is_lenient(
    project: Project, monkeypatch: pytest.MonkeyPatch, ci: str, expected: str
) -> None:
    monkeypatch.setenv("CI", ci)
    project.write_test(ONE_TEST)
    project.run(OPEN).assert_outcomes(**{expected: 1})
    (session,) = project.sessions()
    policy = "strict" if expected == "failed" else "lenient"
    assert f'"policy": "{policy}"' in (session / "session.json").read_text(encoding="utf-8")


def test_report_only_is_said_in_the_table_and_at_the_top_of_the_report(project: Project) -> None:
    project.write_test(ONE_TEST)
    result = project.run(REPORT_ONLY)
    assert table(result)[-1] == "1 MET (report-only: no verdict fails this run)"
    assert "Report only" in project.report().partition("## ")[0]


def test_runxfail_does_not_turn_an_open_verdict_into_a_pass(project: Project) -> None:
    project.write_test(ONE_TEST)
    result = project.run("--runxfail", OPEN, LENIENT)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["INCONCLUSIVE, P99 *"])


MISUSES = """
@cpu
@met
def test_never(latency):
    pass

@cpu
@met
def test_twice(latency):
    latency(work)
    latency(work)

@cpu
@met
def test_asserts(latency):
    measurement = latency(work)
    assert measurement.percentiles_ns["P50"] == 1, "the assertion's own words"

@cpu
@met
def test_raises(latency):
    latency({}.__getitem__, "the missing key")

@cpu
@met
def test_skips(latency):
    pytest.skip("not today")

@pytest.fixture
def broken():
    raise RuntimeError("no such thing")

@cpu
@met
def test_setup(latency, broken):
    latency(work)

@cpu
@met
@pytest.mark.xfail(reason="known to be slow", raises=pytest.fail.Exception, strict=True)
@breached
def test_known(latency):
    latency(work)
"""


def test_what_else_can_become_of_a_measured_test(project: Project) -> None:
    project.write_test(MISUSES)
    result = project.run("-W", "error", "-rx")
    result.assert_outcomes(failed=4, skipped=1, errors=1, xfailed=1)
    never = "nothing was measured: the test never called latency(...)"
    twice = "latency measures once per test: write a second test for a second measurement"
    for sentence in (never, twice):
        assert result.outlines.count(sentence) == 1
    result.stdout.fnmatch_lines(
        ["E * AssertionError: the assertion's own words", "E * KeyError: 'the missing key'", "XFAIL * known to be slow"]
    )
    assert "During handling" not in result.stdout.str()
    states = {
        entry["planned"]["model"]: (entry["state"], entry["reason"].partition("\n")[0]) for entry in project.results()
    }
    assert states["test_never"] == ("error", never)
    assert states["test_twice"] == ("measured", twice)
    assert states["test_asserts"][0] == "measured"
    assert states["test_asserts"][1].startswith("AssertionError: the assertion's own words")
    assert states["test_raises"] == ("error", "KeyError: 'the missing key'")
    assert states["test_skips"] == ("skipped", "not today")
    assert states["test_setup"] == ("error", "RuntimeError: no such thing")
    assert states["test_known"] == ("measured", "known to be slow")


def test_the_benchmark_fixture_beside_latency_is_refused(project: Project) -> None:
    project.write_test("""
@cpu
@met
def test_both(latency, benchmark):
    latency(work)
    benchmark(work)
""")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E * Fixture can only be used once. Previously it was used in voiceflow-ml *"])


def test_stopping_at_the_first_breach_and_running_the_last_failure_again(project: Project) -> None:
    project.write_test(THREE_VERDICTS)
    result = project.run("-x")
    result.assert_outcomes(passed=1, failed=1)
    assert table(result)[2].split("  ")[0] == "NOT RUN"
    assert table(result)[2].endswith("  not reached")
    assert "Not finished" not in project.report()

    again = project.run("--lf", "-v")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["test_it.py::test_second[[]cpu[]] FAILED *"])


def test_a_run_that_measured_nothing_is_not_green(project: Project) -> None:
    project.write_test("""
@pytest.mark.hardware(targets=["cuda-t4"])
@met
def test_gpu(latency):
    latency(work)
""")
    result = project.run("-W", "error")
    result.assert_outcomes(skipped=1)
    assert result.ret == ExitStatus.NOT_RUN
    result.stdout.fnmatch_lines(
        ["NOT RUN *", "ERROR: nothing was measured, so nothing is promised: *", "report: reports/*"]
    )
    # The blank line between pytest's dots and the table's title comes from neither.
    assert "" not in table(result)


@pytest.mark.parametrize(("targets", "missing"), [("cpu", []), ("cpu,cuda-t4", ["cuda-t4"])])
def test_required_targets(project: Project, targets: str, missing: list[str]) -> None:
    project.write_test(ONE_TEST)
    result = project.run(f"--require-targets={targets}")
    result.assert_outcomes(passed=1)
    assert result.ret == (ExitStatus.NOT_RUN if missing else pytest.ExitCode.OK)
    problems = [line for line in result.outlines if line.startswith("ERROR: ")]
    assert problems == [f"ERROR: --require-targets: {name} has no verdict in this run" for name in missing]


def test_a_required_target_is_missing_when_only_plain_tests_ran(project: Project) -> None:
    project.write_test("def test_plain():\n    pass\n")
    result = project.run("--require-targets=cpu")
    assert result.ret == ExitStatus.NOT_RUN
    result.stdout.fnmatch_lines(["ERROR: --require-targets: cpu has no verdict in this run"])


ASSERTS = """
@cpu
@met
def test_asserts(latency):
    latency(work)
    assert False
"""
RAISES = """
@cpu
@met
def test_raises(latency):
    latency({}.__getitem__, "the missing key")
"""
OTHER = ONE_TEST.replace("test_one", "test_other")


@pytest.mark.parametrize(
    ("source", "arguments", "status"),
    [
        (ONE_TEST, [], 0),
        (ONE_TEST.replace("@met", "@breached"), [], 1),
        (ASSERTS, [], 1),
        (ONE_TEST, [OPEN, STRICT], ExitStatus.INCONCLUSIVE),
        (TOO_SHORT, [], ExitStatus.INVALID),
        (ONE_TEST, ["--require-targets=cuda-t4"], ExitStatus.NOT_RUN),
        (RAISES, [], ExitStatus.ERROR),
        (TOO_SHORT + OTHER.replace("@met", "@breached"), [], 1),
    ],
    ids=["met", "breached", "a test", "inconclusive", "invalid", "not run", "error", "breached beside invalid"],
)
def test_the_exit_status_tells_what_is_wrong_and_the_last_line_says_it(
    project: Project, source: str, arguments: list[str], status: int
) -> None:
    project.write_test(source)
    result = project.run(*arguments)
    assert result.ret == status
    said = [line for line in result.outlines if line.startswith("exit status ")]
    assert said == ([f"exit status {status:d}: {MEANINGS[ExitStatus(status)]}"] if status > 1 else [])


def test_workers_tell_their_controller_what_failed(project: Project) -> None:
    project.write_test(TOO_SHORT)
    assert project.run_apart("-n", "1").ret == ExitStatus.INVALID
