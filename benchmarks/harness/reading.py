"""What one harness says of one model in one round, and what all of its rounds say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.harness.small_model import Subject
from voiceflow_ml.latency import percentile

P50, P99 = 0.5, 0.99


@dataclass(frozen=True)
class Request:
    """What a harness is asked for.

    Attributes:
        subject: the model.
        samples: how many values it should take, where it can be told.
        scratch: a folder for what it writes.
    """

    subject: Subject
    samples: int
    scratch: Path


@dataclass(frozen=True)
class Reading:
    """What a harness said in one round.

    Attributes:
        calls: inferences that went into its values; warm-up left out.
        p50_ns: the P50 or median that it reports itself; None when it reports none.
        p99_ns: the P99 that it reports itself; None when it reports none.
        values_ns: its raw values, where it gives them away.
        notes: further numbers that it reports itself, by name, in nanoseconds.
    """

    calls: int
    p50_ns: float | None = None
    p99_ns: float | None = None
    values_ns: Sequence[int] = ()
    notes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Harness:
    """A way to measure.

    Attributes:
        name: as printed.
        module: what must be importable; empty for none.
        package: what to install when it is not.
        take: measures once.
        meaning: what its values are, and which of the two percentiles it reports, by which definition.
    """

    name: str
    module: str
    package: str
    take: Callable[[Request], Reading]
    meaning: str


@dataclass(frozen=True)
class Span:
    """Median of a number over the rounds, with the least and the most."""

    middle: float
    least: float
    most: float


def span_of(numbers: Sequence[float | None]) -> Span | None:
    """Median, least and most over the rounds; None when a round does not have the number."""
    known = [number for number in numbers if number is not None]
    if not known or len(known) < len(numbers):
        return None
    return _span(known)


@dataclass(frozen=True)
class Row:
    """One harness and one model over all rounds.

    Attributes:
        model: name of the model.
        harness: name of the harness.
        calls: inferences of a typical round.
        values: raw values of a typical round; 0 when none are to be had.
        reported_p50: in nanoseconds, by its own definition; None when not reported.
        reported_p99: the same for the P99.
        raw_p50: nearest rank over its raw values, computed here; None without them.
        raw_p99: the same for the P99.
        over_bare: its P50 (reported, or else of its raw values) over that of the bare clock pair in the same round.
        wall_s: seconds of a round, all that the harness does around its calls included.
        notes: medians of the further numbers.
    """

    model: str
    harness: str
    calls: int
    values: int
    reported_p50: Span | None
    reported_p99: Span | None
    raw_p50: Span | None
    raw_p99: Span | None
    over_bare: Span
    wall_s: Span
    notes: dict[str, float]


def row_of(
    model: str, harness: str, readings: Sequence[Reading], seconds: Sequence[float], bare: Sequence[Reading]
) -> Row:
    """Sum up the rounds.

    Args:
        model: name of the model.
        harness: name of the harness.
        readings: what was said in each round; at least one.
        seconds: how long that took.
        bare: what the bare clock pair said in the same rounds.
    """
    said = list(readings)
    ratios = [_typical(reading) / _typical(other) for reading, other in zip(said, bare, strict=True)]
    return Row(
        model=model,
        harness=harness,
        calls=round(median(reading.calls for reading in said)),
        values=round(median(len(reading.values_ns) for reading in said)),
        reported_p50=span_of([reading.p50_ns for reading in said]),
        reported_p99=span_of([reading.p99_ns for reading in said]),
        raw_p50=span_of([_raw(reading, P50) for reading in said]),
        raw_p99=span_of([_raw(reading, P99) for reading in said]),
        over_bare=_span(ratios),
        wall_s=_span(seconds),
        notes={name: median(reading.notes[name] for reading in said) for name in said[0].notes},
    )


def _raw(reading: Reading, quantile: float) -> int | None:
    return percentile(reading.values_ns, quantile) if len(reading.values_ns) else None


def _typical(reading: Reading) -> float:
    own = reading.p50_ns if reading.p50_ns is not None else _raw(reading, P50)
    if own is None:
        raise ValueError("a harness must give a P50 or raw values")
    return own


def _span(numbers: Sequence[float]) -> Span:
    return Span(median(numbers), min(numbers), max(numbers))
