"""The server's process over time: memory, descriptors, threads, connections, CPU time; and percentiles by window."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import psutil

from benchmarks.soak.bench import Bench, Served
from benchmarks.soak.judging import TURNED_AWAY, Trouble
from voiceflow_ml.client.aio import AsyncClient
from voiceflow_ml.client.exchanges import Exchange
from voiceflow_ml.errors import ClientError, UnreachableError
from voiceflow_ml.units import NS_PER_S

Columns = defaultdict[str, list[Any]]
TIMED = ("infer", "diarize", "chunk")
GAUGES = ("voiceflow_queue_depth", "voiceflow_streams", "voiceflow_buffered_bytes")


def reading(pid: int) -> dict[str, float]:
    """What the process holds now."""
    process = psutil.Process(pid)
    with process.oneshot():
        times = process.cpu_times()
        return {
            "resident_bytes": process.memory_info().rss,
            "descriptors": process.num_fds(),
            "threads": process.num_threads(),
            "connections": len(process.net_connections("tcp")),
            "cpu_s": round(times.user + times.system, 2),
        }


async def gauges(client: AsyncClient) -> dict[str, float]:
    """What the server itself says that it holds."""
    text = (await client.reply(Exchange("GET", "/metrics", lambda reply: reply))).body.decode()
    found = dict(line.split() for line in text.splitlines() if line.startswith(GAUGES))
    return {name: float(found[name]) for name in GAUGES}


class Sampler:
    """Looks again and again, and judges what can be judged by then.

    Args:
        bench: of the soak.
        served: says what is served.
        pid: of the server.
        log: lines of the server's log that came since they were last taken.
        keep: writes what there is.

    Attributes:
        samples: columns of the same length.
        windows: likewise, one row for each window.
    """

    def __init__(
        self, bench: Bench, served: Served, pid: int, log: Callable[[], list[str]], keep: Callable[[], None]
    ) -> None:
        self._bench, self._served, self._pid, self._log, self._keep = bench, served, pid, log, keep
        self.samples: Columns = defaultdict(list)
        self.windows: Columns = defaultdict(list)
        self._window_end_s = bench.plan.window_s

    async def run(self) -> None:
        """Sample until the soak is over, at once at the beginning."""
        await self.sample()
        async for _ in self._bench.ticks(self._bench.plan.sample_s):
            await self.sample()

    async def sample(self) -> None:
        """One look."""
        bench = self._bench
        at_s = bench.now_ns() / NS_PER_S
        self._note_log()
        try:
            await self._served.look()
        except UnreachableError as error:
            bench.ledger.note(Trouble.LOST, f"metadata: {error}")
        except ClientError as error:
            bench.ledger.note(Trouble.SERVER_ERROR, f"metadata: {error}")
        bench.judge(self._served.horizon_ns)
        row = {
            "at_s": round(at_s, 2),
            **reading(self._pid),
            "load_average": round(os.getloadavg()[0], 2),
            "right": bench.ledger.right.total(),
            "turned_away": bench.ledger.counts[TURNED_AWAY],
            "troubles": bench.ledger.troubles,
        }
        for name, value in row.items():
            self.samples[name].append(value)
        if at_s >= self._window_end_s:
            self.close_window(at_s)
        self._keep()

    def close_window(self, at_s: float) -> None:
        """Make percentiles of what was timed since the last window's end."""
        self._window_end_s = at_s + self._bench.plan.window_s - self._bench.plan.sample_s / 2
        self.windows["at_s"].append(round(at_s, 2))
        for kind in TIMED:
            for name, value in self._bench.durations.taken(kind).items():
                self.windows[f"{kind}_{name}"].append(value)

    def _note_log(self) -> None:
        for line in self._log():
            self._bench.ledger.note(Trouble.LOGGED, line)
