"""How long a busy service is waited for, and how long an idle connection is trusted."""

from __future__ import annotations

from voiceflow_ml.errors import BusyError

_DEFAULT_DELAY_S = 1.0
_LEAST_DELAY_S = 0.01
IDLE_S = 2.0
"""A connection that was idle for longer is not used again. The server closes it after ``keep_alive_s``, 5 s by default:
a request that is sent at that moment gets no answer, and nobody can tell whether it was taken."""


class Patience:
    """What is left of the time that one request may be put off.

    Args:
        total_s: in all.
    """

    def __init__(self, total_s: float) -> None:
        self._left_s = total_s

    def delay_s(self, error: BusyError) -> float | None:
        """How long to wait now, as the server asks; None when that is longer than what is left."""
        asked_s = _DEFAULT_DELAY_S if error.retry_after_s is None else max(_LEAST_DELAY_S, error.retry_after_s)
        if asked_s > self._left_s:
            return None
        self._left_s -= asked_s
        return asked_s
