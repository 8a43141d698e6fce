"""Ask a service for inferences and speaker turns, from code that waits and from code that does not.

Ten lines::

    from voiceflow_ml.client import Client

    with Client("http://127.0.0.1:8000") as client:
        for turn in client.diarize("meeting.wav").turns:
            print(turn.speaker, turn.start_s, turn.end_s)

:class:`AsyncClient` has the same verbs to await. Needs the ``client`` extra. Every error is a
:class:`~voiceflow_ml.errors.ClientError` that names address, status, the server's own sentence and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voiceflow_ml.client.answers import Diarized, Inferred, ServerTiming

if TYPE_CHECKING:
    from voiceflow_ml.client.aio import AsyncClient
    from voiceflow_ml.client.sync import Client

__all__ = ["AsyncClient", "Client", "Diarized", "Inferred", "ServerTiming"]


def __getattr__(name: str) -> Any:
    # The HTTP libraries are imported only by who opens a client: the protocol alone needs neither.
    if name == "Client":
        from voiceflow_ml.client.sync import Client  # noqa: PLC0415

        return Client
    if name == "AsyncClient":
        from voiceflow_ml.client.aio import AsyncClient  # noqa: PLC0415

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
