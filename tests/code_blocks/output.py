"""Output that a document shows, held to the program: its words are words that the source can print.

Numbers, paths and names come from a run; a run cannot be repeated by a test. What the program says about them stands in
its source, in string literals, so a sentence that was reworded since is found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.code_blocks.blocks import ROOT, BlockError

# Of the letters of a line, words with a digit, a path or a file's name left out: the rest are names that a run gave.
LEAST_SHARE = 0.6
_SHORTEST = 6
_VALUE = re.compile(r"\S*(?:[\d/_]|\w\.\w)\S*")
_NUMBER = re.compile(r"\d[\d. ]*(?: ?(?:ns|us|ms|s)\b)?")


def check_output(line: str) -> None:
    """Fail for a line of output that stands in no committed example, and that no string of the source could have made.

    Raises:
        BlockError: too few of its letters come from literals of ``src``.
    """
    if line.strip() in _examples():
        return
    share = known_share(line)
    if share < LEAST_SHARE:
        raise BlockError(
            f"{line!r} is shown as output, but {1 - share:.0%} of it is in no string of src/: run the command again "
            "and show what it says today"
        )


def check_numbers(line: str, document: Path) -> None:
    """Fail for a number that a committed example does not have.

    Raises:
        BlockError: one that the document lacks.
    """
    text = document.read_text(encoding="utf-8")
    missing = [number.strip() for number in _NUMBER.findall(line) if number.strip() not in text]
    if missing:
        raise BlockError(f"{line!r} quotes {', '.join(missing)}, which {document.relative_to(ROOT)} does not say")


def known_share(line: str) -> float:
    """How much of a line's letters lie in literals of the source."""
    known = [False] * len(line)
    for piece in _pieces():
        start = line.find(piece)
        while start >= 0:
            known[start : start + len(piece)] = [True] * len(piece)
            start = line.find(piece, start + 1)
    values = {index for match in _VALUE.finditer(line) for index in range(*match.span())}
    letters = [index for index, character in enumerate(line) if character.isalpha() and index not in values]
    return sum(known[index] for index in letters) / len(letters) if letters else 1.0


@cache
def _examples() -> frozenset[str]:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs/examples").glob("*.txt")]
    return frozenset(line.strip() for text in texts for line in text.splitlines())


@cache
def _pieces() -> tuple[str, ...]:
    files = [*(ROOT / "src").rglob("*.py")]
    return tuple({piece for path in files for piece in _literals(path) if len(piece.strip()) >= _SHORTEST})


def _literals(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (line.strip() for line in node.value.split("\n"))
