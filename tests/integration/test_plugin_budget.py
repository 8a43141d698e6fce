"""The budget of an end-to-end promise: declared while nothing measures a stage, measured once a test does."""

from __future__ import annotations

from tests.integration.plugin_project import OBJECTIVE, Project, one_line_with

END_TO_END = '[[objective]]\nmodel = "tiny"\nstage = "end-to-end"\ntarget = "cpu"\np99 = "100ms"\n'
STAGES = """
[stages.network]
low = "10ms"
high = "40ms"

[stages.server-processing]
low = "5ms"
high = "10ms"
"""
MEASURES_THE_NETWORK = """
@cpu
@pytest.mark.sla("tiny", stage="network", p99="1s")
def test_network(latency):
    latency(work)
"""


def test_the_report_adds_up_what_is_measured_and_what_is_declared(project: Project) -> None:
    project.write_sla(OBJECTIVE.format(target="cpu", limit="10s"), END_TO_END, STAGES)
    project.run("sla.toml").assert_outcomes(passed=1, skipped=1)
    report = project.report()
    assert "### tiny · end-to-end · cpu, P99 <= 100 ms" in report.partition("## Latency budget")[2]
    assert one_line_with(report, "| network | declared, not measured: 10 ms to 40 ms |")
    assert one_line_with(report, "| model-inference | measured: 2 000 samples |")
    # On paper it holds, and it is no verdict all the same.
    assert one_line_with(report, "| **NOT RUN** | tiny · end-to-end · cpu |")
    (chart,) = (project.reports / "charts").glob("*-budget.svg")
    assert f"(charts/{chart.name})" in report
    assert "declared, not measured" in chart.read_text(encoding="utf-8")


def test_a_stage_that_a_test_measures_is_no_longer_declared(project: Project) -> None:
    project.write_sla(OBJECTIVE.format(target="cpu", limit="10s"), END_TO_END, STAGES)
    project.write_test(MEASURES_THE_NETWORK)
    project.run("sla.toml", "test_it.py").assert_outcomes(passed=2, skipped=1)
    report = project.report()
    assert one_line_with(report, "| network | measured: 2 000 samples |")
    assert one_line_with(report, "| server-processing | declared, not measured: 5 ms to 10 ms |")
