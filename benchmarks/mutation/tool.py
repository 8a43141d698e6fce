"""Runs mutmut on functions under a decorator too, many mutants a second, and on a machine that others use as well.

python -m benchmarks.mutation.tool 'voiceflow_ml.latency.*'

In a process of its own: the tests must find the mutated modules, so nothing here may import the project's.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
import zlib
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import _prepareconfig
from mutmut import __main__ as mutmut
from mutmut import configuration
from mutmut.mutation import trampoline
from mutmut.runners import harness
from mutmut.state import state
from mutmut.workers import isolation

from benchmarks.mutation.decorated import mutate_decorated

_PATIENCE = 15
"""Wall time that a mutant may take, over its CPU time."""
_CONTROL_LIMIT_S = 600
_NO_TESTS, _BROKEN = 33, 35
"""mutmut's exit statuses of a mutant that no test reaches, and of one of which nothing was found out."""
_SAME_PROCESS = ("-p", "no:unraisableexception")
"""A mutant's process has its output taken away, and the end of the old one is no failure of a test."""
_PROFILE = {"HYPOTHESIS_PROFILE": "mutation", "OMP_NUM_THREADS": "1"}


class OneAtATime(isolation.ForkServerRunner):
    """Collects the tests once, and forks for one mutant after the other; each runs them as they are, quick ones first.

    mutmut starts pytest anew for each mutant, which takes ten times as long as most mutants live.
    """

    def startup(self) -> None:
        """Collect the tests, and see that they pass."""
        self._done: list[isolation.MutantResult] = []
        chosen = configuration.config()
        here = Path.cwd()
        os.chdir("mutants")
        arguments = [*chosen.pytest_add_cli_args, *chosen.pytest_add_cli_args_test_selection]
        self._session = collect(["--rootdir=.", "-x", "-q", *_SAME_PROCESS, *arguments])
        # What is there now is no garbage: no mutant's process needs to look at it.
        gc.collect()
        gc.freeze()
        os.chdir(here)
        check_unchanged(self._session)

    def submit(self, mutant_name: str, tests: list[str], cpu_time_limit: int, estimated_time: float) -> None:  # noqa: ARG002
        """Test a mutant, and keep what became of it."""
        lasts_s = state().duration_by_test
        ordered = sorted(tests, key=lambda test: (lasts_s[test], test))
        code = outcome_of(self._session, mutant_name, ordered, cpu_time_limit) if tests else _NO_TESTS
        self._done.append(isolation.MutantResult(mutant_name=mutant_name, exit_code=code, duration=0.0))

    def has_capacity(self) -> bool:
        """Whether the mutant before is reported."""
        return not self._done

    def wait_for_result(self, timeout: float | None = None) -> isolation.MutantResult:  # noqa: ARG002
        """The mutant that was tested last."""
        return self._done.pop()

    def pending_count(self) -> int:
        """How many are tested and not reported."""
        return len(self._done)

    def signal_work_complete(self) -> None:
        """Nothing waits for more."""

    def stop_all_workers(self) -> None:
        """None runs between two mutants."""

    def shutdown(self) -> None:
        """Nothing is left."""

    def run_clean_tests(self, tests: Iterable[str]) -> int:  # noqa: ARG002
        """Done at the start, in the very process that mutants are forked from."""
        return 0


def one_at_a_time(_max_children: int = 1) -> OneAtATime:
    """The runner for mutmut, whatever number of processes it asks for."""
    return OneAtATime(1, harness.PytestRunner, {})


def outcome_of(session: pytest.Session, mutant: str, tests: Sequence[str], cpu_limit_s: int) -> int:
    """Run tests in a process of its own, on a mutant or on the unchanged program (""); its exit status."""
    child = os.fork()
    if child == 0:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            sys.stdout = sys.stderr = nowhere
            os.chdir("mutants")
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_limit_s + int(time.process_time()), resource.RLIM_INFINITY))
            # Beside other programs only CPU time tells an endless loop; this ends what waits for ever.
            signal.alarm(_PATIENCE * cpu_limit_s)
            trampoline.set_mutant_under_test(mutant)
            code = _BROKEN
            try:
                code = run_collected(session, tests)
            finally:
                # Whatever was raised, nothing else of this process may run in the child.
                os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check_unchanged(session: pytest.Session) -> None:
    """See that the program itself is not taken for a killed mutant.

    Raises:
        RuntimeError: a test fails in a process that is made as a mutant's is.
    """
    if outcome_of(session, "", control_tests(session), _CONTROL_LIMIT_S) != 0:
        raise RuntimeError(
            "a test fails on the unchanged program: run the tests that [tool.mutmut] selects, and mend it"
        )


def control_tests(session: pytest.Session) -> list[str]:
    """The tests that have to pass first: all."""
    return [item.nodeid for item in session.items]


class FailedError(Exception):
    """A test failed."""


class FirstFailure:
    """Ends a mutant at its first failing test: to say where and why takes ten times as long as most tests."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self) -> tuple[str, str, str]:
        """Say nothing of single tests."""
        return "", "", ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Raise for what would be reported as a failure."""
        allowed = (pytest.skip.Exception, pytest.xfail.Exception)
        if (
            call.excinfo is not None
            and not isinstance(call.excinfo.value, allowed)
            and not item.get_closest_marker("xfail")
        ):
            raise FailedError
        return (yield)


def collect(arguments: list[str]) -> pytest.Session:
    """A pytest session that has collected its tests and not run any."""
    config = _prepareconfig(arguments, [FirstFailure()])
    session = pytest.Session.from_config(config)
    config._do_configure()
    config.hook.pytest_sessionstart(session=session)
    config.hook.pytest_collection(session=session)
    return session


def run_collected(session: pytest.Session, tests: Sequence[str]) -> int:
    """Run tests until one fails; pytest's exit status."""
    by_id = {item.nodeid: item for item in session.items}
    items = [by_id[test] for test in tests]
    for item, following in zip(items, [*items[1:], None], strict=True):
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        except FailedError:
            return 1
    return int(session.testsfailed > 0)


def drawn_place(mutant: str) -> float:
    """A mutant's place in the order of a run, as good as drawn: a run that is broken off has tested a sample."""
    return zlib.crc32(mutant.encode())


def main() -> None:
    """Test the mutants whose names match the patterns given, one at a time; all that are not yet tested by default."""
    os.environ.update(_PROFILE)
    mutate_decorated()
    program: Any = mutmut
    program.get_mutant_runner = one_at_a_time
    program.estimated_worst_case_time = drawn_place
    program._run(sys.argv[1:], 1)


if __name__ == "__main__":
    main()
