"""Marked blocks: Markdown that is written from results, so that it cannot drift.

``<!-- voiceflow:begin NAME -->`` ... ``<!-- voiceflow:end -->``; NAME is ``verdicts``, the table of all promises that
results measure, or a block of ``[tool.voiceflow.claims.blocks]``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from voiceflow_ml.claims.evidence import Evidence
from voiceflow_ml.claims.passages import Document, read_document
from voiceflow_ml.claims.pointers import read_values
from voiceflow_ml.claims.settings import BlockSource, ClaimsSettings
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.reporting.text import interval_text
from voiceflow_ml.units import format_count, format_ns

_BEGIN, _END = "voiceflow:begin", "voiceflow:end"
VERDICTS = "verdicts"
"""The one block that needs no entry in pyproject.toml."""


@dataclass(frozen=True)
class Block:
    """A marked block.

    Attributes:
        name: its name.
        start: place behind its first mark, in characters from 0.
        end: place of its last mark.
    """

    name: str
    start: int
    end: int


def find_blocks(document: Document, path: str) -> tuple[Block, ...]:
    """The marked blocks of a document, in order.

    Raises:
        ConfigError: a mark without its other, or without a name.
    """
    found: list[Block] = []
    opened: tuple[str, int] | None = None
    for comment in document.comments:
        mark, *names = comment.text.split() or [""]
        line, _ = document.places.line_and_column(comment.start)
        if mark == _BEGIN:
            if opened is not None or len(names) != 1:
                raise ConfigError(
                    f"{path}:{line}: write <!-- {_BEGIN} NAME --> once, and <!-- {_END} --> before the next"
                )
            opened = (names[0], comment.end)
        elif mark == _END:
            if opened is None:
                raise ConfigError(f"{path}:{line}: {_END} ends nothing; write <!-- {_BEGIN} NAME --> before it")
            found.append(Block(*opened, comment.start))
            opened = None
    if opened is not None:
        raise ConfigError(f"{path}: the block {opened[0]} does not end; write <!-- {_END} --> behind it")
    return tuple(found)


class BlockWriter:
    """Knows what belongs into each block."""

    def __init__(self, settings: ClaimsSettings, evidence: Sequence[Evidence]) -> None:
        self._settings = settings
        self._evidence = evidence
        self._rendered: dict[str, str] = {}

    def rendered(self, name: str) -> str:
        """What belongs into a block, without white space around it.

        Raises:
            ConfigError: no such block, a function that cannot be found, or one that fails on its data.
            ResultError: its data cannot be read.
        """
        if name not in self._rendered:
            self._rendered[name] = self._render(name).strip()
        return self._rendered[name]

    def _render(self, name: str) -> str:
        source = self._settings.blocks.get(name)
        if source is not None:
            return _call(name, source, self._settings.root)
        if name == VERDICTS:
            return verdicts_table(self._evidence)
        known = ", ".join([VERDICTS, *self._settings.blocks])
        raise ConfigError(f"no block is called {name!r}; known: {known} ([tool.voiceflow.claims.blocks])")

    def filled(self, text: str, path: str) -> str:
        """A document with all its blocks as they belong; errors as :meth:`rendered` and :func:`find_blocks`.

        Args:
            text: the document.
            path: what to call it.
        """
        newline = "\r\n" if "\r\n" in text else "\n"
        for block in reversed(find_blocks(read_document(text), path)):
            content = self.rendered(block.name).replace("\n", newline)
            inside = f"{newline * 2}{content}{newline * 2}" if content else newline * 2
            text = f"{text[: block.start]}{inside}{text[block.end :]}"
        return text


def _call(name: str, source: BlockSource, root: Path) -> str:
    module_name, _, function = source.render.partition(":")
    data = read_values(root / source.data)
    sys.path.insert(0, str(root))
    try:
        made = getattr(importlib.import_module(module_name), function)(data)
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"block {name}: {source.render} cannot render {source.data}: {error!r}") from error
    finally:
        sys.path.remove(str(root))
    if not isinstance(made, str):
        raise ConfigError(f"block {name}: {source.render} returns {type(made).__name__}, not Markdown text")
    return made


def verdicts_table(evidence: Sequence[Evidence]) -> str:
    """All promises that results measure, as a Markdown table."""
    if not evidence:
        return "No promise has been measured."
    heads = ("model", "stage", "target", "promise", "measured", "verdict", "samples", "on", "machine")
    rows = [" | ".join(heads), " | ".join(["---"] * len(heads)), *_rows(evidence)]
    return "\n".join(f"| {row} |" for row in rows)


def _rows(evidence: Sequence[Evidence]) -> Iterator[str]:
    for entry in evidence:
        for verdict in entry.measurement.verdicts:
            statistic = statistic_name(verdict.quantile)
            cells = (
                entry.model,
                entry.stage,
                entry.target,
                f"{statistic} <= {format_ns(verdict.limit_ns, digits=6)}",
                f"{format_ns(verdict.measured_ns)} {interval_text(verdict.interval)}",
                str(verdict.outcome),
                format_count(verdict.samples),
                entry.started_at[:10],
                entry.machine,
            )
            yield " | ".join(cell.replace("|", "\\|") for cell in cells)
