"""The plain way to serve the same model: FastAPI, a pydantic model, JSON both ways, a session like ours.

Run as a process: ``python -m benchmarks.service.baseline``. It says on standard error where it listens.
"""

from __future__ import annotations

import json
import socket
import sys

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from voiceflow_ml.hardware.targets import CPU
from voiceflow_ml.inference.ort_session import make_session
from voiceflow_ml.models.shipped import shipped_model_path


class Audio(BaseModel):
    """What is sent: samples in [-1, 1], shape ``[batch, samples]``."""

    audio: list[list[float]]


def build() -> FastAPI:
    """The application: one route, as its documentation would have it."""
    app = FastAPI()
    # The session's options are ours, so that what differs is the way of serving.
    session = make_session(shipped_model_path(), CPU, threads=1, spinning=False)
    names = [node.name for node in session.get_outputs()]

    @app.post("/infer")
    def infer(request: Audio) -> dict[str, list[object]]:
        outputs = session.run(None, {"audio": np.array(request.audio, dtype=np.float32)})
        return {name: output.tolist() for name, output in zip(names, outputs, strict=True)}

    return app


def main() -> None:
    """Serve on a free port of loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(build(), log_level="error"))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(json.dumps({"event": "listening", "url": url}), file=sys.stderr, flush=True)
    server.run([listener])


if __name__ == "__main__":
    main()
