"""Result files: one folder for each session, written atomically, so a crash leaves whole files only."""

from __future__ import annotations

import contextlib
import itertools
import re
from pathlib import Path

from voiceflow_ml.errors import ResultError
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.results.record import Result, Session

SESSION_FILE = "session.json"


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new one, never half of one.

    Raises:
        ResultError: the folder or the file cannot be written.
    """
    try:
        write_text_atomic(path, text)
    except OSError as error:
        raise ResultError(f"{path} cannot be written: {error.strerror or error}") from None


def make_folder(path: Path) -> Path:
    """Make a folder that is nobody else's: this one, or where it is there already ``NAME-2``, ``NAME-3``, ...

    Two runs can come to one name: process ids repeat between containers, and after a clock was put back.

    Args:
        path: the folder that is wanted; those above it are made when missing.

    Raises:
        ResultError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
            with contextlib.suppress(FileExistsError):
                candidate.mkdir()
                break
    except OSError as error:
        raise ResultError(f"{path} cannot be written: {error.strerror or error}") from None
    return candidate


class ResultStore:
    """The result files of one session, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def has_session(self) -> bool:
        """Whether the session's own record is there."""
        return (self.folder / SESSION_FILE).exists()

    def write_session(self, session: Session) -> None:
        """Write or replace the session's own record; errors as in :func:`write_atomically`."""
        write_atomically(self.folder / SESSION_FILE, session.to_json() + "\n")

    def write_result(self, result: Result, position: int) -> Path:
        """Write one finished test; ``position`` is its place in the plan, from 0."""
        slug = re.sub(r"[^A-Za-z0-9]+", "-", result.planned.node_id).strip("-")[-80:]
        path = self.folder / f"{position:04d}-{slug}.json"
        write_atomically(path, result.to_json() + "\n")
        return path


def _place(path: Path) -> tuple[int, str]:
    """The place in the plan that a result file begins with: four digits, and more from the ten thousandth on."""
    digits = re.match(r"[0-9]+", path.name)
    return int(digits[0]) if digits else 0, path.name


def read_session(folder: Path) -> tuple[Session, tuple[Result, ...]]:
    """Read one session's folder back: its record, and its results in the order of the plan.

    Raises:
        ResultError: no such folder, no session file in it, or a file that is damaged.
    """
    try:
        session = Session.from_json((folder / SESSION_FILE).read_text(encoding="utf-8"), str(folder / SESSION_FILE))
        files = sorted(folder.glob("[0-9]*.json"), key=_place)
        results = [Result.from_json(path.read_text(encoding="utf-8"), str(path)) for path in files]
    except OSError as error:
        raise ResultError(f"{folder} holds no readable session: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ResultError(f"{folder} holds a file that is not UTF-8 text: {error}") from None
    return session, tuple(results)
