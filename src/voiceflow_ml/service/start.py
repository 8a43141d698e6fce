"""The parts of a server, made from its settings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from voiceflow_ml.contract import read_contract
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.models.shipped import MODEL_NAME
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.logs import say
from voiceflow_ml.service.memory import Ebb, keep_heap
from voiceflow_ml.service.metrics import Metrics
from voiceflow_ml.service.parts import Parts
from voiceflow_ml.service.pool import InferencePool
from voiceflow_ml.service.receiving import Buffers
from voiceflow_ml.service.settings import ServeSettings
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.sources import BUILTIN
from voiceflow_ml.service.swaps import Kind, SwapRecord
from voiceflow_ml.service.target import serving_target
from voiceflow_ml.service.trial import LoadingPlan, Trial
from voiceflow_ml.service.trial_apart import Apart
from voiceflow_ml.service.watching import ChannelWatch
from voiceflow_ml.units import NS_PER_S

if TYPE_CHECKING:
    from voiceflow_ml.registry.registry import Registry

_NEEDED_LATER = ("soundfile", "soxr", "scipy.cluster.hierarchy", "scipy.optimize")
_GRAVE = (Kind.REFUSED, Kind.ROLLED_BACK_BY_RULE)


def open_parts(settings: ServeSettings, trial: Callable[[LoadingPlan], Trial] = Apart) -> Parts:
    """Load the model and make everything else.

    Args:
        settings: of the server.
        trial: how versions are tried.

    Raises:
        VoiceflowError: the model cannot be served.
    """
    keep_heap()
    for module in _NEEDED_LATER:
        # The first recording must not pay for imports.
        import_module(module)
    metrics = Metrics()
    slot, source = open_slot(settings, metrics, trial)
    pool = InferencePool(
        settings.thread_count,
        settings.queue_length,
        most_shared=settings.max_batch,
        hang_ns=round(settings.inference_timeout_s * NS_PER_S),
    )
    # Connections that idle after a burst hold memory until they are closed.
    ebb = Ebb(settings.keep_alive_s + 1)
    parts = Parts(settings, slot, pool, metrics, Buffers(settings.max_buffered_bytes, on_ebb=ebb), source)
    metrics.watch("voiceflow_queue_depth", "Requests that wait for a thread.", lambda: pool.depth)
    metrics.watch("voiceflow_hung_threads", "Threads in which the model hangs.", lambda: pool.hung)
    metrics.watch("voiceflow_streams", "Streams that are open.", lambda: parts.life.streams)
    metrics.watch("voiceflow_buffered_bytes", "Bytes of bodies that are held.", lambda: parts.buffers.held_bytes)
    return parts


def open_slot(
    settings: ServeSettings, metrics: Metrics, trial: Callable[[LoadingPlan], Trial] = Apart
) -> tuple[ModelSlot, str]:
    """The slot with its first version, and the source that it came from.

    Args:
        settings: of the server.
        metrics: count its changes.
        trial: how versions are tried.

    Raises:
        VoiceflowError: the version cannot be served, or the settings contradict each other.
    """
    model, source, registry = _source(settings)
    plan = LoadingPlan(target=serving_target(settings.target), longest_run_s=settings.inference_timeout_s)

    def note(record: SwapRecord) -> None:
        status = slot.status()
        metrics.swapped(model, record.kind, record.code)
        metrics.loaded(model, status.version, status.digest)
        say(
            f"version {record.kind}",
            level=logging.WARNING if record.kind in _GRAVE else logging.INFO,
            model=model,
            source=record.source,
            before=record.before,
            after=record.after,
            subject=record.subject,
            elapsed_ms=record.elapsed_ns // 10**6,
            code=record.code,
            reason=record.reason,
        )

    slot = ModelSlot(Loader(model, registry, trial=trial(plan)), on_record=note)
    # Before the load: what is promoted while it goes on is then a promotion to come.
    watch = _watch(slot, registry, settings) if settings.poll_channel_s else None
    slot.load(source)
    if watch is not None:
        arguments = (threading.Event(), settings.poll_channel_s)
        threading.Thread(target=watch.run, args=arguments, name="channel", daemon=True).start()
    return slot, source


def _source(settings: ServeSettings) -> tuple[str, str, Registry | None]:
    """Name of the model, what to load first, and the registry of that model."""
    if settings.model == BUILTIN:
        return MODEL_NAME, BUILTIN, _registry(settings, MODEL_NAME)
    if settings.registry:
        return settings.model, settings.channel, _registry(settings, settings.model)
    folder = Path(settings.model)
    if not folder.is_dir():
        raise ConfigError(
            f"model {settings.model!r} is no folder of an export; without a registry give one, or {BUILTIN}"
        )
    # A source with a slash in it is a folder.
    return read_contract(folder).model, f"./{folder}" if "/" not in str(folder) else str(folder), None


def _registry(settings: ServeSettings, model: str) -> Registry | None:
    if not settings.registry:
        return None
    from voiceflow_ml.registry.registry import Registry  # noqa: PLC0415
    from voiceflow_ml.registry.store import Store  # noqa: PLC0415

    return Registry(Store(settings.registry), model)


def _watch(slot: ModelSlot, registry: Registry | None, settings: ServeSettings) -> ChannelWatch:
    if registry is None:
        raise ConfigError("poll_channel_s is set without a registry; set registry, or leave poll_channel_s at 0")
    watch = ChannelWatch(slot, registry, settings.channel)
    if settings.model != BUILTIN:
        watch.start_at_current()
    return watch
