"""Put the table of the committed results into docs/export.md, so that the two cannot drift apart.

python -m benchmarks.export.docs
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.export.rows import Row, table
from benchmarks.marked import fill_page

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "export.md"
BLOCK = "export-benchmark"


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


def main() -> None:
    """Write the page."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    fill_page(PAGE, BLOCK, block(results))


if __name__ == "__main__":
    main()
