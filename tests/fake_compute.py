"""A small Compute Engine on loopback: real HTTP, as much of its REST API as a run uses, and the ways it says no.

It keeps every request, so that a test can hold what was sent to what was printed. A zone can be told to be exhausted,
over quota or out of order; a machine's life is a generator that is moved on by each question about it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Document = dict[str, Any]
Life = Iterator[None]
_PATH = re.compile(r"/compute/v1/projects/(?P<project>[^/]+)/(?P<rest>.*)")
_ZONED = re.compile(r"zones/(?P<zone>[^/]+)/(?P<kind>instances|operations)(/(?P<name>[^/]+))?(?P<port>/serialPort)?")

EXHAUSTED = "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"
QUOTA = "QUOTA_EXCEEDED"
QUOTA_AT_ONCE = "quotaExceeded"
NO_DELETE = "no delete"

MESSAGES = {
    EXHAUSTED: "The zone 'projects/{project}/zones/{zone}' does not have enough resources available to fulfill the "
    "request.  '(resource type:compute)'.",
    QUOTA: "Quota 'NVIDIA_T4_GPUS' exceeded.  Limit: 0.0 in region {region}.",
    QUOTA_AT_ONCE: "Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: 0.0 globally.",
}


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Document


@dataclass
class FakeMachine:
    """A machine: its resource, its serial port, and the rest of its life."""

    document: Document
    zone: str
    serial: str = ""
    life: Life = field(default_factory=lambda: iter(()))
    preempted: bool = False


Boot = Callable[["FakeMachine"], Life]


def stays_up(_machine: FakeMachine) -> Life:
    """The life of a machine that runs and says nothing."""
    while True:
        yield


class FakeCompute:
    """The server; a context manager.

    Args:
        zones: zone -> how it fails; others work.
        boot: the life of each machine, begun when its making is done.
        polls: questions about an operation until it is done.
        hold: an event that the answer to an insert waits for, after the machine was made.
        late: listings in which a new machine does not show yet.
    """

    def __init__(
        self,
        zones: dict[str, str] | None = None,
        boot: Boot = stays_up,
        *,
        polls: int = 2,
        hold: threading.Event | None = None,
        late: int = 0,
    ) -> None:
        self.zones, self.boot, self.polls, self.hold, self.late = zones or {}, boot, polls, hold, late
        self.received: list[Received] = []
        self.machines: dict[tuple[str, str], FakeMachine] = {}
        self.inserted = threading.Event()
        self._operations: dict[str, Document] = {}
        self._by_request_id: dict[str, str] = {}
        self._left: dict[str, int] = {}
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeCompute:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.hold is not None:
            self.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def sent(self, *methods: str) -> list[Received]:
        """The requests of these methods."""
        return [each for each in self.received if each.method in methods]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                status, document = fake._route(Received(self.command, parts.path, query, body))
                content = json.dumps(document).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass  # the client was killed

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _route(self, request: Received) -> tuple[int, Document]:
        with self._lock:
            self.received.append(request)
            match = _PATH.fullmatch(request.path)
            if match is None:
                return _error(404, "notFound", f"no such path: {request.path}")
            if match["rest"] == "aggregated/instances":
                return 200, self._aggregated(request.query.get("filter", ""))
            zoned = _ZONED.fullmatch(match["rest"])
            if zoned is None:
                return _error(404, "notFound", f"no such path: {request.path}")
            if zoned["kind"] == "operations":
                return self._operation(zoned["zone"], zoned["name"])
            answer = self._instances(request, match["project"], zoned["zone"], zoned["name"], bool(zoned["port"]))
        if request.method == "POST" and self.hold is not None:
            self.hold.wait(30)
        return answer

    def _instances(
        self, request: Received, project: str, zone: str, name: str | None, serial: bool
    ) -> tuple[int, Document]:
        if request.method == "POST":
            return self._insert(request, project, zone)
        machine = self.machines.get((zone, name or ""))
        if machine is None:
            return _error(404, "notFound", f"The resource 'zones/{zone}/instances/{name}' was not found")
        if request.method == "DELETE":
            if self.zones.get(zone) == NO_DELETE:
                return _error(403, "forbidden", "Required 'compute.instances.delete' permission")
            del self.machines[zone, machine.document["name"]]
            return 200, self._begin("delete", zone, machine.document["name"])
        return self._told(machine, request) if serial else self._seen(machine, zone)

    def _told(self, machine: FakeMachine, request: Received) -> tuple[int, Document]:
        start = int(request.query.get("start", 0))
        return 200, {"contents": machine.serial[start:], "start": str(start), "next": str(len(machine.serial))}

    def _seen(self, machine: FakeMachine, zone: str) -> tuple[int, Document]:
        next(machine.life, None)
        if (zone, machine.document["name"]) not in self.machines:
            return _error(404, "notFound", "it is no more")
        return 200, machine.document

    def _insert(self, request: Received, project: str, zone: str) -> tuple[int, Document]:
        name, failure = request.body["name"], self.zones.get(zone, "")
        request_id = request.query["requestId"]
        if request_id in self._by_request_id:
            return 200, self._operations[self._by_request_id[request_id]]
        if failure == QUOTA_AT_ONCE:
            return _error(403, failure, MESSAGES[failure])
        if (zone, name) in self.machines:
            return _error(409, "alreadyExists", f"The resource 'zones/{zone}/instances/{name}' already exists")
        error = ""
        if failure in (EXHAUSTED, QUOTA):
            error = MESSAGES[failure].format(project=project, zone=zone, region=zone[:-2])
        else:
            document = {**request.body, "status": "PROVISIONING", "zone": f"{self.url}/projects/{project}/zones/{zone}"}
            self.machines[zone, name] = FakeMachine(document, zone)
        operation = self._begin("insert", zone, name, failure if error else "", error)
        self._by_request_id[request_id] = operation["name"]
        self.inserted.set()
        return 200, operation

    def _begin(self, kind: str, zone: str, name: str, code: str = "", message: str = "") -> Document:
        operation: Document = {
            "name": f"operation-{len(self._operations) + 1}",
            "operationType": kind,
            "status": "RUNNING",
            "zone": zone,
            "targetLink": f"{self.url}/zones/{zone}/instances/{name}",
        }
        self._operations[operation["name"]] = operation
        self._left[operation["name"]] = self.polls
        if code:
            operation["_error"] = {"errors": [{"code": code, "message": message}]}
        return {key: value for key, value in operation.items() if key != "_error"}

    def _operation(self, zone: str, name: str | None) -> tuple[int, Document]:
        if name is None:
            taken = [each for each in self.machines.values() if each.preempted and each.zone == zone]
            links = [f"{self.url}/zones/{zone}/instances/{each.document['name']}" for each in taken]
            items = [
                {"name": "p", "operationType": "compute.instances.preempted", "targetLink": link} for link in links
            ]
            return 200, {"items": items}
        operation = self._operations[name]
        self._left[name] -= 1
        if self._left[name] <= 0 and operation["status"] != "DONE":
            operation["status"] = "DONE"
            if "_error" in operation:
                operation["error"] = operation.pop("_error")
                operation["httpErrorStatusCode"] = 503
                operation["httpErrorMessage"] = "SERVICE UNAVAILABLE"
            elif operation["operationType"] == "insert":
                self._boot(zone, operation["targetLink"].rpartition("/")[2])
        return 200, {key: value for key, value in operation.items() if key != "_error"}

    def _boot(self, zone: str, name: str) -> None:
        machine = self.machines.get((zone, name))
        if machine is not None:
            machine.document["status"] = "RUNNING"
            machine.life = self.boot(machine)

    def _aggregated(self, wanted: str) -> Document:
        if self.late:
            self.late -= 1
            return {"items": {}}
        match = re.fullmatch(r"labels\.(?P<label>[\w-]+)(:\*|=(?P<value>.+))", wanted)
        if match is None:
            raise AssertionError(f"a filter that this server does not know: {wanted}")
        found: dict[str, Document] = {"zones/us-central1-a": {"warning": {"code": "NO_RESULTS_ON_PAGE"}}}
        for (zone, _), machine in self.machines.items():
            value = machine.document.get("labels", {}).get(match["label"])
            if value is not None and match["value"] in (None, value):
                found.setdefault(f"zones/{zone}", {}).setdefault("instances", []).append(machine.document)
        return {"items": found}


def _error(status: int, reason: str, message: str) -> tuple[int, Document]:
    error = {"message": message, "domain": "global", "reason": reason}
    return status, {"error": {"code": status, "message": message, "errors": [error]}}
