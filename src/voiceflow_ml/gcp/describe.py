"""A plan for a reader: the machine, what it costs at most, and every request that ``up`` may send."""

from __future__ import annotations

import json
from collections.abc import Iterator

from voiceflow_ml.gcp.cost import estimate
from voiceflow_ml.gcp.plan import ACCELERATOR, IMAGE_FAMILY, IMAGE_PROJECT, MACHINE_TYPE, Plan
from voiceflow_ml.gcp.requests import HttpRequest, delete_request, gcloud_line, insert_request, to_http

HOST = "https://compute.googleapis.com"


def summary_lines(plan: Plan) -> list[str]:
    """What a run is, in a few lines."""
    size = sum(each.size_bytes for each in plan.artefacts)
    kind = "Spot: it may be taken back, and its numbers are not for publishing" if plan.spot else "on demand"
    end = "serves until it is taken down" if plan.serve else "measures, writes its results and powers off"
    return [
        f"run {plan.run_id} in project {plan.project}: {len(plan.artefacts)} files, {size} bytes, by {plan.store}",
        f"machine {plan.machine}: {MACHINE_TYPE}, 1 x {ACCELERATOR}, {IMAGE_PROJECT}/{IMAGE_FAMILY}; {kind}",
        f"zones, the next where one is exhausted: {', '.join(plan.zones)}",
        f"it {end}; Compute Engine deletes it after {plan.max_run_s} s, whatever became of us",
        "no external address; only the tunnels of the Identity-Aware Proxy reach it",
        estimate(plan).sentence,
    ]


def plan_lines(plan: Plan) -> Iterator[str]:
    """The summary, each request as gcloud would be told, and each as it is sent."""
    yield from summary_lines(plan)
    inserts = [insert_request(plan, zone) for zone in plan.zones]
    yield ""
    yield "The same for gcloud, one line for each zone:"
    yield from (gcloud_line(request) for request in inserts)
    for number, request in enumerate(inserts):
        yield ""
        yield f"Request for {plan.zones[number]}" + (", when the zones before it are exhausted:" if number else ":")
        yield from http_lines(to_http(request))
    yield ""
    yield "Request at the end, in the zone that gave the machine:"
    yield from http_lines(to_http(delete_request(plan.project, plan.zones[0], plan.machine)))


def http_lines(request: HttpRequest) -> list[str]:
    """A request as it goes over the wire."""
    query = "".join(f"?{name}={value}" for name, value in request.query.items())
    first = f"{request.method} {HOST}{request.path}{query}"
    return [first, json.dumps(request.body, indent=1, sort_keys=True)] if request.body else [first]
