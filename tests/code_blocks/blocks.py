"""Find the code blocks of the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md")
_TITLE = re.compile(r'title="([^"]*)"')


class BlockError(Exception):
    """A code block that says something which is not so, or that nothing checks; the message says what to do."""


@dataclass(frozen=True)
class Block:
    """One code block.

    Attributes:
        document: its path from the root of the repository.
        line: of the fence, counted from 1.
        language: first word after the fence; empty for none, and for an indented block.
        title: of a block that is a file, or a change of one.
        text: what stands between the fences.
    """

    document: str
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def find_blocks(text: str, document: str) -> Iterator[Block]:
    """The code blocks of one document, in lists and quotes too."""
    for token in MarkdownIt("commonmark").parse(text):
        if token.type in ("fence", "code_block"):
            first = (token.map or [0])[0]
            title = _TITLE.search(token.info)
            language = token.info.split()[0] if token.info.split() else ""
            yield Block(document, first + 1, language, title[1] if title else "", token.content)


def all_blocks() -> list[Block]:
    """The code blocks of all documents."""
    paths = [path for pattern in DOCUMENTS for path in sorted(ROOT.glob(pattern))]
    names = [path.relative_to(ROOT).as_posix() for path in paths]
    return [
        block for path, name in zip(paths, names, strict=True) for block in find_blocks(path.read_text("utf-8"), name)
    ]
