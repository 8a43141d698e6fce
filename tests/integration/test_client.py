"""Both clients against real servers on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.contract_models import NAME, contracted_model
from tests.servers import local_server
from tests.v2_server import serving
from tests.voice_server import VoiceServer, voicing
from voiceflow_ml.client import AsyncClient, Client, Diarized
from voiceflow_ml.client.answers import ServerTiming
from voiceflow_ml.client.patience import IDLE_S
from voiceflow_ml.client.updates import SoFar, read_update
from voiceflow_ml.contract import read_contract
from voiceflow_ml.contract.golden import read_golden
from voiceflow_ml.errors import AnswerError, BusyError, ConfigError, DataError, RefusedError, UnreachableError
from voiceflow_ml.live_turns import Correction
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.rttm import Turn
from voiceflow_ml.service.settings import read_settings

TURN = Turn("A", 0.5, 1.25)
CORRECTED = (Turn("A", 0.5, 0.25), Turn("B", 0.75, 0.5), Turn("A", 1.25, 0.5))
WRONG = b"\0\0" * 100
RIGHT = b"\0\0" * 101
"""Chunks to which a turn is said, and that a part of it was of somebody else."""
SILENCE = np.zeros(1_600, dtype=np.float32)


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return contracted_model(tmp_path_factory.mktemp("release"))


def test_both_clients_infer_what_the_contract_says(model: Path) -> None:
    inputs, expected = read_golden(model.parent, read_contract(model.parent).golden[0])

    async def waiting(url: str) -> object:
        async with AsyncClient(url) as client:
            assert await client.live()
            assert await client.ready(NAME)
            assert (await client.metadata(NAME))["name"] == NAME
            return (await client.infer(NAME, inputs)).outputs["y"]

    with serving(model, NAME) as (url, _), Client(f"{url}/") as client:
        assert client.live()
        assert client.ready()
        assert client.ready(NAME)
        assert client.metadata(NAME)["platform"] == "onnx"
        answer = client.infer(NAME, inputs)
        assert answer.outputs["y"].tobytes() == expected["y"].tobytes()
        assert answer.model == NAME
        assert answer.timing is None
        np.testing.assert_array_equal(asyncio.run(waiting(url)), answer.outputs["y"])


def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voiceflow_ml.client.aio.IDLE_S", 0.4)

    async def waiting(url: str) -> bool:
        async with AsyncClient(url) as client:
            assert await client.live()
            # The loop is held up, so nobody in it learns that the connection ended.
            time.sleep(1.5)
            return bool((await client.diarize(SILENCE)).version)

    with local_server(keep_alive_s=1) as server:
        assert asyncio.run(waiting(server.url))


def test_the_clients_trust_an_idle_connection_for_a_shorter_time_than_the_server_keeps_it() -> None:
    assert read_settings({}).settings.keep_alive_s >= 2 * IDLE_S


def test_a_refused_inference_brings_the_servers_own_sentence(model: Path) -> None:
    with serving(model, NAME) as (url, _), Client(url) as client:
        with pytest.raises(RefusedError, match=rf"POST {url}/v2/models/{NAME}/infer: 400, .+; correct the request"):
            client.infer(NAME, {})
        with pytest.raises(RefusedError, match="404, no such model; ask for a model") as caught:
            client.metadata("another")
    assert (caught.value.status, caught.value.url) == (404, f"{url}/v2/models/another")


def test_an_answer_that_is_none_of_the_protocol_is_said_to_be_none(model: Path) -> None:
    words = r"status 200\) cannot be read: .*is this a voiceflow server"
    with serving(model, NAME, "odd-answer") as (url, _), Client(url) as client, pytest.raises(AnswerError, match=words):
        client.infer(NAME, {})


def test_a_file_and_its_samples_are_diarized() -> None:
    server = VoiceServer()
    with voicing(server) as url, Client(url) as client:
        found = client.diarize(shipped_speech_path())
        assert found == Diarized((TURN,), "1.2.0", ServerTiming(3_500_000, 250_000, 125_000))
        assert client.diarize(SILENCE).turns == (TURN,)
    assert server.seen == [
        ("/v1/diarize", "audio/wav", shipped_speech_path().stat().st_size),
        ("/v1/diarize", "audio/wav", 44 + 2 * SILENCE.size),
    ]


@pytest.mark.filterwarnings("error")
def test_a_long_recording_is_sent_in_pieces_and_whole() -> None:
    server = VoiceServer()
    samples = np.zeros(600_000)

    async def send(url: str) -> Diarized:
        async with AsyncClient(url) as client:
            return await client.diarize(samples)

    with voicing(server) as url:
        assert asyncio.run(send(url)).turns == (TURN,)
    assert server.seen == [("/v1/diarize", "audio/wav", 44 + 2 * samples.size)]


def test_what_is_no_recording_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    server = VoiceServer()
    with voicing(server) as url, Client(url) as client:
        with pytest.raises(DataError, match="mix it down to mono"):
            client.diarize(np.zeros((2, 10)))
        with pytest.raises(DataError, match="NaN or infinity"):
            client.diarize(np.array([np.nan]))
        with pytest.raises(DataError, match=r"must be a \.wav or \.flac file"):
            client.diarize(tmp_path / "speech.mp3")
        with pytest.raises(DataError, match="No such file"):
            client.diarize(tmp_path / "speech.wav")
    assert server.seen == []


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (413, RefusedError, "413, no. Really; send less audio at once"),
        (500, AnswerError, "500, no. Really; its log says why"),
        (302, AnswerError, "302, no. Really; give the address of the service itself"),
    ],
)
def test_each_status_has_its_error_and_its_remedy(status: int, kind: type[Exception], words: str) -> None:
    with voicing(VoiceServer(status=status)) as url, Client(url) as client, pytest.raises(kind, match=words):
        client.diarize(SILENCE)


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        "not JSON",
        '{"turns": [{"speaker": "A"}]}',
        '{"turns": 3}',
        f'{{"turns": [{{"speaker": "A", "start_s": 1{"0" * 400}, "end_s": 2}}]}}',
    ],
)
def test_turns_that_cannot_be_read_are_an_error(body: str) -> None:
    with voicing(VoiceServer(body=body)) as url, Client(url) as client, pytest.raises(AnswerError, match="status 200"):
        client.diarize(SILENCE)


def test_a_busy_server_is_an_error_that_says_when_to_come_back() -> None:
    with voicing(VoiceServer(busy=1)) as url, Client(url) as client:
        with pytest.raises(BusyError, match=r"503, the queue is full; try again in 0\.5 s") as caught:
            client.diarize(SILENCE)
        assert caught.value.retry_after_s == 0.5


def test_a_client_that_may_wait_comes_back_when_it_is_told_to() -> None:
    waits: list[float] = []
    with voicing(VoiceServer(busy=2)) as url, Client(url, wait_when_busy_s=1.0, sleep=waits.append) as client:
        assert client.diarize(SILENCE).turns == (TURN,)
    assert waits == [0.5, 0.5]


def test_a_client_does_not_wait_longer_than_it_may() -> None:
    waits: list[float] = []
    with (
        voicing(VoiceServer(busy=3)) as url,
        Client(url, wait_when_busy_s=1.2, sleep=waits.append) as client,
        pytest.raises(BusyError),
    ):
        client.diarize(SILENCE)
    assert waits == [0.5, 0.5]


def test_the_async_client_waits_in_the_same_way() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def ask(url: str) -> Diarized:
        async with AsyncClient(url, wait_when_busy_s=1.0, sleep=sleep) as client:
            return await client.diarize(SILENCE)

    with voicing(VoiceServer(busy=1)) as url:
        assert asyncio.run(ask(url)).timing == ServerTiming(3_500_000, 250_000, 125_000)
    assert waits == [0.5]


def test_health_is_a_plain_yes_or_no() -> None:
    with voicing(VoiceServer(busy=9)) as url, Client(url) as client:
        assert not client.live()
        assert not client.ready()


def test_the_token_goes_with_what_needs_it_and_with_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    server = VoiceServer()
    monkeypatch.setenv("VOICEFLOW_ADMIN_TOKEN", "from the environment")
    with voicing(server) as url, Client(url, token="mine") as client, Client(url) as other:
        assert client.load("m", source="1.2.0", canary=0.1)["parameters"] == {"source": "1.2.0", "canary": 0.1}
        assert client.load("m") == {"asked": "/v2/repository/models/m/load", "parameters": {}}
        assert other.rollback() == {"asked": "/v1/admin/rollback"}
        assert client.live()
    assert server.tokens[0] == "Bearer mine"
    assert server.tokens[-1] == "Bearer from the environment"


def test_nobody_there_is_said_in_one_sentence() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(UnreachableError, match="is the server up"):
        client.live()

    async def ask() -> None:
        async with AsyncClient("http://127.0.0.1:9") as client:
            await client.live()

    with pytest.raises(UnreachableError, match=r"GET http://127\.0\.0\.1:9/v2/health/live: no answer"):
        asyncio.run(ask())


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is not the address of a server"):
        Client(url)


def test_a_stream_gives_turns_to_who_waits() -> None:
    with voicing(VoiceServer()) as url, Client(url) as client, client.stream() as stream:
        assert stream.version == "1.2.0"
        assert stream.feed(SILENCE) == ()
        assert stream.feed(b"\0\0" * 100) == (TURN,)
        assert stream.finish() == (TURN, TURN)


def test_a_stream_is_followed_by_who_does_not_wait() -> None:
    async def chunks() -> AsyncIterator[np.ndarray]:
        for size in (1_600, 100, 100):
            yield SILENCE[:size]

    async def follow(url: str) -> list[Turn]:
        async with AsyncClient(url) as client, client.stream() as stream:
            assert stream.version == "1.2.0"
            pieces = [turn async for turn in stream.follow(chunks())]
            assert await stream.finish() == (TURN, TURN)
            return pieces

    with voicing(VoiceServer()) as url:
        assert asyncio.run(follow(url)) == [TURN, TURN]


def test_a_stream_holds_its_turns_joined_and_corrected() -> None:
    with voicing(VoiceServer()) as url, Client(url) as client, client.stream() as stream:
        # The pieces of a chunk are what came out with it; what it corrects is in the turns.
        said = [(stream.feed(chunk), stream.turns) for chunk in (SILENCE, WRONG, RIGHT)]
        assert said == [((), ()), ((TURN,), (TURN,)), ((), CORRECTED)]
        assert stream.finish() == stream.turns == (TURN, TURN)


def test_a_stream_that_is_not_waited_for_holds_the_turns_that_were_received() -> None:
    async def ask(url: str) -> None:
        async with AsyncClient(url) as client, client.stream() as stream:
            await stream.send(WRONG)
            await stream.send(RIGHT)
            before = stream.turns
            said = [((await stream.receive()).corrections, stream.turns) for _ in range(2)]
            assert before == ()
            assert said == [((), (TURN,)), ((Correction(0.75, 1.25, CORRECTED[1:2]),), CORRECTED)]

    with voicing(VoiceServer()) as url:
        asyncio.run(ask(url))


@pytest.mark.parametrize(
    ("server", "kind", "words"),
    [
        (VoiceServer(busy=1), BusyError, r"ended the stream \(1013\), too many streams; try again later"),
        (VoiceServer(status=404), RefusedError, "404, no streams here; ask for a model and a path"),
    ],
)
def test_a_stream_that_is_refused_says_why(server: VoiceServer, kind: type[Exception], words: str) -> None:
    async def open_one(url: str) -> None:
        async with AsyncClient(url) as client, client.stream():
            pass

    with voicing(server) as url:
        with Client(url) as client, pytest.raises(kind, match=words):
            client.stream().__enter__()
        with pytest.raises(kind, match=words):
            asyncio.run(open_one(url))


def test_a_bad_chunk_ends_the_stream_with_the_servers_sentence() -> None:
    words = r"ended the stream \(1003\), a chunk must be whole samples of 16 bits; correct what is sent"

    async def send_one(url: str) -> None:
        async with AsyncClient(url) as client, client.stream() as stream:
            await stream.feed(b"\0")

    with voicing(VoiceServer()) as url:
        with Client(url) as client, client.stream() as stream, pytest.raises(RefusedError, match=words):
            stream.feed(b"\0")
        with pytest.raises(RefusedError, match=words):
            asyncio.run(send_one(url))


def test_a_stream_that_is_not_open_is_said_to_be_closed() -> None:
    with Client("http://127.0.0.1:9") as client:
        with pytest.raises(AnswerError, match="is not open"):
            client.stream().feed(SILENCE)
        with pytest.raises(UnreachableError, match="is the server up"), client.stream():
            pass


@pytest.mark.parametrize(
    "frame",
    [
        "[]",
        "3",
        "not JSON",
        "{}",
        '{"type": "turns", "turns": [{}]}',
        f'{{"type": "turns", "turns": [{{"speaker": "A", "start_s": 1{"0" * 400}, "end_s": 2}}]}}',
        b"\xff",
        '{"type": "turns", "corrected": null}',
        '{"type": "turns", "corrected": [3]}',
    ],
)
def test_a_frame_that_is_none_of_the_protocol_is_refused(frame: str | bytes) -> None:
    with pytest.raises(AnswerError, match="a frame of the stream cannot be read"):
        read_update(frame, "ws://127.0.0.1/v1/stream")


@pytest.mark.parametrize(
    "correction",
    [
        '"start_s": 0, "end_s": 1',
        '"start_s": -1, "end_s": 1, "turns": []',
        '"start_s": 1, "end_s": 1, "turns": []',
        '"start_s": 0, "end_s": Infinity, "turns": []',
        '"start_s": NaN, "end_s": 1, "turns": []',
        '"start_s": 1, "end_s": 2, "turns": [{"speaker": "A"}]',
        '"start_s": 1, "end_s": 2, "turns": [{"speaker": "A", "start_s": 0, "end_s": 1.5}]',
        '"start_s": 1, "end_s": 2, "turns": [{"speaker": "A", "start_s": 1, "end_s": 2.5}]',
    ],
)
def test_a_correction_that_is_none_is_refused(correction: str) -> None:
    with pytest.raises(AnswerError, match="a frame of the stream cannot be read"):
        read_update(f'{{"type": "turns", "corrected": [{{{correction}}}]}}', "ws://127.0.0.1/v1/stream")


def test_a_frame_that_contradicts_those_before_is_refused() -> None:
    so_far, frame = SoFar(), '{"type": "turns", "turns": [{"speaker": "A", "start_s": %d, "end_s": %d}]}'
    so_far.take(frame % (5, 6), "ws://127.0.0.1/v1/stream")
    with pytest.raises(AnswerError, match="a frame of the stream cannot be read"):
        so_far.take(frame % (1, 2), "ws://127.0.0.1/v1/stream")
