"""The shipped model behind a real ``voiceflow serve``, asked as the hardware tests ask it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from voiceflow_ml.client import Client
from voiceflow_ml.errors import ConfigError, RefusedError, UnreachableError
from voiceflow_ml.files import hash_file
from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.hardware.targets import CPU
from voiceflow_ml.inference.call import Measurable
from voiceflow_ml.latency import Mode, SamplingPlan, SelfTimed, measure
from voiceflow_ml.load import PROFILES
from voiceflow_ml.load.served import ServedModel, Share
from voiceflow_ml.load.server_process import ServerProcess
from voiceflow_ml.models.shipped import MODEL_NAME, shipped_model_path, shipped_speech_path
from voiceflow_ml.units import NS_PER_MS

WINDOW = np.zeros((1, 48_000), dtype=np.float32)
PLAN = SamplingPlan((20,), 20, mode=Mode.OPEN_LOOP, interval_ns=100 * NS_PER_MS, pilot_calls=2, block_calls=20)


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[ServerProcess]:
    with ServerProcess(["--threads", "1", "--set", "queue_timeout_s=30"]) as process:
        yield process


def test_a_request_is_timed_whole_and_by_the_servers_own_word(server: ServerProcess) -> None:
    sha256 = hash_file(shipped_model_path())
    with (
        ServedModel(server.url, MODEL_NAME, CPU, sha256=sha256, network=PROFILES["same-region"]) as whole,
        ServedModel(server.url, MODEL_NAME, CPU, share=Share.SERVER_PROCESSING) as share,
    ):
        assert isinstance(whole, Measurable)
        call = whole.bind(WINDOW)
        assert isinstance(call, SelfTimed)
        taken = measure(call, PLAN)
        # No request can be faster than the shortest way there and back.
        assert taken.samples_ns.min() >= 10 * NS_PER_MS
        told = measure(share.bind(WINDOW), PLAN)
        assert told.samples_ns.size == taken.samples_ns.size == 20
        assert told.samples_ns.min() > 0
        assert "network played: same-region: 10 ms to 40 ms" in whole.boundary
        assert "as the server itself tells it" in share.boundary
        assert whole.facts()["model SHA-256"] == sha256
        severities = {finding.severity for finding in whole.findings() if "lateness" not in finding.fact}
        assert severities == {Severity.INFORMATION}


def test_another_file_behind_the_service_is_found(server: ServerProcess) -> None:
    with ServedModel(server.url, MODEL_NAME, CPU, sha256="0" * 64) as model:
        assert model.findings()[0].severity is Severity.INVALID


def test_inputs_that_do_not_fit_are_refused(server: ServerProcess) -> None:
    with ServedModel(server.url, MODEL_NAME, CPU) as model:
        with pytest.raises(ConfigError, match=r"takes 1 inputs \(audio\), got 2"):
            model.bind(WINDOW, WINDOW)
        with pytest.raises(RefusedError, match="400"):
            model.bind(WINDOW.astype(np.float64)).send_at([0, 1_000])
    with pytest.raises(RefusedError, match="404"), ServedModel(server.url, "another", CPU):
        pass


def test_the_clients_ask_the_real_server(server: ServerProcess) -> None:
    with Client(server.url) as client:
        assert client.ready(MODEL_NAME)
        found = client.diarize(shipped_speech_path())
        assert found.turns
        assert found.timing is not None
        assert found.timing.model_inference_ns > 0
        with client.stream() as stream:
            assert stream.version == found.version
            for _ in range(5):
                stream.feed(np.zeros(1_600, dtype=np.float32))
            assert stream.finish() == ()
        with pytest.raises(RefusedError, match=r"no admin token is configured.*the token is not one that may"):
            client.load(MODEL_NAME)
    assert server.resident_bytes > 1 << 20


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(UnreachableError, match=r"the server did not start; its last words: .*threads"):
        ServerProcess(["--threads", "-1"]).__enter__()
