"""One soak from the start of the server to its last look."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.soak.bench import Bench, Served
from benchmarks.soak.changes import Changes, steps
from benchmarks.soak.faults import commit_all, fault_ends, pauses
from benchmarks.soak.judging import InUse, Known, Trouble
from benchmarks.soak.learning import check_apart, learn
from benchmarks.soak.material import Ask, Bad, Samples, asks, stream_speech, write_bad_versions, write_versions
from benchmarks.soak.plan import SERVER, Plan
from benchmarks.soak.run_state import DIED, FINISHED, INTERRUPTED, RUNNING
from benchmarks.soak.sampling import Sampler, gauges, reading
from benchmarks.soak.traffic import readers, requests, streams
from voiceflow_ml.client import exchanges
from voiceflow_ml.client.aio import AsyncClient
from voiceflow_ml.hardware.probe import probe_machine
from voiceflow_ml.load.server_process import ServerProcess
from voiceflow_ml.models.shipped import MODEL_NAME

_PATIENCE_S = 120.0
"""For each answer, and for what is under way when the load ends: only what nobody will ever answer is lost."""
Keep = Callable[[Mapping[str, Any]], None]


def soak(plan: Plan, token: str, keep: Keep) -> dict[str, Any]:
    """Run one.

    Args:
        plan: how much of what.
        token: of the server's administrator, in the environment that it inherits.
        keep: given everything there is, again and again.

    Returns:
        The same at the end, also when it was interrupted or the server died.

    Raises:
        ClientError: the server does not answer rightly before the load begins.
    """
    with tempfile.TemporaryDirectory() as folder:
        sources = write_versions(Path(folder))
        bad = write_bad_versions(Path(folder), sources[0])
        errors: deque[str] = deque(maxlen=1_000)
        settings = [word for name, value in SERVER.items() for word in ("--set", f"{name}={value}")]
        arguments = ("--model", sources[0], *settings)
        with ServerProcess(arguments, on_line=lambda line: _note_error(errors, line)) as server:
            one = _Soak(plan, server, errors, keep)
            try:
                asyncio.run(one.run(sources, bad, token))
            except KeyboardInterrupt:
                one.end(INTERRUPTED)
            return one.results


def _note_error(errors: deque[str], line: str) -> None:
    """Keep a line of the log that tells of an error, or that is no log at all, such as a crash's."""
    try:
        level = json.loads(line).get("level")
    except (ValueError, AttributeError):
        level = "none" if line.strip() else "empty"
    if level in ("error", "critical", "none"):
        errors.append(line.strip())


