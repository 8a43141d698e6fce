"""Put the table of the committed results into docs/export.md, so that the two cannot drift apart.

python -m benchmarks.export.docs
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.export.rows import Row, table
from voiceflow_ml.files import write_text_atomic

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "export.md"
BEGIN = "<!-- voiceflow:begin export-benchmark -->"
END = "<!-- voiceflow:end -->"


def block(results: Mapping[str, Any]) -> str:
    """The table, what was found out on the way, and what it was measured on."""
    rows = table([Row(**row) for row in results["rows"]])
    folders = ", ".join(f"{count} recordings of {name}" for name, count in results["recordings"].items())
    machine = f"{results['machine']['CPU']}, {results['machine']['logical cores']} logical cores"
    about = (
        f"Model {results['model_sha256'][:16]}; {machine}, ONNX Runtime {results['onnxruntime']}; "
        f"{results['conversations_per_split']} simulated conversations of 30 s per split"
        f"{f', {folders}' if folders else ''}."
    )
    return f"{rows}\n\n{about}"


def filled(page: str, text: str) -> str:
    """The page with another block between its two marks.

    Raises:
        ValueError: the page lacks one of them.
    """
    first, last = page.index(BEGIN) + len(BEGIN), page.index(END)
    return f"{page[:first]}\n\n{text}\n\n{page[last:]}"


def main() -> None:
    """Write the page."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    write_text_atomic(PAGE, filled(PAGE.read_text(encoding="utf-8"), block(results)))


if __name__ == "__main__":
    main()
