"""One line on stderr that says how far a command is: rewritten on a terminal, plain anywhere else."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from voiceflow_ml.reporting.pace import ERASE_LINE, Pace, is_rewritable
from voiceflow_ml.units import NS_PER_S, format_count

if TYPE_CHECKING:
    from voiceflow_ml.latency import Progress


class ProgressLine:
    """Progress of one measurement; on a terminal the line goes when the ``with`` block ends.

    Args:
        stream: where it is written, standard error as a rule.
        label: what is measured.
    """

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream, self._label = stream, label
        self._tty = is_rewritable(stream.isatty())
        self._pace = Pace(rewritable=self._tty)

    def say(self, text: str) -> None:
        """Write one message."""
        line = f"{self._label}: {text}"
        self._stream.write(f"{ERASE_LINE}{line[: _columns(self._stream) - 1]}" if self._tty else f"{line}\n")
        self._stream.flush()

    def watch(self, progress: Progress) -> None:
        """Write how far the measurement is, but not more often than anyone can read."""
        left_s = max(0, progress.time_budget_ns - progress.elapsed_ns) / NS_PER_S
        taken = f"{format_count(progress.samples)}/{format_count(progress.budget)} samples of each"
        self.follow(progress.elapsed_ns, f"{taken}, at most {left_s:.0f} s left")

    def follow(self, elapsed_ns: int, text: str) -> None:
        """Write a message, but not more often than anyone can read.

        Args:
            elapsed_ns: since the work began.
            text: what to say about it now.
        """
        if self._pace.due(elapsed_ns):
            self.say(text)

    def __enter__(self) -> Self:
        """This line itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the line back where that can be done."""
        if self._tty:
            self._stream.write(ERASE_LINE)
            self._stream.flush()


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
