"""What schemathesis has to know to send audio: it is bytes, whatever they are called."""

from __future__ import annotations

from typing import Any

import schemathesis


def _as_it_is(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


for kind in ("audio/wav", "audio/flac", "audio/ogg", "audio/x-raw"):
    schemathesis.serializer(kind)(_as_it_is)
