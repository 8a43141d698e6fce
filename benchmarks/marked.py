"""What stands in a page between ``<!-- voiceflow:begin NAME -->`` and the next ``<!-- voiceflow:end -->``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voiceflow_ml.files import write_text_atomic

_END = "<!-- voiceflow:end -->"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def block_of(page: str, name: str) -> str:
    """The text of a block.

    Raises:
        ValueError: the page lacks one of its marks.
    """
    first, last = _place(page, name)
    return page[first:last].strip()


def filled(page: str, name: str, text: str) -> str:
    """The page with another text in a block.

    Raises:
        ValueError: the page lacks one of its marks.
    """
    first, last = _place(page, name)
    return f"{page[:first]}\n\n{text}\n\n{page[last:]}"


def fill_page(path: Path, name: str, text: str) -> None:
    """Write the text into the page's block, whole or not at all.

    Raises:
        ValueError: the page lacks one of the block's marks.
    """
    write_text_atomic(path, filled(path.read_text(encoding="utf-8"), name, text))


def _place(page: str, name: str) -> tuple[int, int]:
    begin = f"<!-- voiceflow:begin {name} -->"
    first = page.index(begin) + len(begin)
    return first, page.index(_END, first)
