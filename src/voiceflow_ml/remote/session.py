"""One actor for each target, all at the same time; what becomes of one leaves the others alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.remote.actor import MeasuringActor, Node, answers_from
from voiceflow_ml.remote.cluster import ACCELERATOR, Cluster
from voiceflow_ml.remote.job import Failed, Shipment, Taken
from voiceflow_ml.remote.versions import mismatch, own_versions
from voiceflow_ml.units import NS_PER_S

NODE_FACT = "measured on"
"""Fact of each remote measurement: which node took it."""
_TICK_S = 5.0


@dataclass(frozen=True)
class Patience:
    """How long another machine may take, in seconds.

    Attributes:
        start_s: until an actor says where it is.
        beyond_budget_s: beyond the time budget of its measurements: sending, opening, cold starts, evidence.
    """

    start_s: float = 60.0
    beyond_budget_s: float = 60.0


Tell = Callable[[Target, str], None]
Answers = list[Taken | Failed]


@dataclass(eq=False)
class _Errand:
    """One shipment on its way."""

    shipment: Shipment
    actor: Any = None
    node: Node | None = None
    pending: Any = None
    deadline_s: float = 0.0
    answers: Answers = field(default_factory=list)

    @property
    def target(self) -> Target:
        return self.shipment.target

    def fail(self, reason: str) -> None:
        """End it, with the same reason for each of its jobs."""
        self.pending = None
        self.answers = [Failed(f"{self.target.name}: {reason}") for _ in self.shipment.jobs]


def measure_remotely(
    shipments: Sequence[Shipment],
    cluster: Cluster,
    tell: Tell = lambda _target, _text: None,
    patience: Patience | None = None,
) -> list[Answers]:
    """Measure shipments at the same time, each on a node that has its target's accelerator.

    Args:
        shipments: at most one for each target.
        cluster: what the joined cluster has; nothing is sent where it has not what is needed.
        tell: told how it goes, every few seconds.
        patience: how long the nodes may take.

    Returns:
        For each shipment one answer for each of its jobs.
    """
    patience = patience or Patience()
    errands = [_Errand(shipment) for shipment in shipments]
    try:
        for errand in errands:
            absence = cluster.absence(errand.target)
            if absence:
                errand.fail(absence)
            else:
                _start(errand, cluster, patience)
        _await(errands, _met, tell)
        for errand in errands:
            if not errand.answers:
                _send(errand, patience)
        _await(errands, _received, tell)
    finally:
        _end(errands)
    return [errand.answers for errand in errands]


def _start(errand: _Errand, cluster: Cluster, patience: Patience) -> None:
    import ray  # noqa: PLC0415

    # A node that names a GPU and counts none is not asked for one: what ran where is proven there, not declared here.
    gpus = int(errand.target.is_cuda and errand.target.ray_accelerator in cluster.counting_gpus)
    actor_class = ray.remote(MeasuringActor).options(
        num_cpus=1, num_gpus=gpus, accelerator_type=errand.target.ray_accelerator, max_restarts=0
    )
    errand.actor = actor_class.remote()
    errand.pending = errand.actor.about.remote()
    errand.deadline_s = time.monotonic() + patience.start_s


def _met(errand: _Errand, node: Node) -> None:
    """The actor has said where it is."""
    errand.node, errand.pending = node, None
    problem = mismatch(own_versions(), node.versions, node.name)
    if problem:
        errand.fail(problem)


def _send(errand: _Errand, patience: Patience) -> None:
    errand.pending = errand.actor.measure.remote(errand.shipment)
    errand.deadline_s = time.monotonic() + errand.shipment.time_budget_ns / NS_PER_S + patience.beyond_budget_s


def _received(errand: _Errand, content: bytes) -> None:
    """The samples are here."""
    errand.pending = None
    errand.answers = [_with_node(answer, errand) for answer in answers_from(content)]


def _with_node(answer: Taken | Failed, errand: _Errand) -> Taken | Failed:
    """Say of an answer which node gave it."""
    node = errand.node
    if node is None:
        return answer
    if isinstance(answer, Failed):
        return Failed(f"on {node.name}: {answer.reason}")
    found = node_findings(node, errand.target)
    return replace(answer, facts={**answer.facts, NODE_FACT: node.name}, findings=(*answer.findings, *found))


def node_findings(node: Node, target: Target) -> list[Finding]:
    """Which node it was, and whether it let the measurement have its turn.

    Args:
        node: where the actor was.
        target: what it was there for.
    """
    fact = f"measured on {node.name}, which has {ACCELERATOR}{target.ray_accelerator}"
    found = [Finding(Severity.INFORMATION, fact)]
    if node.niceness > 0:
        fact = f"the measuring thread has niceness {node.niceness}: whatever else runs on the node goes first"
        found.append(Finding(Severity.CAUTION, fact, "start the node with RAY_worker_niceness=0 in its environment"))
    return found


def _await(errands: Sequence[_Errand], done: Callable[[_Errand, Any], None], tell: Tell) -> None:
    """Wait until nothing is pending: each answer is taken as it comes, and none is waited for beyond its deadline."""
    import ray  # noqa: PLC0415

    while waiting := [errand for errand in errands if errand.pending is not None]:
        now_s = time.monotonic()
        soonest_s = min(errand.deadline_s for errand in waiting) - now_s
        ready, _ = ray.wait([errand.pending for errand in waiting], timeout=max(0.0, min(_TICK_S, soonest_s)))
        for errand in waiting:
            if errand.pending in ready:
                _take(errand, done)
            elif time.monotonic() >= errand.deadline_s:
                errand.fail(_late(errand))
            else:
                tell(errand.target, _progress(errand))


def _take(errand: _Errand, done: Callable[[_Errand, Any], None]) -> None:
    import ray  # noqa: PLC0415

    try:
        done(errand, ray.get(errand.pending, timeout=_TICK_S))
    except Exception as error:
        errand.fail(_broken(errand, error))


def _progress(errand: _Errand) -> str:
    left_s = max(0.0, errand.deadline_s - time.monotonic())
    doing = "waiting for an actor" if errand.node is None else f"measuring on {errand.node.name}"
    return f"{doing}, {left_s:.0f} s left"


def _late(errand: _Errand) -> str:
    if errand.node is None:
        import ray  # noqa: PLC0415

        free = ray.available_resources()
        return (
            f"no actor has started on a node with {ACCELERATOR}{errand.target.ray_accelerator}: it needs a free CPU, "
            f"and of a GPU target the GPU; free are {free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs; "
            "end what holds them"
        )
    budget_s = errand.shipment.time_budget_ns / NS_PER_S
    return (
        f"{errand.node.name} has not answered within its deadline, the time budget of {budget_s:g} s and what opening "
        "and proving may take; its actor is killed: look whether the call hangs there, or somebody else measures there"
    )


def _broken(errand: _Errand, error: Exception) -> str:
    """What Ray raised, in one sentence: a node or a process that died, or one that lacks this package."""
    name = type(error).__name__
    if "ModuleNotFoundError" in str(error):
        missing = str(error).rpartition("ModuleNotFoundError: ")[2].partition("\n")[0]
        where = "its node" if errand.node is None else errand.node.name
        return f'{where} cannot load the measuring loop ({missing}): pip install "voiceflow-ml[ray]" there'
    if errand.node is None:
        return f"no actor could be started on it ({name}: {_first_line(error)})"
    return (
        f"{errand.node.name} was lost in mid-run ({name}): its node or its process died, and its samples with it; "
        "measure again once it is back"
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason given"


def _end(errands: Sequence[_Errand]) -> None:
    """Kill every actor: one that hangs does not end by itself."""
    import ray  # noqa: PLC0415

    for errand in errands:
        if errand.actor is not None:
            # A node that is gone took its actor along.
            with contextlib.suppress(Exception):
                ray.kill(errand.actor)
