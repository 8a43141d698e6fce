"""The model file that a promise is about now."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from voiceflow_ml.errors import ModelFileError
from voiceflow_ml.files import hash_file
from voiceflow_ml.models import shipped
from voiceflow_ml.sla.objectives import Sla

_BUILTIN = "builtin:"


def current_sha256(sla: Sla | None, model: str) -> str:
    """Hash of the file that sla.toml names for a model; empty where nothing names one, or it is not here."""
    spec = sla.models.get(model) if sla is not None else None
    if spec is None:
        return ""
    try:
        path = shipped.shipped_model_path() if spec.file.startswith(_BUILTIN) else spec.folder / spec.file
        return _hash(path, path.stat().st_mtime_ns)
    except (OSError, ModelFileError):
        return ""


@lru_cache(maxsize=64)
def _hash(path: Path, _changed_ns: int) -> str:
    return hash_file(path)
