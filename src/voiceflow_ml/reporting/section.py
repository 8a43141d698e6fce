"""One section of a report that is a table: finished text, the same for Markdown and for the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from voiceflow_ml.reporting.text import more_text


@dataclass(frozen=True)
class Section:
    """A section, as :data:`voiceflow_ml.reporting.sections.SECTIONS` makes them.

    Attributes:
        title: its heading.
        text: what to know before reading it.
        heads: of the columns.
        rows: one text for each head, the one to look at first at the top.
        numbers: heads of columns that hold numbers, which stand at the right.
        more: says what was left out to fit, if anything.
    """

    title: str
    text: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...] = ()
    more: str = ""

    @property
    def columns(self) -> tuple[tuple[str, bool], ...]:
        """Each head, and whether numbers stand below it."""
        return tuple((head, head in self.numbers) for head in self.heads)

    @property
    def cells(self) -> Iterator[tuple[tuple[str, bool, str], ...]]:
        """The rows, each text behind its head and whether it is a number."""
        for row in self.rows:
            yield tuple((*column, text) for column, text in zip(self.columns, row, strict=True))

    def cut(self, rows: int, where: str) -> Section:
        """The section with its first rows alone; ``where`` has the others."""
        return replace(self, rows=self.rows[:rows], more=more_text(len(self.rows) - rows, where))
