"""The matrix as Markdown, from what its last run wrote down: what docs/reliability.md shows."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

_GOOD, _NOT_HERE = "survived", "not run here"


def render(results: dict[str, Any]) -> str:
    """The counts, then one line for each row.

    Args:
        results: as ``python -m tests.faults`` writes them.
    """
    rows = results["rows"]
    heads = ("id", "fault", "where", "finished", "lost", "exit status", "what holds, beside nothing lost", "")
    lines = [heads, ("---", "---", "---", "--:", "--:", "--:", "---", "---"), *map(_line, rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([summary(rows), *_measured(rows), table])


def _measured(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What took how long, and how much memory: stated, and not asserted."""
    return [_cost(row) for row in rows if "render_s" in row.get("measured", {})]


def _cost(row: dict[str, Any]) -> str:
    measured = row["measured"]
    took = f"{measured['render_s']:.0f} s and a peak of {measured['peak_bytes'] / 2**20:.0f} MiB"
    return f"{row['id']}: {row['fault']} ({row['planted']}) were rendered again in {took}, beside other work."


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """``"Planted 100, survived 100, lost: 0 ..."``."""
    planted = [row for row in rows if row["became"] != _NOT_HERE]
    survived = sum(row["became"] == _GOOD for row in planted)
    finished, lost = (sum(row.get(key, 0) for row in planted) for key in ("finished", "lost"))
    kills = sum(row["fault"] == "kill -9" for row in planted)
    left = len(rows) - len(planted)
    return (
        f"Planted {len(planted)} ({kills} of them kill -9), survived {survived}, lost: {lost} "
        f"results of the {finished} tests that had finished{f'; {left} could not be planted here' if left else ''}."
    )


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    good = row["became"] == _GOOD
    word = "" if good else f"**{row['became'].upper()}**"
    finished, status = (str(row["finished"]), _status(row["exit_status"])) if good else ("", "")
    return (row["id"], row["fault"], row["planted"], finished, str(row["lost"]), status, row["holds"], word)


def _status(status: int) -> str:
    """As the run's table of exit statuses has it; a run that a signal ended has the signal's name."""
    return signal.Signals(-status).name if status < 0 else str(status)
