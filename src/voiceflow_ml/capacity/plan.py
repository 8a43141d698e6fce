"""How many machines keep a percentile below its limit at a rate of requests."""

from __future__ import annotations

import math
from dataclasses import dataclass

from voiceflow_ml.capacity.machine import Machine
from voiceflow_ml.capacity.simulation import Forecast, forecast
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.latency.quantiles import check_fraction

MOST_MACHINES = 10_000


@dataclass(frozen=True)
class Row:
    """One number of machines.

    Attributes:
        machines: how many.
        forecast: what one of them sees, its share of the rate being even and random.
        keeps: whether the upper end of the percentile is below the limit.
    """

    machines: int
    forecast: Forecast
    keeps: bool


@dataclass(frozen=True)
class Plan:
    """What a rate needs.

    Attributes:
        machines: the fewest that keep the percentile below the limit; None when no number does.
        rows: what was tried, from few machines to many.
    """

    machines: int | None
    rows: tuple[Row, ...]


def plan_machines(
    machine: Machine, rate_per_s: float, limit_ns: float, quantile: float = 0.99, *, seed: int = 0
) -> Plan:
    """Find the fewest machines that keep a percentile below a limit.

    A balancer sends each request to any of them by chance, so that each sees Poisson arrivals of an even share; one
    that looks for the shortest queue would do better.

    Args:
        machine: each of them.
        rate_per_s: requests in a second, altogether.
        limit_ns: what the percentile must stay below, in nanoseconds.
        quantile: which percentile, in (0, 1).
        seed: of the simulation.

    Raises:
        ConfigError: a rate or a limit that is not above 0, or a rate that takes over 10 000 machines.
        SampleError: a quantile outside (0, 1).
    """
    check_fraction(quantile, "quantile")
    if not limit_ns > 0:
        raise ConfigError(f"a limit must be a duration above 0, got {limit_ns!r} ns")
    rows: dict[int, Row] = {}

    def keeps(machines: int) -> bool:
        if machines not in rows:
            quantiles = tuple(sorted({0.5, 0.99, 0.999, quantile}))
            seen = forecast(machine, rate_per_s / machines, quantiles, seed=seed)
            rows[machines] = Row(machines, seen, seen.percentiles_ns[quantile].high < limit_ns)
        return rows[machines].keeps

    # With fewer the queue has no end, whatever its bound hides.
    fewest = math.floor(rate_per_s / machine.capacity_per_s) + 1
    if fewest > MOST_MACHINES:
        raise ConfigError(
            f"{rate_per_s:g} requests/s need at least {fewest} machines; at most {MOST_MACHINES} are tried"
        )
    low, high = fewest - 1, fewest
    # Where a machine that is all but idle does not keep it, no number does.
    while not keeps(high) and rows[high].forecast.load > _IDLE:
        low, high = high, 2 * high
    if not rows[high].keeps:
        return Plan(None, _ordered(rows))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle, high)
    keeps(high + 1)
    return Plan(high, _ordered(rows))


_IDLE = 0.01
"""Load of a machine below which hardly a request meets another."""


def _ordered(rows: dict[int, Row]) -> tuple[Row, ...]:
    return tuple(rows[machines] for machines in sorted(rows))
