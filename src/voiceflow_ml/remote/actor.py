"""What runs on a Ray node: an actor that says what it is, and measures a shipment."""

from __future__ import annotations

import contextlib
import os
import pickle  # nosec B403
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from voiceflow_ml.hardware.gpu_choice import ORDER
from voiceflow_ml.remote.job import Failed, Shipment, Taken
from voiceflow_ml.remote.taking import take
from voiceflow_ml.remote.versions import own_versions


@dataclass(frozen=True)
class Node:
    """The node that an actor is on.

    Attributes:
        host: its name.
        node_id: Ray's id of it.
        pid: of the actor's process.
        niceness: of the thread that measures; above 0 everything else on the node goes first.
        versions: of its software.
    """

    host: str
    node_id: str
    pid: int
    niceness: int
    versions: dict[str, str]

    @property
    def name(self) -> str:
        """What a reader tells it from others by."""
        return f"{self.host} (Ray node {self.node_id[:12]})"


class MeasuringActor:
    """Made a Ray actor by :mod:`voiceflow_ml.remote.session`; one for each target."""

    def __init__(self) -> None:
        # Ray hands a GPU out by its number on the PCI bus; CUDA counts otherwise unless it is told, before it starts.
        os.environ[ORDER] = "PCI_BUS_ID"
        # Ray makes its workers nice to everybody else, by 15: a measurement would wait where a service would not.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)

    def about(self) -> Node:
        """Where this is, and with which software; asked before anything is sent."""
        import ray  # noqa: PLC0415

        node_id = ray.get_runtime_context().get_node_id()
        return Node(socket.gethostname(), node_id, os.getpid(), os.getpriority(os.PRIO_PROCESS, 0), own_versions())

    def measure(self, shipment: Shipment) -> bytes:
        """Measure the jobs of a shipment; the answers travel as bytes, which outlive the connection to Ray."""
        return pickle.dumps(take(shipment))


def answers_from(content: bytes) -> Sequence[Taken | Failed]:
    """What :meth:`MeasuringActor.measure` sent."""
    answers: list[Taken | Failed] = pickle.loads(content)  # noqa: S301 - that cluster runs our code anyway # nosec B301
    return answers
