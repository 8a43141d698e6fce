"""Markdown as passages of tokens: what a reader sees as prose, each with the headings and heads of columns above it.

Code, links' addresses and HTML are not prose. Comments are kept apart: they bind claims. The parser is markdown-it's;
it tells the lines of a block, and columns are found again by walking its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token as Node

from voiceflow_ml.claims.html_parts import HtmlPart, html_parts
from voiceflow_ml.claims.inline import inline_pieces
from voiceflow_ml.claims.places import Places
from voiceflow_ml.claims.tokens import Token, tokenise


@dataclass(frozen=True)
class Cell:
    """Where a passage stands in a table.

    Attributes:
        head: the head of its column.
        label: the first cell of its row; empty in the first column.
        corner: the head of the first column; empty in it.
        column: its column, from 0.
    """

    head: tuple[Token, ...]
    label: tuple[Token, ...]
    corner: tuple[Token, ...]
    column: int


@dataclass(frozen=True)
class Passage:
    """A stretch of prose that is read as one.

    Attributes:
        tokens: its tokens.
        block: number of the paragraph, list or table at the top level of the document that it is in.
        line: first line of its own paragraph, item or row, from 1: what a comment in it speaks about.
        headings: the headings above it, outermost first; its own for a heading.
        cell: its place in a table; None elsewhere.
        badge: it is the text of a badge.
        heading: it is a heading.
    """

    tokens: tuple[Token, ...]
    block: int
    line: int
    headings: tuple[tuple[Token, ...], ...] = ()
    cell: Cell | None = None
    badge: bool = False
    heading: bool = False


@dataclass(frozen=True)
class Comment:
    """An HTML comment.

    Attributes:
        text: what stands between ``<!--`` and ``-->``.
        start: its place in the document, in characters from 0.
        block: number of the block that it is in, or, of one on its own, that it stands before.
        line: as :attr:`Passage.line`; 0 for one on its own.
        end: one past its last character.
    """

    text: str
    start: int
    block: int
    line: int
    end: int


@dataclass
class Document:
    """A document, read."""

    text: str
    places: Places
    passages: list[Passage] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)


def read_document(text: str) -> Document:
    """Read a document; no text is wrong Markdown.

    Args:
        text: the whole document.
    """
    parser = MarkdownIt("commonmark").enable("table")
    # Joined text no longer says which of its characters were written as entities.
    parser.core.ruler.disable("text_join")
    document = Document(text, Places(text))
    _Reader(document).read(parser.parse(document.places.markdown))
    return document


class _Reader:
    """Walks the blocks of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.block = 0
        self.headings: list[tuple[int, tuple[Token, ...]]] = []
        self.heads: list[tuple[Token, ...]] = []
        self.label: tuple[Token, ...] = ()
        self.column = 0
        self.cursor = 0
        self.level = 0
        self.in_head = self.in_table = False
        # Comments on their own, until it is known what they stand before.
        self.waiting: list[HtmlPart] = []

    def read(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if node.level == 0 and node.nesting >= 0:
                self._begin_block(node)
            if node.type == "inline":
                self._inline(node)
            elif node.type == "html_block":
                self._html(node)
            else:
                self._structure(node)
        self._place_comments(self.block + 1)

    def _begin_block(self, node: Node) -> None:
        self.block += 1
        if node.type != "html_block":
            self._place_comments(self.block)
        self.level = int(node.tag[1]) if node.type == "heading_open" else 0

    def _place_comments(self, block: int) -> None:
        self.document.comments += [Comment(part.text, part.start, block, 0, part.end) for part in self.waiting]
        self.waiting.clear()

    def _structure(self, node: Node) -> None:
        if node.type in {"table_open", "table_close"}:
            self.in_table, self.heads = node.nesting > 0, []
        elif node.type in {"thead_open", "thead_close"}:
            self.in_head = node.nesting > 0
        elif node.type == "tr_open":
            self.column, self.label = -1, ()
            self.cursor = self.document.places.offset(node.map[0] if node.map else 0)
        elif node.type in {"th_open", "td_open"}:
            self.column += 1

    def _inline(self, node: Node) -> None:
        first_line = node.map[0] if node.map else 0
        if self.in_table:
            offsets, self.cursor = self.document.places.of_cell(node.content, self.cursor)
        else:
            offsets = self.document.places.of_lines(node.content, first_line)
        pieces = list(inline_pieces(node, offsets))
        tokens = tuple(piece for piece in pieces if isinstance(piece, Token))
        for piece in pieces:
            if not isinstance(piece, Token):
                self._part(piece, first_line + 1)
        self._passage(tokens, first_line + 1)

    def _passage(self, tokens: tuple[Token, ...], line: int) -> None:
        if self.in_head:
            self.heads.append(tokens)
        if self.level:
            self.headings = [entry for entry in self.headings if entry[0] < self.level]
            self.headings.append((self.level, tokens))
        cell = None
        if self.in_table and not self.in_head:
            head = self.heads[self.column] if self.column < len(self.heads) else ()
            corner = self.heads[0] if self.column and self.heads else ()
            cell = Cell(head, self.label, corner, self.column)
            self.label = tokens if self.column == 0 else self.label
        if tokens:
            headings = tuple(heading for _, heading in self.headings)
            entry = Passage(tokens, self.block, line, headings, cell, heading=self.level > 0)
            self.document.passages.append(entry)

    def _html(self, node: Node) -> None:
        first = node.map[0] if node.map else 0
        for part in html_parts(node.content, self.document.places.of_lines(node.content, first)):
            self._part(part, 0)

    def _part(self, part: HtmlPart, line: int) -> None:
        if part.badge:
            tokens = tuple(tokenise(part.text, part.start))
            # What a badge says is decoded: all of it stands where the address does.
            placed = tuple(_at_place(token, part) for token in tokens)
            headings = tuple(heading for _, heading in self.headings)
            self.document.passages.append(Passage(placed, self.block, line, headings, badge=True))
        elif line:
            self.document.comments.append(Comment(part.text, part.start, self.block, line, part.end))
        else:
            self.waiting.append(part)


def _at_place(token: Token, part: HtmlPart) -> Token:
    """A token of a badge, at the place of the badge."""
    return Token(token.kind, token.text, part.start, part.end, token.spaced, token.lower)
