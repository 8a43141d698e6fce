"""How long a busy service is waited for."""

from __future__ import annotations

from voiceflow_ml.errors import BusyError

_DEFAULT_DELAY_S = 1.0
_LEAST_DELAY_S = 0.01


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
