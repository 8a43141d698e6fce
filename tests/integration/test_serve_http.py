"""The server over real sockets with the shipped model: what it answers, and what it says of itself."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from tests.contract_models import NAME, contracted_model, save_contract
from tests.servers import TOKEN, Local, ask, bearer, local_server
from voiceflow_ml.contract import Contract, read_contract
from voiceflow_ml.contract.check import onnx_run
from voiceflow_ml.contract.from_model import contract_of
from voiceflow_ml.contract.golden import write_golden
from voiceflow_ml.contract.protocol import Server, read_outputs
from voiceflow_ml.contract.server import verify_server
from voiceflow_ml.diarization.diarizer import open_diarizer
from voiceflow_ml.models.shipped import shipped_model_path, shipped_speech_path
from voiceflow_ml.rttm import parse_rttm
from voiceflow_ml.wire import infer_request

INFER = "/v2/models/fast-cnn/infer"


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Local]:
    with local_server(access_log=True) as server:
        yield server


@pytest.fixture(name="speech", scope="module")
def _speech() -> bytes:
    return shipped_speech_path().read_bytes()


@pytest.fixture(name="noise", scope="module")
def _noise() -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(0).standard_normal((2, 16_000))).astype(np.float32)


def test_the_turns_are_those_of_the_library_as_json_and_as_rttm(server: Local, speech: bytes) -> None:
    wanted = open_diarizer()(str(shipped_speech_path()))
    answer = ask(server.url, "/v1/diarize", speech, {"Content-Type": "audio/wav"})
    assert answer.status == 200
    document = answer.document
    assert (document["model"], document["duration_s"]) == ("fast-cnn", round(wanted.seconds, 3))
    assert document["speakers"] == list(wanted.speakers)
    turns = [(turn["speaker"], turn["start_s"], turn["end_s"]) for turn in document["turns"]]
    assert turns == [(turn.speaker, round(turn.start_s, 3), round(turn.end_s, 3)) for turn in wanted.turns]
    answer = ask(server.url, "/v1/diarize?recording=a%20call", speech, {"Accept": "text/rttm"})
    assert answer.headers["content-type"] == "text/rttm; charset=utf-8"
    assert answer.body.decode() == wanted.to_rttm("a call")
    assert set(parse_rttm(answer.body.decode(), "answer")) == {"a_call"}


def test_an_answer_says_which_version_gave_it_and_how_long_each_stage_took(server: Local, speech: bytes) -> None:
    answer = ask(server.url, "/v1/diarize", speech, {})
    assert answer.headers["voiceflow-model"] == "fast-cnn"
    assert answer.headers["voiceflow-version"] == server.parts.slot.status().version
    stages = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["server-timing"]))
    assert list(stages) == ["queue", "inference", "total"]
    assert 0 < float(stages["inference"]) < float(stages["total"])


@pytest.mark.parametrize(
    ("path", "headers", "status", "words"),
    [
        ("/v1/diarize?speaker=2", {}, 400, "'speaker' is no parameter"),
        ("/v1/diarize?speakers=two", {}, 400, "speakers must be a whole number, got 'two'"),
        ("/v1/diarize?min_speakers=5&max_speakers=2", {}, 400, "max_speakers must be at least 5"),
        ("/v1/diarize", {"Accept": "image/png"}, 406, "application/json or text/rttm"),
        ("/v1/diarize", {"Content-Encoding": "gzip"}, 415, "Content-Encoding"),
        ("/v1/diarize", {"Content-Type": "audio/x-raw; rate=500"}, 422, "sample rate is 500 Hz"),
        ("/v1/nothing", {}, 404, "POST /v1/nothing: Not Found"),
        ("/livez", {}, 405, "Method Not Allowed"),
        (INFER, {}, 400, "the body is not JSON"),
        ("/v2/models/other/infer", {}, 404, "no model 'other' is served; 'fast-cnn' is"),
        ("/v2/models/fast-cnn/versions/0.0.1/infer", {}, 404, "version '0.0.1' is not served"),
    ],
)
def test_what_is_not_done_is_one_sentence(
    server: Local, path: str, headers: dict[str, str], status: int, words: str
) -> None:
    answer = ask(server.url, path, b"\0" * 3_200, headers)
    assert answer.status == status
    assert list(answer.document) == ["error"]
    assert words in answer.document["error"]


def test_audio_with_nan_is_refused_and_names_where(server: Local) -> None:
    audio = np.zeros(16_000, np.float32)
    audio[77] = np.nan
    answer = ask(server.url, "/v1/diarize", audio.tobytes(), {"Content-Type": "audio/x-raw; format=f32le"})
    assert (answer.status, answer.document["error"].partition(";")[0]) == (
        422,
        "the audio: holds NaN or infinity, first at sample 77",
    )
    body, headers = infer_request({"audio": audio[None]}, binary=True)
    assert ask(server.url, INFER, body, headers).status == 422


@pytest.mark.parametrize("binary", [True, False])
def test_inference_gives_what_the_model_gives(server: Local, noise: NDArray[np.float32], binary: bool) -> None:
    wanted = onnx_run(shipped_model_path())({"audio": noise})
    given = read_outputs(Server(server.url).infer("fast-cnn", {"audio": noise}, binary=binary))
    assert set(given) == set(wanted)
    for name, array in wanted.items():
        assert_close(given[name], array)


def assert_close(given: Any, wanted: Any) -> None:
    np.testing.assert_allclose(given, wanted, atol=1e-5)


def test_nvidias_client_passes_unchanged(server: Local, noise: NDArray[np.float32]) -> None:
    import tritonclient.http as client_module  # noqa: PLC0415 - it starts a library of coroutines of its own

    wanted = onnx_run(shipped_model_path())({"audio": noise})
    client = client_module.InferenceServerClient(server.url.removeprefix("http://"))
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("fast-cnn")
        assert not client.is_model_ready("other")
        assert client.get_server_metadata()["name"] == "voiceflow-ml"
        metadata = client.get_model_metadata("fast-cnn")
        assert metadata["inputs"] == [{"name": "audio", "datatype": "FP32", "shape": [-1, -1]}]
        assert client.get_model_repository_index()[0]["state"] == "READY"
        for binary in (True, False):
            tensor = client_module.InferInput("audio", list(noise.shape), "FP32")
            tensor.set_data_from_numpy(noise, binary_data=binary)
            outputs = [client_module.InferRequestedOutput(name, binary_data=binary) for name in wanted]
            for asked in (outputs, None):
                result = client.infer("fast-cnn", [tensor], outputs=asked, request_id="7")
                for name, array in wanted.items():
                    assert_close(result.as_numpy(name), array)
                assert result.get_response()["id"] == "7"
        client.load_model("fast-cnn", headers=bearer())
        with pytest.raises(client_module.InferenceServerException, match="all that this server serves"):
            client.unload_model("fast-cnn", headers=bearer())
    finally:
        client.close()


def released(folder: Path) -> Contract:
    """The shipped model as a release with a golden pair."""
    path = folder / "fast-cnn.onnx"
    shutil.copyfile(shipped_model_path(), path)
    inputs = {"audio": (0.1 * np.random.default_rng(1).standard_normal((1, 16_000))).astype(np.float32)}
    tolerance = {"powerset_logits": 1e-4, "embeddings": 1e-4}
    golden = write_golden(folder, "noise", inputs, onnx_run(path)(inputs), tolerance)
    contract = replace(contract_of(path), golden=(golden,))
    save_contract(path, contract)
    return contract


def test_it_keeps_the_contract_of_the_shipped_model(server: Local, tmp_path: Path) -> None:
    checks = verify_server(Server(server.url, token=TOKEN), released(tmp_path), tmp_path, reload=True)
    assert [(check.name, check.problem) for check in checks if check.problem] == []
    assert len(checks) == 16


def test_it_keeps_the_contract_of_a_model_that_does_not_diarize(tmp_path: Path) -> None:
    path = contracted_model(tmp_path)
    with local_server(model=str(path.parent)) as server:
        checks = verify_server(Server(server.url), read_contract(tmp_path), tmp_path)
        assert [(check.name, check.problem) for check in checks if check.problem] == []
        answer = ask(server.url, "/v1/diarize", shipped_speech_path().read_bytes(), {})
        assert answer.status == 404
        assert f"/v2/models/{NAME}/infer" in answer.document["error"]


def metrics(server: Local) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(ask(server.url, "/metrics").body.decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_are_in_seconds_by_model_version_and_stage(server: Local, noise: NDArray[np.float32]) -> None:
    version = server.parts.slot.status().version
    key = {stage: ("voiceflow_stage_seconds_count", "fast-cnn", stage, version) for stage in ("queue", "total")}
    before = metrics(server)
    Server(server.url).infer("fast-cnn", {"audio": noise}, binary=True)
    ask(server.url, INFER, b"{", {})
    after = metrics(server)
    for stage in key.values():
        assert after[stage] - before.get(stage, 0) == 1
    refused = ("voiceflow_requests_total", "/v2/models/{model}/infer", "400")
    assert after[refused] - before.get(refused, 0) == 1
    spent_s = after[("voiceflow_stage_seconds_sum", "fast-cnn", "inference", version)]
    assert 0 < spent_s < 1_000
    digest = server.parts.slot.status().digest
    assert after[("voiceflow_model_info", digest, "fast-cnn", version)] == 1
    assert after[("voiceflow_queue_depth",)] == after[("voiceflow_buffered_bytes",)] == 0


def test_the_openapi_document_describes_every_route(server: Local) -> None:
    document = ask(server.url, "/openapi.json").document
    paths = {"/v1/diarize", INFER.replace("fast-cnn", "{model}"), "/v2/models/{model}", "/livez", "/readyz", "/metrics"}
    assert paths <= set(document["paths"])
    answer = ask(server.url, "/v1/diarize", shipped_speech_path().read_bytes(), {}).document
    schema = document["paths"]["/v1/diarize"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(schema).validate(answer)
    assert "cdn" not in json.dumps(document)


def test_answers_are_finite_for_silence(server: Local) -> None:
    silence = np.zeros((1, 16_000), np.float32)
    given = read_outputs(Server(server.url).infer("fast-cnn", {"audio": silence}, binary=False))
    assert all(math.isfinite(value) for array in given.values() for value in array.ravel().tolist())
