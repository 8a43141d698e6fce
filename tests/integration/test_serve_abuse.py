"""WebSockets spoken wrongly on purpose: frames by hand, over bare sockets, at the real server."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from websockets.sync.client import connect as open_socket

from tests.servers import Local, ask, connect, eventually, local_server
from voiceflow_ml.service.web_socket import MOST_FRAGMENTS, MOST_WAITING

CONT, TEXT, BINARY, CLOSE, PING = 0, 1, 2, 8, 9
START = json.dumps({"type": "start", "sample_rate_hz": 16_000}).encode()
HANDSHAKE = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
MOST_CONNECTIONS = 60


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Local]:
    with local_server(max_chunk_bytes=64_000, stream_idle_s=20, max_connections=MOST_CONNECTIONS) as server:
        yield server


@pytest.fixture(autouse=True)
def _all_is_well_afterwards(server: Local) -> Iterator[None]:
    yield
    eventually("every stream has ended", lambda: server.parts.life.streams == 0)
    assert server.parts.life.streams_of == {}
    with open_socket(f"{server.url.replace('http', 'ws')}/v1/stream", open_timeout=20, close_timeout=1) as stream:
        stream.send(START.decode())
        assert json.loads(stream.recv(timeout=20))["type"] == "ready"


def handshake(**changed: str | None) -> bytes:
    fields = {**HANDSHAKE, **{name.replace("_", "-"): value for name, value in changed.items()}}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join(["GET /v1/stream HTTP/1.1", *lines, "", ""]).encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, bits: int = 0, masked: bool = True) -> bytes:
    head = bytes([fin << 7 | bits | opcode])
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([mask_bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([mask_bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", len(payload))
    # A mask of zeros leaves the payload as it is.
    return head + (bytes(4) if masked else b"") + payload


@contextmanager
def raw_stream(server: Local, *, start: bool = True) -> Iterator[socket.socket]:
    """A WebSocket without a library, started."""
    with connect(server.url) as connection:
        connection.sendall(handshake())
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65_536)
        assert received.startswith(b"HTTP/1.1 101")
        if start:
            connection.sendall(frame(TEXT, START))
            assert b'"ready"' in connection.recv(65_536)
        yield connection


def sent(connection: socket.socket, data: bytes) -> None:
    """Send as much as the server lets; it may have closed before the end."""
    try:
        connection.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return


def close_code(connection: socket.socket) -> int:
    """Of the close frame that comes after everything else; nothing else here has a byte like its first."""
    received = b""
    while b"\x88" not in received[:-3]:
        part = connection.recv(65_536)
        assert part, received
        received += part
    place = received.index(b"\x88")
    return int.from_bytes(received[place + 2 : place + 4], "big")


def sent_until_it_ends(connection: socket.socket, data: bytes, times: int) -> bool:
    """Send again and again; whether the server stopped to read, or hung up, before the end."""
    try:
        for _ in range(times):
            connection.sendall(data)
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        return True
    return False


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (frame(BINARY, b"\0" * 70_000), 1009),
        (struct.pack("!BBQ", 0x82, 0xFF, 1 << 62) + bytes(4), 1009),
        (struct.pack("!BBQ", 0x82, 0xFF, 1 << 63) + bytes(4), 1009),
        (frame(BINARY, b"\0" * 40_000, fin=False) + frame(CONT, b"\0" * 40_000), 1009),
        (frame(TEXT, b"x" * 60_000), 1003),
        (frame(TEXT, b"[" * 4_000), 1003),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(BINARY, b"\0\0", masked=False), 1002),
        (frame(BINARY, b"\0\0", bits=0x20), 1002),
        (frame(3, b""), 1002),
        (frame(CONT, b"\0\0"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(BINARY, b"\0", fin=False) + frame(TEXT, b"x"), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, struct.pack("!H", 1005)), 1002),
        (frame(BINARY, b"", fin=False) + frame(CONT, b"", fin=False) * (MOST_FRAGMENTS + 1), 1008),
        (frame(BINARY, b"", fin=False) + frame(CONT, b"", fin=False) * 200_000, 1008),
    ],
    ids=[
        *("too long", "2^62 announced", "2^63 announced", "too long in two", "long text", "deep text", "no text"),
        *("unmasked", "compressed", "unknown opcode", "no beginning", "long ping", "ping in two", "two at once"),
        *("half a code", "reserved code", "a fragment too many", "fragments for ever"),
    ],
)
def test_a_frame_that_is_against_the_rules_ends_the_stream(server: Local, what: bytes, code: int) -> None:
    with raw_stream(server) as connection:
        sent(connection, what)
        assert close_code(connection) == code


def test_a_message_may_come_in_fragments(server: Local) -> None:
    with raw_stream(server) as connection:
        connection.sendall(
            frame(BINARY, b"\0" * 100, fin=False) + frame(CONT, b"\0" * 100, fin=False) * 30 + frame(CONT, b"\0" * 100)
        )
        assert b'"heard_s": 0.1' in connection.recv(65_536)


def test_nothing_is_compressed_so_no_small_frame_becomes_a_large_one(server: Local) -> None:
    with connect(server.url) as connection:
        connection.sendall(handshake(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"))
        received = connection.recv(65_536)
        assert received.startswith(b"HTTP/1.1 101")
        assert b"permessage-deflate" not in received.lower()
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = packer.compress(bytes(50 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]
        assert len(bomb) < 64_000
        sent(connection, frame(BINARY, bomb, bits=0x40))
        assert close_code(connection) == 1002


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Sec_WebSocket_Version": "8"}, b"400"),
        ({"Sec_WebSocket_Version": None}, b"400"),
        ({"Sec_WebSocket_Key": None}, b"400"),
        ({"Sec_WebSocket_Key": "short"}, b"400"),
        ({"Sec_WebSocket_Key": "a\u00e9" * 100}, b"400"),
        # Refused by the name of the page; a protocol that the server does not know is not taken, and that is all.
        ({"Origin": "http://evil.example"}, b"403"),
        ({"Origin": "http://x\u00e9"}, b"403"),
        ({"Sec_WebSocket_Protocol": "soap, xmpp"}, b"101"),
    ],
)
def test_a_handshake_that_is_wrong_is_refused(server: Local, changed: dict[str, str | None], status: bytes) -> None:
    with connect(server.url) as connection:
        connection.sendall(handshake(**changed))
        received = connection.recv(65_536)
    assert received.split()[1] == status
    assert b"sec-websocket-protocol" not in received.lower()


def test_no_other_route_becomes_a_websocket(server: Local) -> None:
    for path in (b"/", b"/v1/diarize", b"/v1/stream/x", b"/../v1/stream"):
        with connect(server.url) as connection:
            connection.sendall(handshake().replace(b"/v1/stream", path, 1))
            assert connection.recv(65_536).split()[1] in (b"403", b"404")


def resident_bytes() -> int:
    return int(psutil.Process(os.getpid()).memory_info().rss)


def test_thousands_of_messages_at_once_end_the_stream(server: Local) -> None:
    with raw_stream(server) as connection, server.busy():
        sent(connection, frame(BINARY, b"") * (MOST_WAITING * 20))
        assert close_code(connection) == 1008


def test_pings_whose_answers_nobody_reads_do_not_fill_the_memory(server: Local) -> None:
    before = resident_bytes()
    with raw_stream(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        pings = frame(PING, b"x" * 125) * 8_000
        assert sent_until_it_ends(connection, pings, 40)
    assert resident_bytes() - before < 64 << 20


def test_who_reads_nothing_is_read_from_no_more(server: Local) -> None:
    chunk = frame(BINARY, b"\0\0")
    with raw_stream(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(1)
        before = resident_bytes()
        # Either the server stops to read, or it ends the stream; its memory does not grow with what is sent.
        assert sent_until_it_ends(connection, chunk * 50, 100_000)
        assert resident_bytes() - before < 64 << 20


def test_who_asks_on_and_never_reads_is_read_from_no_more(server: Local) -> None:
    ask_page = b"GET /page.css HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(server.url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(1)
        before = resident_bytes()
        assert sent_until_it_ends(connection, ask_page * 100, 2_000)
        assert resident_bytes() - before < 64 << 20


def test_hundreds_of_opens_leave_nothing_behind(server: Local) -> None:
    def open_many() -> None:
        for number in range(40):
            with connect(server.url) as connection:
                connection.sendall(handshake()[: None if number % 2 else 40])
                if number % 4 == 1:
                    connection.recv(1_000)

    openers = [threading.Thread(target=open_many) for _ in range(8)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    held = [connect(server.url) for _ in range(MOST_CONNECTIONS + 40)]
    for connection in held:
        connection.close()
    eventually("there is room again", lambda: ask(server.url, "/livez").status == 200)
