"""JSON that shows by itself when a single bit of it is not as it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from voiceflow_ml.errors import IntegrityError

_SEAL = "seal_sha256"


def seal(content: Mapping[str, Any]) -> bytes:
    """Write a document in its one form, with a hash over all the rest in it."""
    digest = hashlib.sha256(_canonical(content)).hexdigest()
    return _canonical({**content, _SEAL: digest})


def unseal(data: bytes, source: str) -> dict[str, Any]:
    """Read a document back.

    Args:
        data: what :func:`seal` wrote.
        source: where it comes from, for messages.

    Raises:
        IntegrityError: it is not byte for byte what :func:`seal` wrote.
    """
    try:
        content: dict[str, Any] = json.loads(data)
        content.pop(_SEAL)
        # The form is part of what is sealed: other bytes of the same meaning are other bytes.
        whole = seal(content) == data
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise IntegrityError(f"{source} is damaged: it is not what was written")
    return content


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
