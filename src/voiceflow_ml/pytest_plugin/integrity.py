"""Which promises this tree loosened against the branch that it is to be merged into: ``--sla-base``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voiceflow_ml.errors import ConfigError

if TYPE_CHECKING:
    from voiceflow_ml.sla.objectives import Sla


def add_base_option(group: pytest.OptionGroup) -> None:
    """Declare ``--sla-base``."""
    group.addoption(
        "--sla-base",
        default=None,
        metavar="REF",
        help="say first in the report which promises were loosened, deleted or waived since this git ref, such as "
        "origin/main; nothing fails by it. Default: origin/$GITHUB_BASE_REF in a pull request of GitHub, else nothing.",
    )


def integrity_lines(config: pytest.Config, default: Path, slas: Sequence[Sla]) -> tuple[str, ...]:
    """What was loosened since the base, one line each; nothing without a base.

    Args:
        config: pytest's configuration.
        default: the sla.toml of the root folder: it counts even when this tree has deleted it.
        slas: the declarations in play.

    Raises:
        ConfigError: the ref that was asked for does not exist, or the files are in no git repository.
    """
    ref, asked = _base(config)
    if not ref:
        return ()
    from voiceflow_ml.hardware.git import has_ref, in_repository  # noqa: PLC0415

    folder = config.rootpath
    if not in_repository(folder):
        if asked:
            raise ConfigError(f"--sla-base={ref}: {folder} is in no git repository")
        return ()
    if not has_ref(folder, ref):
        missing = f"this clone has no {ref}; fetch it first: git fetch origin {ref.removeprefix('origin/')}"
        if asked:
            raise ConfigError(f"--sla-base={ref}: {missing}")
        return (f"not compared with the base: {missing}",)
    return (*_loosened(ref, default, slas), *_loosened_marks(ref, folder))


def _base(config: pytest.Config) -> tuple[str, bool]:
    """The ref to compare with, or nothing; and whether the command line asks for it."""
    asked: str | None = config.getoption("--sla-base")
    if asked is not None:
        return asked, True
    branch = os.environ.get("GITHUB_BASE_REF", "")
    return f"origin/{branch}" if branch else "", False


def _loosened(ref: str, default: Path, slas: Sequence[Sla]) -> tuple[str, ...]:
    from voiceflow_ml.hardware.git import has_file  # noqa: PLC0415
    from voiceflow_ml.sla.changes import loosened  # noqa: PLC0415

    lines: list[str] = []
    moved = [sla for sla in slas if not has_file(sla.path, ref)]
    for sla in slas:
        if sla not in moved:
            lines += _against(ref, [sla.path], [sla])
    # A file that this tree deleted may have become one that the base does not have.
    gone = [default] if not default.exists() and has_file(default, ref) else []
    if gone:
        return (*_against(ref, gone, moved), *lines)
    new = (f"{sla.path.name} is not at {ref}: all its promises are new" for sla in moved)
    return (*lines, *new, *(line for sla in moved for line in loosened([], [sla])))


def _loosened_marks(ref: str, root: Path) -> tuple[str, ...]:
    """What the markers of tests loosen of what they said at the base; of all tests, whichever of them run."""
    from voiceflow_ml.hardware.git import file_at, files_with  # noqa: PLC0415
    from voiceflow_ml.sla.marked import MARKER, loosened_marks, marked_tests  # noqa: PLC0415

    before = {path: file_at(root / path, ref) for path in files_with(root, MARKER, ref)}
    now = {path: (root / path).read_bytes() for path in files_with(root, MARKER)}
    old, new = (
        [entry for path, text in sources.items() for entry in marked_tests(text.decode("utf-8", "replace"), path)]
        for sources in (before, now)
    )
    return tuple(f"{line} (since {ref})" for line in loosened_marks(old, new))


def _against(ref: str, paths: Sequence[Path], slas: Sequence[Sla]) -> tuple[str, ...]:
    """What the present declarations loosen of what these files said at the base."""
    from voiceflow_ml.hardware.git import file_at  # noqa: PLC0415
    from voiceflow_ml.sla.changes import loosened  # noqa: PLC0415
    from voiceflow_ml.sla.load import parse_sla  # noqa: PLC0415

    try:
        before = [parse_sla(file_at(path, ref).decode("utf-8-sig"), path) for path in paths]
    except (ConfigError, UnicodeDecodeError) as error:
        return (f"not compared with {ref}: {error}",)
    return tuple(f"{line} (since {ref})" for line in loosened(before, slas))
