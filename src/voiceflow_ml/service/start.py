"""The parts of a server, made from its settings."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from voiceflow_ml.contract.document import from_json
from voiceflow_ml.contract.schema import METADATA_KEY
from voiceflow_ml.files import hash_file
from voiceflow_ml.hardware.targets import CPU
from voiceflow_ml.inference.ort_session import make_session
from voiceflow_ml.models.shipped import MODEL_NAME, shipped_model_path
from voiceflow_ml.service.metrics import Metrics
from voiceflow_ml.service.parts import Parts
from voiceflow_ml.service.pool import InferencePool
from voiceflow_ml.service.receiving import Buffers
from voiceflow_ml.service.settings import ServeSettings
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.version import LoadedVersion, open_version

_NEEDED_LATER = ("soundfile", "soxr", "scipy.cluster.hierarchy", "scipy.optimize")


def open_parts(settings: ServeSettings) -> Parts:
    """Load the model and make everything else.

    Raises:
        VoiceflowError: the model cannot be served.
    """
    for module in _NEEDED_LATER:
        # The first recording must not pay for imports.
        import_module(module)
    slot, source = open_slot(settings)
    status = slot.status()
    metrics = Metrics()
    metrics.loaded(status.model, status.version, status.digest)
    pool = InferencePool(settings.thread_count, settings.queue_length)
    parts = Parts(settings, slot, pool, metrics, Buffers(settings.max_buffered_bytes), source)
    metrics.watch("voiceflow_queue_depth", "Requests that wait for a thread.", lambda: pool.depth)
    metrics.watch("voiceflow_streams", "Streams that are open.", lambda: parts.life.streams)
    metrics.watch("voiceflow_buffered_bytes", "Bytes of bodies that are held.", lambda: parts.buffers.held_bytes)
    return parts


def open_slot(settings: ServeSettings) -> tuple[ModelSlot, str]:
    """The slot with its first version, and the source that it came from.

    Raises:
        VoiceflowError: the version cannot be served.
    """
    return ModelSlot(_open, settings.model), settings.model


def _open(source: str) -> LoadedVersion:
    path = shipped_model_path() if source == f"builtin:{MODEL_NAME}" else Path(source)
    session: Any = make_session(path, CPU, threads=1, spinning=False)
    contract = from_json(session.get_modelmeta().custom_metadata_map[METADATA_KEY], path.name)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return open_version(
        path, model=contract.model, version="builtin", digest=hash_file(path), contract=contract, loaded_at=now
    )