class _Soak:
    """One soak under way."""

    def __init__(self, plan: Plan, server: ServerProcess, errors: deque[str], keep: Keep) -> None:
        self._plan, self._server, self._errors, self._keep = plan, server, errors, keep
        self._bench: Bench | None = None
        self._sampler: Sampler | None = None
        self.results: dict[str, Any] = {
            "state": RUNNING,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": probe_machine(),
            "cores": len(os.sched_getaffinity(0)),
            "nice": os.nice(0),
            "server": dict(SERVER),
            "plan": asdict(plan),
            "fault_ends": fault_ends(),
        }

    async def run(self, sources: Sequence[str], bad: Sequence[Bad], token: str) -> None:
        """Learn, load, settle, look."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(AsyncClient(self._server.url, timeout_s=_PATIENCE_S))
            admin = await stack.enter_async_context(AsyncClient(self._server.url, token=token, timeout_s=_PATIENCE_S))
            asked, speech = asks(), stream_speech(self._plan.stream_s, self._plan.streams)
            known = await _learn_all(client, admin, sources, asked, speech)
            await asyncio.sleep(self._plan.settle_s / 3)
            self.results["before"] = await self._idle(client)
            bench = self._bench = Bench(self._server.url, self._plan, known, InUse(known[0].version))
            served = Served(bench, client)
            self._sampler = Sampler(bench, served, self._server.pid, self._new_errors, self._write)
            changes = Changes(bench, admin, served).run(self._plan.change_s, steps(sources, bad))
            await self._load(bench, self._parts(bench, client, asked, speech, changes))
        if self.results["state"] != RUNNING:
            return
        # With the clients gone, what is left is what the server holds on its own.
        async with AsyncClient(self._server.url) as client:
            await asyncio.sleep(self._plan.settle_s)
            self.results["after"] = await self._idle(client)
        self.end(FINISHED)

    def _parts(
        self,
        bench: Bench,
        client: AsyncClient,
        asked: Sequence[Ask],
        speech: Sequence[Samples],
        changes: Coroutine[Any, Any, None],
    ) -> list[Coroutine[Any, Any, None]]:
        address = urlsplit(bench.url)
        host_port = (str(address.hostname), int(address.port or 0))
        return [
            requests(bench, client, asked, seed=1),
            *(streams(bench, client, speech, place) for place in range(len(speech))),
            readers(bench, client),
            changes,
            commit_all(bench, host_port, self._plan.fault_s),
            pauses(bench, self._server.pid),
        ]

    async def _load(self, bench: Bench, parts: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Everything at once; what is under way at the end comes to its own end."""
        sampler = self._sampler
        tasks = [asyncio.create_task(part) for part in parts]
        if sampler is None:
            return
        sampling = asyncio.create_task(sampler.run())
        try:
            await self._watch(bench, [*tasks, sampling])
            bench.over.set()
            if self.results["state"] == RUNNING:
                await self._finish(bench, sampler, [*tasks, sampling])
        finally:
            for task in (*tasks, sampling):
                task.cancel()
            await asyncio.gather(*tasks, sampling, return_exceptions=True)

    async def _finish(self, bench: Bench, sampler: Sampler, tasks: Sequence[asyncio.Task[None]]) -> None:
        done, left = await asyncio.wait(tasks, timeout=_PATIENCE_S)
        for task in left:
            bench.ledger.note(Trouble.LOST, f"{task.get_coro()} did not come to its end")
        for task in done:
            task.result()
        # Once for the last answers, and once more for each look that a change may be late by.
        for _ in range(3):
            await sampler.sample()
        sampler.close_window(sampler.samples["at_s"][-1])

    async def _watch(self, bench: Bench, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Wait for the end of the load; earlier when the server is gone, or a part of the soak itself fails."""
        while bench.now_ns() < self._plan.duration_s * 1e9:
            await asyncio.sleep(0.25)
            if not self._server.is_running:
                self.end(DIED)
                return
            for task in tasks:
                if task.done():
                    # Raises what a part of the soak itself failed with.
                    task.result()

    async def _idle(self, client: AsyncClient) -> dict[str, float]:
        return {**await gauges(client), **reading(self._server.pid)}

    def _new_errors(self) -> list[str]:
        return [self._errors.popleft() for _ in range(len(self._errors))]

    def end(self, state: str) -> None:
        """Write how it ended."""
        self.results["state"] = state
        self._write()

    def _write(self) -> None:
        if self._bench is not None and self._sampler is not None:
            ledger = self._bench.ledger
            self.results |= {
                "counts": {str(name): ledger.counts[name] for name in (*Trouble, *sorted(ledger.counts))},
                "examples": {str(name): example for name, example in ledger.examples.items()},
                "right": dict(sorted(ledger.right.items())),
                "faults": dict(sorted(ledger.faults.items())),
                "changes": dict(sorted(ledger.changes.items())),
                "lateness": self._bench.durations.peek("lateness"),
                "samples": dict(self._sampler.samples),
                "windows": dict(self._sampler.windows),
            }
        self._keep(self.results)


async def _learn_all(
    client: AsyncClient, admin: AsyncClient, sources: Sequence[str], asked: Sequence[Ask], speech: Sequence[Samples]
) -> tuple[Known, ...]:
    """What both versions answer; afterwards the first one serves again."""
    known = []
    for source in sources:
        await admin.send(exchanges.load(MODEL_NAME, source=source))
        known.append(await learn(client, source, asked, speech))
    check_apart(known)
    await admin.send(exchanges.load(MODEL_NAME, source=sources[0]))
    return tuple(known)
