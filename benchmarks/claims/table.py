"""The scores as Markdown: what docs/claims.md shows."""

from __future__ import annotations

from typing import Any

from benchmarks.claims.scoring import PARTS


def render(results: dict[str, Any]) -> str:
    """The committed scores as a table.

    Args:
        results: as ``python -m benchmarks.claims --json`` writes them.
    """
    heads = (
        "part",
        "documents",
        "claims",
        "look-alikes",
        "precision",
        "recall",
        "look-alikes taken",
        "same unit",
        "same percentile",
        "same comparator",
    )
    rows = [heads, ["---", *["--:"] * (len(heads) - 1)], *(_row(part, results[part]) for part in PARTS)]
    table = "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
    return f"{table}\n\nThe part kept apart has been scored {results['scored']} times."


def _row(part: str, score: dict[str, Any]) -> list[str]:
    shares = ("unit", "statistic", "comparator")
    return [
        part.replace("_", " "),
        str(score["documents"]),
        str(score["claims"]),
        str(score["lookalikes"]),
        f"{score['precision_fraction']:.3f}",
        f"{score['recall_fraction']:.3f}",
        str(score["lookalikes_taken"]),
        *(f"{score[f'{name}_agreement_fraction']:.3f}" for name in shares),
    ]
