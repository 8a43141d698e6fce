"""The files of a version that serves, kept for as long as it does, so that the next one can be compared with it.

They are open and have no name any more: nothing is left of them when the server is killed, and nobody who tidies
temporary folders takes them away.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable
from pathlib import Path

_PIECE_BYTES = 1 << 20


class KeptFiles:
    """Files that stay readable after they were removed.

    Args:
        folder: where they are now.
        names: of the files below it; the first is the model's.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self._open: dict[str, int] = {}
        # Also what was opened before one that cannot be.
        weakref.finalize(self, _close, self._open)
        for name in names:
            self._open[name] = os.open(folder / name, os.O_RDONLY)

    def write_to(self, folder: Path) -> Path:
        """Write them into a folder, and return the path of the model's."""
        for name, descriptor in self._open.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("wb") as file:
                place = 0
                while piece := os.pread(descriptor, _PIECE_BYTES, place):
                    file.write(piece)
                    place += len(piece)
        return folder / next(iter(self._open))


def _close(opened: dict[str, int]) -> None:
    for descriptor in opened.values():
        os.close(descriptor)
