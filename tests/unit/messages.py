"""Messages that people read are compared whole, from the first character to the last."""

from __future__ import annotations

import re


def exactly(message: str) -> str:
    """A pattern for ``pytest.raises(match=...)`` that only this message matches."""
    return rf"\A{re.escape(message)}\Z"
