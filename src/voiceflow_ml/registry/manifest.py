"""The manifest of a version: what was published, by whom, and what it was let through for.

History of the format:

* version 1: first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from voiceflow_ml.errors import IntegrityError, RegistryError, quoted
from voiceflow_ml.records import checked
from voiceflow_ml.registry.sealed import seal, unseal

MANIFEST_VERSION = 1
MANIFEST_FILE = "manifest.json"
"""Name of the manifest in a folder that was fetched."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True)
class PublishedFile:
    """One file of a version.

    Attributes:
        sha256: of its content.
        size_bytes: its length.
        path: where it lies, relative to the model's folder in the registry; the hash is part of it.
    """

    sha256: str
    size_bytes: int
    path: str


@dataclass(frozen=True)
class Manifest:
    """A version.

    Attributes:
        model: name of the model.
        version: its semantic version.
        files: name in the release -> where and what it is.
        base: the version that it was compared with; empty for the first.
        level: how far its contract is from the base's.
        changes: the reasons, gravest first.
        verdicts: one line for each promise: what was measured, with which verdict.
        scores: error rates, by name, in percent.
        scored_on: what the scores are about; scores compare only where this is equal.
        waived: gate -> why it was let through without.
        published_by: who.
        published_at: ISO 8601, UTC.
    """

    model: str
    version: str
    files: Mapping[str, PublishedFile]
    base: str = ""
    level: str = "none"
    changes: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    scored_on: str = ""
    waived: Mapping[str, str] = field(default_factory=dict)
    published_by: str = ""
    published_at: str = ""

    def to_bytes(self) -> bytes:
        """The sealed document."""
        return seal({"manifest_version": MANIFEST_VERSION, **asdict(self)})


def manifest_from_bytes(data: bytes, source: str) -> Manifest:
    """Read a manifest.

    Raises:
        IntegrityError: damaged, of another version, or naming files outside of their folders.
    """
    content: dict[str, Any] = unseal(data, source)
    version = content.pop("manifest_version", None)
    if version != MANIFEST_VERSION:
        raise IntegrityError(
            f"{source} has manifest version {quoted(version, 40)}, this release reads {MANIFEST_VERSION}"
        )
    try:
        files = {name: PublishedFile(**entry) for name, entry in content.pop("files").items()}
        content.update(changes=tuple(content["changes"]), verdicts=tuple(content["verdicts"]))
        manifest = checked(Manifest(files=files, **content))
    except (KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{source} is not a manifest: {quoted(repr(error))}") from None
    for name, entry in files.items():
        if not (is_inside(name) and is_inside(entry.path)) or name == MANIFEST_FILE:
            raise IntegrityError(
                f"{source} names the file {quoted(name, 100)!r} at {quoted(entry.path, 100)!r}, outside of its folder"
            )
    return manifest


def is_inside(path: str) -> bool:
    """Whether a relative path stays in its folder."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\\" not in path and "\0" not in path


def checked_name(kind: str, name: str) -> str:
    """A name of a model or channel that is safe in every store.

    Raises:
        RegistryError: other than small letters, digits, ``.``, ``_`` and ``-``.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise RegistryError(f"{kind} {name!r} is not a name; use small letters, digits, '.', '_' and '-'")
    return name
