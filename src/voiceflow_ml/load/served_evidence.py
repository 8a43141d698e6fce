"""What is known about requests to a service: who answered them, and whether they were punctual; as findings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.latency import percentile
from voiceflow_ml.load.delays import DelayProfile
from voiceflow_ml.load.trial import LATENESS_FLOOR_NS, LATENESS_QUANTILE
from voiceflow_ml.units import format_ns


def file_finding(declared_sha256: str, served_sha256: str) -> Finding | None:
    """Refuse answers of another model file.

    Args:
        declared_sha256: the file that must answer; empty when any may.
        served_sha256: the file that the service says it runs; empty when it does not say.
    """
    if not declared_sha256 or served_sha256 == declared_sha256:
        return None
    fact = f"the service answers with the model file {served_sha256 or '(it does not say)'}, not {declared_sha256}"
    return Finding(Severity.INVALID, fact, "serve the file that the promise is about")


def where_finding(target: Target) -> Finding:
    """What can be said of where a service runs its model."""
    fact = f"that the service runs its model on {target.name} is its own word, nothing here proves it"
    remedy = "the model-inference promise of the same file has the proof of placement"
    return Finding(Severity.INVALID if target.is_cuda else Severity.INFORMATION, fact, remedy)


def lateness_finding(lateness_ns: Sequence[int], held_against_ns: int, part: int, what: str) -> Finding | None:
    """Refuse a run whose requests were sent too late; None before the first.

    Args:
        lateness_ns: of each request, from when it was due to when it was sent.
        held_against_ns: what its P99 may be one part of; 1 ms is allowed in any case.
        part: which: 10 is a tenth.
        what: what it is held against, in words.
    """
    if not lateness_ns:
        return None
    late_ns = percentile(np.array(lateness_ns, dtype=np.int64), LATENESS_QUANTILE)
    allowed_ns = max(LATENESS_FLOOR_NS, held_against_ns // part)
    fact = (
        f"P99 of the requests' own lateness is {format_ns(late_ns)}, of {format_ns(allowed_ns)} that are allowed "
        f"(one {part}th of the {what}, at least 1 ms)"
    )
    if late_ns <= allowed_ns:
        return Finding(Severity.INFORMATION, fact)
    return Finding(Severity.INVALID, fact, "ask for fewer requests in a second, or free a CPU")


def put_off_finding(count: int) -> Finding | None:
    """Say how often a request was turned away; None when none was."""
    if not count:
        return None
    fact = (
        f"{count} times a request was turned away by a full queue and made again when the service asked for it; its "
        "latency counts from when it was first due"
    )
    return Finding(Severity.CAUTION, fact, "the service has not the capacity for this rate on this machine, as it is")


def network_finding(network: DelayProfile) -> Finding | None:
    """Say that a network is played; None when none is."""
    if not network.high_ns:
        return None
    return Finding(Severity.INFORMATION, f"the network is played, not real: {network.description}")
