"""What every progress line has in common: how often it may speak, and where it can be rewritten in place."""

from __future__ import annotations

import os

from voiceflow_ml.units import NS_PER_MS, NS_PER_S

ERASE_LINE = "\r\x1b[2K"
"""Takes back what stands on a terminal's line."""
_TTY_INTERVAL_NS = 200 * NS_PER_MS
_PLAIN_INTERVAL_NS = 10 * NS_PER_S


def is_rewritable(isatty: bool) -> bool:
    """Whether a stream is a terminal that knows how to take a line back."""
    return isatty and os.environ.get("TERM") != "dumb"


class Pace:
    """Lets a line speak as often as it can be read: five times a second on a terminal, every ten seconds in a log.

    Args:
        rewritable: of :func:`is_rewritable`.
        begins_ns: on whatever clock ``due`` is asked by; the first line is due one interval later. None: at once.
    """

    def __init__(self, *, rewritable: bool, begins_ns: int | None = None) -> None:
        self._interval_ns = _TTY_INTERVAL_NS if rewritable else _PLAIN_INTERVAL_NS
        self._next_ns = 0 if begins_ns is None else begins_ns + self._interval_ns

    def due(self, now_ns: int) -> bool:
        """Whether a line may be written now; if so, the next one waits for another interval."""
        if now_ns < self._next_ns:
            return False
        self._next_ns = now_ns + self._interval_ns
        return True
