"""Under pytest-xdist: the same table, files and report as without, and never two measurements at once."""

from __future__ import annotations

import itertools
import re

from tests.integration.plugin_project import THREE_VERDICTS, Project, table, without_numbers
from voiceflow_ml.pytest_plugin.exit_status import ExitStatus

CUDA = """
@pytest.mark.hardware(targets=["cuda-t4"])
@met
def test_gpu(latency):
    latency(work)

@pytest.mark.xdist_group("others")
@cpu
@met
def test_grouped(latency):
    latency(work)

def test_plain():
    pass
"""

# Each measured call says when it ran, on the clock that all processes of a machine share.
STAMPED = """
import time

@cpu
@met
@pytest.mark.parametrize("number", range(6))
def test_stamped(latency, number):
    stamps = []

    def call():
        started = time.monotonic_ns()
        work()
        stamps.append((started, time.monotonic_ns()))

    latency(call)
    first, last = stamps[0][0], stamps[-1][1]
    Path(f"stamps-{number}-{os.environ['PYTEST_XDIST_WORKER']}.txt").write_text(f"{first} {last}")
"""


def rows(project: Project) -> list[str]:
    """The report's table without its numbers."""
    lines = [line for line in project.report().splitlines() if line.startswith("| **")]
    assert lines
    return without_numbers(lines)


def test_two_workers_give_the_same_table_files_and_report(project: Project) -> None:
    project.write_test(THREE_VERDICTS + CUDA)
    outcomes = {"passed": 4, "failed": 1, "skipped": 1}
    alone = project.run("-W", "error", "--sla-report=alone")
    alone.assert_outcomes(**outcomes)
    project.reports = project.root / "alone"
    project.report_path = project.reports / "PERFORMANCE_ANALYSIS.md"
    files, report_rows = project.result_files(), rows(project)

    # Without -W error: a warning must not even be printed, as a worker's are.
    parallel = project.run_apart("-n", "2", "--sla-report=parallel")
    parallel.assert_outcomes(**outcomes)
    project.reports = project.root / "parallel"
    project.report_path = project.reports / "PERFORMANCE_ANALYSIS.md"
    assert without_numbers(table(parallel)) == without_numbers(table(alone))
    assert [line.split("  ")[0] for line in table(alone)[:4]] == ["MET", "BREACHED", "MET", "MET"]
    assert project.result_files() == files
    assert files[0] == "0000-test-it-py-test-first-cpu.json"
    assert rows(project) == report_rows
    assert "arning" not in parallel.stdout.str() + parallel.stderr.str()


def test_the_notice_of_a_benchmark_that_is_not_ours_stays(project: Project) -> None:
    project.write_test(THREE_VERDICTS + "\ndef test_theirs(benchmark):\n    benchmark(work)\n")
    result = project.run_apart("-n", "1")
    assert "Benchmarks are automatically disabled because xdist plugin is active" in result.stderr.str()


def test_workers_take_turns_on_a_device(project: Project) -> None:
    project.write_test(STAMPED)
    result = project.run_apart("-W", "error", "-n", "2", "--dist", "loadgroup")
    result.assert_outcomes(passed=6)
    files = sorted(project.root.glob("stamps-*.txt"))
    workers = {re.sub(r".*-(gw\d)\.txt", r"\1", path.name) for path in files}
    assert workers == {"gw0", "gw1"}, "one worker alone would prove nothing"
    spans = sorted(tuple(map(int, path.read_text(encoding="utf-8").split())) for path in files)
    assert len(spans) == 6
    for (_, ended), (started, _) in itertools.pairwise(spans):
        assert ended <= started


def test_a_worker_that_dies_loses_only_its_own_test(project: Project) -> None:
    project.write_test("""
@cpu
@met
def test_first(latency):
    latency(work)

@cpu
@met
def test_dies(latency):
    latency(lambda: os.kill(os.getpid(), signal.SIGKILL))

@cpu
@met
def test_third(latency):
    latency(work)
""")
    result = project.run_apart("-n", "1")
    assert result.ret == ExitStatus.ERROR
    result.stdout.fnmatch_lines(["*worker 'gw0' crashed while running 'test_it.py::test_dies[[]cpu[]]'*"])
    assert [line.split("  ")[0] for line in table(result)] == ["MET", "ERROR", "MET", "1 ERROR, 2 MET"]
    assert "crashed while running" in table(result)[1]
    assert project.result_files() == [
        "0000-test-it-py-test-first-cpu.json",
        "0001-test-it-py-test-dies-cpu.json",
        "0002-test-it-py-test-third-cpu.json",
        "session.json",
    ]
