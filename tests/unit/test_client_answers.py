"""What the client reads from bytes that anybody may have sent."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.client.answers import Reply, ServerTiming, read_diarized, read_inferred, read_timing
from voiceflow_ml.client.exchanges import as_pcm16, as_wav, infer, load
from voiceflow_ml.client.patience import Patience
from voiceflow_ml.client.problems import closed, refusal
from voiceflow_ml.client.updates import SoFar
from voiceflow_ml.errors import AnswerError, BusyError, ClientError, RefusedError
from voiceflow_ml.load.shooting import version_of
from voiceflow_ml.wire import DATATYPES, JSON_LENGTH_HEADER, infer_request, read_infer_answer

URL = "http://127.0.0.1:8000/v1/diarize"


def reply(body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> Reply:
    return Reply("POST", URL, status, headers or {}, body)


@pytest.mark.parametrize(
    ("header", "timing"),
    [
        ("queue;dur=0.5, inference;dur=3.000001, total;dur=4", ServerTiming(3_000_001, 999_999, 500_000)),
        ('total;desc="all";dur="4",inference;dur=3', ServerTiming(3_000_000, 1_000_000)),
        # Two clock reads of two places may disagree by a little; no share is negative.
        ("inference;dur=4, total;dur=3", ServerTiming(4_000_000, 0)),
        ("inference;dur=3", None),
        ("cache;desc=hit", None),
        ("", None),
    ],
)
def test_the_servers_share_is_read_from_its_header(header: str, timing: ServerTiming | None) -> None:
    assert read_timing({"server-timing": header}) == timing


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf", ""])
def test_a_duration_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(AnswerError, match="the server's timing is no duration"):
        read_timing({"server-timing": f"inference;dur={value}, total;dur=1"})


@given(st.text(max_size=60))
def test_any_timing_header_is_read_or_refused(header: str) -> None:
    with contextlib.suppress(ClientError):
        read_timing({"server-timing": header})


@given(st.binary(max_size=200), st.one_of(st.none(), st.integers(0, 300)))
def test_any_body_is_an_answer_or_an_error_of_ours(body: bytes, json_bytes: int | None) -> None:
    headers = {} if json_bytes is None else {JSON_LENGTH_HEADER.lower(): str(json_bytes)}
    for read in (read_inferred, read_diarized):
        with pytest.raises(ClientError):
            read(reply(body, headers))


MOMENTS = st.one_of(st.integers(0, 9), st.floats(-1, 9), st.sampled_from([10**400, float("nan"), float("inf"), "2"]))
SPANS = {"start_s": MOMENTS, "end_s": MOMENTS}
SAID = st.lists(st.fixed_dictionaries({"speaker": st.sampled_from(["A", "B", "", 3]), **SPANS}), max_size=3)
FRAMES = st.fixed_dictionaries(
    {
        "type": st.just("turns"),
        "turns": SAID,
        "corrected": st.lists(st.fixed_dictionaries({**SPANS, "turns": SAID}), max_size=2),
    }
)


@given(st.lists(FRAMES, max_size=4))
def test_any_frames_of_a_stream_are_joined_or_an_error_of_ours(frames: list[object]) -> None:
    so_far = SoFar()
    with contextlib.suppress(AnswerError):
        for frame in frames:
            so_far.take(json.dumps(frame), "ws://host/v1/stream")
            assert all(turn.duration_s > 0 for turn in so_far.turns)


@pytest.mark.parametrize(
    "entry",
    [
        '{"name": "y", "datatype": "UINT8", "shape": [1], "data": [256]}',
        '{"name": "y", "datatype": "FP32", "shape": [Infinity], "data": [1]}',
        '{"name": "y", "datatype": "FP32", "shape": [2], "data": [1]}',
        '{"name": "y", "datatype": "BF16", "shape": [1], "data": [1]}',
        '{"name": "y", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 3}}',
    ],
)
def test_outputs_that_contradict_themselves_are_refused(entry: str) -> None:
    with pytest.raises(AnswerError, match="cannot be read"):
        read_inferred(reply(f'{{"outputs": [{entry}]}}'.encode()))


@pytest.mark.parametrize("dtype", list(DATATYPES))
@pytest.mark.parametrize("binary", [True, False])
def test_every_type_survives_the_wire(dtype: str, binary: bool) -> None:
    array = np.array([[0, 1, 1]]).astype(dtype)
    body, headers = infer_request({"x": array}, binary=binary)
    length = headers.get(JSON_LENGTH_HEADER)
    # A request has the form of an answer, but for the name of its list.
    answer = body.replace(b'"inputs"', b'"outputs"', 1)
    found = read_infer_answer(answer, None if length is None else int(length) + 1)
    assert found.outputs["x"].dtype == array.dtype
    assert found.outputs["x"].tolist() == array.tolist()


def test_a_version_that_is_asked_for_is_in_the_address() -> None:
    assert infer("a b", {}, version="1.0.0+x").path == "/v2/models/a%20b/versions/1.0.0%2Bx/infer"
    assert infer("m", {}).path == "/v2/models/m/infer"
    assert load("m", source="prod").body == b'{"parameters": {"source": "prod"}}'


def test_what_is_beyond_full_scale_is_clipped_and_not_wrapped() -> None:
    samples = np.frombuffer(as_pcm16(np.array([-2.0, -1.0, 0.0, 1.0, 2.0])), dtype="<i2")
    assert samples.tolist() == [-32_768, -32_767, 0, 32_767, 32_767]
    assert len(as_wav(np.zeros(10), 16_000)) == 44 + 20


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [("3", 3.0), ("0.25", 0.25), ("-1", None), ("nan", None), ("Wed, 21 Oct 2026", None)]
)
def test_retry_after_is_read_in_seconds(retry_after: str, seconds: float | None) -> None:
    error = refusal("POST", URL, 503, {"retry-after": retry_after}, b'{"error": "full"}')
    assert isinstance(error, BusyError)
    assert error.retry_after_s == seconds


def test_an_error_without_words_is_said_to_have_none() -> None:
    assert "418, without a word; correct the request" in str(refusal("GET", URL, 418, {}, b""))
    assert "line one line two" in str(refusal("GET", URL, 400, {}, b"line one\n\nline two"))
    assert len(str(refusal("GET", URL, 400, {}, b"x" * 10_000))) < 700


@pytest.mark.parametrize(
    ("code", "kind"), [(1013, BusyError), (1003, RefusedError), (1011, AnswerError), (1006, AnswerError)]
)
def test_each_end_of_a_stream_has_its_error(code: int, kind: type[Exception]) -> None:
    assert type(closed("ws://host/v1/stream", code, "why.")) is kind


def test_patience_ends() -> None:
    patience = Patience(2.5)
    asked = BusyError("full", retry_after_s=1.0)
    assert [patience.delay_s(asked) for _ in range(3)] == [1.0, 1.0, None]
    assert Patience(2.5).delay_s(BusyError("full")) == 1.0
    # A server that says "at once" must not make a client spin.
    assert Patience(2.5).delay_s(BusyError("full", retry_after_s=0.0)) == 0.01


@pytest.mark.parametrize(
    ("headers", "body", "version"),
    [
        ({"voiceflow-version": "1.2.0"}, b"", "1.2.0"),
        ({}, b'{"model_name":"m","model_version":"7"}', "7"),
        ({}, b'{"model_name":"m"}', ""),
    ],
)
def test_the_version_is_taken_from_where_it_stands(headers: dict[str, str], body: bytes, version: str) -> None:
    assert version_of(reply(body, headers)) == version
