"""The roofline: the least time that a graph's arithmetic and memory traffic take on a device.

``floor = max(sum over precisions of FLOPs / peak, bytes / bandwidth)``, after Williams, Waterman and Patterson,
"Roofline: an insightful visual performance model for multicore architectures" (2009). Everything that is left out
(activations, launches, copies, operators that are no products) makes the floor lower, so it stays a floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.peaks import Peaks
from voiceflow_ml.units import NS_PER_S, format_ns

STATED_MARGIN = 4.0
"""Below the floor divided by this nothing is possible: fast algorithms (Winograd's, for convolutions of 3 by 3) need
up to four times fewer multiplications than the definition, and boards run a little above their stated clock."""
MEASURED_MARGIN = 2.0
"""The same where the peaks were measured, on a machine that may have been disturbed then."""


@dataclass(frozen=True)
class Work:
    """What one inference has to do.

    Attributes:
        flops: precision -> operations of convolutions, matrix products and recurrent layers; a multiplication and
            an addition are two.
        bytes_moved: weights, inputs and outputs, each once.
        counted: nodes whose operations are in ``flops``.
        left_out: nodes that compute such products, of unknown shapes, or that hide graphs of their own.
    """

    flops: Mapping[str, int]
    bytes_moved: int
    counted: int
    left_out: int = 0

    @property
    def total_flops(self) -> int:
        """Operations of all precisions."""
        return sum(self.flops.values())


@dataclass(frozen=True)
class Roofline:
    """One inference against what its device can do at best.

    Attributes:
        target: name of the target.
        floor_ns: the least time that one inference takes, in nanoseconds.
        bound_by: ``"compute"`` or ``"memory"``, whichever takes longer at least.
        compute_ns: the arithmetic at its peak.
        memory_ns: the traffic at the bandwidth of the memory; what fits into the last-level cache is let off.
        flops: precision -> operations.
        bytes_moved: weights, inputs and outputs, each once.
        peak_flops_per_s: of the arithmetic as it is mixed; 0 where no peak is known for any of it.
        bytes_per_s: bandwidth of the memory; 0 where it is not known.
        source: where the peaks come from.
        measured_peaks: whether they were measured on this machine, and not stated by the maker.
        counted: nodes whose operations are counted.
        left_out: nodes of unknown work.
        share: floor over the measured median, at most about 1; None before a measurement.
    """

    target: str
    floor_ns: int
    bound_by: str
    compute_ns: int
    memory_ns: int
    flops: Mapping[str, int]
    bytes_moved: int
    peak_flops_per_s: float
    bytes_per_s: float
    source: str
    measured_peaks: bool
    counted: int
    left_out: int
    share: float | None = None

    @property
    def total_flops(self) -> int:
        """Operations of all precisions."""
        return sum(self.flops.values())

    def reached_by(self, median_ns: int) -> Roofline:
        """This roofline with the share that a measured median reached."""
        return replace(self, share=self.floor_ns / max(1, median_ns))

    @property
    def least_ns(self) -> int:
        """What no implementation goes below: the floor less the margin of what it rests on."""
        return round(self.floor_ns / (MEASURED_MARGIN if self.measured_peaks else STATED_MARGIN))

    @property
    def sentence(self) -> str:
        """``"at least 1.2 ms on cuda-t4 (compute bound: ...)"``, with what it rests on."""
        work = f"{self.total_flops / 1e9:.3g} GFLOP, {self.bytes_moved / 1e6:.3g} MB"
        rest = f"; {self.left_out} nodes of unknown work left out" if self.left_out else ""
        return (
            f"at least {format_ns(self.floor_ns)} on {self.target} ({self.bound_by} bound: {work}; "
            f"peaks: {self.source}{rest})"
        )


def roofline(work: Work, peaks: Peaks, target: str, *, measured_peaks: bool = False) -> Roofline | None:
    """Hold one inference's work against a device's peaks.

    Args:
        work: what there is to do.
        peaks: what the device can do.
        target: name of the target.
        measured_peaks: whether the peaks were measured.

    Returns:
        The roofline, or None where nothing is known about the device, or where there is nothing to count.
    """
    rates = {precision: _rate(peaks, precision) for precision in work.flops}
    compute_s = sum(flops / rate for precision, flops in work.flops.items() if (rate := rates[precision]))
    rated = sum(flops for precision, flops in work.flops.items() if rates[precision])
    fetched = max(0, work.bytes_moved - peaks.cache_bytes)
    memory_s = fetched / peaks.bytes_per_s if peaks.bytes_per_s else 0.0
    if compute_s == 0 and memory_s == 0:
        return None
    return Roofline(
        target=target,
        floor_ns=round(max(compute_s, memory_s) * NS_PER_S),
        bound_by="compute" if compute_s >= memory_s else "memory",
        compute_ns=round(compute_s * NS_PER_S),
        memory_ns=round(memory_s * NS_PER_S),
        flops=dict(work.flops),
        bytes_moved=work.bytes_moved,
        peak_flops_per_s=rated / compute_s if compute_s else 0.0,
        bytes_per_s=peaks.bytes_per_s or 0.0,
        source=peaks.source,
        measured_peaks=measured_peaks,
        counted=work.counted,
        left_out=work.left_out,
    )


def _rate(peaks: Peaks, precision: str) -> float:
    """Highest rate that work of a precision can run at; 0 where none is known.

    ONNX Runtime's CUDA provider multiplies float32 in TF32 where the device has it, unless it is told not to.
    """
    known = peaks.flops_per_s
    if precision == "fp32":
        return max(known.get("fp32", 0.0), known.get("tf32", 0.0))
    return known.get(precision, 0.0)


def impossible(found: Roofline, statistic: str, limit_ns: int) -> str:
    """Why a limit cannot be kept on a target, in one sentence; empty when physics leaves it open."""
    if limit_ns >= found.least_ns:
        return ""
    return (
        f"{statistic} <= {format_ns(limit_ns)} is impossible on this target: one inference takes {found.sentence}; "
        "promise what the hardware can do, or make the model smaller"
    )


def refuse_impossible(found: Roofline | None, limits_ns: Mapping[str, int]) -> None:
    """Refuse a promise that no implementation can keep, before anything is measured.

    Args:
        found: the model's roofline; None where it is not known.
        limits_ns: statistic name -> limit.

    Raises:
        ConfigError: a limit below the floor.
    """
    for statistic, limit_ns in limits_ns.items():
        reason = impossible(found, statistic, limit_ns) if found is not None else ""
        if reason:
            raise ConfigError(reason)


def floor_finding(found: Roofline, median_ns: int) -> Finding:
    """Hold a measured median against the floor: faster than the hardware can be, it is not about this model.

    Args:
        found: the model's roofline on the target that was measured.
        median_ns: measured, on the wall clock.
    """
    if median_ns < found.least_ns:
        fact = f"a median of {format_ns(median_ns)} is faster than the hardware can be: {found.sentence}"
        remedy = "look for outputs that are kept, a call that returns before its work is done, or a smaller model"
        return Finding(Severity.INVALID, fact, remedy)
    share = found.floor_ns / max(1, median_ns)
    return Finding(
        Severity.INFORMATION, f"the median reaches {share:.1%} of what the hardware allows: {found.sentence}"
    )
