"""Compute Engine through Google's client library: the few calls that a run needs, their errors in our words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError, NotFound, RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud import compute_v1

from voiceflow_ml.errors import CloudError, ConfigError
from voiceflow_ml.gcp.failures import failure
from voiceflow_ml.gcp.plan import RUN_LABEL
from voiceflow_ml.latency.clock import Clock
from voiceflow_ml.units import NS_PER_S

ENDPOINT_VARIABLE = "VOICEFLOW_COMPUTE_ENDPOINT"
"""Address of a stand-in for Compute Engine on loopback, for tests; no credentials are sent to it."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_POLL_NS = 2 * NS_PER_S
_OPERATION_NS = 600 * NS_PER_S


@dataclass(frozen=True)
class Machine:
    """A machine as Compute Engine tells of it.

    Attributes:
        zone: where it is.
        name: its name.
        run_id: value of its label; empty where it has none.
        status: such as ``RUNNING`` or ``TERMINATED``.
    """

    zone: str
    name: str
    run_id: str
    status: str


class Compute:
    """Compute Engine, for one project.

    Args:
        project: id of the project.
        clock: for the pauses between two questions about an operation.
        endpoint: of a stand-in on loopback; the variable ``VOICEFLOW_COMPUTE_ENDPOINT`` where empty, Google's
            own where that is empty, too.

    Raises:
        CloudError: no credentials are to be found.
        ConfigError: an endpoint elsewhere than on loopback.
    """

    def __init__(self, project: str, clock: Clock, endpoint: str = "") -> None:
        self.project = project
        self._clock = clock
        options = _options(endpoint or os.environ.get(ENDPOINT_VARIABLE, ""))
        try:
            self._instances = compute_v1.InstancesClient(**options)
            self._operations = compute_v1.ZoneOperationsClient(**options)
        except DefaultCredentialsError:
            raise CloudError(
                "no Google credentials are to be found; run: gcloud auth application-default login"
            ) from None

    def insert(self, request: compute_v1.InsertInstanceRequest) -> None:
        """Make a machine and wait until it is made.

        Raises:
            ZoneExhaustedError, QuotaError, NameTakenError: see ``failures``.
            CloudError: anything else.
        """
        where = f"{request.instance_resource.name} in {request.zone}"
        with _explained(where):
            operation = self._instances.insert_unary(request)
        self._wait(request.zone, operation.name, where)

    def delete(self, request: compute_v1.DeleteInstanceRequest) -> bool:
        """Delete a machine and wait until it is gone.

        Returns:
            Whether it was there; one that is gone already is no error.

        Raises:
            CloudError: it could not be deleted.
        """
        where = f"deleting {request.instance} in {request.zone}"
        with contextlib.suppress(NotFound), _explained(where):
            operation = self._instances.delete_unary(request)
            self._wait(request.zone, operation.name, where)
            return True
        return False

    def machine(self, zone: str, name: str) -> Machine | None:
        """A machine as it is now; None when there is none of that name."""
        with contextlib.suppress(NotFound), _explained(f"asking about {name} in {zone}"):
            return _machine(self._instances.get(project=self.project, zone=zone, instance=name))
        return None

    def labelled(self, run_id: str = "") -> tuple[Machine, ...]:
        """Machines of one run, or of all runs, in all zones and whatever their state."""
        wanted = f"={run_id}" if run_id else ":*"
        request = compute_v1.AggregatedListInstancesRequest(project=self.project, filter=f"labels.{RUN_LABEL}{wanted}")
        with _explained(f"listing the machines of {self.project}"):
            scopes = list(self._instances.aggregated_list(request))
        return tuple(_machine(found) for _, scope in scopes for found in scope.instances)

    def serial(self, zone: str, name: str, start: int = 0) -> tuple[str, int]:
        """Text of the serial port from a position on, and the next position; no text where there is no machine."""
        request = compute_v1.GetSerialPortOutputInstanceRequest(
            project=self.project, zone=zone, instance=name, port=1, start=start
        )
        with contextlib.suppress(NotFound), _explained(f"reading the serial port of {name}"):
            output = self._instances.get_serial_port_output(request)
            return output.contents, output.next_
        return "", start

    def preempted(self, zone: str, name: str) -> bool:
        """Whether Compute Engine took the machine back."""
        request = compute_v1.ListZoneOperationsRequest(
            project=self.project, zone=zone, filter='operationType="compute.instances.preempted"'
        )
        with _explained(f"asking what became of {name}"):
            return any(each.target_link.endswith(f"/{name}") for each in self._operations.list(request))

    def _wait(self, zone: str, operation: str, where: str) -> None:
        deadline_ns = self._clock.now_ns() + _OPERATION_NS
        while True:
            with _explained(where):
                seen = self._operations.get(project=self.project, zone=zone, operation=operation)
            if seen.status == compute_v1.Operation.Status.DONE:
                break
            if self._clock.now_ns() >= deadline_ns:
                raise CloudError(f"{where}: not done after {_OPERATION_NS // NS_PER_S} s; see operation {operation}")
            self._clock.sleep_ns(_POLL_NS)
        errors = seen.error.errors if seen.error else []
        if errors or seen.http_error_status_code:
            codes = [error.code for error in errors]
            raise failure(codes, "; ".join(error.message for error in errors) or seen.http_error_message, where)


def _options(endpoint: str) -> dict[str, Any]:
    if not endpoint:
        return {}
    if urlsplit(endpoint).hostname not in _LOOPBACK:
        raise ConfigError(f"{ENDPOINT_VARIABLE}={endpoint!r}: a stand-in for Compute Engine must be on loopback")
    anonymous: Any = AnonymousCredentials  # the library does not type it
    return {"credentials": anonymous(), "client_options": ClientOptions(api_endpoint=endpoint.rstrip("/"))}


def _machine(found: compute_v1.Instance) -> Machine:
    return Machine(found.zone.rpartition("/")[2], found.name, found.labels.get(RUN_LABEL, ""), found.status)


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn the library's errors into ours; ``NotFound`` stays, since it is an answer."""
    try:
        yield
    except NotFound:
        raise
    except GoogleAPICallError as error:
        codes = [str(entry.get("reason", "")) for entry in error.errors if isinstance(entry, dict)]
        raise failure([code for code in codes if code], str(error.message or ""), where) from error
    except (GoogleAuthError, RetryError, requests.RequestException) as error:
        raise CloudError(f"{where}: no answer from Compute Engine: {' '.join(str(error).split())[:300]}") from error
