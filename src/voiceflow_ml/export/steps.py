"""Work that is kept between two runs of one export, so that one that was stopped goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
from filelock import FileLock, Timeout

from voiceflow_ml.errors import ExportError
from voiceflow_ml.files import atomic_path, hash_bytes, hash_file, write_text_atomic

STEPS_VERSION = 2
"""Other numbers mean steps that are not understood: 2 added whole recordings to every proof."""
FOLDER = ".export"
"""Where unfinished work lies inside the folder of an export."""
Say = Callable[[str], None]


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder against other exports of this machine: one would remove what the other works on.

    The lock is the operating system's and lies outside of the folder: it falls with its process, however that ends.

    Raises:
        ExportError: another one holds it.
    """
    locks = Path(tempfile.gettempdir()) / f"voiceflow-ml-{os.getuid()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    lock = FileLock(locks / f"export-{hash_bytes(os.fsencode(folder.resolve()))[:16]}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ExportError(f"another export is at work in {folder}; wait for it, or take another folder") from None
    try:
        yield
    finally:
        lock.release()


def move_files(aside: Path, folder: Path, owned: Iterable[Path]) -> None:
    """Put finished files into their folder, by renaming alone.

    Args:
        aside: holds them, on the same file system.
        folder: where they go.
        owned: files that are removed when they are not among them: of an earlier export, with other weights.
    """
    files = [path.relative_to(aside) for path in sorted(aside.rglob("*")) if path.is_file()]
    for path in owned:
        if path.relative_to(folder) not in files:
            path.unlink(missing_ok=True)
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (aside / name).replace(folder / name)


class Steps:
    """Finished steps of one export.

    Args:
        folder: where the files lie.
        key: whatever the outcome depends on; other keys mean other work.
        say: told what is being done, or was done before.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any], say: Say) -> None:
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.folder = folder / digest[:16]
        self.say = say

    def model(self, name: str, make: Callable[[], onnx.ModelProto]) -> Path:
        """A model file: as it was written before, or made and written whole now."""
        path = self.folder / f"{name}.onnx"
        if self._is_done(path):
            self.say(f"{name}: made before")
            return path
        self.say(f"{name}: making it")
        with atomic_path(path) as temporary:
            onnx.save(make(), temporary)
            sha256 = hash_file(temporary)
        write_text_atomic(self._facts_path(path), json.dumps({"sha256": sha256}))
        return path

    def facts(self, name: str, find: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Facts as JSON values: as they were written before, or found and written now."""
        path = self.folder / f"{name}.json"
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self.say(f"{name}: done before")
        except FileNotFoundError:
            self.say(f"{name}: at it")
            found = dict(find())
            write_text_atomic(path, json.dumps(found))
        except ValueError as error:
            raise ExportError(f"{path} is damaged ({error}); delete {path.parent} and export again") from None
        return found

    def _is_done(self, path: Path) -> bool:
        try:
            return bool(json.loads(self._facts_path(path).read_text())["sha256"] == hash_file(path))
        except (OSError, ValueError, KeyError):
            return False

    def _facts_path(self, path: Path) -> Path:
        return path.with_suffix(".sha256.json")
