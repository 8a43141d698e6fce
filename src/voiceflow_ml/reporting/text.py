"""Numbers and names as text, the same in every output."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from voiceflow_ml.latency import Comparison, Interval
from voiceflow_ml.units import format_count, format_ns


def one_line(text: str) -> str:
    """Any text as one printable line: white space becomes single spaces, control characters go."""
    return " ".join("".join(c if c.isprintable() else " " * c.isspace() for c in text).split())


def shortened(text: str, most: int) -> str:
    """Any text in at most this many characters; a cut is seen."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def fitted(render: Callable[[int], str], entries: int, limit_bytes: int) -> str:
    """A text with as many entries as fit.

    Args:
        render: the text with only the first so many entries; more of them never make it shorter.
        entries: how many there are.
        limit_bytes: most bytes of UTF-8.

    Returns:
        The text; empty when it does not fit without any.
    """

    def size(count: int) -> int:
        return len(render(count).encode("utf-8", "backslashreplace"))

    fitting = bisect_right(range(entries + 1), limit_bytes, key=size)
    return render(fitting - 1) if fitting else ""


def more_text(count: int, where: str) -> str:
    """What stands for entries that were left out, all of them after the worst; nothing for none."""
    return f"and {format_count(count)} more, none of them worse: see {where}" if count > 0 else ""


def objective_text(statistic: str, limit_ns: int) -> str:
    """``"P99 <= 10 ms"``."""
    return f"{statistic} <= {format_ns(limit_ns, digits=6)}"


def interval_text(interval: Interval) -> str:
    """``"[4.40 ms, 4.95 ms]"``; an open side is said in words."""
    low = format_ns(interval.low_ns) if interval.low_ns is not None else "no lower bound"
    high = format_ns(interval.high_ns) if interval.high_ns is not None else "no upper bound"
    return f"[{low}, {high}]"


def ratio_text(ratio: float | None) -> str:
    """``"1.182x"``; nothing for none."""
    return "" if ratio is None else f"{ratio:.3f}x"


def ratio_interval_text(comparison: Comparison) -> str:
    """``"[1.121x, 1.240x]"``; an open side is said in words."""
    low = ratio_text(comparison.ratio_low) or "no lower bound"
    high = ratio_text(comparison.ratio_high) or "no upper bound"
    return f"[{low}, {high}]"
