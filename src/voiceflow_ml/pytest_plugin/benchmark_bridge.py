"""All that this plugin knows about pytest-benchmark's inside, in one module.

pytest-benchmark averages over iterations to resolve short calls, which hides tails; so our loop measures,
and its samples are handed over as one iteration per round. ``--benchmark-json``, storage, comparison and
histograms then work on them as on any benchmark, and carry percentiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from voiceflow_ml.pytest_plugin.state import ASSIGNMENT


def explicitly_disabled(config: pytest.Config) -> bool:
    """Whether ``--benchmark-disable`` was given; under pytest-xdist it turns itself off unasked."""
    return bool(config.getoption("benchmark_disable", False)) and not config.getoption("benchmark_enable", False)


def keep_quiet_about_ours(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep pytest-benchmark from saying that nothing is measured under pytest-xdist when all its users are ours.

    It turns itself off there, since parallel timings are worthless; our measurements take turns on the device.
    """
    users = [item for item in items if "benchmark" in getattr(item, "fixturenames", ())]
    session = getattr(config, "_benchmarksession", None)
    if session is not None and all(ASSIGNMENT in item.stash for item in users):
        session.xdist_benchmark_found = False


def claim(benchmark: object) -> None:
    """Mark the ``benchmark`` fixture as ours: a ``benchmark(...)`` call beside ``latency`` is refused.

    Done before anything is measured: pytest-benchmark warns of a fixture that nobody used, which would come
    on top of the reason why a test did not get so far.
    """
    from pytest_benchmark.fixture import BenchmarkFixture  # noqa: PLC0415

    if isinstance(benchmark, BenchmarkFixture):
        benchmark._mode = "voiceflow-ml latency(...)"


def hand_over(benchmark: object, samples_ns: tuple[int, ...], extra_info: Mapping[str, object]) -> bool:
    """Give our samples to the ``benchmark`` fixture, as if it had taken them.

    Args:
        benchmark: the fixture of this test.
        samples_ns: latencies in nanoseconds, in arrival order.
        extra_info: goes into ``extra_info`` of the JSON.

    Returns:
        False when there is nobody to give them to: another plugin's fixture, or a disabled one.
    """
    from pytest_benchmark.fixture import BenchmarkFixture  # noqa: PLC0415

    if not isinstance(benchmark, BenchmarkFixture) or benchmark.disabled:
        return False
    benchmark.extra_info.update(extra_info)
    make_stats: Any = benchmark._make_stats
    metadata = make_stats(iterations=1)
    metadata.stats = _percentile_stats()()
    metadata.stats.data = [sample_ns / 1e9 for sample_ns in samples_ns]
    return True


@cache
def _percentile_stats() -> type[Any]:
    """pytest-benchmark's statistics with nearest-rank percentiles added, in seconds.

    Made at first use: the base class is imported only once a test has measured.
    """
    from pytest_benchmark.stats import Stats  # noqa: PLC0415

    from voiceflow_ml.latency.quantiles import nearest_rank  # noqa: PLC0415
    from voiceflow_ml.sla.objectives import STATISTICS  # noqa: PLC0415

    def field(quantile: float) -> property:
        return property(lambda stats: stats.sorted_data[nearest_rank(len(stats.data), quantile) - 1])

    members: dict[str, Any] = {name: field(quantile) for name, quantile in STATISTICS.items()}
    members["fields"] = (*Stats.fields, *STATISTICS)
    return type("PercentileStats", (Stats,), members)
