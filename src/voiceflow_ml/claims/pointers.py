"""Values of committed results, JSON or CSV: by a JSON pointer (RFC 6901), or anywhere in the file.

A value's unit is the end of its key, or of a key above it (``p99_ns``, ``size_bytes``, ``dev_percent``), or else what
``unit`` beside it says. The rows of a CSV file are a list of objects.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from voiceflow_ml.claims.quantities import Quantity
from voiceflow_ml.errors import ResultError

# The unit that a key ends in -> kind, and base units in one.
_SUFFIXES: dict[str, tuple[Quantity, float]] = {
    "ns": (Quantity.LATENCY, 1.0),
    "us": (Quantity.LATENCY, 1e3),
    "ms": (Quantity.LATENCY, 1e6),
    "s": (Quantity.LATENCY, 1e9),
    "seconds": (Quantity.LATENCY, 1e9),
    "bytes": (Quantity.SIZE, 1.0),
    "kb": (Quantity.SIZE, 1e3),
    "mb": (Quantity.SIZE, 1e6),
    "gb": (Quantity.SIZE, 1e9),
    "share": (Quantity.DER, 100.0),
    "fraction": (Quantity.DER, 100.0),
    "percent": (Quantity.DER, 1.0),
}
_DATES = ("started_at", "measured_at", "date", "finished_at")
_PERCENT_KINDS = frozenset({Quantity.DER, Quantity.RATIO})


@dataclass(frozen=True)
class Found:
    """A value, or an interval, of a JSON file.

    Attributes:
        pointer: where it stands.
        low: the value in base units, or as it stands where its key says no unit.
        high: the upper end of an interval; ``low`` for a value.
        quantity: what its key says that it is; None where it says nothing.
    """

    pointer: str
    low: float
    high: float
    quantity: Quantity | None

    def in_units(self, quantity: Quantity, scale: float) -> tuple[float, float] | None:
        """Its ends in a claim's unit; None when it is of another kind."""
        if self.quantity is None:
            return self.low, self.high
        if self.quantity is quantity or {self.quantity, quantity} <= _PERCENT_KINDS:
            return self.low / scale, self.high / scale
        return None


def read_values(path: Path) -> Any:
    """The content of a JSON or CSV file.

    Raises:
        ResultError: it cannot be read, or is not JSON.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return list(map(_row, csv.DictReader(io.StringIO(text)))) if path.suffix == ".csv" else json.loads(text)
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError, csv.Error) as error:
        raise ResultError(f"{path} is neither JSON nor CSV: {error}") from None


def _row(cells: Mapping[str, str | None]) -> dict[str, float]:
    """The numbers of a row."""
    numbers = {}
    for key, cell in cells.items():
        with contextlib.suppress(ValueError, TypeError):
            numbers[key] = float(cell or "")
    return numbers


def at_pointer(content: Any, pointer: str, unit: str = "") -> Found:
    """The value at a JSON pointer; a list of two, or an object with ``low`` and ``high``, is an interval.

    Args:
        content: what :func:`read_values` gave.
        pointer: ``"/nets/0/p99_ns"``.
        unit: of a value that says none.

    Raises:
        ResultError: nothing is there, or no number.
    """
    here, keys = content, [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]
    for depth, key in enumerate(keys):
        unit = _unit_beside(here) or unit
        try:
            here = here[int(key)] if isinstance(here, list) else here[key]
        except (KeyError, IndexError, ValueError, TypeError):
            known = ", ".join(list(here)[:8]) if isinstance(here, Mapping) else f"a value {here!r:.40}"
            done = "/".join(["", *keys[:depth]]) or "/"
            raise ResultError(f"nothing is at {pointer}: {done} has {known}") from None
    ends = _ends(here)
    if ends is None:
        raise ResultError(f"what is at {pointer} is no number and no interval: {here!r:.60}")
    return _found(pointer, [unit, *keys], *ends)


def all_values(content: Any, path: tuple[str, ...] = (), unit: str = "") -> Iterator[Found]:
    """Every number in the content of a file; ``unit`` is that of values that say none, ``path`` where it begins."""
    if isinstance(content, Mapping):
        unit = _unit_beside(content) or unit
        for key, value in content.items():
            yield from all_values(value, (*path, str(key)), unit)
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from all_values(value, (*path, str(index)), unit)
    elif _is_number(content):
        yield _found("/".join(["", *map(_escaped, path)]), [unit, *path], float(content), float(content))


def _unit_beside(content: Any) -> str:
    unit = content.get("unit") if isinstance(content, Mapping) else None
    return unit if isinstance(unit, str) else ""


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def measured_on(content: Any) -> datetime | None:
    """When the results were taken, where the file says so at its top."""
    for key in _DATES:
        text = content.get(key) if isinstance(content, Mapping) else None
        if isinstance(text, str):
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                continue
    return None


def _ends(value: Any) -> tuple[float, float] | None:
    if _is_number(value):
        return float(value), float(value)
    if isinstance(value, Mapping):
        value = [value.get("low"), value.get("high")]
    if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
        return float(value[0]), float(value[1])
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _found(pointer: str, keys: Sequence[str], low: float, high: float) -> Found:
    """A value, with the unit that the nearest of its keys names."""
    for key in reversed(keys):
        *before, suffix = key.lower().split("_")
        if before[-1:] == ["per"]:
            return Found(pointer, low, high, Quantity.THROUGHPUT)
        if suffix in _SUFFIXES:
            quantity, scale = _SUFFIXES[suffix]
            return Found(pointer, low * scale, high * scale, quantity)
    return Found(pointer, low, high, None)
