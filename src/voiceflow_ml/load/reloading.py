"""Reload a server again and again while it is under load, through the repository API that Triton introduced.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing import get_context
from typing import Any
from urllib.parse import quote

from voiceflow_ml.client import exchanges
from voiceflow_ml.client.aio import AsyncClient
from voiceflow_ml.client.answers import Reply, accepted, read_object
from voiceflow_ml.client.exchanges import Exchange
from voiceflow_ml.errors import ConfigError, UnreachableError
from voiceflow_ml.load.connections import Connections
from voiceflow_ml.load.generator import Job, keep_apart, priority, run_lean
from voiceflow_ml.load.pacer import at_offsets
from voiceflow_ml.load.plan import Kind, poisson_offsets_ns
from voiceflow_ml.load.reloads import Known, Reload, ReloadTrial
from voiceflow_ml.load.shooting import asking, shoot, version_of
from voiceflow_ml.load.trial import NO_ANSWER, Shot, trial_of
from voiceflow_ml.wire import JSON_LENGTH_HEADER


class Api(StrEnum):
    """How a server is asked to load."""

    VOICEFLOW = "voiceflow"
    """A source is a version, a channel or a folder."""
    TRITON = "triton"
    """A source is a model configuration as JSON, or empty to load again what the repository holds."""


@dataclass(frozen=True)
class ReloadPlan:
    """What is reloaded, and how often.

    Attributes:
        model: its name.
        sources: they take turns; the first is in use at the beginning.
        reloads: how many, spread evenly over the time that is counted.
        api: how the server is asked.
        token: of the administrator; empty for none.
        timeout_s: longest wait for one reload.
    """

    model: str
    sources: tuple[str, ...]
    reloads: int
    api: Api = Api.VOICEFLOW
    token: str = ""
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        if not self.sources or self.reloads < 1:
            raise ConfigError("a reload needs at least one source, and there must be at least one reload")


def reload_exchange(plan: ReloadPlan, source: str) -> Exchange[dict[str, Any]]:
    """The request that has a server load a source."""
    if plan.api is Api.VOICEFLOW:
        return exchanges.load(plan.model, source=source)
    body = json.dumps({"parameters": {"config": source}} if source else {}).encode()
    path = f"/v2/repository/models/{quote(plan.model, safe='')}/load"
    return Exchange("POST", path, read_object, body, {"Content-Type": "application/json"}, is_admin=True)


def reload_apart(job: Job, plan: ReloadPlan) -> ReloadTrial:
    """Run a trial in a process of its own.

    Args:
        job: an open loop; its request tells the sources apart.
        plan: the reloads.

    Raises:
        ConfigError: another kind of load.
        ClientError: the server cannot be asked, or refuses a source before the load begins.
    """
    if job.plan.kind is not Kind.OPEN_LOOP:
        raise ConfigError(f"reloads are tried under an open loop, got {job.plan.kind}: waiting callers would hide them")
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_reload_here, job, plan).result()


def _reload_here(job: Job, plan: ReloadPlan) -> ReloadTrial:
    keep_apart(job)
    return run_lean(reload_in_loop(job, plan))


async def reload_in_loop(job: Job, plan: ReloadPlan) -> ReloadTrial:
    """Run a trial in the running event loop; arguments and errors as in :func:`reload_apart`."""
    async with (
        Connections(job.url, timeout_s=job.plan.timeout_s) as connections,
        AsyncClient(job.url, timeout_s=plan.timeout_s, token=plan.token) as admin,
    ):
        exchange: Exchange[Reply] = Exchange(job.method, job.path, accepted, job.body, dict(job.headers))
        known = {}
        # In this order the first source is the one that stays.
        for source in (*plan.sources[1:], plan.sources[0]):
            await admin.send(reload_exchange(plan, source))
            reply = accepted(await connections.reply(exchange))
            known[source] = Known(version_of(reply), fingerprint_of(reply))
        return await _Reloading(job, plan, connections, admin, exchange).run(known)


class _Reloading:
    """One trial under way."""

    def __init__(
        self, job: Job, plan: ReloadPlan, connections: Connections, admin: AsyncClient, exchange: Exchange[Reply]
    ) -> None:
        self._job, self._plan, self._admin = job, plan, admin
        self._ask = asking(connections, exchange)
        self._start_ns = 0
        self._answers: dict[int, tuple[Shot, str]] = {}
        self._reloads: list[Reload] = []

    async def run(self, known: dict[str, Known]) -> ReloadTrial:
        load = self._job.plan
        offsets_ns = poisson_offsets_ns(load.rate_per_s, load.total_ns, load.seed)
        self._start_ns = time.perf_counter_ns()

        async def due(place: int) -> None:
            await self._request(offsets_ns[place])

        await asyncio.gather(
            at_offsets(self._start_ns, offsets_ns, due, sleep_s=time.sleep),
            self._reload_again_and_again(),
        )
        facts = {
            "service": self._job.url,
            "reloads": f"{len(self._reloads)} through the API of {self._plan.api}",
            "generator's priority": priority(),
        }
        planned = sum(offset_ns >= load.warmup_ns for offset_ns in offsets_ns)
        trial = trial_of(load, [shot for shot, _ in self._answers.values()], planned, facts)
        fingerprints = tuple(self._answers[shot.intended_ns][1] for shot in trial.shots)
        return ReloadTrial(trial, fingerprints, tuple(self._reloads), known, self._plan.sources[0])

    async def _request(self, intended_ns: int) -> None:
        fingerprint = ""

        async def ask() -> Reply | None:
            nonlocal fingerprint
            reply = await self._ask()
            if reply is not None and 200 <= reply.status < 300:
                fingerprint = fingerprint_of(reply)
            return reply

        shot = await shoot(ask, self._start_ns, intended_ns)
        self._answers[intended_ns] = (shot, fingerprint)

    async def _reload_again_and_again(self) -> None:
        load, plan = self._job.plan, self._plan
        for number in range(plan.reloads):
            at_ns = load.warmup_ns + number * load.duration_ns // plan.reloads
            await asyncio.sleep(max(0, self._start_ns + at_ns - time.perf_counter_ns()) / 1e9)
            if self._now_ns() > load.total_ns:
                # Reloads that took longer than their share: what is left over would have no requests around it.
                return
            source = plan.sources[(number + 1) % len(plan.sources)]
            begun_ns = self._now_ns()
            try:
                status = (await self._admin.reply(reload_exchange(plan, source))).status
            except UnreachableError:
                status = NO_ANSWER
            self._reloads.append(Reload(source, begun_ns, self._now_ns(), status))

    def _now_ns(self) -> int:
        return time.perf_counter_ns() - self._start_ns


def fingerprint_of(reply: Reply) -> str:
    """Hash of the outputs of an inference, without the names of model and version."""
    length = reply.headers.get(JSON_LENGTH_HEADER.lower(), "")
    if length.isdecimal():
        outputs = reply.body[int(length) :]
    else:
        document = reply.document
        outputs = json.dumps(document.get("outputs") if isinstance(document, dict) else document).encode()
    return hashlib.sha256(outputs).hexdigest()[:16]
