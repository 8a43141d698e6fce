"""What happens to a server that is asked for too much, too slowly, or by someone who has gone."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random

import numpy as np
import pytest

from tests.servers import Local, Reply, ask, connect, eventually, local_server, read_all, read_answer
from voiceflow_ml.wire import infer_request

INFER = "/v2/models/fast-cnn/infer"
BODY, HEADERS = infer_request({"audio": np.zeros((1, 3_200), np.float32)}, binary=True)
QUEUE = 3


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Local]:
    with local_server(
        queue_length=QUEUE,
        queue_timeout_s=20,
        body_timeout_s=0.3,
        head_timeout_s=0.3,
        max_body_bytes=100_000,
        max_buffered_bytes=250_000,
        max_connections=40,
        max_tensor_bytes=64_000,
    ) as server:
        yield server


def infer(server: Local) -> Reply:
    return ask(server.url, INFER, BODY, HEADERS)


def exchange(server: Local, data: bytes) -> tuple[int, dict[str, str], object]:
    """Send bytes as they are and read until the server closes."""
    with connect(server.url) as connection:
        connection.sendall(data)
        return parsed(read_all(connection))


def parsed(received: bytes) -> tuple[int, dict[str, str], object]:
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, json.loads(body)


def test_more_than_the_queue_holds_is_refused_with_the_time_to_come_back(server: Local) -> None:
    with ThreadPoolExecutor(20) as clients:
        with server.busy():
            taken = [clients.submit(infer, server) for _ in range(QUEUE)]
            eventually("the queue is full", lambda: server.parts.pool.depth == QUEUE)
            refused = [infer(server) for _ in range(10)]
            assert server.parts.pool.depth == QUEUE
        assert [answer.status for answer in refused] == [503] * 10
        assert {answer.headers["retry-after"] for answer in refused} == {"20"}
        assert [future.result().status for future in taken] == [200] * QUEUE
    assert infer(server).status == 200
    assert server.parts.buffers.held_bytes == 0


def head(length: int) -> bytes:
    json_bytes = HEADERS["Inference-Header-Content-Length"]
    return (
        f"POST {INFER} HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: {json_bytes}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


@contextmanager
def full(server: Local) -> Iterator[None]:
    """Inside the block every thread is busy and the queue is full."""
    with ThreadPoolExecutor(QUEUE) as clients, server.busy():
        for _ in range(QUEUE):
            clients.submit(infer, server)
        eventually("the queue is full", lambda: server.parts.pool.depth == QUEUE)
        yield


def test_an_overload_is_told_by_the_head_alone_and_the_connection_goes_on(server: Local) -> None:
    with connect(server.url) as connection:
        with full(server):
            connection.sendall(head(len(BODY)))
            assert connection.recv(65_536).startswith(b"HTTP/1.1 503")
        connection.sendall(BODY + head(len(BODY)) + BODY)
        assert read_answer(connection).startswith(b"HTTP/1.1 200")


def test_what_is_left_of_a_body_that_was_answered_may_not_take_for_ever(server: Local) -> None:
    with connect(server.url) as connection:
        with full(server):
            connection.sendall(head(len(BODY)))
            assert connection.recv(65_536).startswith(b"HTTP/1.1 503")
        connection.sendall(BODY[:100])
        assert read_all(connection) == b""


def test_what_waited_longer_than_the_queues_bound_is_refused_and_not_run() -> None:
    with local_server(queue_timeout_s=0.05) as server, ThreadPoolExecutor(4) as clients:
        with server.busy():
            late = [clients.submit(infer, server) for _ in range(4)]
            eventually("four wait", lambda: server.parts.pool.depth == 4)
            threading.Event().wait(0.1)
        assert [future.result().status for future in late] == [503] * 4
        assert {future.result().headers["retry-after"] for future in late} == {"1"}
        assert b'stage="inference"' not in ask(server.url, "/metrics").body
        assert infer(server).status == 200


def test_health_is_answered_while_every_thread_is_busy_and_the_queue_is_full(server: Local) -> None:
    with full(server):
        assert [ask(server.url, path).status for path in ("/livez", "/readyz", "/metrics")] == [200] * 3


def test_a_body_of_a_gigabyte_is_refused_by_its_head(server: Local) -> None:
    for path in (INFER, "/v1/diarize"):
        said = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 30}\r\n\r\n"
        status, headers, document = exchange(server, said.encode() + b"\0" * 1_000)
        assert (status, headers["connection"]) == (413, "close")
        assert document == {"error": "the body is larger than 100000 bytes; send less at once"}


def test_a_body_without_a_length_is_cut_off_at_its_bound(server: Local) -> None:
    said = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"8000\r\n" + b"\0" * 0x8000 + b"\r\n"
    status, _, _ = exchange(server, said.encode() + chunk * 4)
    assert status == 413
    assert server.parts.buffers.held_bytes == 0


def test_a_slow_body_is_refused_in_time_and_holds_nothing_afterwards(server: Local) -> None:
    status, headers, document = exchange(server, head(50_000) + b"\0" * 1_000)
    assert (status, headers["connection"]) == (408, "close")
    assert document == {"error": "the body was not there within 0.3 s; send it faster"}
    assert server.parts.buffers.held_bytes == 0


@pytest.mark.parametrize("sent", [b"", b"POST /v1/diarize HT", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_slow_head_is_refused_in_time(server: Local, sent: bytes) -> None:
    status, _, document = exchange(server, sent)
    assert (status, document) == (408, {"error": "the head of the request was not there within 0.3 s"})


def test_a_head_is_given_its_time_anew_for_each_request_of_a_connection(server: Local) -> None:
    with connect(server.url) as connection:
        for _ in range(2):
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_answer(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost")
        assert parsed(read_all(connection))[0] == 408


def test_a_head_without_an_end_is_refused(server: Local) -> None:
    status, _, _ = exchange(server, b"GET /livez HTTP/1.1\r\nX-Long: " + b"a" * 70_000)
    assert status == 431


def test_what_is_no_http_is_refused(server: Local) -> None:
    with connect(server.url) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400")


def test_who_hangs_up_in_the_middle_leaves_nothing_behind(server: Local) -> None:
    for sent in (b"\0" * 1_000, b""):
        with connect(server.url) as connection:
            connection.sendall(head(2_000) + sent)
    eventually("nothing is held", lambda: server.parts.buffers.held_bytes == 0)
    assert infer(server).status == 200


def test_who_hangs_up_while_waiting_leaves_the_queue(server: Local) -> None:
    with ThreadPoolExecutor(1) as clients, server.busy():
        waiting = clients.submit(infer, server)
        eventually("one waits", lambda: server.parts.pool.depth == 1)
        with connect(server.url) as connection:
            connection.sendall(head(len(BODY)) + BODY)
            eventually("two wait", lambda: server.parts.pool.depth == 2)
        eventually("one has gone", lambda: server.parts.pool.depth == 1)
    assert waiting.result().status == 200
    assert b'route="/v2/models/{model}/infer",status="499"' in ask(server.url, "/metrics").body


def test_bodies_of_all_requests_together_are_bounded(server: Local) -> None:
    held = [connect(server.url) for _ in range(2)]
    try:
        for connection in held:
            connection.sendall(head(100_000) + b"\0" * 99_999)
        eventually("they are held", lambda: server.parts.buffers.held_bytes > 190_000)
        status, headers, _ = exchange(server, head(100_000) + b"\0" * 99_999)
        assert (status, headers["retry-after"]) == (503, "1")
    finally:
        for connection in held:
            connection.close()
    eventually("nothing is held", lambda: server.parts.buffers.held_bytes == 0)


def test_connections_are_bounded_and_those_that_are_open_are_served() -> None:
    with local_server(max_connections=4) as server:
        opened = [connect(server.url) for _ in range(4)]
        try:
            for connection in opened:
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                assert read_answer(connection).startswith(b"HTTP/1.1 200")
            with connect(server.url) as one_more:
                status, headers, document = parsed(read_all(one_more))
            assert (status, headers["retry-after"]) == (503, "1")
            assert document == {"error": "4 connections are open already; try again later"}
            opened[0].sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_answer(opened[0]).startswith(b"HTTP/1.1 200")
        finally:
            for connection in opened:
                connection.close()


def test_inputs_of_an_inference_are_bounded(server: Local) -> None:
    body, headers = infer_request({"audio": np.zeros((1, 20_000), np.float32)}, binary=True)
    assert ask(server.url, INFER, body, headers).status == 413


def test_a_long_recording_does_not_hold_up_an_inference() -> None:
    with local_server() as server, ThreadPoolExecutor(1) as clients:
        noise = (3_000 * np.random.default_rng(0).standard_normal(40 * 16_000)).astype("<i2").tobytes()
        long = clients.submit(ask, server.url, "/v1/diarize", noise, {"Content-Type": "audio/x-raw"})
        eventually("it runs", lambda: server.parts.buffers.held_bytes == len(noise) and server.parts.pool.depth == 0)
        answers = []
        while not long.done():
            answers.append(infer(server).status)
        # One thread alone: had it not given way, no more than one would have been answered meanwhile.
        assert len(answers) > 3
        assert set(answers) == {200}
        assert long.result().status == 200


def mangled(random: Random, request: bytes) -> bytes:
    """A request with a few bytes changed, lost, added or repeated, mostly in its head."""
    data = bytearray(request)
    for _ in range(random.randint(1, 6)):
        place = random.randrange(min(len(data), 400))
        match random.randrange(4):
            case 0:
                data[place] = random.randrange(256)
            case 1:
                del data[place : place + random.randint(1, 20)]
            case 2:
                data[place:place] = random.randbytes(random.randint(1, 10))
            case _:
                data[place:place] = data[: random.randint(1, 60)]
    return bytes(data)


def test_requests_that_were_damaged_on_the_way_do_no_harm(server: Local) -> None:
    random = Random(7)
    diarize = b"POST /v1/diarize?speakers=2 HTTP/1.1\r\nHost: x\r\nContent-Type: audio/x-raw; rate=16000\r\n"
    whole = [head(len(BODY)) + BODY, diarize + b"Content-Length: 3200\r\n\r\n" + b"\0" * 3_200]
    statuses = set()
    for _ in range(150):
        with connect(server.url) as connection:
            connection.sendall(mangled(random, random.choice(whole)))
            connection.shutdown(socket.SHUT_WR)
            received = read_all(connection)
        if received:
            assert received.startswith(b"HTTP/1.1 ")
            statuses.add(int(received[9:12]))
    assert statuses
    assert max(statuses) < 500
    eventually("nothing is held", lambda: server.parts.buffers.held_bytes == 0 and server.parts.pool.depth == 0)
    assert infer(server).status == 200
