"""The text of one paragraph or cell: tokens, comments and badges, each at its place in the document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from markdown_it.token import Token as Node

from voiceflow_ml.claims.badges import badge_text
from voiceflow_ml.claims.html_parts import HtmlPart, html_parts
from voiceflow_ml.claims.tokens import Token, opaque, tokenise


def inline_pieces(node: Node, offsets: Sequence[int]) -> Iterator[Token | HtmlPart]:
    """The tokens, comments and badges of one paragraph or cell.

    Args:
        node: the inline node.
        offsets: the place in the document of each character of its content, and one more for its end.
    """
    content, cursor, spaced = node.content, 0, True
    for child in _flat(node.children or ()):
        written = child.markup if child.type == "text_special" else child.content
        if child.type in {"softbreak", "hardbreak"}:
            spaced = True
        elif child.type == "link_close":
            cursor = _past_address(content, cursor)
        elif child.type == "image":
            cursor, spaced = content.find("![", cursor) + 2, True
            address = str(child.attrs.get("src", ""))
            said = badge_text(address) or child.content
            end = _past_address(content, cursor + len(child.content))
            yield HtmlPart(said, offsets[max(0, cursor - 2)], offsets[min(end, len(content))], badge=True)
            cursor = end
        elif written:
            begin = max(cursor, content.find(written, cursor))
            cursor = min(begin + len(written), len(content))
            span = (offsets[min(begin, len(content))], offsets[cursor])
            yield from _written(child, offsets[min(begin, len(content)) : cursor + 1], span, spaced=spaced)
            spaced = written[-1:].isspace()


def _written(child: Node, offsets: Sequence[int], span: tuple[int, int], *, spaced: bool) -> Iterator[Token | HtmlPart]:
    if child.type == "html_inline":
        yield from html_parts(child.content, offsets)
    elif child.type == "code_inline":
        yield opaque(child.content, *span, spaced=spaced)
    elif child.type == "text_special":
        yield from tokenise(child.content, span[0], spaced=spaced)
    else:
        for token in tokenise(child.content, 0, spaced=spaced):
            start, end = (offsets[min(place, len(offsets) - 1)] for place in (token.start, token.end))
            yield Token(token.kind, token.text, start, end, token.spaced, token.lower)


def _flat(children: Iterable[Node]) -> Iterator[Node]:
    """The children in order; the address that an autolink shows is no prose."""
    hidden = False
    for child in children:
        if child.type == "link_open":
            hidden = child.markup == "autolink"
        elif child.type == "link_close":
            hidden = False
        if not hidden:
            yield child


def _past_address(content: str, cursor: int) -> int:
    """The place behind ``](address)``; the same place where none follows."""
    close = content.find("](", cursor)
    if close < 0 or content[cursor:close].strip(" *_~`"):
        return cursor
    depth, place = 0, close + 1
    while place < len(content):
        depth += {"(": 1, ")": -1}.get(content[place], 0)
        place += 1
        if depth == 0:
            return place
    return len(content)
