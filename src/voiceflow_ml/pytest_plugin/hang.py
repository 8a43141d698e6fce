"""One inference that does not come back: noticed by a thread beside it, which ends the session with what there is.

Nothing can stop native code that hangs, so the session cannot go on in this process. The test's result is written as an
ERROR, the books are closed as ever, and the process ends itself. See docs/adr/0012.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.pytest_plugin.exit_status import ExitStatus
from voiceflow_ml.pytest_plugin.state import ASSIGNMENT, LEDGER, RESULT_PROPERTY, STARTED_AT, is_worker
from voiceflow_ml.units import NS_PER_S, format_count, format_ns, parse_duration_ns

_LOOKS = 10
"""Looks within one limit: a hang is noticed within a tenth of it more."""
_LONGEST_LOOK_S = 1.0
MANY_LIMITS = 10
"""For what runs a model once and does more beside it, such as loading what counts its work."""

T = TypeVar("T")
Hung = Callable[[pytest.Item, int], None]


def add_hang_option(group: pytest.OptionGroup) -> None:
    """Declare ``--sla-hang-timeout``."""
    group.addoption(
        "--sla-hang-timeout",
        default=None,
        metavar="DURATION",
        type=_parse_limit,
        help="when one inference does not come back within this, such as 60s, write its test as an ERROR and end the "
        "session; with -n only its worker ends and the other tests go on. Default: wait as long as it takes.",
    )


def _parse_limit(text: str) -> int:
    try:
        return parse_duration_ns(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class HangWatch:
    """Watches the calls that are made through it, while it is entered; without a limit it does nothing.

    Time is counted in looks of its own thread, so that a process that was stopped, or a machine that slept, is not
    taken for an inference that hangs.

    Args:
        limit_ns: longest that one call may take; None for as long as it takes.
        hung: told, once and in the watching thread, which test's call it is and how many calls came back before.
    """

    def __init__(self, limit_ns: int | None, hung: Hung) -> None:
        self._limit_ns, self._hung = limit_ns, hung
        self._item: pytest.Item | None = None
        self._returned = 0
        self._over, self._patience = False, 1
        self._done = threading.Event()

    @classmethod
    def of(cls, config: pytest.Config) -> HangWatch:
        """The watch that the command line asks for; a call that hangs ends the session."""
        limit_ns: int | None = config.getoption("--sla-hang-timeout")
        return cls(limit_ns, lambda item, returned: end_session(item, _sentence(limit_ns or 0, returned)))

    def watched(self, item: pytest.Item, call: Callable[[], T], patience: int = 1) -> Callable[[], T]:
        """The call, watched on behalf of a test: two stores and an addition more in the timed region.

        A call that times itself is a client, which has limits of its own, and stays as it is.

        Args:
            item: the test.
            call: the call.
            patience: how many times the limit it may take, because it is not one inference alone.
        """
        from voiceflow_ml.latency import SelfTimed  # noqa: PLC0415

        if self._limit_ns is None or isinstance(call, SelfTimed):
            return call

        def watched() -> T:
            self._item = item
            try:
                returned = call()
            finally:
                self._item = None
                self._returned += 1
            if self._over:
                # Back after all, too late: its session is being ended, and must not go on beside that.
                threading.Event().wait()
            return returned

        def patient() -> T:
            self._patience = patience
            try:
                return watched()
            finally:
                # It is none of the inferences that came back.
                self._patience, self._returned = 1, self._returned - 1

        return watched if patience == 1 else patient

    def __enter__(self) -> HangWatch:
        if self._limit_ns is not None:
            threading.Thread(target=self._look, args=(self._limit_ns,), name="hang-watch", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop watching."""
        self._done.set()

    def _look(self, limit_ns: int) -> None:
        every_s = min(limit_ns / _LOOKS / NS_PER_S, _LONGEST_LOOK_S)
        stood_ns, before = 0, self._returned
        while not self._done.wait(every_s):
            item, returned = self._item, self._returned
            stood_ns = stood_ns + round(every_s * NS_PER_S) if item is not None and returned == before else 0
            before = returned
            if item is not None and stood_ns > limit_ns * self._patience:
                self._over = True
                self._hung(item, returned)
                return


def _sentence(limit_ns: int, returned: int) -> str:
    return (
        f"one inference did not come back within {format_ns(limit_ns)} (--sla-hang-timeout), after "
        f"{format_count(returned)} that did; nothing can stop it, so the session was ended: mend the model or its "
        "provider, or run with -n 1, where only the worker ends"
    )


def end_session(item: pytest.Item, sentence: str) -> NoReturn:
    """End the session from a thread, as pytest would have: this test an ERROR, all files written, an exit status.

    Args:
        item: the test that cannot end.
        sentence: what becomes of it.
    """
    status = int(ExitStatus.ERROR)
    try:
        status = _close_books(item, sentence)
    except BaseException:
        # Whatever happens here, the process must not stay.
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def _close_books(item: pytest.Item, sentence: str) -> int:
    config, session = item.config, item.session
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=sentence,
        when="call",
        user_properties=[(RESULT_PROPERTY, _result(item, sentence))],
    )
    item.ihook.pytest_runtest_logreport(report=report)
    if is_worker(config):
        # Its controller has the report, sees that the worker is gone, and gives the other tests to the next.
        return int(ExitStatus.ERROR)
    config.stash[LEDGER].cut_short()
    session.exitstatus = pytest.ExitCode.TESTS_FAILED
    config.hook.pytest_sessionfinish(session=session, exitstatus=session.exitstatus)
    return int(session.exitstatus)


def _result(item: pytest.Item, sentence: str) -> str:
    from voiceflow_ml.results.record import Result, State  # noqa: PLC0415

    now = datetime.now(UTC).isoformat(timespec="seconds")
    planned = item.stash[ASSIGNMENT].planned(item)
    return Result(planned, State.ERROR, reason=sentence, started_at=item.stash.get(STARTED_AT, now)).to_json()
