"""A pytest plugin for the planted project alone: keeps a journal of finished tests, and strikes where it is told to.

Nothing in the package knows of it. It is loaded by ``-p tests.faults.hook``; what it does stands in the environment.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

STRIKE = "FAULTS_STRIKE"
"""Environment variable: a :class:`Strike` as JSON."""
JOURNAL = "FAULTS_JOURNAL"
"""Environment variable: the file in which finished tests are noted."""
TEMPORARY, HALF, RENAMING, RENAMED = "temporary file of", "half of", "before the rename of", "after the rename of"


@dataclass(frozen=True)
class Strike:
    """Where a signal is sent to the process itself.

    Attributes:
        when: ``"before"`` or ``"after"`` a function; one of the four moments of a file; ``"end of"`` a test or the run.
        what: ``module:name`` of the function, where its caller looks it up; a pattern for the file's name.
        nth: at which occasion, from 1, of those after ``finished``.
        finished: only once so many tests have finished.
        signal: its number.
    """

    when: str
    what: str
    nth: int = 1
    finished: int = 0
    signal: int = 9

    def to_json(self) -> str:
        return json.dumps(asdict(self))


_finished: list[str] = []
_seen = 0


def _strikes(strike: Strike) -> bool:
    global _seen  # noqa: PLW0603 - one process, one strike
    if len(_finished) < strike.finished:
        return False
    _seen += 1
    return _seen == strike.nth


def _struck(strike: Strike) -> None:
    if _strikes(strike):
        os.kill(os.getpid(), strike.signal)


def _around_function(strike: Strike) -> None:
    module, _, name = strike.what.partition(":")
    *path, last = name.split(".")
    owner: Any = functools.reduce(getattr, path, importlib.import_module(module))
    real = getattr(owner, last)

    @functools.wraps(real)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if strike.when == "before":
            _struck(strike)
        returned = real(*arguments, **named)
        if strike.when == "after":
            _struck(strike)
        return returned

    setattr(owner, last, wrapped)


def _around_files(strike: Strike) -> None:
    real_temporary, real_write, real_replace = tempfile.mkstemp, Path.write_text, Path.replace

    def struck(when: str, name: str) -> None:
        if strike.when == when and fnmatch.fnmatch(name, strike.what):
            _struck(strike)

    def mkstemp(*arguments: Any, **named: Any) -> Any:
        made = real_temporary(*arguments, **named)
        struck(TEMPORARY, str(named.get("prefix", "")).strip("."))
        return made

    def write_text(self: Path, data: str, *arguments: Any, **named: Any) -> int:
        whose = self.name.strip(".").rpartition(".part")[0].rpartition(".")[0]
        if strike.when == HALF and fnmatch.fnmatch(whose, strike.what) and _strikes(strike):
            real_write(self, data[: len(data) // 2], *arguments, **named)
            os.kill(os.getpid(), strike.signal)
        return real_write(self, data, *arguments, **named)

    def replace(self: Path, target: Path) -> Path:
        struck(RENAMING, Path(target).name)
        replaced = real_replace(self, target)
        struck(RENAMED, Path(target).name)
        return replaced

    changed: dict[str, Callable[..., Any]] = {"write_text": write_text, "replace": replace}
    tempfile.mkstemp = mkstemp
    for name, function in changed.items():
        setattr(Path, name, function)


_STRIKE = Strike(**json.loads(os.environ[STRIKE])) if os.environ.get(STRIKE) else None
if _STRIKE is not None and _STRIKE.when in ("before", "after"):
    _around_function(_STRIKE)
elif _STRIKE is not None and _STRIKE.when in (TEMPORARY, HALF, RENAMING, RENAMED):
    _around_files(_STRIKE)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish(nodeid: str) -> None:
    """A test is over, and the next has not begun: from here on its result must be on disk."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        # Its controller has the books.
        return
    _finished.append(nodeid)
    with Path(os.environ[JOURNAL]).open("a", encoding="utf-8") as stream:
        stream.write(nodeid + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    if _STRIKE is not None and (_STRIKE.when, _STRIKE.what) == ("end of", "a test"):
        _struck(_STRIKE)


def pytest_unconfigure() -> None:
    """All files are written; the interpreter still runs."""
    if _STRIKE is not None and (_STRIKE.when, _STRIKE.what) == ("end of", "the run"):
        _struck(_STRIKE)
