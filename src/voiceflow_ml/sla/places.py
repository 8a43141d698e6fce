"""Which line of a TOML file declares what: the standard reader keeps values, not their places."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_DEEPEST = 16
"""No key of an sla.toml has as many parts; to note each of thousands takes as long as their square."""
Key = Sequence[str | int]

_PART = r"(?:[A-Za-z0-9_-]+|\"(?:\\.|[^\"\\])*\"|'[^']*')"
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*\[(?P<array>\[)?\s*(?P<name>{_NAME})\s*\]\]?\s*(?:#.*)?")
_ASSIGNMENT = re.compile(rf"\s*(?P<name>{_NAME})\s*=")
# Comments and one-line strings are matched too, so that quotes inside them open nothing.
_STRINGS = re.compile(
    r"#[^\n]*"
    r'|(?P<basic>"""(?:\\.|[^\\])*?""")'
    r"|(?P<literal>'''.*?''')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


class Places:
    """The lines of a TOML file's tables and keys.

    Args:
        path: the file, as messages should call it.
        text: its content, valid TOML.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._line_of: dict[tuple[str | int, ...], int] = {}
        self._scan(_STRINGS.sub(_blank_lines, text))

    def at(self, loc: Key) -> str:
        """``"sla.toml:12"`` for a key, or for the nearest table around it that has a line, or the bare file.

        Args:
            loc: names of tables and keys from the root down, and positions (from 0) in arrays of tables.
        """
        for end in range(min(len(loc), _DEEPEST), 0, -1):
            line = self._line_of.get(tuple(loc[:end]))
            if line is not None:
                return f"{self._path}:{line}"
        return str(self._path)

    def _scan(self, text: str) -> None:
        table: tuple[str | int, ...] = ()
        lengths: dict[tuple[str | int, ...], int] = {}
        depth = 0
        for number, line in enumerate(text.split("\n"), start=1):
            header = None if depth > 0 else _HEADER.fullmatch(line)
            depth += _opened(line)
            if header:
                table = _resolve(_names(header["name"]), lengths, appends=bool(header["array"]))
                self._note(table, 0, number)
                continue
            assignment = _ASSIGNMENT.match(line)
            if assignment:
                self._note((*table, *_names(assignment["name"])), len(table), number)

    def _note(self, loc: tuple[str | int, ...], known: int, number: int) -> None:
        """Remember the line of a key, and of each table that it opens on the way beyond ``known`` names."""
        for end in range(known + 1, min(len(loc), _DEEPEST) + 1):
            self._line_of.setdefault(loc[:end], number)


def _blank_lines(match: re.Match[str]) -> str:
    """Of a string over several lines only their ends stay; anything else stays whole."""
    if match["basic"] is None and match["literal"] is None:
        return match[0]
    return "\n" * match[0].count("\n")


def _opened(line: str) -> int:
    """How many brackets a line leaves open: in an array, ``[8000]`` is a value, and no header of a table."""
    bare = _STRINGS.sub("", line)
    return bare.count("[") - bare.count("]")


def _names(dotted: str) -> tuple[str, ...]:
    """``'models."my model"'`` -> ``("models", "my model")``, by the standard reader itself."""
    names = []
    content: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(content, dict):
        ((name, content),) = content.items()
        names.append(name)
    return tuple(names)


def _resolve(
    names: tuple[str, ...], lengths: dict[tuple[str | int, ...], int], *, appends: bool
) -> tuple[str | int, ...]:
    """A header's names with the position of each array of tables put in; ``[[x]]`` begins a new element."""
    loc: tuple[str | int, ...] = ()
    for place, name in enumerate(names[:_DEEPEST]):
        loc = (*loc, name)
        if appends and place == len(names) - 1:
            lengths[loc] = lengths.get(loc, 0) + 1
        if loc in lengths:
            loc = (*loc, lengths[loc] - 1)
    return loc
