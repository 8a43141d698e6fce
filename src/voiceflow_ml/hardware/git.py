"""What git knows: the commit of a working tree, and files as they were at another one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from voiceflow_ml.errors import ConfigError

GIT = "git:"
"""Begins a reference to a file at a git ref, such as ``git:main``, where a path could stand too."""
UNKNOWN = "unknown"
_LARGE_FILE_POINTER = b"version https://git-lfs.github.com/spec/"
_TIMEOUT_S = 60


def git_commit(folder: Path) -> str:
    """Commit of the working tree around ``folder``, with ``+changes`` when it has any, or "unknown"."""
    revision = _ask(folder, "rev-parse", "HEAD")
    if not revision:
        return UNKNOWN
    return revision + ("+changes" if _ask(folder, "status", "--porcelain") else "")


def in_repository(folder: Path) -> bool:
    """Whether git is there and a folder is in one of its working trees."""
    return bool(_ask(folder, "rev-parse", "--show-toplevel"))


def has_ref(folder: Path, ref: str) -> bool:
    """Whether the repository around a folder has a branch, tag or commit of this name."""
    return bool(_ask(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"))


def has_file(path: Path, ref: str) -> bool:
    """Whether a file was there at a git ref; it need not exist any more."""
    folder = path.resolve().parent
    return bool(_ask(folder, "ls-tree", "--name-only", ref, "--", f"./{path.name}"))


def files_with(folder: Path, text: str, ref: str = "") -> tuple[str, ...]:
    """Python files below a folder that hold a text, relative to it.

    Args:
        folder: in a working tree.
        text: looked for as it is.
        ref: a branch, tag or commit; without one, the files of the working tree, new ones included.
    """
    where = [ref] if ref else ["--untracked"]
    found = _ask(folder, "grep", "-l", "-z", "-F", "-e", text, *where, "--", "*.py")
    prefix = f"{ref}:" if ref else ""
    return tuple(name.removeprefix(prefix) for name in found.split("\0") if name)


def file_at(path: Path, ref: str) -> bytes:
    """Content of a file as it was at a git ref.

    Args:
        path: the file in its working tree; it need not exist there any more.
        ref: a branch, tag or commit.

    Raises:
        ConfigError: git is not installed, the file is in no repository, the ref is unknown or does not have the
            file, or it is kept outside of git (Git LFS) and was not fetched.
    """
    folder = path.resolve().parent
    root = _ask(folder, "rev-parse", "--show-toplevel")
    if not root:
        raise ConfigError(f"git:{ref}: {path} is in no git repository; name a file instead")
    if not has_ref(folder, ref):
        raise ConfigError(f"git:{ref}: unknown ref {ref!r}; in a shallow clone, fetch it first: git fetch origin {ref}")
    inside = path.resolve().relative_to(Path(root).resolve()).as_posix()
    done = _run(folder, "cat-file", "blob", f"{ref}:{inside}")
    if done is None or done.returncode != 0:
        raise ConfigError(f"git:{ref}: there is no {inside} at {ref}; name a file instead")
    if done.stdout.startswith(_LARGE_FILE_POINTER):
        raise ConfigError(f"git:{ref}: {inside} is kept by Git LFS; check it out elsewhere and name that file")
    return done.stdout


def _ask(folder: Path, *arguments: str) -> str:
    """What git prints, or nothing when it fails or is not there."""
    done = _run(folder, *arguments)
    return done.stdout.decode("utf-8", errors="replace").strip() if done and done.returncode == 0 else ""


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
