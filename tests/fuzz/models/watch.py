"""Sees what a process opens: Python's opens by an audit hook, those of compiled code by inotify on the secret."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_IN_ACCESS, _IN_OPEN, _NONBLOCKING = 0x1, 0x20, 0x800
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN = ("/dev/zero", "/dev/tty", "/proc/self/mem", "/etc/hostname", "/etc/passwd")


class Watch:
    """From its making on; an audit hook stays as long as its process.

    Args:
        secret: a folder whose files nobody may open.
        writable: folders below which files may be written.
    """

    def __init__(self, secret: Path, writable: tuple[Path, ...]) -> None:
        self._secret, self._writable = str(secret.resolve()), tuple(str(folder.resolve()) for folder in writable)
        self._seen: list[str] = []
        self._busy = False
        libc = ctypes.CDLL(None, use_errno=True)
        self._events = libc.inotify_init1(_NONBLOCKING)
        if self._events < 0 or libc.inotify_add_watch(self._events, self._secret.encode(), _IN_ACCESS | _IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        sys.addaudithook(self._hook)

    def opened(self) -> list[str]:
        """What was opened that may not be, since the last call."""
        self._busy = True
        seen, self._seen = self._seen, []
        try:
            if os.read(self._events, 1 << 16):
                seen.append("the secret was opened by compiled code")
        except BlockingIOError:
            pass
        finally:
            self._busy = False
        return seen

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" or self._busy or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        self._busy = True
        try:
            path = os.path.realpath(os.fsdecode(arguments[0]))
            flags = arguments[2] if isinstance(arguments[2], int) else 0
            if path.startswith(f"{self._secret}/") or path in _FORBIDDEN:
                self._seen.append(f"reads {path}")
            elif flags & _WRITING and not path.startswith(("/dev/null", *self._writable)):
                self._seen.append(f"writes {path}")
        except (ValueError, OSError):
            # No such file can be opened.
            pass
        finally:
            self._busy = False
