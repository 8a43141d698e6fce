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
    ("a test being collected", Strike("after", f"{_PLUGIN}.hooks:assign", 2)),
    ("plan made, nothing written", Strike("before", f"{_PLUGIN}.ledger:Ledger.begin")),
    ("device lock held, nothing measured", Strike("before", f"{_PLUGIN}.measuring:_sample", finished=1)),
    ("model about to be opened", Strike("before", "voiceflow_ml.inference.declared:open_declared", finished=2)),
    ("first of two models opened", Strike("after", "voiceflow_ml.inference.declared:open_declared", finished=2)),
    ("cold start", Strike("after", f"{_SAMPLER}._time", finished=1)),
    ("middle of the warm-up", Strike("after", f"{_SAMPLER}._time", 15, finished=2)),
    ("end of the warm-up", Strike("after", f"{_SAMPLER}.begin", finished=2)),
    ("inside a block", Strike("after", "voiceflow_ml.latency.recorder:Recorder._count", 37, finished=1)),
    ("between two blocks", Strike("after", f"{_SAMPLER}.block", 4, finished=1)),
    ("between blocks of two that take turns", Strike("after", f"{_SAMPLER}.block", 21, finished=2)),
    ("all samples taken", Strike("before", f"{_SAMPLER}.run", finished=1)),
    ("verdict made, nothing written", Strike("after", f"{_PLUGIN}.measuring:judge_run", finished=1)),
    ("measurement of the second of two assembled",
     Strike("after", "voiceflow_ml.results.assemble:assemble", 2, finished=2)),
    ("result made", Strike("after", f"{_PLUGIN}.outcomes:result_of", 2, finished=1)),
    ("result written, report not", Strike("after", "voiceflow_ml.results.store:ResultStore.write_result", finished=1)),
    ("report about to be rendered", Strike("before", "voiceflow_ml.reporting.publish:render_report", finished=1)),
    ("report rendered, not written", Strike("after", "voiceflow_ml.reporting.publish:render_report", finished=3)),
    ("a test over, the next not begun", Strike("end of", "a test", finished=1)),
    ("the second of two in turns about to be taken up", Strike("end of", "a test", finished=3)),
    ("books about to be closed", Strike("before", f"{_PLUGIN}.ledger:Ledger.finish")),
    ("books closed", Strike("after", f"{_PLUGIN}.ledger:Ledger.finish")),
    ("junit.xml being written", Strike("before", "xml.etree.ElementTree:tostring")),
    ("table about to be printed", Strike("before", f"{_PLUGIN}.ledger:Ledger.summarize")),
    ("end of the run, interpreter still there", Strike("end of", "the run")),
)  # fmt: skip
_FILES: tuple[tuple[str, Strike], ...] = (
    *(("the session's first record", Strike(when, "session.json")) for when in (HALF, RENAMED)),
    ("the first report", Strike(RENAMED, _REPORT)),
    *(("a result", Strike(when, _RESULT, finished=1)) for when in (TEMPORARY, HALF, RENAMING, RENAMED)),
    *(("a report", Strike(when, _REPORT, finished=2)) for when in (HALF, RENAMED)),
    ("a chart", Strike(HALF, "*-tail.svg", finished=1)),
    ("a page", Strike(HALF, _PAGE, finished=3)),
    *(("the session's last record", Strike(when, "session.json", finished=5)) for when in (HALF, RENAMED)),
    ("the last report", Strike(RENAMING, _REPORT, 2, finished=4)),
    ("comment.md", Strike(HALF, "comment.md")),
    ("openmetrics.txt", Strike(RENAMED, "openmetrics.txt")),
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
