"""Put the tables of the committed results into docs/models.md, so that the two cannot drift apart.

python -m benchmarks.models.docs
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.models.table import render
from voiceflow_ml.files import write_text_atomic

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN = "<!-- benchmarks/models/results.json begins -->"
END = "<!-- benchmarks/models/results.json ends -->"


def block_of(page: str) -> str:
    """What lies between the two marks.

    Raises:
        ValueError: The page lacks one of them.
    """
    first, last = page.index(BEGIN) + len(BEGIN), page.index(END)
    return page[first:last].strip()


def filled(page: str, block: str) -> str:
    """The page with another block between the marks.

    Raises:
        ValueError: The page lacks one of them.
    """
    first, last = page.index(BEGIN) + len(BEGIN), page.index(END)
    return f"{page[:first]}\n\n{block}\n\n{page[last:]}"


def main() -> None:
    """Fill the page."""
    block = render(json.loads(RESULTS.read_text(encoding="utf-8")))
    write_text_atomic(PAGE, filled(PAGE.read_text(encoding="utf-8"), block))


if __name__ == "__main__":
    main()
