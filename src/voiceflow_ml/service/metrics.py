"""What the server measures of itself, in Prometheus' terms: durations in seconds, by model, version and stage."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from voiceflow_ml.units import NS_PER_S

# Finest where limits are usually set: 5 to 100 ms.
_BUCKETS_S = (
    *(0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
STAGES = ("queue", "inference", "total")
"""Waiting for a thread; the model itself; from the request's last byte to its answer handed to the socket."""


class Metrics:
    """All metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._stages = Histogram(
            "voiceflow_stage_seconds",
            "Time of a stage of a request: queue, inference, total.",
            ("model", "version", "stage"),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self._requests = Counter(
            "voiceflow_requests", "Requests by route and HTTP status.", ("route", "status"), registry=self.registry
        )
        self._chunks = Histogram(
            "voiceflow_chunk_seconds",
            "From a chunk of a stream received to its turns handed to the socket.",
            ("model", "version"),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self._swaps = Counter(
            "voiceflow_swaps",
            "Changes of the served version and refusals, by what happened and why.",
            ("model", "kind", "code"),
            registry=self.registry,
        )
        self._turned_away = Counter(
            "voiceflow_admin_refused",
            "Administrators who were refused, by status.",
            ("status",),
            registry=self.registry,
        )
        self._loaded = Gauge(
            "voiceflow_model_info",
            "1 for the version that serves everyone.",
            ("model", "version", "digest"),
            registry=self.registry,
        )
        self._stage = lru_cache(maxsize=256)(self._stages.labels)
        self._request = lru_cache(maxsize=256)(self._requests.labels)

    def observe(self, model: str, version: str, *, queue_ns: int, inference_ns: int, total_ns: int) -> None:
        """Note the stages of a request that was answered."""
        for stage, elapsed_ns in zip(STAGES, (queue_ns, inference_ns, total_ns), strict=True):
            self._stage(model, version, stage).observe(elapsed_ns / NS_PER_S)

    def chunk(self, model: str, version: str, elapsed_ns: int) -> None:
        """Note a chunk of a stream that was answered."""
        self._chunks.labels(model, version).observe(elapsed_ns / NS_PER_S)

    def count(self, route: str, status: int) -> None:
        """Note that a request was answered, whatever the answer."""
        self._request(route, str(status)).inc()

    def loaded(self, model: str, version: str, digest: str) -> None:
        """Note which version serves everyone now."""
        self._loaded.clear()
        self._loaded.labels(model, version, digest).set(1)

    def swapped(self, model: str, kind: str, code: str) -> None:
        """Note a change of the served version, or a refusal; the code is empty where nothing has to be explained."""
        self._swaps.labels(model, kind, code).inc()

    def turned_away(self, status: int) -> None:
        """Note that somebody without the token wanted to change something."""
        self._turned_away.labels(str(status)).inc()

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Add a gauge that is read when the metrics are."""
        Gauge(name, meaning, registry=self.registry).set_function(value)

    def add(self, collector: Collector) -> None:
        """Add metrics that another part keeps."""
        self.registry.register(collector)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
