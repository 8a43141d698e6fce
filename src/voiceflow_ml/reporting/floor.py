"""The physical floor of each measured model, and the share of it that was reached, as finished text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from voiceflow_ml.hardware.roofline import Roofline
from voiceflow_ml.reporting.section import Section
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.results.record import Result
from voiceflow_ml.units import format_ns

IN_CACHE = "none: it fits into the last-level cache"

_TEXT = (
    "The least time that one inference takes on its device: its arithmetic at the device's peak, or its memory traffic "
    "at the device's bandwidth, whichever is longer. All else that it does comes on top, so nothing is quicker. "
    '"Reached" is the floor over the measured median.'
)
_HEADS = (
    "Model · stage · target",
    "One inference",
    "Arithmetic",
    "Memory",
    "Floor",
    "Measured P50",
    "Reached",
    "Peaks",
)
_NUMBERS = ("Arithmetic", "Memory", "Floor", "Measured P50", "Reached")


@dataclass(frozen=True)
class Floor:
    """One row of the table of floors, its fields in the order of the heads.

    Attributes:
        label: model, stage and target.
        work: FLOPs and bytes of one inference.
        arithmetic: how long the arithmetic takes at the peak of the device.
        memory: how long the traffic takes at its bandwidth.
        floor: the longer of the two, and which it is.
        median: the measured P50 on the wall clock.
        share: floor over median.
        peaks: where the peaks of the device come from.
    """

    label: str
    work: str
    arithmetic: str
    memory: str
    floor: str
    median: str
    share: str
    peaks: str


def floor_section(results: Sequence[Result]) -> Section | None:
    """The floors as a section of the report; None where none is known."""
    rows = tuple(astuple(floor) for floor in floors(results))
    return Section("Physical floor", _TEXT, _HEADS, rows, _NUMBERS) if rows else None


def floors(results: Sequence[Result]) -> tuple[Floor, ...]:
    """A row for each measurement whose model and target are known well enough, the smallest share first."""
    found = [
        (result.planned.label, result.measurement, result.measurement.roofline)
        for result in results
        if result.measurement is not None and result.measurement.roofline is not None
    ]
    ordered = sorted(found, key=lambda entry: entry[2].share or 0.0)
    return tuple(_floor(label, measurement, roofline) for label, measurement, roofline in ordered)


def _floor(label: str, measurement: Measurement, roofline: Roofline) -> Floor:
    rest = f", {roofline.left_out} nodes of unknown work left out" if roofline.left_out else ""
    return Floor(
        label=label,
        work=f"{roofline.total_flops / 1e9:.3g} GFLOP, {roofline.bytes_moved / 1e6:.3g} MB{rest}",
        arithmetic=format_ns(roofline.compute_ns) if roofline.compute_ns else "unknown: no peak is known",
        memory=memory_text(roofline),
        floor=f"{format_ns(roofline.floor_ns)} ({roofline.bound_by} bound)",
        median=format_ns(measurement.percentiles_ns["P50"]),
        share=share_text(roofline),
        peaks=roofline.source,
    )


def memory_text(roofline: Roofline) -> str:
    """How long the traffic takes, or why it takes none."""
    if roofline.memory_ns:
        return format_ns(roofline.memory_ns)
    return IN_CACHE if roofline.bytes_per_s else "unknown: no bandwidth is known"


def share_text(roofline: Roofline) -> str:
    """``"22.3 %"``."""
    return "-" if roofline.share is None else f"{roofline.share * 100:.3g} %"
