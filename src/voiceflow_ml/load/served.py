"""A model behind a service, as the ``latency`` fixture measures one: end to end, or the server's share of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.client import exchanges
from voiceflow_ml.client.aio import AsyncClient
from voiceflow_ml.client.answers import Inferred, Reply, accepted, read_timing
from voiceflow_ml.client.exchanges import Exchange
from voiceflow_ml.client.patience import Patience
from voiceflow_ml.errors import AnswerError, BusyError, ConfigError
from voiceflow_ml.hardware.evidence import Finding
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.latency import percentile
from voiceflow_ml.load import served_evidence as evidence
from voiceflow_ml.load.delay_proxy import delay_proxy
from voiceflow_ml.load.delays import PROFILES, DelayProfile
from voiceflow_ml.load.pacer import at_offsets

Result = TypeVar("Result")
_PATIENCE_S = 30.0
"""How long a request may be put off by a full queue before it fails the measurement."""


class Share(StrEnum):
    """Which part of a request is timed; the words are those of the stages."""

    END_TO_END = "end-to-end"
    """From when the request was due to the whole answer held."""
    SERVER_PROCESSING = "server-processing"
    """Request received to answer ready, less the model's inference, by the server's word; the request's own lateness
    is added."""


class ServedModel:
    """A model of a running service. Requests go out from a thread of their own; use it in ``with``.

    It can be handed to the ``latency`` fixture in the place of a model: ``latency(served, window)`` sends the window
    as the model's inputs, and judges as the promise's mode says: ``open-loop`` sends by a Poisson schedule that waits
    for no answer, over as many connections as that takes.

    Args:
        url: the service's address.
        model: which of its models.
        target: the hardware that the promise is about.
        share: which part of each request is timed.
        network: played between here and the service.
        sha256: of the model file that must answer; empty when any may.
        seed: of the network.
    """

    def __init__(
        self,
        url: str,
        model: str,
        target: Target,
        *,
        share: Share = Share.END_TO_END,
        network: DelayProfile = PROFILES["none"],
        sha256: str = "",
        seed: int = 0,
    ) -> None:
        self.target = target
        self._url, self._model, self._share, self._network = url, model, share, network
        self._sha256, self._seed = sha256, seed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="requests", daemon=True)
        self._open = AsyncExitStack()
        self._client: AsyncClient | None = None
        self._metadata: dict[str, Any] = {}
        self._lateness_ns: list[int] = []
        self._latencies_ns: list[int] = []
        self._gaps_ns: list[int] = []
        self._put_off_count = 0

    def __enter__(self) -> ServedModel:
        self._thread.start()
        try:
            self._wait(self._begin())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._open.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _begin(self) -> None:
        url = self._url
        if self._network.high_ns:
            url = await self._open.enter_async_context(delay_proxy(url, self._network, seed=self._seed))
        self._client = await self._open.enter_async_context(AsyncClient(url))
        self._metadata = await self._client.metadata(self._model)

    @property
    def boundary(self) -> str:
        """What lies between the two clock reads."""
        if self._share is Share.SERVER_PROCESSING:
            return (
                "request received to answer ready, less the model's inference, as the server itself tells it, and what "
                "the request was sent late by"
            )
        network = f"; network played: {self._network.description}" if self._network.high_ns else ""
        return f"a request is due to its whole answer held, over real sockets on loopback{network}"

    def bind(self, *inputs: object) -> ServedCall:
        """Fix the inputs, in the order of the model's metadata, so that a call does nothing but ask.

        Raises:
            ConfigError: more or fewer than the model takes.
        """
        names = [str(entry["name"]) for entry in self._metadata["inputs"]]
        if len(names) != len(inputs):
            raise ConfigError(f"{self._model} takes {len(names)} inputs ({', '.join(names)}), got {len(inputs)}")
        arrays: dict[str, NDArray[np.generic]] = {
            name: np.asarray(value) for name, value in zip(names, inputs, strict=True)
        }
        return ServedCall(self, exchanges.infer(self._model, arrays))

    def facts(self) -> dict[str, str]:
        """What a reader needs to reproduce the run."""
        status = self._metadata.get("status", {})
        return {
            "model SHA-256": str(status.get("digest", "")),
            "model version": str(status.get("version", "")),
            "service": "a server in a process of its own on this machine, by the Open Inference Protocol v2",
            "network": self._network.description,
        }

    def findings(self) -> tuple[Finding, ...]:
        """What is known about where the answers came from, and whether the requests were punctual."""
        found = [
            evidence.file_finding(self._sha256, str(self._metadata.get("status", {}).get("digest", ""))),
            evidence.where_finding(self.target),
            self._lateness_finding(),
            evidence.put_off_finding(self._put_off_count),
            evidence.network_finding(self._network),
        ]
        return tuple(finding for finding in found if finding is not None)

    def _lateness_finding(self) -> Finding | None:
        if self._share is Share.SERVER_PROCESSING:
            mean_ns = sum(self._gaps_ns) // max(1, len(self._gaps_ns))
            # The lateness is in the samples already; what is left for it to change is when requests arrive.
            return evidence.lateness_finding(self._lateness_ns, mean_ns, 4, "mean time between requests")
        whole_ns = percentile(np.array(self._latencies_ns, dtype=np.int64), 0.99) if self._latencies_ns else 0
        return evidence.lateness_finding(self._lateness_ns, whole_ns, 10, "P99 of whole requests")

    async def _ask(self, exchange: Exchange[Inferred], start_ns: int, due_ns: int, *, on_schedule: bool = False) -> int:
        """One request: its latency, or the server's share of it, in nanoseconds."""
        sent_ns = time.perf_counter_ns() - start_ns
        reply, attempts = await self._reply(exchange)
        done_ns = time.perf_counter_ns() - start_ns
        if on_schedule:
            self._lateness_ns.append(sent_ns - due_ns)
            self._latencies_ns.append(done_ns - due_ns)
        if self._share is Share.END_TO_END:
            return done_ns - due_ns
        timing = read_timing(reply.headers)
        if timing is None:
            raise AnswerError(f"{reply.url}: the service does not tell what its share of a request took")
        late_ns = sent_ns - due_ns
        if attempts > 1:
            # What the server tells is about the last attempt; all there was before it is a ceiling, whoever waited.
            return late_ns + max(timing.server_processing_ns, done_ns - sent_ns - timing.model_inference_ns)
        # A request that is sent late because the machine is busy finds a server that is less so: what it did not wait
        # for there, it waited for here.
        return late_ns + timing.server_processing_ns

    async def _reply(self, exchange: Exchange[Inferred]) -> tuple[Reply, int]:
        """The answer, and after how many attempts: a request that a full queue turns away comes back, as it is told."""
        if self._client is None:
            raise ConfigError("a served model is asked inside its with statement; open it first")
        patience, attempts = Patience(_PATIENCE_S), 0
        while True:
            attempts += 1
            try:
                return accepted(await self._client.reply(exchange)), attempts
            except BusyError as error:
                delay_s = patience.delay_s(error)
                if delay_s is None:
                    raise
            self._put_off_count += 1
            await asyncio.sleep(delay_s)

    async def _ask_at(self, exchange: Exchange[Inferred], offsets_ns: Sequence[int]) -> list[int]:
        samples_ns = [0] * len(offsets_ns)
        self._gaps_ns += [after_ns - before_ns for before_ns, after_ns in pairwise(offsets_ns)]
        start_ns = time.perf_counter_ns()

        async def due(place: int) -> None:
            samples_ns[place] = await self._ask(exchange, start_ns, offsets_ns[place], on_schedule=True)

        await at_offsets(start_ns, offsets_ns, due, sleep_s=time.sleep)
        return samples_ns

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class ServedCall:
    """One request, to be made again and again; see :class:`~voiceflow_ml.latency.SelfTimed`."""

    def __init__(self, served: ServedModel, exchange: Exchange[Inferred]) -> None:
        self._served, self._exchange = served, exchange

    def __call__(self) -> int:
        """Ask once, now, and wait."""
        return self._served._wait(self._served._ask(self._exchange, time.perf_counter_ns(), 0))

    def send_at(self, offsets_ns: Sequence[int]) -> list[int]:
        """Ask at each of these times."""
        return self._served._wait(self._served._ask_at(self._exchange, offsets_ns))
