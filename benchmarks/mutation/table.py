"""The results as Markdown: what docs/reliability.md shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render(results: Mapping[str, Any]) -> str:
    """Packages first, then their modules.

    Args:
        results: as ``python -m benchmarks.mutation`` writes them.
    """
    heads = (
        "",
        "mutants",
        "tested",
        "killed",
        "timeouts",
        "survived",
        "explained",
        "score",
        "score without the explained",
    )
    rows = [heads, ("---", *["--:"] * (len(heads) - 1))]
    for package in results["packages"]:
        rows.append(_row(package, f"**`{package['name']}`**"))
        modules = [one for one in results["modules"] if one["name"].startswith(f"{package['name']}/")]
        rows += [_row(module, f"`{module['name']}`") for module in modules]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\n{results['tool']}, {results['measured_at']}."


def _row(counts: Mapping[str, Any], name: str) -> tuple[str, ...]:
    numbers = [str(counts[key]) for key in ("mutants", "tested", "killed", "timeouts", "survived", "explained")]
    scores = [_share(counts[key]) for key in ("score_percent", "score_without_explained_percent")]
    return (name, *numbers, *scores)


def _share(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.1f} %"
