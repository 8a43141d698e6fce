"""Open the model that another one is compared with: a file, or the same file at a git ref."""

from __future__ import annotations

import tempfile
from pathlib import Path

from voiceflow_ml.errors import ModelFileError
from voiceflow_ml.hardware.git import GIT, file_at
from voiceflow_ml.inference.ort import OnnxModel, open_onnx


def open_baseline(reference: str, model: OnnxModel, folder: Path) -> OnnxModel:
    """Open a baseline as the model is opened: same target, same threads, same options.

    Args:
        reference: a path, or ``git:REF`` for the model's own file as it was at that ref.
        model: what is compared with it.
        folder: relative paths are relative to this folder.

    Raises:
        ModelFileError: the file cannot be used.
        ConfigError: git has no such file at that ref.
    """
    if not reference.startswith(GIT):
        return open_onnx(folder / reference, model.target, threads=model.threads, options=model.options)
    content = file_at(model.path, reference.removeprefix(GIT))
    with tempfile.TemporaryDirectory(prefix="voiceflow-ml-") as scratch:
        path = Path(scratch) / model.path.name
        path.write_bytes(content)
        try:
            return open_onnx(path, model.target, threads=model.threads, options=model.options)
        except ModelFileError as error:
            # The copy is gone when somebody reads this: name the file that it is a copy of.
            raise ModelFileError(f"{reference}: {error}".replace(str(path), str(model.path))) from None
