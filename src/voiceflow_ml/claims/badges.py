"""What a static badge says: its address is its text."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

_HOSTS = ("img.shields.io", "raster.shields.io", "badgen.net", "static.pepy.tech")
_KINDS = ("/badge/", "/static/v1")


def badge_text(address: str) -> str:
    """``"p99 4.48ms"`` of ``https://img.shields.io/badge/p99-4.48ms-green``; empty for any other address."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return ""
    if host not in _HOSTS or not parts.path.startswith(_KINDS[0]):
        return ""
    path = parts.path.removeprefix(_KINDS[0])
    # Two dashes and two underscores stand for one, one dash divides, one underscore is a space.
    fields = [
        field.replace("\0", "-").replace("__", "\1").replace("_", " ").replace("\1", "_")
        for field in path.replace("--", "\0").split("-")
    ]
    said = fields[:-1] if len(fields) > 1 else fields
    return " ".join(unquote(field) for field in said).strip()
