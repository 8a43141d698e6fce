"""The Open Inference Protocol from the server's side: what is read, what is refused, what is written."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.contract import Contract, Signal, Tensor
from voiceflow_ml.contract.protocol import Answer, read_outputs
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.v2_answer import tensor_metadata, write_infer
from voiceflow_ml.service.v2_request import InferRequest, json_length, read_infer
from voiceflow_ml.wire import infer_request

AUDIO = Tensor("audio", "float32", ("batch", "samples"))
LENGTHS = Tensor("lengths", "int64", ("batch",))
OUTPUTS = (Tensor("logits", "float32", ("batch", "frames", 7)), Tensor("ids", "int64", ("batch",)))
CONTRACT = Contract("net", (AUDIO,), OUTPUTS, {"": 17}, 8, "", signal=Signal(16_000, 48_000, 320))
TWO_INPUTS = replace(CONTRACT, inputs=(AUDIO, LENGTHS), signal=None)
MOST_BYTES = 1 << 20
SOUND = np.linspace(-1, 1, 1_280, dtype=np.float32).reshape(2, 640)


def read(body: bytes, json_bytes: int | None = None, contract: Contract = CONTRACT) -> InferRequest:
    return read_infer(body, json_bytes, contract, most_bytes=MOST_BYTES)


def asked(inputs: dict[str, Any], *, binary: bool, contract: Contract = CONTRACT) -> InferRequest:
    body, headers = infer_request(inputs, binary=binary)
    return read(body, json_length({name.lower().encode(): value.encode() for name, value in headers.items()}), contract)


def refusal(document: object, contract: Contract = CONTRACT) -> tuple[int, str]:
    with pytest.raises(RequestError) as refused:
        read(json.dumps(document).encode(), None, contract)
    return refused.value.status, str(refused.value)


@pytest.mark.parametrize("binary", [True, False])
def test_what_the_client_of_this_package_sends_is_read(binary: bool) -> None:
    lengths = np.array([640, 320], dtype=np.int64)
    request = asked({"audio": SOUND, "lengths": lengths}, binary=binary, contract=TWO_INPUTS)
    np.testing.assert_array_equal(request.inputs["audio"], SOUND)
    np.testing.assert_array_equal(request.inputs["lengths"], lengths)
    assert request.inputs["audio"].flags.aligned
    assert request.inputs["lengths"].flags.aligned
    assert dict(request.outputs) == {"logits": binary, "ids": binary}


def test_binary_tensors_behind_json_of_any_length_are_aligned() -> None:
    for blanks in range(8):
        entry = {"name": "audio", "shape": [2, 640], "datatype": "FP32", "parameters": {"binary_data_size": 5_120}}
        head = json.dumps({"inputs": [entry]}).encode() + b" " * blanks
        request = read(head + SOUND.tobytes(), len(head))
        assert request.inputs["audio"].flags.aligned
        np.testing.assert_array_equal(request.inputs["audio"], SOUND)


def test_numbers_may_be_nested_as_the_protocol_lets_them() -> None:
    entry = {"name": "audio", "shape": [2, 640], "datatype": "FP32", "data": SOUND.tolist()}
    np.testing.assert_array_equal(read(json.dumps({"inputs": [entry]}).encode()).inputs["audio"], SOUND)


def audio(**changes: object) -> dict[str, object]:
    return {"name": "audio", "shape": [1, 640], "datatype": "FP32", "data": [0.5] * 640, **changes}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "no object"),
        ({}, "input 'audio' is missing"),
        ({"inputs": {}}, "'inputs' must be a list"),
        ({"inputs": [1]}, "'inputs' must be a list"),
        ({"inputs": [audio()] * 65}, "at most 64"),
        ({"inputs": [audio(name="sound")]}, "'sound' is not an input; the model takes audio"),
        ({"inputs": [audio(name=["audio"])]}, "is not an input"),
        ({"inputs": [audio(), audio()]}, "given twice"),
        ({"inputs": [audio(datatype="FP64")]}, "takes FP32, got 'FP64'"),
        ({"inputs": [audio(shape=[1, 1, 640])]}, r"takes float32 \[batch, samples\], got \[1, 1, 640\]"),
        ({"inputs": [audio(shape=[1, -640])]}, "sizes of at least 1"),
        ({"inputs": [audio(shape=[0, 640])]}, "sizes of at least 1"),
        ({"inputs": [audio(shape=[True, 640])]}, "sizes of at least 1"),
        ({"inputs": [audio(shape=[1.0, 640])]}, "sizes of at least 1"),
        ({"inputs": [audio(shape="1")]}, "a list of sizes"),
        ({"inputs": [audio(data=[0.5])]}, "640 numbers of float32"),
        ({"inputs": [audio(data=["x"] * 640)]}, "640 numbers"),
        ({"inputs": [audio(data=[[0.5], [0.5, 0.5]])]}, "640 numbers"),
        ({"inputs": [audio(data=None)]}, "640 numbers"),
        ({"inputs": [audio(parameters={"binary_data_size": 2_560})]}, "needs 2560 bytes"),
        ({"inputs": [audio(parameters={"binary_data_size": "x" * 200})]}, r"x\.\.\. are there"),
        ({"inputs": [audio(shape=[1, 100], data=[0.5] * 100)]}, "100 samples are no frame of 320"),
        ({"inputs": [audio()], "outputs": [{"name": "what"}]}, "'what' is not an output; the model gives logits, ids"),
    ],
)
def test_what_is_not_of_the_protocol_or_does_not_fit_is_one_sentence(document: object, words: str) -> None:
    status, sentence = refusal(document)
    assert status == 400
    assert re.search(words, sentence), sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_audio_that_is_not_finite_is_refused(value: float) -> None:
    status, sentence = refusal({"inputs": [audio(data=[value] * 640)]})
    assert (status, sentence) == (422, "input 'audio' holds NaN or infinity")


def test_inputs_are_bounded_together_before_any_is_made() -> None:
    status, sentence = refusal({"inputs": [audio(shape=[1 << 40, 1 << 40], data=[])]})
    assert (status, sentence) == (413, "the inputs have more than 1048576 bytes; send less at once")


def test_axes_of_one_name_are_of_one_size() -> None:
    entry = {"name": "lengths", "shape": [3], "datatype": "INT64", "data": [1, 2, 3]}
    status, sentence = refusal({"inputs": [audio(), entry]}, TWO_INPUTS)
    assert (status, sentence) == (400, "axis 'batch' has 3 entries in 'lengths', 1 before")


def test_a_body_that_is_cut_off_or_too_long_is_refused() -> None:
    body, headers = infer_request({"audio": SOUND}, binary=True)
    length = int(headers["Inference-Header-Content-Length"])
    for wrong, words in ((body[:-7], "are there"), (body + b"1234", "4 bytes of the body belong to no input")):
        with pytest.raises(RequestError, match=words):
            read(wrong, length)
    with pytest.raises(RequestError, match="its JSON alone is said to have"):
        read(b"{}", 3)
    with pytest.raises(RequestError, match="the body is not JSON"):
        read(b"{")
    with pytest.raises(RequestError, match="recursion limit"):
        read(b"[" * 100_000)


@pytest.mark.parametrize("text", [b"-1", b"1e3", b"", b"9" * 19])
def test_a_length_of_the_json_that_is_no_number_is_refused(text: bytes) -> None:
    with pytest.raises(RequestError, match="is not a number"):
        json_length({b"inference-header-content-length": text})


@given(st.binary(max_size=400), st.one_of(st.none(), st.integers(0, 500)))
def test_no_bytes_do_anything_but_be_refused(body: bytes, length: int | None) -> None:
    with pytest.raises(RequestError):
        read(body, length)


_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 700), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["binary_data_size", "x"]), inner),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "shape", "datatype", "data", "parameters"), _VALUES)))
def test_no_tensor_does_anything_but_be_refused(changes: dict[str, object]) -> None:
    body = json.dumps({"inputs": [audio(**changes)]}).encode()
    with contextlib.suppress(RequestError):
        assert np.isfinite(read(body).inputs["audio"].astype(np.float64)).all()


def written(request: InferRequest) -> Answer:
    outputs: dict[str, Any] = {
        "logits": np.arange(14, dtype=np.float32).reshape(1, 2, 7),
        "ids": np.array([3], dtype=np.int64),
    }
    body, length = write_infer(request, outputs, model="net", version="1.2.0")
    return Answer(200, body, length)


@pytest.mark.parametrize("wanted", [{"logits": True, "ids": True}, {"logits": False, "ids": True}, {"ids": False}])
def test_what_is_written_the_client_of_this_package_reads(wanted: dict[str, bool]) -> None:
    answer = written(InferRequest({}, wanted, "7"))
    outputs = read_outputs(answer)
    assert list(outputs) == list(wanted)
    assert (answer.json_bytes is None) == (True not in wanted.values())
    assert outputs["ids"].tolist() == [3]
    assert (answer.document["model_name"], answer.document["model_version"]) == ("net", "1.2.0")
    assert answer.document["id"] == "7"


def test_outputs_may_be_asked_for_one_by_one() -> None:
    document = {
        "id": "a",
        "parameters": {"binary_data_output": True},
        "inputs": [audio()],
        "outputs": [{"name": "ids", "parameters": {"binary_data": False}}, {"name": "logits"}],
    }
    request = read(json.dumps(document).encode())
    assert list(request.outputs.items()) == [("ids", False), ("logits", True)]
    assert request.request_id == "a"


def test_metadata_says_minus_one_for_what_is_dynamic() -> None:
    assert tensor_metadata(OUTPUTS[0]) == {"name": "logits", "datatype": "FP32", "shape": [-1, -1, 7]}
