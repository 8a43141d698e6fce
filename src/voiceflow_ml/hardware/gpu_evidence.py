"""What a GPU's identity and conduct say about a measurement, as findings."""

from __future__ import annotations

from collections.abc import Sequence

from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.gpu import Gpu, GpuRecord
from voiceflow_ml.hardware.gpu_choice import Choice
from voiceflow_ml.hardware.targets import TARGETS, Catalogue, Target

LEAST_CLOCK_SHARE = 0.75
"""Share of the default SM clock below which the clocks have collapsed."""
LEAST_BOOST_SHARE = 0.25
"""The same share of the catalogue's boost clock, where the driver names no default."""
_POWER_CAP = "software power cap"


def identity_findings(choice: Choice, target: Target, catalogue: Catalogue = TARGETS) -> list[Finding]:
    """Judge whether the GPU that CUDA uses is the one that was promised.

    Args:
        choice: CUDA's device 0.
        target: what was promised.
        catalogue: where the owner of another PCI device id is looked up.
    """
    gpu = choice.gpu
    if gpu is None:
        return [Finding(Severity.INVALID, f"which GPU ran cannot be told: {choice.problem}", choice.remedy)]
    found = [_name_finding(gpu, target), _part_finding(gpu, target), _pci_finding(gpu, target, catalogue)]
    return [finding for finding in found if finding is not None]


def _name_finding(gpu: Gpu, target: Target) -> Finding:
    if gpu.is_a(target):
        return Finding(Severity.INFORMATION, f"the GPU is a {gpu.name} ({gpu.uuid}, driver {gpu.driver})")
    capability = gpu.compute_capability
    called = f"{gpu.name} ({gpu.uuid}" + (
        f", compute capability {capability[0]}.{capability[1]})" if capability else ")"
    )
    fact = f"CUDA uses a {called}, promised is {target.device_name}"
    return Finding(Severity.INVALID, fact, "choose the GPU with CUDA_VISIBLE_DEVICES=UUID, or promise for this one")


def _part_finding(gpu: Gpu, target: Target) -> Finding | None:
    if gpu.is_virtual:
        fact = f"the {gpu.name} is a virtual GPU: a hypervisor hands out a part of it"
        return Finding(Severity.INVALID, fact, f"measure on a whole {target.device_name}, passed through if need be")
    if gpu.is_mig:
        fact = f"the {gpu.name} is cut into MIG slices, and CUDA uses one of them"
        return Finding(Severity.INVALID, fact, "turn MIG off (nvidia-smi -mig 0), or state a target for the slice")
    return None


def _pci_finding(gpu: Gpu, target: Target, catalogue: Catalogue) -> Finding | None:
    number = gpu.pci_device_id
    if number is None:
        return Finding(Severity.INFORMATION, "the GPU's PCI device id is unknown: the driver does not say")
    if not target.pci_device_ids or number in target.pci_device_ids:
        return None
    owners = [name for name in catalogue.owners_of(number) if name != target.name]
    if owners:
        fact = f"the GPU calls itself {gpu.name}, and its PCI device id 0x{number:04X} is that of {owners[0]}"
        return Finding(Severity.INVALID, fact, f"measure on a real {target.device_name}")
    known = ", ".join(f"0x{entry:04X}" for entry in sorted(target.pci_device_ids))
    fact = f"the GPU's PCI device id 0x{number:04X} is none that the catalogue knows for {target.name} ({known})"
    return Finding(Severity.CAUTION, fact, f"if the board is one, add it to pci_device_ids of [targets.{target.name}]")


def conduct_findings(record: GpuRecord, target: Target) -> list[Finding]:
    """Judge clocks, slowdowns and other processes over a measurement.

    Args:
        record: what the GPU did.
        target: what was promised; its boost clock stands in for a default that the driver does not name.
    """
    found = [_clock_finding(record, target), *_slowdown_findings(record), _contention_finding(record)]
    return [*_silence_findings(record), *found]


def _silence_findings(record: GpuRecord) -> list[Finding]:
    """A driver that was there when the GPU was found, and then was not: what it would have said is nobody's guess."""
    if not record.unanswered:
        return []
    times = f"{record.unanswered} of {record.readings} times"
    if record.after.answered:
        fact = f"the NVIDIA driver did not answer {times} during the run"
        return [Finding(Severity.CAUTION, fact, "look for its errors in the kernel's log (dmesg)")]
    fact = f"the NVIDIA driver stopped answering during the run ({times}): how the GPU's clocks went on is not known"
    return [Finding(Severity.INVALID, fact, "look for an Xid error in the kernel's log (dmesg), and measure again")]


def _clock_finding(record: GpuRecord, target: Target) -> Finding:
    if not record.sm_mhz:
        return Finding(Severity.INFORMATION, "the GPU's SM clock is unknown: the driver does not say")
    median_mhz = _median(record.sm_mhz)
    default_mhz, boost_mhz = record.gpu.default_sm_mhz, target.boost_clock_mhz
    reference_mhz = default_mhz or boost_mhz
    if not reference_mhz:
        return Finding(Severity.INFORMATION, f"SM clock {median_mhz} MHz (median after each block)")
    what, least = ("default", LEAST_CLOCK_SHARE) if default_mhz else ("boost clock", LEAST_BOOST_SHARE)
    warm = "" if record.after.temperature_c is None else f", {record.after.temperature_c} C"
    fact = (
        f"SM clock {median_mhz} MHz (median after each block{warm}), "
        f"{median_mhz / reference_mhz:.0%} of its {what} of {reference_mhz} MHz"
    )
    if median_mhz >= least * reference_mhz:
        return Finding(Severity.INFORMATION, fact)
    remedy = "let it cool, look at nvidia-smi -q -d PERFORMANCE, or lock its clocks (nvidia-smi -lgc)"
    return Finding(Severity.INVALID, f"the clocks collapsed: {fact}", remedy)


def _median(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]


def _slowdown_findings(record: GpuRecord) -> list[Finding]:
    found = []
    counted = [reason for reason in record.after.slowed_ns if record.slowed_ns(reason) is not None]
    if not counted:
        return [Finding(Severity.INFORMATION, "for how long the GPU held its clocks down is unknown: not counted here")]
    for reason in counted:
        slowed_ns = record.slowed_ns(reason) or 0
        if slowed_ns <= 0:
            continue
        share = min(1.0, slowed_ns / max(1, record.span_ns))
        fact = f"the GPU held its clocks down for {share:.1%} of the run ({reason})"
        if reason == _POWER_CAP:
            # Normal for boards that are built to run at their limit, such as the 70 W T4.
            found.append(Finding(Severity.INFORMATION, fact))
        else:
            found.append(Finding(Severity.CAUTION, fact, "cool it better, or give it the power that it asks for"))
    return found or [Finding(Severity.INFORMATION, "the GPU held its clocks down for no reason during the run")]


def _contention_finding(record: GpuRecord) -> Finding:
    if record.other_pids is None:
        return Finding(Severity.INFORMATION, "whether others used the GPU is unknown: the driver does not say")
    if not record.other_pids:
        return Finding(Severity.INFORMATION, "no other process computed on the GPU")
    pids = ", ".join(str(pid) for pid in record.other_pids[:3])
    others = f"{len(record.other_pids)} other process{'es' if len(record.other_pids) > 1 else ''}"
    fact = f"{others} computed on the GPU during the run (process id {pids})"
    return Finding(Severity.INVALID, fact, "stop them, or measure on a GPU of its own")
