"""Requests of strangers, and answers of other servers: what fits, or one refusal."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.documents import as_json, damaged, is_one_sentence, mutated, refusal
from voiceflow_ml.contract import Contract, Signal, Tensor
from voiceflow_ml.errors import AnswerError
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.v2_answer import write_infer
from voiceflow_ml.service.v2_request import InferRequest, json_length, read_infer
from voiceflow_ml.wire import infer_request, read_infer_answer

CONTRACT = Contract(
    "net",
    (
        Tensor("audio", "float32", ("batch", "samples")),
        Tensor("n", "int64", ("batch",), optional=True),
        Tensor("b", "bool", (1,), optional=True),
        Tensor("h", "float16", (2,), optional=True),
    ),
    (Tensor("y", "float32", ("batch", 3)),),
    {"": 17},
    8,
    "",
    signal=Signal(16_000, 48_000, 1),
)
INPUTS: dict[str, Any] = {
    "audio": np.zeros((2, 16), np.float32),
    "n": np.ones(2, np.int64),
    "b": np.ones(1, bool),
    "h": np.ones(2, np.float16),
}
IN_JSON = infer_request(INPUTS, binary=False)[0]
IN_BINARY, _HEADERS = infer_request(INPUTS, binary=True)
_JSON_BYTES = int(next(iter(_HEADERS.values())))
MOST_BYTES = 4_096


def ask(body: bytes, json_bytes: int | None) -> None:
    read: list[InferRequest] = []
    told = refusal(lambda: read.append(read_infer(body, json_bytes, CONTRACT, most_bytes=MOST_BYTES)), RequestError)
    assert not told or is_one_sentence(told), told
    for request in read:
        known = {tensor.name: tensor for tensor in CONTRACT.inputs}
        assert sum(array.nbytes for array in request.inputs.values()) <= MOST_BYTES
        assert all(str(array.dtype) == known[name].dtype for name, array in request.inputs.items())
        assert all(np.isfinite(array).all() for array in request.inputs.values())
        write_infer(request, {"y": np.zeros((2, 3), np.float32)}, model="net", version="1")


def test_the_requests_that_are_broken_here_are_whole() -> None:
    assert set(read_infer(IN_JSON, None, CONTRACT, most_bytes=MOST_BYTES).inputs) == set(INPUTS)
    assert set(read_infer(IN_BINARY, _JSON_BYTES, CONTRACT, most_bytes=MOST_BYTES).inputs) == set(INPUTS)


@given(mutated(json.loads(IN_JSON)))
@example({"inputs": [{"name": "n", "shape": [1], "datatype": "INT64", "data": [1e300]}]})
@example({"inputs": [{"name": "n", "shape": [1], "datatype": "INT64", "data": ["9" * 5_000]}]})
@example({"id": {"a": [None]}, "inputs": []})
def test_requests_in_json(content: Any) -> None:
    ask(as_json(content).encode(), None)


@given(mutated(json.loads(IN_BINARY[:_JSON_BYTES])), st.integers(0, 400), st.booleans())
def test_requests_with_binary_tensors(content: Any, cut: int, lies: bool) -> None:
    head = as_json(content).encode()
    ask(head + IN_BINARY[_JSON_BYTES:][:cut], len(head) + (cut % 7 - 3) * lies)


@given(damaged(IN_BINARY), st.none() | st.integers(0, 2**63))
@example(b'{"inputs": [{"name": 1' + b"0" * 4_299 + b"}]}", None)
@example(b'{"inputs": ' + b"[" * 5_000, None)
@example(b'{"inputs": [{"name": "audio", "datatype": "FP32", "shape": [' + b"9" * 4_000 + b", 1]}]}", None)
def test_damaged_requests(body: bytes, json_bytes: int | None) -> None:
    ask(body, _JSON_BYTES if json_bytes is None else json_bytes)
    ask(body, None)


@given(st.binary(max_size=30) | st.from_regex(rb"\A[0-9]{1,25}\Z"))
@example("\u0663".encode())
@example(b"\xb2")
def test_the_length_of_the_json(text: bytes) -> None:
    read: list[int | None] = []
    header = b"inference-header-content-length"
    told = refusal(lambda: read.append(json_length({header: text})), RequestError)
    assert told or (read[0] is not None and read[0] >= 0)


ANSWER = {
    "model_name": "net",
    "model_version": "1",
    "outputs": [
        {"name": "y", "datatype": "FP32", "shape": [1, 3], "data": [1.0, 2.0, 3.0]},
        {"name": "z", "datatype": "INT64", "shape": [2], "parameters": {"binary_data_size": 16}},
    ],
}


@given(mutated(ANSWER), st.binary(max_size=24), st.integers(-2, 2))
@example(
    {"outputs": [{"name": "z", "datatype": "FP32", "shape": [-1], "parameters": {"binary_data_size": -4}}]}, b"1234", 0
)
def test_answers_of_another_server(content: Any, tail: bytes, off: int) -> None:
    head = as_json(content).encode()
    told = refusal(lambda: read_infer_answer(head + tail, len(head) + off), AnswerError)
    assert not told or is_one_sentence(told, 8_000), told
