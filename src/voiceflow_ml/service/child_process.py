"""A process that works for this one at low priority, tells what it does line by line, and can be ended at any time."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Self

_PIECE_BYTES = 1 << 16
_MOST_BYTES = 1 << 20
"""Of one line, and of all that waits to be read."""
_LAST_WORDS_BYTES = 500
_MOST_EXPENDABLE = 1_000
_END_S = 10.0
NICER = 10
"""By how much a lower priority is lower than that of this process."""
CAN_IDLE = hasattr(os, "SCHED_IDLE")
"""Whether this system knows processes that run only where a core has nothing else to do."""


class Priority(Enum):
    """How a process stands to this one where cores are short."""

    SAME = auto()
    LOWER = auto()
    IDLE = auto()
    """Nobody ever waits for it, and it may wait for ever. Linux wakes others up on its core as if that were free."""


class TookTooLong(Exception):  # noqa: N818 - what happened
    """The process said nothing, or was not done, for longer than it may."""


class ChildProcess:
    """Runs as long as the ``with`` block at most.

    Args:
        command: program and arguments.
        priority: beside that of this process.
    """

    def __init__(self, command: Sequence[str], *, priority: Priority) -> None:
        # Of a group of its own, so that Ctrl-C at a terminal is left to this process. Not of a session of its own:
        # Linux shares cores between sessions before it looks at priorities within them (autogroup).
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
        )
        self.pid = self._process.pid
        self._last_words = b""
        _humble(self.pid, priority)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                # What could not be sent to a process that is gone is not sent.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def kill(self) -> None:
        """End it at once; from any thread."""
        self._process.kill()

    def send(self, line: str) -> None:
        """Write a line to it; one that is gone already says so when it is read from."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()

    def lines(self, patience_s: float, total_s: float = math.inf) -> Iterator[bytes]:
        """Its lines, until it closes its output.

        Args:
            patience_s: longest time between two of them.
            total_s: longest time for all.

        Raises:
            TookTooLong: nothing came for so long, or not all of it; or what came is no line.
        """
        waiting = b""
        for piece in self._pieces(patience_s, time.monotonic() + total_s):
            *whole, waiting = (waiting + piece).split(b"\n")
            yield from whole
            if len(waiting) > _MOST_BYTES:
                raise TookTooLong

    def _pieces(self, patience_s: float, last_s: float) -> Iterator[bytes]:
        results, errors = self._process.stdout, self._process.stderr
        if results is None or errors is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(results, selectors.EVENT_READ)
            selector.register(errors, selectors.EVENT_READ)
            deadline_s = min(time.monotonic() + patience_s, last_s)
            while True:
                for key, _ in selector.select(max(0.0, deadline_s - time.monotonic())):
                    piece = os.read(key.fd, _PIECE_BYTES)
                    if key.fileobj is errors:
                        self._last_words = (self._last_words + piece)[-_LAST_WORDS_BYTES:]
                        if not piece:
                            selector.unregister(errors)
                    elif piece:
                        yield piece
                        deadline_s = min(time.monotonic() + patience_s, last_s)
                    else:
                        return
                # Not only when nothing is there to be read: what it writes to standard error is no sign of progress.
                if time.monotonic() >= deadline_s:
                    raise TookTooLong

    def end(self) -> tuple[str, str]:
        """Wait for the end of a process that closed its output.

        Returns:
            How it ended (``"SIGSEGV"``, ``"exit status 1"``), and the end of what it wrote to standard error.
        """
        try:
            _, errors = self._process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            _, errors = self._process.communicate()
        words = (self._last_words + errors)[-_LAST_WORDS_BYTES:].decode(errors="replace")
        status = self._process.returncode
        if status >= 0:
            return f"exit status {status}", words
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name, words
        return f"signal {-status}", words


def _humble(pid: int, priority: Priority) -> None:
    """It gives way to this process where cores are short, and is the first to go where memory is."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(_MOST_EXPENDABLE), encoding="ascii")
    if priority is Priority.IDLE:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
            return
    if priority is not Priority.SAME:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + NICER)
