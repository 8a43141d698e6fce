"""Comments and badges in a piece of HTML; everything else in it is no prose."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

from voiceflow_ml.claims.badges import badge_text


@dataclass(frozen=True)
class HtmlPart:
    """A comment or a badge.

    Attributes:
        text: what a comment holds, or what a badge or picture says.
        start: its place in the document.
        end: one past its last character.
        badge: it is a badge, not a comment.
    """

    text: str
    start: int
    end: int
    badge: bool = False


def html_parts(html: str, offsets: Sequence[int]) -> Iterator[HtmlPart]:
    """The comments and badges of some HTML.

    Args:
        html: the HTML, as a Markdown parser gives it.
        offsets: the place in the document of each of its characters, and of its end.
    """
    parser = _Parts(html, offsets)
    # The standard library's parser raises this for marked sections that HTML does not have; what it read before counts.
    with contextlib.suppress(AssertionError):
        parser.feed(html)
    yield from parser.found


class _Parts(HTMLParser):
    def __init__(self, html: str, offsets: Sequence[int]) -> None:
        super().__init__()
        self.found: list[HtmlPart] = []
        self._offsets = offsets
        self._starts = [0]
        for line in html.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)

    def handle_comment(self, data: str) -> None:
        """Keep a comment."""
        self._keep(data, len(data) + len("<!---->"), badge=False)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the picture of a badge."""
        said = badge_text(dict(attrs).get("src") or "") if tag == "img" else ""
        if said:
            self._keep(said, len(self.get_starttag_text() or ""), badge=True)

    def _keep(self, text: str, length: int, *, badge: bool) -> None:
        line, column = self.getpos()
        start = self._starts[line - 1] + column
        last = len(self._offsets) - 1
        self.found.append(
            HtmlPart(text, self._offsets[min(start, last)], self._offsets[min(start + length, last)], badge)
        )
