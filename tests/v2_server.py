"""A small real server of the Open Inference Protocol v2, written without the client that it is there to test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

_CODES = {"FP32": "<f4", "INT64": "<i8", "FP16": "<f2"}
_ONNX = {"tensor(float)": "FP32", "tensor(int64)": "INT64"}


class BadRequestError(Exception):
    """The client's fault."""


class V2Server:
    """One model behind HTTP; ``faults`` names what it does wrong.

    Args:
        path: the .onnx file.
        name: what the model is called.
        faults: among "dead", "not-ready", "wrong-shape", "wrong-numbers", "nan", "silent-errors", "accepts-anything",
            "wrong-after-two-loads", "dies-on-garbage", "no-reload", "token", "drops-outputs", "odd-answer".
    """

    def __init__(self, path: Path, name: str, faults: frozenset[str] = frozenset()) -> None:
        self.path, self.name, self.faults = path, name, faults
        self.session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.loads = 0
        self.broken = False

    def metadata(self) -> dict[str, Any]:
        def tensors(nodes: Any) -> list[dict[str, Any]]:
            shapes = [[axis if isinstance(axis, int) else -1 for axis in node.shape] for node in nodes]
            if "wrong-shape" in self.faults:
                shapes = [[*shape, 1] for shape in shapes]
            return [
                {"name": node.name, "datatype": _ONNX[node.type], "shape": shape}
                for node, shape in zip(nodes, shapes, strict=True)
            ]

        inputs, outputs = tensors(self.session.get_inputs()), tensors(self.session.get_outputs())
        return {"name": self.name, "platform": "onnx", "inputs": inputs, "outputs": outputs}

    def infer(self, body: bytes, json_bytes: int | None) -> tuple[bytes, int | None]:
        try:
            document = json.loads(body[:json_bytes])
            feeds, position = {}, json_bytes or 0
            for entry in document["inputs"]:
                dtype = np.dtype(_CODES[entry["datatype"]])
                size = entry.get("parameters", {}).get("binary_data_size")
                if size is None:
                    array = np.array(entry["data"], dtype=dtype)
                else:
                    array = np.frombuffer(body[position : position + size], dtype=dtype)
                    position += size
                feeds[entry["name"]] = array.reshape(entry["shape"])
            outputs = self.session.run(None, feeds)
        except Exception as error:
            raise BadRequestError(str(error)) from error
        names = [node.name for node in self.session.get_outputs()]
        if "wrong-numbers" in self.faults or ("wrong-after-two-loads" in self.faults and self.loads > 2):
            outputs = [output + 1 for output in outputs]
        if "nan" in self.faults:
            outputs = [output * np.nan for output in outputs]
        if "drops-outputs" in self.faults:
            names, outputs = [], []
        binary = document.get("parameters", {}).get("binary_data_output", False)
        entries, blobs = [], []
        for name, output in zip(names, outputs, strict=True):
            entry = {"name": name, "datatype": "FP32", "shape": list(output.shape)}
            if binary:
                blobs.append(output.astype("<f4").tobytes())
                entry["parameters"] = {"binary_data_size": len(blobs[-1])}
            else:
                entry["data"] = output.ravel().tolist()
            entries.append(entry)
        encoded = json.dumps({"model_name": self.name, "outputs": entries}).encode()
        return encoded + b"".join(blobs), len(encoded) if binary else None


class _Handler(BaseHTTPRequestHandler):
    v2: V2Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Stay silent."""

    def answer(self, status: int, body: bytes, json_bytes: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if json_bytes is not None:
            self.send_header("Inference-Header-Content-Length", str(json_bytes))
        self.end_headers()
        self.wfile.write(body)

    def error(self, status: int, message: str) -> None:
        if "accepts-anything" in self.v2.faults:
            self.answer(200, b"{}")
        elif "silent-errors" in self.v2.faults:
            self.answer(status, b"")
        else:
            self.answer(status, json.dumps({"error": message}).encode())

    def do_GET(self) -> None:
        model = f"/v2/models/{self.v2.name}"
        if self.path == "/v2/health/live":
            self.answer(503 if "dead" in self.v2.faults else 200, b"{}")
        elif self.path in ("/v2/health/ready", f"{model}/ready"):
            self.answer(503 if "not-ready" in self.v2.faults else 200, b"{}")
        elif self.path == model:
            self.answer(200, json.dumps(self.v2.metadata()).encode())
        else:
            self.error(404, "no such model")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == f"/v2/repository/models/{self.v2.name}/load":
            self.load()
        elif self.path == f"/v2/models/{self.v2.name}/infer":
            self.infer(body)
        else:
            self.error(404, "no such model")

    def load(self) -> None:
        if "no-reload" in self.v2.faults:
            self.error(405, "no")
        elif "token" in self.v2.faults and self.headers.get("Authorization") != "Bearer secret":
            self.error(401, "who are you")
        else:
            self.v2.loads += 1
            self.answer(200, b"{}")

    def infer(self, body: bytes) -> None:
        length = self.headers.get("Inference-Header-Content-Length")
        if self.v2.broken:
            self.error(500, "broken")
            return
        if "odd-answer" in self.v2.faults:
            self.answer(200, b'{"outputs": [{"name": "y"}]}')
            return
        try:
            self.answer(200, *self.v2.infer(body, int(length) if length else None))
        except BadRequestError as error:
            self.v2.broken = "dies-on-garbage" in self.v2.faults
            self.error(400, str(error))


@contextmanager
def serving(path: Path, name: str, *faults: str) -> Iterator[tuple[str, V2Server]]:
    """Serve a model on a free port of loopback: its address, and the server itself."""
    server = V2Server(path, name, frozenset(faults))
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"v2": server}))
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http_server.server_address[1]}", server
    finally:
        http_server.shutdown()
        http_server.server_close()
        thread.join()
