"""A real Ray cluster of two raylets on this machine: one has a processor of its own, the other says it has a T4."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voiceflow_ml.remote.cluster import ACCELERATOR

BENCH = "BENCH"
"""What the first node calls the processor that the CPU target is measured on."""
_STORE_BYTES = 80 * 2**20
_FAKE_DRIVER = Path(__file__).parent / "ray_node"


class TwoNodes:
    """The cluster, and what tests do to it."""

    def __init__(self, cluster: Any, temporary: Path) -> None:
        self._cluster, self._temporary = cluster, temporary

    @property
    def address(self) -> str:
        """``HOST:PORT``."""
        return str(self._cluster.address)

    def add(self, accelerator: str, *, gpus: int = 0, fake_gpu: str = "") -> Any:
        """Add a node with one CPU and an accelerator; ``fake_gpu`` names what its NVIDIA driver pretends to be."""
        return self._cluster.add_node(
            num_cpus=1,
            num_gpus=gpus,
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            resources={f"{ACCELERATOR}{accelerator}": 1},
            env_vars={
                "PYTHONPATH": str(_FAKE_DRIVER),
                "VOICEFLOW_ML_FAKE_GPU": fake_gpu,
                # The device lock lives there: what else measures on this machine must not hold a test up.
                "TMPDIR": str(self._temporary),
            },
        )


@contextmanager
def two_nodes(temporary: Path) -> Iterator[TwoNodes]:
    """Start the cluster, and end it with all that runs on it.

    Args:
        temporary: temporary folder of its workers.
    """
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    cluster = Cluster()
    try:
        nodes = TwoNodes(cluster, temporary)
        nodes.add(BENCH)
        nodes.add("T4", gpus=1, fake_gpu="t4_at_146_mhz")
        yield nodes
    finally:
        cluster.shutdown()
