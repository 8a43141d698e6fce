"""kill -9 at every stage of a run: before and after each step, and inside the writing of each file."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.faults.check import check_left, check_next
from tests.faults.hook import HALF, RENAMED, RENAMING, TEMPORARY, Strike
from tests.faults.project import Planted
from tests.faults.row import Row, Survived

_PLUGIN = "voiceflow_ml.pytest_plugin"
_SAMPLER = "voiceflow_ml.latency.sampler:Sampler"
_RESULT, _REPORT, _PAGE = "[0-9]*.json", "PERFORMANCE_ANALYSIS.md", "performance.html"
_HOLDS = "no finished test lost, report names the rest as NOT RUN, next run clean"


def struck(strike: Strike, folder: Path) -> Survived:
    """Let a run kill itself, look at what is left, run again."""
    project = Planted(folder)
    ended = project.run(strike=strike)
    assert ended.exit_status == -signal.SIGKILL, f"it was not struck: {ended.output}"
    finished = check_left(project)
    check_next(project)
    return Survived(finished, ended.exit_status)


# What the point is called, then the strike. Those that are quick are part of the tests.
_STEPS: tuple[tuple[str, Strike], ...] = (
    ("settings being read", Strike("before", f"{_PLUGIN}.hooks:read_settings")),
    ("a test being collected", Strike("after", f"{_PLUGIN}.hooks:assign", 2)),
    ("sla.toml read", Strike("after", "voiceflow_ml.sla.load:load_sla")),
    ("plan made, nothing written", Strike("before", f"{_PLUGIN}.ledger:Ledger.begin")),
    ("plan written, no test begun", Strike("after", f"{_PLUGIN}.ledger:Ledger.begin")),
    ("setup of the first test", Strike("before", f"{_PLUGIN}.outcomes:forget")),
    ("device lock held, nothing measured", Strike("before", f"{_PLUGIN}.measuring:_sample", finished=1)),
    ("model about to be opened", Strike("before", "voiceflow_ml.inference.declared:open_declared", finished=2)),
    ("first of two models opened", Strike("after", "voiceflow_ml.inference.declared:open_declared", finished=2)),
    ("second of two models opened", Strike("after", "voiceflow_ml.inference.declared:open_declared", 2, finished=2)),
    ("machine watched", Strike("after", f"{_PLUGIN}.measuring:start_watch", finished=1)),
    ("cold start", Strike("after", f"{_SAMPLER}._time", finished=1)),
    ("middle of the warm-up", Strike("after", f"{_SAMPLER}._time", 15, finished=2)),
    ("end of the warm-up", Strike("after", f"{_SAMPLER}.begin", finished=2)),
    ("first block about to begin", Strike("before", f"{_SAMPLER}.block", finished=1)),
    ("inside a block", Strike("after", "voiceflow_ml.latency.recorder:Recorder._count", 37, finished=1)),
    ("between two blocks", Strike("after", f"{_SAMPLER}.block", 4, finished=1)),
    ("between blocks of two that take turns", Strike("after", f"{_SAMPLER}.block", 21, finished=2)),
    ("between two looks", Strike("after", f"{_SAMPLER}._look", 12, finished=2)),
    ("all samples taken", Strike("before", f"{_SAMPLER}.run", finished=1)),
    ("verdict about to be made", Strike("before", f"{_PLUGIN}.measuring:judge_run", finished=1)),
    ("verdict made, nothing written", Strike("after", f"{_PLUGIN}.measuring:judge_run", finished=1)),
    ("evidence collected", Strike("after", "voiceflow_ml.inference.run_findings:collect_findings", finished=2)),
    ("measurement of the second of two assembled",
     Strike("after", "voiceflow_ml.results.assemble:assemble", 2, finished=2)),
    ("samples about to go to pytest-benchmark", Strike("before", f"{_PLUGIN}.benchmark_bridge:hand_over", finished=3)),
    ("samples handed to pytest-benchmark", Strike("after", f"{_PLUGIN}.benchmark_bridge:hand_over", finished=1)),
    ("verdict about to fail its test", Strike("before", f"{_PLUGIN}.outcomes:enforce", finished=1)),
    ("result made", Strike("after", f"{_PLUGIN}.outcomes:result_of", 2, finished=1)),
    ("result about to be written", Strike("before", "voiceflow_ml.results.store:ResultStore.write_result", finished=4)),
    ("result written, report not", Strike("after", "voiceflow_ml.results.store:ResultStore.write_result", finished=1)),
    ("report about to be rendered", Strike("before", "voiceflow_ml.reporting.publish:render_report", finished=1)),
    ("report rendered, not written", Strike("after", "voiceflow_ml.reporting.publish:render_report", finished=3)),
    ("page about to be rendered", Strike("before", "voiceflow_ml.reporting.publish:render_page", finished=2)),
    ("a test over, the next not begun", Strike("end of", "a test", finished=1)),
    ("the second of two in turns about to be taken up", Strike("end of", "a test", finished=3)),
    ("last test over", Strike("end of", "a test", finished=5)),
    ("books about to be closed", Strike("before", f"{_PLUGIN}.ledger:Ledger.finish")),
    ("old charts being removed",
     Strike("after", "voiceflow_ml.reporting.publish:Publisher._remove_others", finished=5)),
    ("files for other tools about to be written", Strike("before", "voiceflow_ml.reporting.outputs:write_outputs")),
    ("books closed", Strike("after", f"{_PLUGIN}.ledger:Ledger.finish")),
    ("junit.xml being written", Strike("before", "xml.etree.ElementTree:tostring")),
    ("junit.xml written", Strike("after", "_pytest.junitxml:LogXML.pytest_sessionfinish")),
    ("table about to be printed", Strike("before", f"{_PLUGIN}.ledger:Ledger.summarize")),
    ("table printed", Strike("after", f"{_PLUGIN}.ledger:Ledger.summarize")),
    ("end of the run, interpreter still there", Strike("end of", "the run")),
)  # fmt: skip
_FILES: tuple[tuple[str, Strike], ...] = (
    *(("the session's first record", Strike(when, "session.json")) for when in (TEMPORARY, HALF, RENAMING, RENAMED)),
    *(("the first report", Strike(when, _REPORT)) for when in (HALF, RENAMING, RENAMED)),
    ("the first page", Strike(RENAMED, _PAGE)),
    *(("a result", Strike(when, _RESULT, finished=1)) for when in (TEMPORARY, HALF, RENAMING, RENAMED)),
    *(("a report", Strike(when, _REPORT, finished=2)) for when in (HALF, RENAMING, RENAMED)),
    *(("a chart", Strike(when, "*-tail.svg", finished=1)) for when in (HALF, RENAMED)),
    *(("a page", Strike(when, _PAGE, finished=3)) for when in (HALF, RENAMING)),
    *(("the session's last record", Strike(when, "session.json", finished=5)) for when in (HALF, RENAMING, RENAMED)),
    *(("the last report", Strike(when, _REPORT, 2, finished=4)) for when in (RENAMING, RENAMED)),
    *(("the last page", Strike(when, _PAGE, 2, finished=4)) for when in (RENAMING, RENAMED)),
    *(("comment.md", Strike(when, "comment.md")) for when in (HALF, RENAMED)),
    *(("benchmark-action.json", Strike(when, "benchmark-action.json")) for when in (RENAMING, RENAMED)),
    *(("bencher.json", Strike(when, "bencher.json")) for when in (RENAMING, RENAMED)),
    *(("openmetrics.txt", Strike(when, "openmetrics.txt")) for when in (HALF, RENAMED)),
)  # fmt: skip
_QUICK = {
    "plan made, nothing written",
    "inside a block",
    "the second of two in turns about to be taken up",
    f"{HALF} a result",
    f"{RENAMED} a result",
    f"{RENAMING} the last report",
}


def _row(number: int, planted: str, strike: Strike) -> Row:
    return Row(
        f"kill-{number:02d}", "kill -9", planted, _HOLDS, lambda folder: struck(strike, folder), planted in _QUICK
    )


_POINTS = (*_STEPS, *((f"{strike.when} {name}", strike) for name, strike in _FILES))
ROWS = tuple(_row(number, planted, strike) for number, (planted, strike) in enumerate(_POINTS, start=1))
