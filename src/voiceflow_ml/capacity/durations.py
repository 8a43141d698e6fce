"""How long an inference takes: samples of a run, or two percentiles that somebody declares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.quantiles import Samples, as_samples_ns

_Z99 = 2.3263478740408408
"""The standard normal distribution's 99 % quantile."""


@dataclass(frozen=True, eq=False)
class Durations:
    """A distribution of durations, to be drawn from.

    Attributes:
        samples_ns: what is drawn from, each as likely as any other, float64, shape ``[n]``; empty for a declared one.
        median_ns: of a declared one.
        sigma: of a declared one: standard deviation of the logarithm; 0 for a duration that never varies.
        source: where it comes from, in a phrase.
    """

    samples_ns: NDArray[np.float64]
    median_ns: float
    sigma: float
    source: str

    @property
    def mean_ns(self) -> float:
        """Its mean, nanoseconds."""
        if self.samples_ns.size:
            return float(self.samples_ns.mean())
        return self.median_ns * math.exp(self.sigma**2 / 2)

    def draw_ns(self, generator: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Independent durations in nanoseconds, shape ``[count]``."""
        if self.samples_ns.size:
            return self.samples_ns[generator.integers(0, self.samples_ns.size, count)]
        return self.median_ns * np.exp(self.sigma * generator.standard_normal(count))


def sampled_durations(samples_ns: Samples, source: str) -> Durations:
    """Durations as they were measured.

    Args:
        samples_ns: latencies in whole nanoseconds, shape ``[n]``.
        source: where they come from, in a phrase.

    Raises:
        SampleError: unfit samples.
    """
    values = as_samples_ns(samples_ns).astype(np.float64)
    return Durations(values, float(np.median(values)), 0.0, source)


def declared_durations(median_ns: float, p99_ns: float | None = None) -> Durations:
    """The lognormal distribution with this median and P99; without a P99 a duration that never varies.

    Raises:
        SampleError: a median of nothing, or a P99 below it.
    """
    p99_ns = median_ns if p99_ns is None else p99_ns
    if not 0 < median_ns <= p99_ns < math.inf:
        raise SampleError(f"a P99 of {p99_ns:g} ns does not go with a median of {median_ns:g} ns; a median is smaller")
    sigma = math.log(p99_ns / median_ns) / _Z99
    words = "lognormal between its declared median and P99" if sigma else "declared, and never any other"
    return Durations(np.empty(0), float(median_ns), sigma, words)
