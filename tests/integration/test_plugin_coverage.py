"""What was promised and not measured stays in sight."""

from __future__ import annotations

import pytest

from tests.integration.plugin_project import Project, table

INLINE = """
@pytest.mark.hardware
@pytest.mark.sla(p99="10s")
def test_inline(latency):
    latency(work)
"""


def test_promises_that_no_test_refers_to_are_shown_as_not_run(project: Project) -> None:
    project.promise("cpu")
    project.write_test(INLINE)
    result = project.run()
    result.assert_outcomes(passed=1)
    rows = [" ".join(line.split()) for line in table(result)]
    assert rows[0].startswith("MET test_inline · model-inference · cpu")
    assert rows[1:] == [
        "NOT RUN tiny · model-inference · cpu P99 <= 10 s no test of this run measures it",
        "1 NOT RUN, 1 MET",
    ]


def test_an_sla_file_that_makes_no_sense_stops_the_run_though_no_test_refers_to_it(project: Project) -> None:
    project.promise("cpu", limit="10")
    project.write_test(INLINE)
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *sla.toml:*: objective[[]1].p99: '10' has no unit*"])
