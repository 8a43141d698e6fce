"""How a soak may stand."""

from __future__ import annotations

RUNNING, FINISHED, INTERRUPTED, DIED = "running", "finished", "interrupted", "the server's process ended"
