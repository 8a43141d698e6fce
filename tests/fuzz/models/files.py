"""Damage to bytes, content that is no model, and things in the file system that are no file."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx

from tests.fuzz.models.mutant import FILE, SEED, Mutant, bytes_mutant, varint, wire

_CUTS, _FLIPS, _RANGES = 24, 40, 8
_PARTS = ("graph", "node", "initializer", "value_info")


def mutants() -> Iterator[Mutant]:
    """All of them, the same each time."""
    yield from _damaged(random.Random(SEED))
    yield from (bytes_mutant(f"content: {name}", "foreign content", change) for name, change in _CONTENT.items())
    yield from (Mutant(f"file system: {name}", "no regular file", make) for name, make in _PLACES.items())


def _damaged(rng: random.Random) -> Iterator[Mutant]:
    for number in range(_CUTS):
        share = (number + rng.random()) / _CUTS
        yield bytes_mutant(f"cut at {share:.3f}", "cut off", _cut(share))
    for _ in range(_FLIPS):
        place, bit = rng.random(), rng.randrange(8)
        yield bytes_mutant(f"bit {bit} at {place:.3f}", "flipped bit", _flip(place, bit))
    for _ in range(_RANGES):
        place, length, noise = rng.random(), rng.randrange(1, 40), rng.randbytes(40)
        at = f"{length} bytes at {place:.3f}"
        yield bytes_mutant(f"{at} left out", "shifted bytes", _spliced(place, length, b""))
        yield bytes_mutant(f"{at} doubled", "shifted bytes", _doubled(place, length))
        yield bytes_mutant(f"{at} put in", "shifted bytes", _spliced(place, 0, noise[:length]))
        yield bytes_mutant(f"{at} made zero", "overwritten bytes", _spliced(place, length, bytes(length)))
        yield bytes_mutant(f"{at} made noise", "overwritten bytes", _spliced(place, length, noise[:length]))


def _cut(share: float) -> Callable[[bytes], bytes]:
    return lambda whole: whole[: int(share * len(whole))]


def _flip(place: float, bit: int) -> Callable[[bytes], bytes]:
    def change(whole: bytes) -> bytes:
        content = bytearray(whole)
        content[int(place * len(content))] ^= 1 << bit
        return bytes(content)

    return change


def _spliced(place: float, length: int, instead: bytes) -> Callable[[bytes], bytes]:
    def change(whole: bytes) -> bytes:
        start = int(place * len(whole))
        return whole[:start] + instead + whole[start + length :]

    return change


def _doubled(place: float, length: int) -> Callable[[bytes], bytes]:
    def change(whole: bytes) -> bytes:
        start = int(place * len(whole))
        return whole[: start + length] + whole[start:]

    return change


def _zipped(whole: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FILE, whole)
    return stream.getvalue()


def _saved(whole: bytes) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.frombuffer(whole, np.uint8))
    return stream.getvalue()


def _part(name: str) -> Callable[[bytes], bytes]:
    def change(whole: bytes) -> bytes:
        graph = onnx.load_from_string(whole).graph
        part = graph if name == "graph" else getattr(graph, name)[0] if getattr(graph, name) else graph.output[0]
        return bytes(part.SerializeToString())

    return change


_NOISE = random.Random(SEED + 1).randbytes(4_096)
_CONTENT: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "one byte": lambda _: b"\x08",
    "text": lambda _: b"This is not a model.\n",
    "a web page": lambda _: b"<html><body>504 Gateway Timeout</body></html>",
    "a pointer of Git LFS": lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "JSON": lambda whole: json.dumps({"model": whole.hex()}).encode(),
    "a pickle": pickle.dumps,
    "gzip": gzip.compress,
    "zip": _zipped,
    "an array of numpy": _saved,
    "base64-like text": lambda whole: whole.hex().encode(),
    "UTF-16 text": lambda _: "not a model".encode("utf-16"),
    "an ELF header": lambda _: b"\x7fELF\x02\x01\x01" + bytes(57),
    "a safetensors file": lambda _: (2).to_bytes(8, "little") + b"{}",
    "a TensorFlow Lite header": lambda _: b"\x1c\0\0\0TFL3" + bytes(64),
    "zeros": lambda _: bytes(4_096),
    "ones": lambda _: b"\xff" * 4_096,
    "noise": lambda _: _NOISE,
    "twice the model": lambda whole: whole + whole,
    "noise behind the model": lambda whole: whole + _NOISE[:64],
    "a byte order mark in front": lambda whole: b"\xef\xbb\xbf" + whole,
    "line ends of another system": lambda whole: whole.replace(b"\n", b"\r\n"),
    "read as Latin-1, written as UTF-8": lambda whole: whole.decode("latin-1").encode(),
    "a graph of no bytes": lambda _: varint(1 << 3) + varint(9) + wire(7, b""),
    "a length beyond the file": lambda _: varint(7 << 3 | 2) + varint(2**62),
    "a number without end": lambda _: b"\x08" + b"\xff" * 64,
    "a group that nobody ends": lambda _: b"\x3b" * 512,
    "a million empty fields": lambda _: b"\x7a\x00" * 1_000_000,
    **{f"only the {name} of a model": _part(name) for name in _PARTS},
}


def _folder(folder: Path) -> None:
    (folder / FILE).unlink()
    (folder / FILE).mkdir()


def _pipe(folder: Path) -> None:
    (folder / FILE).unlink()
    os.mkfifo(folder / FILE)


def _socket(folder: Path) -> None:
    (folder / FILE).unlink()
    there = os.getcwd()  # noqa: PTH109 - a socket's path may have few characters, so it is made from its folder
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(FILE)
    finally:
        os.chdir(there)


def _link(target: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / FILE).unlink()
        (folder / FILE).symlink_to(target)

    return make


def _sparse(size_bytes: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with (folder / FILE).open("r+b") as stream:
            stream.truncate(size_bytes)

    return make


_PLACES: dict[str, Callable[[Path], None]] = {
    "missing": lambda folder: (folder / FILE).unlink(),
    "a folder": _folder,
    "a pipe": _pipe,
    "a socket": _socket,
    "a link to nothing": _link("nothing.onnx"),
    "a link to itself": _link(FILE),
    "a link to the file without end": _link("/dev/zero"),
    "a link to the terminal": _link("/dev/tty"),
    "a link to a file that is no model": _link("contract.json"),
    "more bytes than protobuf can have": _sparse((2 << 30) + 1),
    "zeros behind the model": _sparse(1 << 20),
}
