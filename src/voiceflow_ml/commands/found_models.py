"""The ``.onnx`` files of a project, opened to see what they take."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.errors import ModelFileError

if TYPE_CHECKING:
    from voiceflow_ml.inference.ort import InputInfo

# What other tools put into a project; hidden folders and virtual environments are left out too.
_NOT_OURS = frozenset({"__pycache__", "node_modules", "site-packages"})
_GIT_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class FoundModel:
    """A model file that can be opened.

    Attributes:
        name: letters, digits, ``_`` and ``-``; no two models have the same.
        file: its path relative to the project's folder, with ``/`` between the parts.
        inputs: what it takes, in its own order.
    """

    name: str
    file: str
    inputs: tuple[InputInfo, ...]


def find_models(folder: Path) -> tuple[list[FoundModel], list[str]]:
    """Open every ``.onnx`` file below a folder.

    Args:
        folder: the project's folder.

    Returns:
        The models in the order of their paths, and one sentence for each file that was skipped.

    Raises:
        ConfigError: there are such files, and onnxruntime is not installed.
    """
    files = sorted(_onnx_files(folder))
    opened: list[tuple[str, tuple[InputInfo, ...]]] = []
    skipped = []
    for file in files:
        with needs_extra("cpu"):
            import onnxruntime  # noqa: F401, PLC0415
        try:
            opened.append((file, _inputs_of(folder / file)))
        except ModelFileError as error:
            skipped.append(str(error))
    names = _unique_names(file for file, _ in opened)
    return [FoundModel(name, *one) for name, one in zip(names, opened, strict=True)], skipped


def _onnx_files(folder: Path) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if name not in _NOT_OURS and not name.startswith(".") and not Path(here, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(here, name).relative_to(folder).as_posix() for name in files if name.endswith(".onnx"))


def _inputs_of(path: Path) -> tuple[InputInfo, ...]:
    from voiceflow_ml.inference.ort import open_onnx  # noqa: PLC0415

    if not str(path).isprintable():
        # sla.toml is UTF-8 text: a name that is not cannot stand there.
        raise ModelFileError(f"model file {str(path)!a} has a name that cannot be printed; rename it")
    if path.exists() and not path.is_file():
        # A pipe would be waited for.
        raise ModelFileError(f"model file {path} is no regular file")
    try:
        with path.open("rb") as stream:
            is_pointer = stream.read(len(_GIT_LFS_POINTER)) == _GIT_LFS_POINTER
    except OSError as error:
        raise ModelFileError(f"model file {path} cannot be read: {error.strerror or error}") from None
    if is_pointer:
        raise ModelFileError(f"model file {path} is only a Git LFS pointer; run git lfs pull")
    return open_onnx(path).inputs


def _unique_names(files: Iterable[str]) -> list[str]:
    """``"a/tiny.onnx"`` -> ``"tiny"``; for the second of that name its folders too; a number as the last resort."""
    names: list[str] = []
    for file in files:
        path = PurePosixPath(file)
        whole = _slug("-".join(path.with_suffix("").parts))
        candidates = itertools.chain([_slug(path.stem), whole], (f"{whole}-{number}" for number in itertools.count(2)))
        names.append(next(name for name in candidates if name not in names))
    return names


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-") or "model"
