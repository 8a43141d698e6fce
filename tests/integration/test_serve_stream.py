"""Streams over real WebSockets with the shipped model."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.servers import Local, eventually, local_server, read_all
from tests.servers import connect as bare_connection
from voiceflow_ml.client.updates import SoFar, read_update
from voiceflow_ml.diarization.diarizer import open_diarizer
from voiceflow_ml.diarization.online import OnlineConfig, OnlineDiarizer
from voiceflow_ml.live_turns import TurnJoiner
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.rttm import Turn

START = {"type": "start", "sample_rate_hz": 16_000}
CHUNK_BYTES = 3_200


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Local]:
    with local_server(max_streams=2, max_chunk_bytes=64_000, max_stream_s=60, stream_idle_s=20) as server:
        yield server


@pytest.fixture(name="speech", scope="module")
def _speech() -> bytes:
    with wave.open(str(shipped_speech_path())) as reader:
        frames: bytes = reader.readframes(reader.getnframes())
        return frames


def stream(server: Local) -> ClientConnection:
    return connect(f"{server.url.replace('http', 'ws')}/v1/stream", open_timeout=20, close_timeout=20, max_size=1 << 20)


def told(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=20))


def started(socket: ClientConnection, **more: object) -> Any:
    socket.send(json.dumps({**START, **more}))
    return told(socket)


def closed_with(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=20)
    return closed.value.rcvd.code if closed.value.rcvd else 0


def refusal(socket: ClientConnection) -> tuple[str, int]:
    answer = told(socket)
    assert answer["type"] == "error"
    return str(answer["message"]), closed_with(socket)


def test_a_stream_gives_the_turns_of_the_library_and_each_as_soon_as_it_is_certain(
    server: Local, speech: bytes
) -> None:
    wanted = open_diarizer(online=OnlineConfig(latency_s=2.0))(str(shipped_speech_path()))
    with stream(server) as socket:
        ready = started(socket)
        version = server.parts.slot.status().version
        assert ready == {
            "type": "ready",
            "model": "fast-cnn",
            "version": version,
            "latency_s": 2.0,
            "corrected_for_s": 300.0,
        }
        pieces, final_s = [], 0.0
        for first in range(0, len(speech), CHUNK_BYTES):
            socket.send(speech[first : first + CHUNK_BYTES])
            answer = told(socket)
            assert answer["type"] == "turns"
            assert answer["heard_s"] == round(min(first + CHUNK_BYTES, len(speech)) / 32_000, 3)
            # What was said to be final stays: nothing comes out that ends before it.
            assert all(turn["end_s"] >= final_s for turn in answer["turns"])
            assert answer["final_until_s"] >= final_s
            assert answer["processing_ms"] > 0
            pieces += answer["turns"]
            final_s = answer["final_until_s"]
        assert final_s > len(speech) / 32_000 - 2.5
        socket.send(json.dumps({"type": "end"}))
        done = told(socket)
        assert closed_with(socket) == 1000
    assert done["type"] == "done"
    assert [(turn["speaker"], turn["start_s"], turn["end_s"]) for turn in done["turns"]] == rows(wanted.turns)
    assert {piece["speaker"] for piece in pieces} <= set(wanted.speakers)


def told_of(server: Local, speech: bytes) -> list[Any]:
    """What a stream of all the speech says to each chunk, and to its end."""
    with stream(server) as socket:
        started(socket)
        messages = []
        for first in range(0, len(speech), CHUNK_BYTES):
            socket.send(speech[first : first + CHUNK_BYTES])
            messages.append(told(socket))
        socket.send(json.dumps({"type": "end"}))
        return [*messages, told(socket)]


def rows(turns: Iterable[Turn]) -> list[tuple[str, float, float]]:
    return [(turn.speaker, round(turn.start_s, 3), round(turn.end_s, 3)) for turn in turns]


def test_who_joins_and_corrects_holds_at_each_moment_the_turns_of_the_library(server: Local, speech: bytes) -> None:
    opened = open_diarizer()
    library = OnlineDiarizer(opened.config, opened.segmenter, OnlineConfig(latency_s=2.0))
    samples = np.frombuffer(speech, "<i2").astype(np.float32) / 32_768.0
    joined, wanted, corrections = SoFar(), TurnJoiner(), 0
    *messages, done = told_of(server, speech)
    for place, message in enumerate(messages):
        update = joined.take(json.dumps(message), server.url)
        corrections += len(update.corrections)
        wanted.take(library.push(samples[place * 1_600 : (place + 1) * 1_600]), library.corrections())
        assert rows(joined.turns) == rows(wanted.turns())
    assert corrections > 0
    # Some are of the end, and are in what is said to it.
    wanted.take(library.finish(), library.corrections())
    assert rows(joined.take(json.dumps(done), server.url).turns) == rows(wanted.turns())


def test_a_server_that_is_to_correct_nothing_does_not(speech: bytes) -> None:
    with local_server(correct_s=0) as server:
        with stream(server) as socket:
            assert started(socket)["corrected_for_s"] == 0
        *messages, done = told_of(server, speech)
    assert [message["corrected"] for message in messages] == [[]] * len(messages)
    uncorrected, corrected = (
        open_diarizer(online=OnlineConfig(latency_s=2.0, correct_s=correct_s))(str(shipped_speech_path())).turns
        for correct_s in (0.0, 300.0)
    )
    assert rows(read_update(json.dumps(done), "").turns) == rows(uncorrected) != rows(corrected)


def test_a_stream_that_ends_at_once_has_no_turns(server: Local) -> None:
    with stream(server) as socket:
        started(socket, model="fast-cnn")
        socket.send(json.dumps({"type": "end"}))
        assert told(socket) == {"type": "done", "turns": []}
        assert closed_with(socket) == 1000


@pytest.mark.parametrize(
    ("first", "words", "code"),
    [
        ({"type": "begin"}, 'begins with {"type": "start"', 1003),
        (b"\0\0", 'begins with {"type": "start"', 1003),
        ("{" * 50, "begins with", 1003),
        ("[]", "begins with", 1003),
        ({**START, "sample_rate_hz": 8_000}, "heard at 16000 Hz, not 8000", 1003),
        ({**START, "sample_rate_hz": "16000"}, "heard at 16000 Hz", 1003),
        ({**START, "model": "other"}, "no model 'other' is served", 1008),
    ],
)
def test_a_stream_that_begins_wrongly_is_told_why(server: Local, first: Any, words: str, code: int) -> None:
    with stream(server) as socket:
        socket.send(json.dumps(first) if isinstance(first, dict) else first)
        message, closed = refusal(socket)
    assert words in message
    assert closed == code


@pytest.mark.parametrize(
    ("chunk", "words", "code"),
    [
        (b"123", "3 bytes, which is no whole number of 16-bit samples", 1003),
        (b"\0" * 64_002, "64002 bytes; 64000 are taken at once", 1009),
        ('{"type": "more"}', "takes binary chunks", 1003),
    ],
)
def test_a_chunk_that_is_not_taken_ends_the_stream(server: Local, chunk: bytes | str, words: str, code: int) -> None:
    with stream(server) as socket:
        started(socket)
        socket.send(chunk)
        message, closed = refusal(socket)
    assert words in message
    assert closed == code


def test_a_frame_beyond_all_bounds_is_not_taken_in(server: Local) -> None:
    with stream(server) as socket:
        started(socket)
        socket.send(b"\0" * (1 << 20))
        assert closed_with(socket) == 1009


def test_only_so_many_streams_are_open_and_a_place_is_free_again_afterwards(server: Local) -> None:
    with stream(server) as one, stream(server) as two:
        started(one)
        started(two)
        with stream(server) as three:
            message, code = refusal(three)
        assert (message, code) == ("2 streams are open already; try again later", 1013)
        # Who hung up without a word frees its place, too.
        one.socket.shutdown(2)
        eventually("the place is free", lambda: server.parts.life.streams == 1)
        with stream(server) as three:
            assert started(three)["type"] == "ready"
    eventually("all places are free", lambda: server.parts.life.streams == 0)


def test_a_stream_of_which_nothing_comes_is_closed(speech: bytes) -> None:
    with local_server(stream_idle_s=0.1) as server, stream(server) as socket:
        started(socket)
        socket.send(speech[:CHUNK_BYTES])
        assert told(socket)["type"] == "turns"
        assert refusal(socket) == ("nothing was sent for 0.1 s", 1008)


def test_a_stream_that_is_too_long_is_ended(server: Local) -> None:
    with local_server(max_stream_s=1.0) as short, stream(short) as socket:
        started(socket)
        socket.send(np.zeros(17_000, "<i2").tobytes())
        assert told(socket)["heard_s"] == 1.062
        socket.send(np.zeros(16, "<i2").tobytes())
        assert refusal(socket) == ("a stream lasts at most 1 s; start another", 1009)


def test_a_peer_that_answers_no_ping_is_closed() -> None:
    handshake = (
        b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with local_server(ping_s=0.1) as server, bare_connection(server.url) as connection:
        # Half open: the other side is there for the kernel, and answers nothing.
        connection.sendall(handshake)
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 101")
    # 0x88: a close frame; 1011 is its code.
    assert b"\x88" in received
    assert (1011).to_bytes(2, "big") + b"keepalive ping timeout" in received


def test_a_full_queue_ends_a_stream_with_try_again_later(speech: bytes) -> None:
    with local_server(queue_length=1, queue_timeout_s=20) as server, stream(server) as socket, stream(server) as other:
        started(socket)
        started(other)
        with server.busy():
            socket.send(speech[:CHUNK_BYTES])
            eventually("one waits", lambda: server.parts.pool.depth == 1)
            other.send(speech[:CHUNK_BYTES])
            message, code = refusal(other)
        assert ("1 requests wait already" in message, code) == (True, 1013)
        assert told(socket)["type"] == "turns"
