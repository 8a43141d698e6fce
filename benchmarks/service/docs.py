"""Put the tables into docs/serving-performance.md, so that the page cannot drift from the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.marked import fill_page
from benchmarks.service.table import render

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "serving-performance.md"
BLOCK = "service-benchmark"


def write_page(results: Mapping[str, Any]) -> None:
    """Fill the page."""
    fill_page(PAGE, BLOCK, render(results))
