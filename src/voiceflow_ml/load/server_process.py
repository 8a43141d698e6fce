"""A server in a process of its own, for as long as a measurement of it takes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO

import psutil

from voiceflow_ml.errors import UnreachableError

_START_S = 120.0
_STOP_S = 40.0
_LINES_KEPT = 20


class ServerProcess:
    """``voiceflow serve`` on a free port of loopback, to be used in ``with``; or another server.

    Args:
        arguments: further ones of the command.
        command: starts another server, which must say on standard error where it listens, as ours does.
        on_line: given each line of its log, in a thread of this object.

    Attributes:
        url: where it listens.
        pid: its process.
    """

    def __init__(
        self,
        arguments: Sequence[str] = (),
        *,
        command: Sequence[str] | None = None,
        on_line: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.url, self.pid = "", 0
        ours = [sys.executable, "-m", "voiceflow_ml.cli", "serve", "--port", "0"]
        self._command = [*(ours if command is None else command), *arguments]
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._on_line = on_line
        self._listening = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> ServerProcess:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        if not self._listening.wait(_START_S) or not self.url:
            self.__exit__()
            raise UnreachableError(f"the server did not start; its last words: {' | '.join(self._lines) or 'none'}")
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()
        if process.stderr is not None:
            process.stderr.close()
        self._process = None

    @property
    def is_running(self) -> bool:
        """Whether the process is there and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def resident_bytes(self) -> int:
        """Its resident memory now."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def _read(self, stream: IO[str]) -> None:
        """Read its log to the end: a pipe that nobody empties would stop the server."""
        for line in stream:
            self._lines.append(line.strip())
            self._on_line(line)
            if not self.url:
                self.url = _listening_url(line)
                if self.url:
                    self._listening.set()
        self._listening.set()


def _listening_url(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return ""
    return str(entry.get("url", "")) if isinstance(entry, dict) and entry.get("event") == "listening" else ""
