"""A queue, event by event: Poisson arrivals, general service times, several workers, a bounded queue (M/G/c/K).

Requests are served in the order in which they come. With a core of its own the server loop is a queue of one server
before the workers; without one its work is done on the cores that infer, so it lengthens each inference instead.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.capacity.machine import Machine
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.latency.quantiles import nearest_rank

REPLICATIONS = 20
"""Independent simulations: what they differ by is how far the answer may be off."""
REQUESTS = 10_000
"""Requests of each that count."""
_WARMUP = 1_000
"""Requests before them, while an empty queue fills."""
_T_ONE_SIDED_99 = 2.539
"""Student's t with 19 degrees of freedom: a bound that holds with 99 %."""


@dataclass(frozen=True)
class Estimate:
    """A quantity of the simulation.

    Attributes:
        value: mean of the replications; infinite for a percentile that is a refused request.
        high: it is at most this with 99 % confidence, as far as the simulation goes.
    """

    value: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What requests would see at one rate.

    Attributes:
        rate_per_s: requests in a second that arrive at one machine.
        load: the rate over what the machine can do at most.
        busy: mean share of the workers that are busy.
        refused: share of the requests that are refused.
        percentiles_ns: quantile -> latency from arrival to answer; a refused request counts as one without end.
    """

    rate_per_s: float
    load: float
    busy: float
    refused: float
    percentiles_ns: dict[float, Estimate]


def forecast(
    machine: Machine, rate_per_s: float, quantiles: tuple[float, ...] = (0.5, 0.99, 0.999), *, seed: int = 0
) -> Forecast:
    """Simulate one machine at one rate.

    Args:
        machine: the machine.
        rate_per_s: Poisson arrivals in a second, on average.
        quantiles: which percentiles of the latency, each in (0, 1).
        seed: the same seed gives the same forecast.

    Raises:
        ConfigError: a rate that is not above 0.
    """
    if not 0 < rate_per_s < math.inf:
        raise ConfigError(f"a rate must be a number of requests in a second above 0, got {rate_per_s!r}")
    runs = [_replication(machine, rate_per_s, np.random.default_rng([seed, place])) for place in range(REPLICATIONS)]
    latencies = [np.sort(latencies_ns) for latencies_ns, _ in runs]
    return Forecast(
        rate_per_s=rate_per_s,
        load=rate_per_s / machine.capacity_per_s,
        busy=float(np.mean([busy for _, busy in runs])),
        refused=float(np.mean([np.isinf(values).mean() for values in latencies])),
        percentiles_ns={
            quantile: _estimate([float(values[nearest_rank(values.size, quantile) - 1]) for values in latencies])
            for quantile in quantiles
        },
    )


def _estimate(values: list[float]) -> Estimate:
    if any(math.isinf(value) for value in values):
        return Estimate(math.inf, math.inf)
    mean = float(np.mean(values))
    return Estimate(mean, mean + _T_ONE_SIDED_99 * float(np.std(values, ddof=1)) / math.sqrt(len(values)))


def _replication(
    machine: Machine, rate_per_s: float, generator: np.random.Generator
) -> tuple[NDArray[np.float64], float]:
    """Latencies in nanoseconds of the requests that count, infinite where refused, and the workers' busy share."""
    count = _WARMUP + REQUESTS
    arrivals_ns = np.cumsum(generator.exponential(1e9 / rate_per_s, count))
    service_ns = machine.inference.draw_ns(generator, count)
    ready_ns = arrivals_ns
    if machine.shares_cores:
        service_ns = service_ns + machine.overhead_ns
    elif machine.overhead_ns:
        ready_ns = through_loop(arrivals_ns, machine.overhead_ns)
    done_ns = through_workers(ready_ns, service_ns, machine.workers, machine.queue)
    latencies_ns = (done_ns - arrivals_ns)[_WARMUP:]
    served = np.isfinite(latencies_ns)
    span_ns = float(arrivals_ns[-1] - arrivals_ns[_WARMUP])
    return latencies_ns, float(service_ns[_WARMUP:][served].sum()) / (machine.workers * span_ns)


def through_loop(arrivals_ns: NDArray[np.float64], each_ns: float) -> NDArray[np.float64]:
    """When a single server that takes equally long for each has done each arrival (Lindley's recursion, unrolled).

    Args:
        arrivals_ns: ascending, shape ``[n]``.
        each_ns: what each takes.
    """
    steps = np.arange(arrivals_ns.size) * each_ns
    begins_ns: NDArray[np.float64] = np.maximum.accumulate(arrivals_ns - steps) + steps
    return begins_ns + each_ns


def through_workers(
    arrivals_ns: NDArray[np.float64], service_ns: NDArray[np.float64], workers: int, queue: int
) -> NDArray[np.float64]:
    """When each request is done by the first worker that is free, in the order of arrival.

    Args:
        arrivals_ns: ascending, shape ``[n]``.
        service_ns: what each takes, shape ``[n]``.
        workers: how many serve.
        queue: how many may wait.

    Returns:
        Shape ``[n]``; infinite for a request that came when ``queue`` others were waiting.
    """
    free_ns = [0.0] * workers
    # When those that have come begin: in order, since the first worker that is free takes the next.
    begins_ns: deque[float] = deque()
    done_ns = np.full(arrivals_ns.size, math.inf)
    for place, (arrival_ns, takes_ns) in enumerate(zip(arrivals_ns.tolist(), service_ns.tolist(), strict=True)):
        while begins_ns and begins_ns[0] <= arrival_ns:
            begins_ns.popleft()
        if free_ns[0] > arrival_ns and len(begins_ns) >= queue:
            continue
        begin_ns = max(arrival_ns, free_ns[0])
        heapq.heapreplace(free_ns, begin_ns + takes_ns)
        begins_ns.append(begin_ns)
        done_ns[place] = begin_ns + takes_ns
    return done_ns
