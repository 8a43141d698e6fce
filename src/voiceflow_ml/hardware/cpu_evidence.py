"""What the kernel's counts about the CPUs say about a measurement, as findings."""

from __future__ import annotations

from voiceflow_ml.hardware.cpu_state import CpuRecord
from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.units import format_ns

STEAL_CAUTION = 0.02
"""Share of all CPU time given to other guests above which a tail may be theirs."""
_FIXED_GOVERNORS = frozenset({"performance"})


def cpu_findings(record: CpuRecord) -> list[Finding]:
    """Judge steal, quota and governor over a measurement."""
    return [_steal_finding(record), _quota_finding(record), _governor_finding(record.governor)]


def _steal_finding(record: CpuRecord) -> Finding:
    share = record.steal_share
    if share is None:
        return Finding(Severity.INFORMATION, "how much CPU time a hypervisor gave to others is unknown on this system")
    fact = f"a hypervisor gave {share:.1%} of the CPU time to others"
    if share > STEAL_CAUTION:
        return Finding(Severity.CAUTION, fact, "use a machine whose cores are not shared")
    return Finding(Severity.INFORMATION, fact)


def _quota_finding(record: CpuRecord) -> Finding:
    periods = record.throttled_periods
    if periods is None:
        return Finding(Severity.INFORMATION, "whether a CPU quota stopped the process is unknown on this system")
    if periods == 0:
        return Finding(Severity.INFORMATION, "no CPU quota stopped the process")
    time = f", {format_ns(record.throttled_ns)} in all" if record.throttled_ns is not None else ""
    fact = f"the CPU quota of its control group stopped the process in {periods} periods{time}"
    return Finding(Severity.CAUTION, fact, "raise the quota (docker run --cpus, the pod's CPU limit), or drop it")


def _governor_finding(governor: str | None) -> Finding:
    if governor is None:
        return Finding(Severity.INFORMATION, "how the cores' clocks follow the load is unknown here")
    if governor in _FIXED_GOVERNORS:
        return Finding(Severity.INFORMATION, f"the CPU frequency governor is {governor}")
    fact = f"the CPU frequency governor is {governor}: clocks follow the load, and gaps make them fall"
    return Finding(Severity.CAUTION, fact, "set it to performance (cpupower frequency-set -g performance)")
