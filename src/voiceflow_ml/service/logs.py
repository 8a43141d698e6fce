"""The server's log: one JSON object a line, whatever a client sent.

JSON escapes line breaks and control characters, so nothing that comes from outside can pass for a line of its own.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO

LOGGER = "voiceflow_ml.service"
LEVELS = ("debug", "info", "warning", "error")
_FIELDS = "voiceflow_fields"
_LONGEST = 500


class JsonLines(logging.Formatter):
    """A record as one line: time (UTC), level, event, and the fields it was logged with."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        entry: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage()[:_LONGEST],
        }
        fields = getattr(record, _FIELDS, {})
        entry.update({name: value for name, value in fields.items() if name not in entry})
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def set_up(level: str, stream: IO[str] | None = None) -> None:
    """Send everything that is logged in this process to a stream, as lines of JSON.

    Args:
        level: one of :data:`LEVELS`.
        stream: standard error by default.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # The server framework tells of each stream that opens and closes; that is for those who look for a fault.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING if level == "info" else level.upper())


def say(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **fields: object) -> None:
    """Log one event.

    Args:
        event: what happened, in a few words that stay the same.
        level: of ``logging``.
        error: its traceback is logged, too; for what should not happen.
        fields: what belongs to it; long texts are cut.
    """
    logger = logging.getLogger(LOGGER)
    if logger.isEnabledFor(level):
        short = {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in fields.items()}
        logger.log(level, event, extra={_FIELDS: short}, exc_info=error)
