"""Fifty swaps under load at half capacity: ``python -m benchmarks.service.swaps``.

Two versions of the shipped model with different weights take turns in ``voiceflow serve``; requests are one window of
3 s as raw tensors, by an open loop from a process of its own. Server, generator and everything else of the machine
share its cores, so what counts is the ratio between requests that overlap a swap and those that do not, in one run.
Writes ``benchmarks/service/swaps.json``, fills docs/hot-reload.md and prints the same.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.service.swap_table import RESULTS, render, write_page
from benchmarks.service.variants import WINDOW_SAMPLES, write_variant
from voiceflow_ml.client.exchanges import Exchange, infer
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.hardware.probe import probe_machine
from voiceflow_ml.load.generator import job_of, run_apart
from voiceflow_ml.load.plan import Kind, LoadPlan
from voiceflow_ml.load.reloading import ReloadPlan, reload_apart
from voiceflow_ml.load.reloads import ReloadTrial, reload_trial_to_dict
from voiceflow_ml.load.server_process import ServerProcess
from voiceflow_ml.models.shipped import MODEL_NAME
from voiceflow_ml.units import NS_PER_S

MOST_TIMES = 2.0
_CONNECTIONS = 4
"""Enough to keep both cores busy, few enough that the queue adds nothing."""


@dataclass(frozen=True)
class Memory:
    """Resident memory of the server, in bytes.

    Attributes:
        before: after the versions had each been loaded once, under no load.
        after: the same at the end.
    """

    before: int
    after: int

    @property
    def growth(self) -> float:
        """Growth as a share of what there was before."""
        return self.after / self.before - 1


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reloads", type=int, default=50)
    parser.add_argument("--every-s", type=float, default=5.0, help="from one swap to the next")
    parser.add_argument("--capacity-s", type=float, default=10.0, help="how long the capacity is measured")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    token = secrets.token_hex(16)
    # The server inherits it; nobody else is to change the version meanwhile.
    os.environ["VOICEFLOW_ADMIN_TOKEN"] = token
    with tempfile.TemporaryDirectory() as folder:
        sources = tuple(str(write_variant(Path(folder) / f"version-{number}", number)) for number in (1, 2))
        with ServerProcess(("--model", sources[0])) as server:
            results = measure(server, sources, token, arguments)
    write_text_atomic(arguments.out, json.dumps(results, indent=1) + "\n")
    print(render(results))
    if arguments.out == RESULTS:
        write_page(results)


def measure(
    server: ServerProcess, sources: tuple[str, ...], token: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Capacity first, then the swaps at half of it."""
    capacity = capacity_per_s(server.url, arguments.capacity_s)
    rate = round(capacity / 2, 1)
    print(f"capacity {capacity:.1f} requests/s, so {rate:g} are sent", flush=True)
    settle(server.url, sources, token, rate)
    before = server.resident_bytes
    duration_ns = round(arguments.reloads * arguments.every_s * NS_PER_S)
    trial = swaps(server.url, sources, token, rate, arguments.reloads, duration_ns)
    memory = Memory(before, server.resident_bytes)
    content = reload_trial_to_dict(trial, MOST_TIMES)
    for reload in content["reloads"]:
        # Where the versions lay in this run means nothing to anybody.
        reload["source"] = Path(reload["source"]).name
    return {
        "machine": probe_machine(),
        "load_average_at_the_end": [round(value, 1) for value in os.getloadavg()],
        "capacity_per_s": capacity,
        "rate_per_s": rate,
        "memory": {**asdict(memory), "growth": memory.growth},
        **content,
    }


def capacity_per_s(url: str, duration_s: float) -> float:
    """Requests that the server answers in a second when a few callers never stop asking."""
    plan = LoadPlan(Kind.CLOSED_LOOP, connections=_CONNECTIONS, duration_ns=round(duration_s * NS_PER_S))
    return run_apart(job_of(url, plan, request())).rate_per_s


def settle(url: str, sources: tuple[str, ...], token: str, rate: float) -> None:
    """A few swaps that are not counted, so that memory is what it is in the long run."""
    swaps(url, sources, token, rate, 4, 8 * NS_PER_S)


def swaps(url: str, sources: tuple[str, ...], token: str, rate: float, reloads: int, duration_ns: int) -> ReloadTrial:
    """Reload under an open loop."""
    plan = LoadPlan(Kind.OPEN_LOOP, rate_per_s=rate, duration_ns=duration_ns)
    return reload_apart(job_of(url, plan, request()), ReloadPlan(MODEL_NAME, sources, reloads, token=token))


def request() -> Exchange[Any]:
    """One window of quiet noise."""
    noise = 0.05 * np.random.default_rng(1).standard_normal((1, WINDOW_SAMPLES))
    return infer(MODEL_NAME, {"audio": noise.astype(np.float32)})


if __name__ == "__main__":
    main()
