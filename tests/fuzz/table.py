"""The results as Markdown: what docs/reliability.md shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"
_COLUMNS = {
    "mutants": "broken models",
    "refused_by_the_runtime": "refused by ONNX Runtime alone",
    "refused_at_every_gate": "refused by contract check and service",
    "still_valid": "still valid",
}


def render(results: dict[str, Any]) -> str:
    """The committed counts as a table.

    Args:
        results: as ``python -m tests.fuzz`` writes them.
    """
    rows = [*results["families"].items(), ("**all**", results["all"])]
    lines = [f"| family | {' | '.join(_COLUMNS.values())} |", f"|---|{'--:|' * len(_COLUMNS)}"]
    lines += [f"| {name} | {' | '.join(str(counts.get(key, 0)) for key in _COLUMNS)} |" for name, counts in rows]
    every = results["other_ways_every"]
    part = "all of them" if every == 1 else f"the others for one of {every} models"
    return "\n".join(lines) + (
        f"\n\n{results['tries']} tries by {len(results['ways'])} ways in ({part}): {results['crashes']} crashes, "
        f"{results['hangs']} hangs, {results['opened_outside']} files opened outside of the folder, "
        f"{results['not_one_sentence']} refusals that are not one printable sentence."
    )
