"""Where the nodes of a graph ran, judged: every compute node on a provider of the target, no copies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.targets import Target

_CPU_PROVIDER = "CPUExecutionProvider"

# Operators that ONNX Runtime keeps on the CPU by design, because their work is metadata.
SHAPE_OPERATORS = frozenset({"Constant", "Shape", "Size"})

Placed = tuple[str, str, str]
"""Execution provider, node name and operator of one node that remains after optimisation."""


def recorded_placement(session: Any) -> list[Placed]:
    """What a session recorded of its own placement; needs ``session.record_ep_graph_assignment_info``.

    Raises:
        AttributeError: onnxruntime is older than 1.24.1.
    """
    return [
        (str(group.ep_name), str(node.name), str(node.op_type))
        for group in session.get_provider_graph_assignment_info()
        for node in group.get_nodes()
    ]


def profiled_placement(profile: Path) -> list[Placed]:
    """The same read off a profile that onnxruntime wrote, for releases that record no placement.

    Args:
        profile: the file that ``session.end_profiling()`` names.
    """
    events: Sequence[Mapping[str, Any]] = json.loads(profile.read_text(encoding="utf-8"))
    placed: dict[str, Placed] = {}
    for event in events:
        details = event.get("args", {})
        if event.get("cat") == "Node" and "provider" in details:
            name = str(event["name"]).removesuffix("_kernel_time")
            placed[name] = (str(details["provider"]), name, str(details.get("op_name", "")))
    return list(placed.values())


def failover_finding(opened_with: Sequence[str], now: Sequence[str]) -> Finding | None:
    """Say so when a session changed its providers since it was opened; None when it did not.

    The Python class of onnxruntime answers a failing provider by going on with another one.

    Args:
        opened_with: providers right after the session was made.
        now: providers after the run.
    """
    if list(opened_with) == list(now):
        return None
    fact = f"the session went over from {', '.join(opened_with)} to {', '.join(now)} during the run"
    return Finding(Severity.INVALID, fact, "leave its fallback off, and find out for which inputs the provider fails")


def placement_finding(placed: Sequence[tuple[str, str, str]], target: Target) -> Finding:
    """Judge the placement of a graph: every compute node on a provider of the target, no copies.

    Args:
        placed: (execution provider, node name, operator) of each node that remains after optimisation.
        target: where the nodes should be.
    """
    # A table in sla.toml may name any provider; it cannot make the CPU's run on a GPU.
    providers = [name for name in target.providers if not (target.is_cuda and name == _CPU_PROVIDER)]
    elsewhere = [
        (name or operator, provider)
        for provider, name, operator in placed
        if provider not in providers and operator not in SHAPE_OPERATORS
    ]
    copies = sum(operator.startswith("Memcpy") for _, _, operator in placed)
    exempt = sum(provider not in providers for provider, _, _ in placed) - len(elsewhere)
    if not placed:
        fact = "the runtime recorded no node: the graph computes nothing, or onnxruntime is older than 1.24.1"
        return Finding(Severity.INVALID, fact, "measure a graph that computes something, or update onnxruntime")
    if elsewhere:
        more = f" (+{len(elsewhere) - 1})" if len(elsewhere) > 1 else ""
        others = " and ".join(dict.fromkeys(provider for _, provider in elsewhere))
        fact = f"{len(elsewhere)} of {len(placed)} nodes ran on {others}: {elsewhere[0][0]}{more}"
        remedy = f"export a graph whose operators {_named(providers, target)} supports, or check its installation"
        return Finding(Severity.INVALID, fact, remedy)
    if copies:
        fact = f"{copies} copies between host and device inside the graph"
        return Finding(Severity.INVALID, fact, "export a graph that stays on one device")
    if exempt == len(placed):
        fact = f"no node ran on {_named(providers, target)}: the graph only asks for shapes"
        return Finding(Severity.INVALID, fact, "measure a graph that computes something")
    computing = len(placed) - exempt
    nodes = f"all {computing} compute nodes" if computing > 1 else "the only compute node"
    fact = f"{nodes} ran on {_named(providers, target)}"
    kept = f" ({_counted(exempt, 'shape operator')} on the CPU, as the runtime intends)" if exempt else ""
    return Finding(Severity.INFORMATION, fact + kept)


def _named(providers: Sequence[str], target: Target) -> str:
    return providers[0] if providers else f"a provider of {target.device_name}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
