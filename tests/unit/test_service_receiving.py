"""Bodies: their size, their time, and what all of them hold together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from voiceflow_ml.service.receiving import BURST_BYTES, Buffers, Receive, read_body, while_connected
from voiceflow_ml.service.refusals import ClientGoneError, RequestError


def sending(messages: Iterable[dict[str, Any]]) -> Receive:
    """What an ASGI server gives: the messages, and then nothing for ever."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def read(
    messages: Iterable[dict[str, Any]],
    buffers: Buffers | None = None,
    headers: dict[bytes, bytes] | None = None,
    *,
    most_bytes: int = 10,
    timeout_s: float = 20.0,
) -> bytes:
    async def test() -> bytes:
        with (buffers or Buffers(1_000)).share() as share:
            return await read_body(sending(messages), headers or {}, share, most_bytes=most_bytes, timeout_s=timeout_s)

    return asyncio.run(test())


def refused(status: int, *args: Any, **settings: Any) -> RequestError:
    with pytest.raises(RequestError) as error:
        read(*args, **settings)
    assert error.value.status == status
    return error.value


def test_a_body_comes_whole_in_one_part_or_many() -> None:
    assert read([part(b"abc", more=False)]) == b"abc"
    assert read([part(b"abc", more=True), part(b"", more=True), part(b"de", more=False)]) == b"abcde"
    assert read([{"type": "http.request"}]) == b""


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read() -> None:
    error = refused(413, [], headers={b"content-length": b"11"})
    assert error.hang_up
    assert (b"connection", b"close") in error.headers()
    refused(413, [], headers={b"content-length": b"9" * 400})


def test_a_body_that_is_larger_than_it_says_is_cut_off() -> None:
    refused(413, [part(b"123456", more=True), part(b"123456", more=True)], headers={b"content-length": b"3"})


def test_a_body_that_does_not_come_is_waited_for_no_longer_than_its_time() -> None:
    error = refused(408, [part(b"123", more=True)], timeout_s=0.01)
    assert str(error) == "the body was not there within 0.01 s; send it faster"


def test_an_encoded_body_is_refused() -> None:
    refused(415, [], headers={b"content-encoding": b"gzip"})
    assert read([part(b"a", more=False)], headers={b"content-encoding": b"identity"}) == b"a"


def test_all_bodies_together_are_bounded_and_what_was_taken_is_given_back() -> None:
    buffers = Buffers(8)
    with buffers.share() as other:
        other.take(5)
        error = refused(503, [part(b"12", more=True), part(b"34", more=False)], buffers)
        assert error.retry_after_s == 1
        assert buffers.held_bytes == 5
        assert read([part(b"123", more=False)], buffers) == b"123"
    assert buffers.held_bytes == 0


def test_who_hangs_up_is_noticed() -> None:
    with pytest.raises(ClientGoneError):
        read([part(b"1", more=True), {"type": "http.disconnect"}])


def test_work_is_waited_for_as_long_as_its_client_is_there() -> None:
    async def work(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    async def failing() -> str:
        raise ZeroDivisionError

    assert asyncio.run(while_connected(sending([]), work(0))) == "done"
    with pytest.raises(ZeroDivisionError):
        asyncio.run(while_connected(sending([]), failing()))
    gone = [part(b"", more=False), {"type": "http.disconnect"}]
    with pytest.raises(ClientGoneError, match="while its request waited"):
        asyncio.run(while_connected(sending(gone), work(3_600)))


def test_the_end_of_a_burst_is_told_and_the_end_of_a_small_request_is_not() -> None:
    told: list[int] = []
    buffers = Buffers(1 << 30, on_ebb=lambda: told.append(buffers.held_bytes))
    with buffers.share() as small:
        small.take(BURST_BYTES - 1)
    assert told == []
    with buffers.share() as first:
        first.take(1)
        with buffers.share() as second:
            second.take(BURST_BYTES - 1)
        assert told == []
    assert told == [0]
    with buffers.share() as small:
        small.take(1)
    assert told == [0]
