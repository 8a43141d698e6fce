"""What claims are about, and the units that they are made in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Quantity(StrEnum):
    """The kinds of numbers that documents promise."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    SIZE = "size"
    RTF = "rtf"
    DER = "der"
    RATIO = "ratio"
    """``1.5x faster``, ``40 % less memory``."""


class Comparator(StrEnum):
    """How a number is meant."""

    EXACT = "eq"
    APPROXIMATE = "approx"
    AT_MOST = "at_most"
    AT_LEAST = "at_least"
    RANGE = "range"


@dataclass(frozen=True)
class Unit:
    """A unit as written, reduced to one name.

    Attributes:
        name: ``"ms"``, ``"req/s"``, ``"MB"``, ``"%"``, ``"x"``; empty for a bare number.
        quantity: what it measures; a percentage is a ratio until its context says DER.
        scale: how many of the quantity's base units it is: nanoseconds, a second's worth, bytes, percent, 1.
    """

    name: str
    quantity: Quantity
    scale: float = 1.0


_TIME = {
    "ns": ("ns", "nsec", "nanosecond", "nanoseconds"),
    "us": ("us", "usec", "microsecond", "microseconds", "\u00b5s", "\u03bcs"),
    "ms": ("ms", "msec", "msecs", "millisecond", "milliseconds", "millis"),
    "s": ("s", "sec", "secs", "second", "seconds"),
}
_NS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
TIME = {word: Unit(name, Quantity.LATENCY, _NS[name]) for name, words in _TIME.items() for word in words}

_BYTES = {"B": 1.0, "KB": 1e3, "kB": 1e3, "KiB": 2.0**10, "MB": 1e6, "MiB": 2.0**20, "GB": 1e9, "GiB": 2.0**30}
_LONG_BYTES = {
    "byte": "B",
    "bytes": "B",
    "kilobyte": "KB",
    "kilobytes": "KB",
    "megabyte": "MB",
    "megabytes": "MB",
    "gigabyte": "GB",
    "gigabytes": "GB",
}

PER_SECOND_WORDS = frozenset(_TIME["s"])
RATES = {
    "rps": Unit("rps", Quantity.THROUGHPUT),
    "qps": Unit("qps", Quantity.THROUGHPUT),
    "tps": Unit("tps", Quantity.THROUGHPUT),
    "fps": Unit("fps", Quantity.THROUGHPUT),
    "iops": Unit("iops", Quantity.THROUGHPUT),
}
RATIO = Unit("x", Quantity.RATIO)
PERCENT = Unit("%", Quantity.RATIO)
BARE_RTF = Unit("", Quantity.RTF)
DER_PERCENT = Unit("%", Quantity.DER)
_NO_RATE = frozenset({"km", "m", "cm", "mm", "bit", "bits", "kbit", "mbit", "gbit", "flop", "gflop", "tflop"})
_SHORT = {"requests": "req", "request": "req", "operations": "ops", "queries": "queries"}


def size_unit(word: str) -> Unit | None:
    """``"MB"`` and the like. Case matters, so that a lone ``b`` or ``gb`` of something else is none."""
    name = _LONG_BYTES.get(word.lower(), word)
    return Unit(name, Quantity.SIZE, _BYTES[name]) if name in _BYTES and word != "B" else None


def rate_of(counted: str) -> Unit | None:
    """The unit of so many of something in a second; None for what is speed or hardware, not throughput."""
    size = size_unit(counted)
    if size is not None:
        return Unit(f"{size.name}/s", Quantity.THROUGHPUT, size.scale)
    lower = counted.lower()
    if lower in _NO_RATE or lower in TIME:
        return None
    return Unit(f"{_SHORT.get(lower, lower)}/s", Quantity.THROUGHPUT)
