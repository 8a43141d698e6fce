"""The promises of the service: the shipped model behind ``voiceflow serve``, asked over real sockets.

Requests come by a Poisson schedule that waits for no answer, and latency counts from when each was due. The server is
a process of its own; of the network nothing is real but loopback: its delays are played, by a declared profile.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from voiceflow_ml.files import hash_file
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.models.shipped import MODEL_NAME, shipped_model_path

if TYPE_CHECKING:
    from voiceflow_ml.load.served import ServedModel
    from voiceflow_ml.load.server_process import ServerProcess

pytestmark = pytest.mark.skipif(
    not all(find_spec(name) for name in ("fastapi", "uvicorn", "aiohttp", "websockets")),
    reason='the service is not installed: pip install "voiceflow-ml[serve,client]"',
)
NETWORK = "same-region"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """``voiceflow serve`` with the shipped model and the settings that it has by default."""
    from voiceflow_ml.load.server_process import ServerProcess  # noqa: PLC0415

    with ServerProcess() as process:
        yield process


def served(server: ServerProcess, target: Target, share: str, network: str) -> ServedModel:
    """The shipped model behind the server, and no other file."""
    from voiceflow_ml.load import find_profile  # noqa: PLC0415
    from voiceflow_ml.load.served import ServedModel, Share  # noqa: PLC0415

    sha256 = hash_file(shipped_model_path())
    return ServedModel(
        server.url, MODEL_NAME, target, share=Share(share), network=find_profile(network), sha256=sha256, seed=1
    )


@pytest.mark.hardware
@pytest.mark.sla("fast-cnn", stage="server-processing")
def test_server_processing(
    latency: Any, server: ServerProcess, target: Target, speech_window: Any, speech_phrase: str
) -> None:
    with served(server, target, "server-processing", "none") as model:
        latency(model, speech_window, inputs=speech_phrase)


@pytest.mark.hardware
@pytest.mark.sla("fast-cnn", stage="end-to-end")
def test_end_to_end(
    latency: Any, server: ServerProcess, target: Target, speech_window: Any, speech_phrase: str
) -> None:
    with served(server, target, "end-to-end", NETWORK) as model:
        latency(model, speech_window, inputs=speech_phrase)
