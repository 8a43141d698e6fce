"""Put the tables into docs/serving-performance.md, so that the page cannot drift from the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.service.table import render
from voiceflow_ml.files import write_text_atomic

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "serving-performance.md"
BEGIN = "<!-- voiceflow:begin service-benchmark -->"
END = "<!-- voiceflow:end -->"


def block_of(page: str) -> str:
    """What lies between the two marks.

    Raises:
        ValueError: the page lacks one of them.
    """
    first, last = page.index(BEGIN) + len(BEGIN), page.index(END)
    return page[first:last].strip()


def write_page(results: Mapping[str, Any]) -> None:
    """Fill the page."""
    page = PAGE.read_text(encoding="utf-8")
    first, last = page.index(BEGIN) + len(BEGIN), page.index(END)
    write_text_atomic(PAGE, f"{page[:first]}\n\n{render(results)}\n\n{page[last:]}")
