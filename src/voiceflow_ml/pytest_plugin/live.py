"""The live line: what is being measured, how far it is, what the verdict still needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from voiceflow_ml.pytest_plugin.state import is_worker
from voiceflow_ml.reporting.pace import ERASE_LINE, Pace, is_rewritable
from voiceflow_ml.units import NS_PER_S, format_count, format_ns

if TYPE_CHECKING:
    from voiceflow_ml.latency import Channels, Progress
    from voiceflow_ml.latency.verdict import Verdict

_UP_ONE_LINE = "\x1b[1A"


class LiveLine:
    """Writes progress below pytest's own line; silent in a worker and under ``-q -q``.

    On a terminal one line is rewritten in place and goes when the measurement ends; elsewhere a plain line
    appears every ten seconds.
    """

    def __init__(self, config: pytest.Config) -> None:
        reporter: Any = None if is_worker(config) else config.pluginmanager.get_plugin("terminalreporter")
        self._reporter = reporter if reporter is not None and config.get_verbosity() > -2 else None
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._tty = is_rewritable(bool(getattr(reporter, "isatty", False)))
        self._writer: Any = config.get_terminal_writer() if self._reporter is not None else None
        # By a clock of its own: measurements that take turns began at different times.
        self._pace = Pace(rewritable=self._tty, begins_ns=time.monotonic_ns())
        self._drawn = False

    def watcher(self, label: str, judge_now: Callable[[Channels], tuple[Verdict, ...]]) -> Callable[[Progress], None]:
        """A watcher for the measuring loop.

        Args:
            label: what is measured.
            judge_now: judges the samples so far, for display only; called as rarely as lines are written.
        """

        def watch(progress: Progress) -> None:
            if self._reporter is not None and self._pace.due(time.monotonic_ns()):
                self.say(label, _describe(progress, judge_now(progress.latest())))

        return watch

    def begin(self, label: str, text: str) -> None:
        """Say what begins where a line can be taken back; a plain log hears only of what takes long."""
        if self._tty:
            self.say(label, text)

    def say(self, label: str, text: str) -> None:
        """Write one message about a measurement."""
        if self._reporter is None:
            return
        with self._uncaptured():
            if self._tty:
                # write_raw leaves pytest's count of the columns of its own line alone.
                first = "" if self._drawn else "\n"
                self._writer.write_raw(f"{first}{ERASE_LINE}{self._fit(label, text)}", flush=True)
            else:
                self._reporter.write_line(f"{label}: {text}")
        self._drawn = True

    def __enter__(self) -> LiveLine:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the terminal as pytest expects it: the cursor behind what pytest wrote last."""
        if self._reporter is None or not self._tty or not self._drawn:
            return
        column = self._writer.width_of_current_line % self._writer.fullwidth
        forward = f"\x1b[{column}C" if column else ""
        with self._uncaptured():
            self._writer.write_raw(f"{ERASE_LINE}{_UP_ONE_LINE}{forward}", flush=True)
        self._drawn = False

    def _fit(self, label: str, text: str) -> str:
        """The message on one line of the terminal; the label gives way first."""
        width = self._writer.fullwidth - 1
        line = f"{label}: {text}"
        if len(line) > width:
            room = max(0, width - len(text) - len("…: "))
            line = f"{label[:room].rstrip(' ·')}…: {text}"
        return line[:width]

    def _uncaptured(self) -> Any:
        from contextlib import nullcontext  # noqa: PLC0415

        return self._capture.global_and_fixture_disabled() if self._capture is not None else nullcontext()


def _describe(progress: Progress, verdicts: tuple[Verdict, ...]) -> str:
    left_ns = max(0, progress.time_budget_ns - progress.elapsed_ns)
    parts = [
        f"{format_count(progress.samples)}/{format_count(progress.next_look)} samples",
        f"{left_ns / NS_PER_S:.0f} s left",
    ]
    return ", ".join([*parts, *(_describe_verdict(verdict) for verdict in verdicts)])


def _describe_verdict(verdict: Verdict) -> str:
    """The present estimate, and what the verdict still needs."""
    from voiceflow_ml.latency.verdict import Outcome, statistic_name  # noqa: PLC0415

    estimate = f"{statistic_name(verdict.quantile)} {format_ns(verdict.measured_ns)} of {format_ns(verdict.limit_ns)}"
    if verdict.outcome is not Outcome.INCONCLUSIVE:
        return f"{estimate} {verdict.outcome}"
    if verdict.adjusted is not None and verdict.adjusted.outcome is Outcome.MET:
        return f"{estimate} on the wall clock only"
    if verdict.samples_needed is None:
        return f"{estimate} too close to tell"
    return f"{estimate} needs {format_count(max(1, verdict.samples_needed - verdict.samples))} more"
