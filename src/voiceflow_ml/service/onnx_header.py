"""What an ``.onnx`` file says before anything is built from it: format, operator sets, files it points at.

``onnx`` would read this too, but the server does without it: its checker holds the interpreter's lock, which would
stall every request while a model is loaded. Weights are skipped, not read. Field numbers and wire format:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto and https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from voiceflow_ml.errors import ModelFileError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_FIELDS = 5_000_000
"""A file of nothing but tiny fields must not keep the loader busy for ever."""

_INSIDE: Mapping[tuple[str, int], str] = {
    ("model", 7): "graph",
    ("model", 8): "opset",
    ("model", 14): "note",
    ("model", 25): "function",
    ("function", 7): "node",
    ("function", 11): "attribute",
    ("graph", 1): "node",
    ("graph", 5): "tensor",
    ("graph", 15): "sparse",
    ("sparse", 1): "tensor",
    ("sparse", 2): "tensor",
    ("node", 5): "attribute",
    ("attribute", 5): "tensor",
    ("attribute", 6): "graph",
    ("attribute", 10): "tensor",
    ("attribute", 11): "graph",
    ("attribute", 22): "sparse",
    ("attribute", 23): "sparse",
    ("tensor", 13): "entry",
}
"""(message, field number) -> the message that the field holds, of those that are looked into."""


@dataclass(frozen=True)
class OnnxHeader:
    """What the file states.

    Attributes:
        ir_version: version of the file format; 0 when it states none.
        opset: operator set of each domain, ``""`` being ONNX's own.
        metadata: the notes in it, by key.
        external_files: where tensors keep their data outside of the file, as written there.
    """

    ir_version: int
    opset: Mapping[str, int]
    metadata: Mapping[str, str]
    external_files: tuple[str, ...]


def read_header(path: Path) -> OnnxHeader:
    """Read what a model file states.

    Raises:
        ModelFileError: it is missing, empty, cut off or not an ONNX file; the message does not name its folder.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Walk(data, path.name).header()
    except ValueError:
        raise ModelFileError(f"{path.name} is empty; export it again") from None
    except OSError as error:
        raise ModelFileError(f"{path.name} cannot be read: {error.strerror or error}") from None


class _Walk:
    """One pass over the messages of a file, deepest last, without recursion: a file chooses its own depth."""

    def __init__(self, data: mmap.mmap, name: str) -> None:
        self._data, self._name, self._fields = data, name, 0

    def header(self) -> OnnxHeader:
        opset: dict[str, int] = {}
        metadata: dict[str, str] = {}
        external: set[str] = set()
        seen: set[str] = set()
        waiting = [("model", 0, len(self._data))]
        while waiting:
            kind, start, end = waiting.pop()
            seen.add(kind)
            if kind == "opset":
                numbers, texts = self._fields_of(start, end)
                domain = texts.get(1, "")
                opset["" if domain == "ai.onnx" else domain] = numbers.get(2, 0)
            elif kind in ("note", "entry"):
                _, texts = self._fields_of(start, end)
                if kind == "note":
                    metadata[texts.get(1, "")] = texts.get(2, "")
                elif texts.get(1) == "location":
                    external.add(texts.get(2, ""))
            else:
                waiting += self._inner(kind, start, end)
        if "graph" not in seen:
            raise ModelFileError(f"{self._name} is not an ONNX model (it holds no graph); export or fetch it again")
        return OnnxHeader(self._ir_version(), opset, metadata, tuple(sorted(external)))

    def _ir_version(self) -> int:
        fields = self._each(0, len(self._data))
        return next((value for number, value, stop in fields if number == 1 and stop is None), 0)

    def _inner(self, kind: str, start: int, end: int) -> list[tuple[str, int, int]]:
        return [
            (inner, value, stop)
            for number, value, stop in self._each(start, end)
            if stop is not None and (inner := _INSIDE.get((kind, number))) is not None
        ]

    def _fields_of(self, start: int, end: int) -> tuple[dict[int, int], dict[int, str]]:
        """Numbers and texts of a small message, by field number."""
        numbers: dict[int, int] = {}
        texts: dict[int, str] = {}
        for number, value, stop in self._each(start, end):
            if stop is None:
                numbers[number] = value
            else:
                texts[number] = self._data[value:stop].decode(errors="replace")
        return numbers, texts

    def _each(self, start: int, end: int) -> Iterator[tuple[int, int, int | None]]:
        """Each field of a message: number, and its value, or where its bytes begin and end."""
        place = start
        while place < end:
            self._fields += 1
            if self._fields > _MOST_FIELDS:
                raise ModelFileError(f"{self._name} has more than {_MOST_FIELDS} fields; no model has")
            key, place = self._varint(place, end)
            number, wire = key >> 3, key & 7
            if number == 0:
                raise ModelFileError(f"{self._name} is not an ONNX model (a field has the number 0)")
            if wire == _VARINT:
                value, place = self._varint(place, end)
                yield number, value, None
                continue
            if wire == _BYTES:
                length, place = self._varint(place, end)
            elif wire in (_FIXED64, _FIXED32):
                length = 8 if wire == _FIXED64 else 4
            else:
                raise ModelFileError(f"{self._name} is not an ONNX model (unknown wire type {wire})")
            if place + length > end:
                raise ModelFileError(f"{self._name} is cut off or damaged; export or fetch it again")
            yield number, place, place + length
            place += length

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while place < end and shift < 70:
            byte = self._data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place
            shift += 7
        raise ModelFileError(f"{self._name} is cut off or damaged; export or fetch it again")
