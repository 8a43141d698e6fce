"""One trial, in an event loop and in a process of its own, away from whatever else the caller's process does."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Coroutine, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, TypeVar

import uvloop

from voiceflow_ml.client.aio import AsyncClient
from voiceflow_ml.client.answers import Reply
from voiceflow_ml.client.exchanges import Exchange
from voiceflow_ml.load.connections import Connections
from voiceflow_ml.load.delay_proxy import delay_proxy
from voiceflow_ml.load.delays import PROFILES, DelayProfile
from voiceflow_ml.load.plan import Kind, LoadPlan
from voiceflow_ml.load.shooting import asking, shoot_all
from voiceflow_ml.load.streaming import stream_all
from voiceflow_ml.load.trial import Trial, trial_of

Result = TypeVar("Result")
_SWITCH_INTERVAL_S = 0.000_5
"""How long the event loop may keep the pacer's thread from telling it that a request is due."""
_CPUS_TO_SPARE_FROM = 4
"""On fewer CPUs one of the generator's own would be taken from the service."""
_REAL_TIME_PRIORITY = 1
"""Above every ordinary process, below whatever else runs at real time."""


@dataclass(frozen=True)
class Job:
    """What a generator needs to know.

    Attributes:
        url: the service's address.
        plan: the load.
        method: of the request that is sent again and again.
        path: its path; unused by streams.
        headers: its headers.
        body: its body; of streams the speech, 16-bit PCM at 16 kHz.
        network: played between the generator and the service.
        cpus: the only ones that the generator may use; empty for any.
    """

    url: str
    plan: LoadPlan
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    network: DelayProfile = PROFILES["none"]
    cpus: tuple[int, ...] = ()


def job_of(
    url: str,
    plan: LoadPlan,
    exchange: Exchange[Any] | bytes,
    *,
    network: DelayProfile = PROFILES["none"],
    cpus: tuple[int, ...] | None = None,
) -> Job:
    """A job from a request, or for streams from the speech that they send.

    Args:
        url: the service's address.
        plan: the load.
        exchange: the request; of streams the speech, 16-bit PCM at 16 kHz.
        network: played between the generator and the service.
        cpus: the only ones that the generator may use; by default one, where the machine has some to spare.
    """
    chosen = spare_cpus(os.sched_getaffinity(0)) if cpus is None else cpus
    if isinstance(exchange, bytes):
        return Job(url, plan, "", "", (), exchange, network, chosen)
    headers = tuple(exchange.headers.items())
    return Job(url, plan, exchange.method, exchange.path, headers, exchange.body, network, chosen)


def spare_cpus(available: Iterable[int]) -> tuple[int, ...]:
    """The CPU that a generator may have for itself: the last of four or more, none of fewer."""
    ordered = sorted(available)
    return (ordered[-1],) if len(ordered) >= _CPUS_TO_SPARE_FROM else ()


def run_apart(job: Job) -> Trial:
    """Put a load on a service from a process of its own.

    Raises:
        ClientError: a stream could not be opened.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run_here, job).result()


def run_here(job: Job) -> Trial:
    """The same in this process, which does nothing else meanwhile; it keeps to the job's CPUs from then on."""
    keep_apart(job)
    return run_lean(run_in_loop(job))


def keep_apart(job: Job) -> None:
    """Make this process a generator: on the job's CPUs, on time, and undisturbed by the collector of garbage.

    Callers of a service in use sit on machines of their own. On the service's machine a generator waits for a CPU
    behind the very requests that it sent, so it goes before them where the system lets it: with two CPUs at the least,
    for on one alone it would keep the service from answering.
    """
    shared = os.sched_getaffinity(0)
    if job.cpus:
        os.sched_setaffinity(0, job.cpus)
    if len(shared) > 1:
        with suppress(PermissionError):
            # Threads that are started from here on inherit it: the pacer of an open loop among them.
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_REAL_TIME_PRIORITY))
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    # What exists by now stays: the collector need not look through it in the middle of a trial.
    gc.freeze()


def run_lean(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in an event loop of libuv, which takes less of the CPU than the standard one."""
    return uvloop.run(work)


def priority() -> str:
    """How the calling thread is scheduled, in words."""
    return "real time" if os.sched_getscheduler(0) == os.SCHED_RR else "that of any other process"


async def run_in_loop(job: Job) -> Trial:
    """The same in the running event loop."""
    async with AsyncExitStack() as stack:
        url = job.url
        if job.network.high_ns:
            url = await stack.enter_async_context(delay_proxy(url, job.network, seed=job.plan.seed))
        if job.plan.kind is Kind.STREAMS:
            client = await stack.enter_async_context(AsyncClient(url, timeout_s=job.plan.timeout_s))
            shots, planned = await stream_all(client, job.plan, job.body)
            return trial_of(job.plan, shots, planned, _facts(job))
        exchange: Exchange[Reply] = Exchange(job.method, job.path, lambda reply: reply, job.body, dict(job.headers))
        connections = await stack.enter_async_context(Connections(url, timeout_s=job.plan.timeout_s))
        found, expected = await shoot_all(asking(connections, exchange), job.plan)
        return trial_of(job.plan, found, expected, _facts(job))


def _facts(job: Job) -> dict[str, str]:
    return {
        "service": job.url,
        "request": f"{job.method} {job.path}, {len(job.body)} bytes" if job.path else "live streams",
        "network": job.network.description,
        "generator's CPUs": ", ".join(map(str, job.cpus)) or "any",
        "generator's priority": priority(),
    }
