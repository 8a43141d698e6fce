"""The generator's own connections, against a server on loopback that says exactly what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voiceflow_ml.client.answers import Reply
from voiceflow_ml.client.exchanges import Exchange
from voiceflow_ml.errors import ConfigError, UnreachableError
from voiceflow_ml.load import connections
from voiceflow_ml.load.connections import Connections

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Word: well\r\n\r\nok"
Case = Callable[[Connections], Awaitable[Any]]


def asking(path: str = "/ask", body: bytes = b"abc") -> Exchange[Reply]:
    return Exchange("POST", path, lambda reply: reply, body, {"X-Asked": "yes"})


class Scripted:
    """Answers the requests of all connections together by its script, one after the other.

    Args:
        answers: bytes to send; empty for none at all.
        then_close: whether a connection ends behind its answer.
    """

    def __init__(self, *answers: bytes, then_close: bool = False) -> None:
        self._answers, self._then_close = list(answers), then_close
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.opened = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        try:
            while self._answers:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(int(head.lower().split("content-length: ")[1].split()[0])))
                answer = self._answers.pop(0)
                writer.write(answer)
                await writer.drain()
                if self._then_close:
                    return
                if not answer:
                    await reader.read()
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def listening(script: Scripted) -> AsyncIterator[str]:
    server = await asyncio.start_server(script, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def played(script: Scripted, case: Case, *, path: str = "", timeout_s: float = 20.0) -> Any:
    async def run() -> Any:
        async with listening(script) as url, Connections(url + path, timeout_s=timeout_s) as tried:
            return await case(tried)

    return asyncio.run(run())


def once(script: Scripted, exchange: Exchange[Reply] | None = None, **settings: Any) -> Reply:
    async def case(tried: Connections) -> Reply:
        return await tried.reply(exchange or asking())

    reply: Reply = played(script, case, **settings)
    return reply


def test_a_request_arrives_as_it_was_asked_for_and_its_answer_comes_back() -> None:
    script = Scripted(OK)
    reply = once(script, asking("/v2?a=b"), path="/below/")
    assert (reply.status, reply.body, reply.headers["x-word"]) == (200, b"ok", "well")
    assert reply.url.endswith("/below/v2?a=b")
    first, *headers = script.heads[0].split("\r\n")
    assert first == "POST /below/v2?a=b HTTP/1.1"
    assert {"X-Asked: yes", "Content-Length: 3"} <= set(headers)
    assert f"Host: {reply.url.split('/')[2]}" in headers
    assert script.bodies == [b"abc"]


def test_a_connection_is_used_again_when_its_answer_is_whole() -> None:
    async def case(tried: Connections) -> list[int]:
        return [(await tried.reply(asking())).status for _ in range(3)]

    script = Scripted(OK, OK, OK)
    assert played(script, case) == [200, 200, 200]
    assert script.opened == 1


def test_requests_at_once_have_a_connection_each() -> None:
    async def case(tried: Connections) -> list[Reply]:
        return await asyncio.gather(*(tried.reply(asking(body=b"x" * number)) for number in range(4)))

    script = Scripted(OK, OK, OK, OK)
    assert [reply.status for reply in played(script, case)] == [200] * 4
    assert script.opened == 4
    assert sorted(script.bodies) == [b"", b"x", b"xx", b"xxx"]


def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    closing = OK.replace(b"X-Word: well", b"Connection: close")

    async def case(tried: Connections) -> list[int]:
        return [(await tried.reply(asking())).status for _ in range(2)]

    script = Scripted(closing, OK)
    assert played(script, case) == [200, 200]
    assert script.opened == 2


def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_S", -1.0)

    async def case(tried: Connections) -> None:
        await tried.reply(asking())
        await tried.reply(asking())

    script = Scripted(OK, OK)
    played(script, case)
    assert script.opened == 2


def test_a_connection_that_was_closed_while_idle_is_replaced() -> None:
    async def case(tried: Connections) -> Reply:
        await tried.reply(asking())
        await asyncio.sleep(0.05)
        return await tried.reply(asking())

    script = Scripted(OK, OK, then_close=True)
    assert played(script, case).status == 200
    assert script.opened == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwho\r\n5\r\n says\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nwho says",
        b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nwho says",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nwho says",
    ],
    ids=["in chunks", "until the connection ends", "HTTP 1.0", "after a word to go on"],
)
def test_an_answer_is_read_however_its_length_is_told(answer: bytes) -> None:
    reply = once(Scripted(answer, then_close=True))
    assert (reply.status, reply.body) == (200, b"who says")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwho", "before its answer was whole"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwho\r\n", "before its answer was whole"),
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP"),
        (b"", "before its answer was whole"),
    ],
    ids=["cut short", "without its last chunk", "another protocol", "nothing"],
)
def test_what_is_no_whole_answer_is_none(answer: bytes, sentence: str) -> None:
    with pytest.raises(UnreachableError, match=sentence):
        once(Scripted(answer, then_close=True))


def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    with pytest.raises(UnreachableError, match=r"no answer within 0\.1 s"):
        once(Scripted(b""), timeout_s=0.1)


def test_an_answer_that_came_too_late_is_not_taken_for_the_next() -> None:
    async def case(tried: Connections) -> Reply:
        with pytest.raises(UnreachableError):
            await tried.reply(asking())
        return await tried.reply(asking())

    script = Scripted(b"", OK)
    assert played(script, case, timeout_s=0.5).body == b"ok"
    assert script.opened == 2


def test_where_nobody_listens_there_is_no_answer() -> None:
    async def run() -> None:
        async with listening(Scripted()) as url:
            gone = url
        async with Connections(gone, timeout_s=20) as tried:
            await tried.reply(asking())

    with pytest.raises(UnreachableError, match="is the server up"):
        asyncio.run(run())


def test_what_is_no_address_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="is not the address of a server"):
        Connections("127.0.0.1:8000", timeout_s=1)
