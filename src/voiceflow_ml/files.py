"""Files as a whole: written whole or not at all, and known by their hash."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_SUFFIX = ".part"
_OLD_S = 3600
"""No file takes an hour to write: a temporary one that is older is left of a process that was killed."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that becomes ``path`` when the block succeeds.

    Args:
        path: The file to replace; its folder is made when missing.

    Yields:
        Where to write. Removed when the block raises, so no half file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_SUFFIX)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp's files are private to their owner; this one is as readable as any new file.
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text_atomic(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all; what UTF-8 cannot hold is written as its escape.

    Args:
        path: The file to replace.
        text: Its new content.
    """
    with atomic_path(path) as temporary:
        # Test ids and paths may hold bytes that are not UTF-8; escaped, they stay readable, in JSON and out.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def remove_leftovers(folder: Path) -> None:
    """Remove what :func:`atomic_path` left, at any depth of a folder, in processes that were killed over an hour ago.

    Args:
        folder: where to look; need not be there.
    """
    for path in folder.rglob(f".*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD_S:
                path.unlink()


def hash_file(path: Path) -> str:
    """SHA-256 of a file of any size, in lower-case hexadecimal.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_bytes(data: bytes) -> str:
    """SHA-256 of bytes, in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
