"""A Ray cluster as far as a measurement needs to know it: whether it answers, and which accelerators it has."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voiceflow_ml.errors import ConfigError, RemoteError
from voiceflow_ml.hardware.targets import Target

AUTO = "auto"
CLIENT = "ray://"
ACCELERATOR = "accelerator_type:"
_FORM = "write HOST:PORT of a cluster that this machine is a node of, ray://HOST:PORT, or auto"
_CONNECT_TIMEOUT_S = 5.0
# The opening of HTTP/2, which gRPC speaks: the preface and an empty SETTINGS frame; a server answers with its own.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_HEAD_BYTES, _SETTINGS = 9, 4


@dataclass(frozen=True)
class Cluster:
    """What a cluster said that it has, when it was asked.

    Attributes:
        address: as the user named it.
        resources: Ray's name of each resource -> how much of it all living nodes have together.
        counting_gpus: accelerators of nodes that count GPUs, which Ray then hands out one by one.
    """

    address: str
    resources: Mapping[str, float]
    counting_gpus: frozenset[str] = frozenset()

    @property
    def accelerators(self) -> tuple[str, ...]:
        """What Ray calls its accelerators, sorted."""
        return tuple(sorted(name.removeprefix(ACCELERATOR) for name in self.resources if name.startswith(ACCELERATOR)))

    def has(self, target: Target) -> bool:
        """Whether some node has a target's accelerator."""
        return bool(target.ray_accelerator) and self.resources.get(f"{ACCELERATOR}{target.ray_accelerator}", 0) > 0

    def absence(self, target: Target) -> str:
        """Why a target cannot be measured there, in one sentence; empty when it can.

        Ray itself would wait without end for a node that nobody has.
        """
        if self.has(target):
            return ""
        found = ", ".join(f"{ACCELERATOR}{name}" for name in self.accelerators) or "no accelerator at all"
        return (
            f"--ray-address={self.address}: no node has {ACCELERATOR}{target.ray_accelerator}, which {target.name} "
            f"needs; the cluster has: {found}; add a node that has one, or drop the target"
        )


def check_address(address: str) -> None:
    """See that something answers at an address as Ray does; Ray itself takes minutes to give up.

    Raises:
        ConfigError: not the form of an address.
        RemoteError: nobody there, or somebody else.
    """
    where = os.environ.get("RAY_ADDRESS", AUTO) if address == AUTO else address
    if where == AUTO:
        return
    host, colon, port = where.removeprefix(CLIENT).rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 2**16):
        raise ConfigError(f"--ray-address={address}: {where!r} is no address; {_FORM}")
    try:
        with socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S) as connection:
            # Behind TLS a server answers a plain opening with nothing.
            answers = bool(os.environ.get("RAY_USE_TLS")) or _speaks_grpc(connection)
    except OSError as error:
        raise RemoteError(
            f"--ray-address={address}: nobody answers at {host}:{port} ({error.strerror or error}); "
            "start the cluster (ray start --head), or correct the address"
        ) from None
    if not answers:
        raise RemoteError(f"--ray-address={address}: what answers at {host}:{port} is no Ray cluster; {_FORM}")


def _speaks_grpc(connection: socket.socket) -> bool:
    try:
        connection.sendall(_PREFACE)
        head = connection.recv(_FRAME_HEAD_BYTES)
    except OSError:
        return False
    return len(head) == _FRAME_HEAD_BYTES and head[3] == _SETTINGS


def connect(address: str) -> Cluster:
    """Join a cluster as its driver, once in a process, and ask what it has.

    Raises:
        ConfigError: Ray is not installed, or the address has no form.
        RemoteError: the cluster does not answer, or runs another Ray or Python.
    """
    try:
        import ray  # noqa: PLC0415
    except ImportError:
        raise ConfigError('--ray-address needs ray, which is not installed: pip install "voiceflow-ml[ray]"') from None
    if not is_joined():
        check_address(address)
        _join(ray, address)
    return read_cluster(address)


def is_joined() -> bool:
    """Whether this process is the driver of a cluster already; does not import Ray to find out."""
    ray: Any = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _join(ray: Any, address: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise RemoteError(f"--ray-address={address}: Ray does not join the cluster: {reason[:400]}") from None
    finally:
        # Ray puts its own in place; what stops a session is pytest's to say.
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def read_cluster(address: str) -> Cluster:
    """Ask the cluster that this process has joined what its living nodes have now."""
    import ray  # noqa: PLC0415

    counting = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU", 0) >= 1]
    names = {name.removeprefix(ACCELERATOR) for found in counting for name in found if name.startswith(ACCELERATOR)}
    return Cluster(address, ray.cluster_resources(), frozenset(names))


def leave() -> None:
    """Leave the cluster, whether or not it is still there."""
    import ray  # noqa: PLC0415

    ray.shutdown()
