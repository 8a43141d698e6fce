"""What a pretrained speaker encoder says of the voices: which clips are whose, and what each voice sounds like.

Made once by ``voiceflow data teach`` and kept beside the manifest, so training needs no encoder.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import DataError
from voiceflow_ml.files import atomic_path, hash_file

TEACHING_NAME = "teaching.npz"
TEACHING_VERSION = 1

SAME_CONVERSATION_COSINE = 0.5
"""Voices that the encoder finds more alike than this are never put into one conversation."""


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows of length one; a row of zeros stays one."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), dtype=np.float32)


@dataclass(frozen=True)
class Teaching:
    """An encoder's verdicts on one data folder.

    Attributes:
        encoder: Name of the encoder.
        manifest_sha256: The data it heard.
        speeds: Playing speeds that it heard each voice at.
        speakers: Names of the voices that have targets.
        targets: float32 ``[speakers, speeds, dim]``: where each voice lies at each speed, with the
            mean of all voices taken off, of length one.
        relabelled: Package -> clip -> speaker, for clips whose label was changed: voices that are one
            were merged; ``None`` for a clip that does not sound like its label.
        clips: Package -> clip -> float32 ``[dim]``: where each training clip lies, as ``targets``.
        sha256: Hash of the file; "" before it is written.
    """

    encoder: str
    manifest_sha256: str
    speeds: tuple[float, ...]
    speakers: tuple[str, ...]
    targets: NDArray[np.float32]
    relabelled: dict[str, dict[str, str | None]]
    clips: dict[str, dict[str, NDArray[np.float32]]] = field(default_factory=dict)
    sha256: str = ""

    def similarity(self, speakers: tuple[str, ...]) -> NDArray[np.float32]:
        """Cosines between voices at their own speed.

        Args:
            speakers: Names; one without a target is like nobody but itself.

        Returns:
            float32 ``[speakers, speakers]``.
        """
        rows = self.target_rows(speakers)[:, self.own_speed]
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, 1.0)
        return np.asarray(cosines, dtype=np.float32)

    @property
    def own_speed(self) -> int:
        """Index of the speed at which voices are as they were recorded."""
        return min(range(len(self.speeds)), key=lambda index: abs(self.speeds[index] - 1.0))

    def target_rows(self, speakers: tuple[str, ...]) -> NDArray[np.float32]:
        """The targets in the order of ``speakers``.

        Returns:
            float32 ``[speakers, speeds, dim]``; zeros for a voice without a target.
        """
        index = {name: row for row, name in enumerate(self.speakers)}
        rows = np.zeros((len(speakers), *self.targets.shape[1:]), dtype=np.float32)
        for row, name in enumerate(speakers):
            if name in index:
                rows[row] = self.targets[index[name]]
        return rows


def write_teaching(data_dir: Path, teaching: Teaching) -> Path:
    """Write the verdicts beside the manifest, atomically.

    Returns:
        The file's path.
    """
    path = data_dir / TEACHING_NAME
    facts = {
        "version": TEACHING_VERSION,
        "encoder": teaching.encoder,
        "manifest_sha256": teaching.manifest_sha256,
        "speeds": teaching.speeds,
        "speakers": teaching.speakers,
        "relabelled": teaching.relabelled,
        "clips": {package: list(clips) for package, clips in teaching.clips.items()},
    }
    rows = [target for clips in teaching.clips.values() for target in clips.values()]
    # A cosine does not need more than half precision.
    heard = np.array(rows, dtype=np.float16).reshape(-1, teaching.targets.shape[2])
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, targets=teaching.targets, clips=heard, facts=np.array(json.dumps(facts, sort_keys=True)))
    return path


def read_teaching(data_dir: Path, manifest_sha256: str) -> Teaching | None:
    """Read the verdicts, or ``None`` when no encoder was asked.

    Args:
        data_dir: A prepared data folder.
        manifest_sha256: Hash of its manifest.

    Raises:
        DataError: The file is damaged, of another version, or about other data.
    """
    path = data_dir / TEACHING_NAME
    if not path.exists():
        return None
    try:
        # From memory: numpy leaves the file open when it is no archive.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            facts: dict[str, Any] = json.loads(str(content["facts"]))
            targets = np.asarray(content["targets"], dtype=np.float32)
            rows = iter(np.asarray(content["clips"], dtype=np.float32))
        version, heard = facts["version"], facts["manifest_sha256"]
        if version == TEACHING_VERSION and heard == manifest_sha256:
            return Teaching(
                facts["encoder"],
                heard,
                tuple(facts["speeds"]),
                tuple(facts["speakers"]),
                targets,
                facts["relabelled"],
                {package: {name: next(rows) for name in names} for package, names in facts["clips"].items()},
                hash_file(path),
            )
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise DataError(f"{path}: damaged ({error}); delete it and run: voiceflow data teach") from error
    if version != TEACHING_VERSION:
        raise DataError(f"{path}: version {version}, expected {TEACHING_VERSION}; run: voiceflow data teach")
    raise DataError(f"{path}: was made from other speech data; delete it and run: voiceflow data teach")
