"""Places in a document: lines and columns of offsets, and offsets of what a parser made of its lines."""

from __future__ import annotations

from bisect import bisect_right

_FRONT_MATTER = "---"


class Places:
    """Knows where each line of a document begins.

    Attributes:
        text: the document.
        markdown: the same, line for line, for a Markdown parser: front matter and what would shift lines is blank.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        # A parser ends lines at these alone, while str.splitlines knows eight more.
        normal = text.replace("\r\n", " \n").replace("\r", "\n")
        self._lines = normal.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self.markdown = "\n".join(self._without_front_matter())

    def _without_front_matter(self) -> list[str]:
        if self._lines[0].rstrip() == _FRONT_MATTER:
            for index, line in enumerate(self._lines[1:], start=1):
                if line.rstrip() == _FRONT_MATTER:
                    return [""] * (index + 1) + self._lines[index + 1 :]
        return self._lines

    def offset(self, line: int) -> int:
        """The place of a line's first character; lines count from 0."""
        return self._starts[min(line, len(self._starts) - 1)]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Line and column of a place, both from 1, as editors count."""
        line = max(0, min(bisect_right(self._starts, offset) - 1, len(self._lines) - 1))
        return line + 1, offset - self._starts[line] + 1

    def of_lines(self, content: str, first_line: int) -> list[int]:
        """The place of each character of a block's content, whose lines a parser has stripped of their indent.

        Args:
            content: its lines, joined by line feeds.
            first_line: the line of the document that it begins on, from 0.

        Returns:
            One place for each character, and one for the end.
        """
        offsets: list[int] = []
        end = self.offset(first_line)
        for number, line in enumerate(content.split("\n")):
            index = min(first_line + number, len(self._lines) - 1)
            found = self._lines[index].find(line)
            start = self._starts[index] + max(0, found)
            most = self._starts[index] + len(self._lines[index])
            offsets += [min(start + place, most) for place in range(len(line) + 1)]
            end = offsets[-1]
        return [*offsets[:-1], end] if offsets else [end]

    def of_cell(self, content: str, cursor: int) -> tuple[list[int], int]:
        """The same for a cell of a table, and the place to look for the next one from.

        Args:
            content: the cell's text, in which the parser has taken the backslash from before each bar.
            cursor: no character of it stands before this.
        """
        offsets = []
        line_end = self.text.find("\n", cursor)
        most = line_end if line_end >= 0 else len(self.text)
        for character in content:
            found = self.text.find(character, cursor, most)
            cursor = found if found >= 0 else cursor
            offsets.append(min(cursor, len(self.text)))
            cursor += 1
        cursor = min(cursor, len(self.text))
        return [*offsets, cursor], cursor
