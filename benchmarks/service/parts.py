"""The four claims about the service, each measured in one go."""

from __future__ import annotations

import math
import random
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks.service.trials import baseline_process, kept, model_p99_ns, ours, plain, speech, trial
from voiceflow_ml.client import Client
from voiceflow_ml.errors import BusyError, ClientError
from voiceflow_ml.load import Kind, Trial
from voiceflow_ml.load.server_process import ServerProcess

CONNECTIONS = 20
MAX_BATCH = 5
"""Inferences that share a run where that is tried: a quarter of the connections."""
OURS = ("ours", "batched")
HALF = 0.5
OVER = 5.0
STREAM_LIMIT_NS = 100_000_000
MOST_STREAMS = 128
_PROBE_S = 0.1
_TRIES = 3
_SETTLE_S = 8.0
Say = Callable[[str], None]


def against_baseline(rounds: int, seconds: float, say: Say) -> dict[str, Any]:
    """20 closed-loop connections to our server, as it is and with shared runs, and to the baseline, in random turns.

    Args:
        rounds: trials of each.
        seconds: of each trial.
        say: told of the progress.
    """
    draws = random.Random(1)  # noqa: S311 - an order, not a secret
    with ExitStack() as stack:
        urls = {
            "ours": (stack.enter_context(ServerProcess()).url, ours()),
            "batched": (stack.enter_context(ServerProcess(["--set", f"max_batch={MAX_BATCH}"])).url, ours()),
            "baseline": (stack.enter_context(baseline_process()).url, plain()),
        }
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in urls}
        for _ in range(rounds):
            for name in draws.sample(list(urls), len(urls)):
                one = trial(*urls[name], Kind.CLOSED_LOOP, CONNECTIONS, seconds)
                found[name].append(kept(one))
                say(f"{name}: {one.rate_per_s:.1f} in a second")
    rates = {name: statistics.median(one["successes_per_s"] for one in trials) for name, trials in found.items()}
    p99s = {name: statistics.median(_p99(one) for one in trials) for name, trials in found.items()}
    return {
        "connections": CONNECTIONS,
        "max_batch": MAX_BATCH,
        "trials": found,
        "rate_per_s": rates,
        "p99_ns": p99s,
        "rate_ratio": {name: rates[name] / (rates["baseline"] or math.nan) for name in OURS},
        "p99_ratio": {name: p99s[name] / p99s["baseline"] for name in OURS},
    }


def _p99(kept_trial: dict[str, Any]) -> float:
    value_ns = kept_trial["latency_ns"]["P99"]
    return math.inf if value_ns is None else float(value_ns)


def _capacity(url: str, seconds: float) -> float:
    """Requests in a second that the server answers when twenty callers never let it rest."""
    return trial(url, ours(), Kind.CLOSED_LOOP, CONNECTIONS, seconds).rate_per_s


def at_half(rounds: int, seconds: float, say: Say) -> dict[str, Any]:
    """An open loop at half of the capacity, beside the model's own P99 in turns with it."""
    with ServerProcess() as server:
        capacity_per_s = _capacity(server.url, seconds)
        trials, alone_ns = [], [model_p99_ns()]
        for number in range(rounds):
            trials.append(trial(server.url, ours(), Kind.OPEN_LOOP, HALF * capacity_per_s, seconds, seed=number))
            alone_ns.append(model_p99_ns())
            say(f"half of {capacity_per_s:.0f} in a second: P99 {(trials[-1].percentile_ns(0.99) or 0) / 1e6:.1f} ms")
    p99_ns = statistics.median(one.percentile_ns(0.99) or math.inf for one in trials)
    return {
        "capacity_per_s": capacity_per_s,
        "trials": [kept(one) for one in trials],
        "model_p99_ns": alone_ns,
        "p99_ns": p99_ns,
        "ratio": p99_ns / statistics.median(alone_ns),
    }


def streams(seconds: float, say: Say) -> dict[str, Any]:
    """How many live streams at once have a P99 below 100 ms from chunk in to answer out: doubled, then halved in."""
    tried: dict[int, dict[str, Any]] = {}
    with ServerProcess(["--set", f"max_streams={MOST_STREAMS}"]) as server:

        def holds(count: int) -> bool:
            one = _punctual(lambda: trial(server.url, speech(), Kind.STREAMS, count, seconds))
            tried[count] = {**kept(one), "sustained": _sustained(one)}
            say(f"{count} streams: P99 {(one.percentile_ns(0.99) or 0) / 1e6:.1f} ms, {tried[count]['sustained']}")
            return bool(tried[count]["sustained"])

        best = largest(holds, MOST_STREAMS)
    return {"sustained": best, "trials": {str(count): tried[count] for count in sorted(tried)}}


def _punctual(run: Callable[[], Trial]) -> Trial:
    """A trial that is not INVALID, if one of a few is not: a generator that was late says nothing of the server."""
    for _ in range(_TRIES - 1):
        one = run()
        if one.is_valid:
            return one
    return run()


def largest(holds: Callable[[int], bool], most: int) -> int:
    """The largest number that holds, if all below it do: doubled until one does not, then bisected; 0 for none."""
    low, high = 0, 1
    while high <= most and holds(high):
        low, high = high, high * 2
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _sustained(one: Trial) -> bool:
    p99_ns = one.percentile_ns(0.99)
    return one.is_valid and not one.failures and p99_ns is not None and p99_ns < STREAM_LIMIT_NS


def overload(seconds: float, say: Say) -> dict[str, Any]:
    """An open loop at five times the capacity: who is accepted, who is turned away and how, what memory it takes."""
    with ServerProcess() as server:
        capacity_per_s = _capacity(server.url, seconds)
        before = server.resident_bytes
        probe = _Probe(server)
        with probe:
            one = trial(server.url, ours(), Kind.OPEN_LOOP, OVER * capacity_per_s, seconds)
        say(f"five times {capacity_per_s:.0f} in a second: {dict(one.statuses)}")
        # Until the server has closed the connections that the generator left behind.
        time.sleep(_SETTLE_S)
        after = server.resident_bytes
        with Client(server.url, wait_when_busy_s=5) as client:
            alive = client.live()
    return {
        "capacity_per_s": capacity_per_s,
        "trial": kept(one),
        "resident_bytes": {"before": before, "most": max(probe.resident_bytes, default=before), "after": after},
        "probes": {"turned_away": probe.turned_away, "with_retry_after": probe.with_retry_after},
        "alive_after": alive,
    }


class _Probe:
    """Reads the server's memory and asks it now and then, while it is overloaded."""

    def __init__(self, server: ServerProcess) -> None:
        self._server, self._stop = server, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.resident_bytes: list[int] = []
        self.turned_away = self.with_retry_after = 0

    def __enter__(self) -> _Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with Client(self._server.url) as client:
            while not self._stop.wait(_PROBE_S):
                self.resident_bytes.append(self._server.resident_bytes)
                try:
                    client.send(ours())
                except BusyError as error:
                    self.turned_away += 1
                    self.with_retry_after += error.retry_after_s is not None
                except ClientError:
                    continue
