"""The session's books: results to disk as they arrive, the report after each, the table at the end."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from voiceflow_ml.errors import ResultError
from voiceflow_ml.files import remove_leftovers
from voiceflow_ml.pytest_plugin.ci import publish
from voiceflow_ml.pytest_plugin.comparing import baseline_problems
from voiceflow_ml.pytest_plugin.exit_status import MEANINGS, ExitStatus, Failed, exit_status
from voiceflow_ml.pytest_plugin.state import FAILED_PROPERTY, PLAN_PROPERTY, RESULT_PROPERTY, SETTINGS

if TYPE_CHECKING:
    from voiceflow_ml.reporting.publish import Publisher
    from voiceflow_ml.results.record import Planned, Result, Session

REPORT_NAME = "PERFORMANCE_ANALYSIS.md"
TEMPLATE_FOLDER = Path("reports") / "templates"
# The phase that pytest-xdist gives a test whose worker died.
_WORKER_DIED = "???"


class Ledger:
    """Collects the results of one session; lives in the controller under pytest-xdist.

    A file that cannot be written does not end the run: the problem is kept, shown, and turns it red.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings = config.stash[SETTINGS]
        now = datetime.now(UTC)
        self._started_at = now.isoformat(timespec="seconds")
        name = f"{now:%Y%m%dT%H%M%SZ}-{os.getpid()}"
        self.results_folder = self._settings.report_folder / "results" / name
        self.report_path = self._settings.report_folder / REPORT_NAME
        self.session: Session | None = None
        self.results: dict[str, Result] = {}
        self._problems: list[str] = []
        self._write_problem = ""
        self._has_folder = False
        # What an interrupt, or a disk that was full for a while, kept from being written: the next write tries again.
        self._unwritten: dict[str, Result] = {}
        self._cut_short = False
        self._publisher: Publisher | None = None
        self._reported: set[str] = set()
        self._failures: set[Failed] = set()
        self._exit_status = 0

    def begin(
        self, planned: tuple[Planned, ...], declared: tuple[Planned, ...], integrity: tuple[str, ...] = ()
    ) -> None:
        """Take the plan, and write a report in which nothing has run yet."""
        if self.session is not None:
            return
        from voiceflow_ml.hardware.git import git_commit  # noqa: PLC0415
        from voiceflow_ml.hardware.probe import probe_gpus, probe_machine  # noqa: PLC0415
        from voiceflow_ml.results.record import Session  # noqa: PLC0415

        root = self._config.rootpath
        # Asked of the driver only where a GPU is part of the run: two runs on different boards are told apart by it.
        gpus = {"GPU": probe_gpus().describe()} if self._settings.gpus else {}
        self.session = Session(
            started_at=self._started_at,
            command=shlex.join(["pytest", *self._config.invocation_params.args]),
            policy=str(self._settings.policy),
            confidence=self._settings.confidence,
            environment={**probe_machine(), **gpus, **_versions(), "commit": git_commit(root)},
            planned=planned,
            declared=declared,
            integrity=integrity,
        )
        self._write(None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what a report carries; a result is on disk before the next test starts."""
        self._reported.add(report.nodeid)
        for name, value in report.user_properties:
            if name == PLAN_PROPERTY:
                from voiceflow_ml.results.record import plan_from_json  # noqa: PLC0415

                self.begin(*plan_from_json(str(value)))
            elif name == RESULT_PROPERTY:
                from voiceflow_ml.results.record import Result  # noqa: PLC0415

                result = Result.from_json(str(value), report.nodeid)
                self.results[result.planned.node_id] = result
                self._write(result)
        if report.when == _WORKER_DIED:
            self._take_crash(report)
        if report.failed:
            self._failures.add(self._failure(report))
        # What travelled has arrived: nothing that reads reports later should print it.
        report.user_properties = [
            pair for pair in report.user_properties if pair[0] not in (PLAN_PROPERTY, RESULT_PROPERTY, FAILED_PROPERTY)
        ]

    def _failure(self, report: pytest.TestReport) -> Failed:
        """What failed a test: its verdict, or, where it was to measure and has no number, that it could not."""
        words = [value for name, value in report.user_properties if name == FAILED_PROPERTY]
        if words:
            return Failed(str(words[0]))
        result = self.results.get(report.nodeid)
        return Failed.ERROR if result is not None and result.measurement is None else Failed.TEST

    def _take_crash(self, report: pytest.TestReport) -> None:
        """A worker that died sent no result of the test that it was in: its controller makes one."""
        from voiceflow_ml.results.record import Result, State  # noqa: PLC0415

        planned = self.session.planned if self.session else ()
        for entry in planned:
            if entry.node_id == report.nodeid and report.nodeid not in self.results:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                result = Result(entry, State.ERROR, reason=report.longreprtext.strip(), started_at=now)
                self.results[report.nodeid] = result
                self._write(result)

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong beside the tests, one sentence each; any turns the run red."""
        return (*filter(None, [self._write_problem]), *self._problems)

    def cut_short(self) -> None:
        """Take note that the session is being ended before its tests are."""
        self._cut_short = True

    def finish(self, exitstatus: int) -> int:
        """Write the final report and return the exit status of the run."""
        if self.session is not None:
            ended = exitstatus not in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
            self.session = replace(self.session, finished=ended and not self._cut_short)
            self._write(None)
            planned = {entry.node_id for entry in self.session.planned}
            self._problems += baseline_problems(self._settings, [entry.model for entry in self.session.planned])
            self._check_coverage(only_hardware=self._reported <= planned)
        else:
            if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                self._problems += baseline_problems(self._settings, [])
            if self._settings.required_targets:
                self._check_coverage(only_hardware=False)
        failed = publish(self._config, self.session, self.ordered_results(), self.problems, self.report_path.parent)
        not_run = bool(self._problems)
        # What keeps the report from being written keeps these: one sentence says it all.
        self._problems += [] if self._write_problem else failed
        unwritten = bool(failed or self._write_problem)
        self._exit_status = exit_status(exitstatus, self._failures, not_run=not_run, unwritten=unwritten)
        return self._exit_status

    def _check_coverage(self, *, only_hardware: bool) -> None:
        """Find what would make a green run a lie: nothing measured, or a required target without a verdict."""
        from voiceflow_ml.latency.verdict import Outcome  # noqa: PLC0415

        measured = [result for result in self.results.values() if result.measurement is not None]
        proven = {result.planned.target for result in measured if Outcome.INVALID not in result.outcomes}
        for name in self._settings.required_targets:
            if name not in proven:
                self._problems.append(f"--require-targets: {name} has no verdict in this run")
        if only_hardware and not measured:
            self._problems.append("nothing was measured, so nothing is promised: see the reasons of the tests above")

    def _write(self, result: Result | None) -> None:
        """Write one result, or the session's record when there is none, and the report."""
        from voiceflow_ml.reporting.publish import Publisher  # noqa: PLC0415

        if self.session is None:
            return
        if self._publisher is None:
            self._publisher = Publisher(self.report_path, self._config.rootpath / TEMPLATE_FOLDER)
        if result is not None:
            self._unwritten[result.planned.node_id] = result
        try:
            self._store(self.session, with_session=result is None)
            self._write_problem = self._publisher.publish(self.session, self.ordered_results())
        except ResultError as error:
            self._write_problem = str(error)

    def _store(self, session: Session, *, with_session: bool) -> None:
        """Write the session's record, if it is new or was not written yet, and each result that is not on disk.

        Raises:
            ResultError: something cannot be written; what has not been is kept for the next time.
        """
        from voiceflow_ml.results.store import ResultStore, make_folder  # noqa: PLC0415

        if not self._has_folder:
            remove_leftovers(self._settings.report_folder)
            self.results_folder = make_folder(self.results_folder)
            self._has_folder = True
        store = ResultStore(self.results_folder)
        if with_session or not store.has_session:
            store.write_session(session)
        order = [planned.node_id for planned in session.planned]
        for node_id, result in tuple(self._unwritten.items()):
            store.write_result(result, order.index(node_id))
            del self._unwritten[node_id]

    def ordered_results(self) -> tuple[Result, ...]:
        """The results so far in the order of the plan, however they arrived."""
        planned = self.session.planned if self.session else ()
        return tuple(self.results[entry.node_id] for entry in planned if entry.node_id in self.results)

    def summarize(self, reporter: Any) -> None:
        """Print the table of verdicts, the problems and the path of the report."""
        if self.session is None and not self.problems:
            return
        reporter.write_sep("=", "latency promises")
        if self.session is not None:
            from voiceflow_ml.reporting.table import terminal_lines  # noqa: PLC0415

            for line, good in terminal_lines(self.session, self.ordered_results()):
                reporter.write_line(line, green=good is True, red=good is False, yellow=good is None)
        for problem in self.problems:
            reporter.write_line(f"ERROR: {problem}", red=True)
        if self._publisher is not None and self._publisher.report_written:
            reporter.write_line(f"report: {_relative(self.report_path, self._config.invocation_params.dir)}")
        if self._exit_status in MEANINGS:
            meaning = MEANINGS[ExitStatus(self._exit_status)]
            reporter.write_line(f"exit status {self._exit_status}: {meaning}", red=True)


def _relative(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _versions() -> dict[str, str]:
    import pytest_benchmark  # noqa: PLC0415

    from voiceflow_ml import __version__  # noqa: PLC0415

    return {
        "voiceflow-ml": __version__,
        "pytest": pytest.__version__,
        "pytest-benchmark": pytest_benchmark.__version__,
    }
