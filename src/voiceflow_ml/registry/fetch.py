"""Fetch a version, and hold what lies on a disk to the hashes that were published."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from voiceflow_ml.errors import IntegrityError, RegistryError
from voiceflow_ml.files import hash_file
from voiceflow_ml.registry.manifest import MANIFEST_FILE, Manifest, PublishedFile, manifest_from_bytes
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import NotThereError

Say = Callable[[str], None]


def fetch(registry: Registry, reference: str, folder: Path, say: Say = lambda _: None) -> Manifest:
    """Copy a version into a folder, which is there whole and checked afterwards, or not at all.

    Args:
        registry: of the model.
        reference: a version, or the name of a channel.
        folder: must not exist, be empty, or hold this same version from before.
        say: told what is being done.

    Raises:
        RegistryError: no such version, or a folder that holds something else.
        IntegrityError: a file is not what was published.
    """
    manifest, sha256 = registry.resolve(reference)
    if folder.exists() and any(folder.iterdir()):
        if _same_version(folder, sha256):
            return load(folder)
        raise RegistryError(
            f"{folder} holds something else than {manifest.model} {manifest.version}; name a new folder"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        for name, entry in manifest.files.items():
            say(f"fetching {name} ({entry.size_bytes} bytes)")
            _download(registry, name, entry, scratch / name)
        (scratch / MANIFEST_FILE).write_bytes(manifest.to_bytes())
        scratch.chmod(0o755)
        scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return manifest


def verify(registry: Registry, reference: str, say: Say = lambda _: None) -> Manifest:
    """Read every file of a published version and compare its hash; errors as in :func:`fetch`."""
    manifest, _ = registry.resolve(reference)
    with tempfile.TemporaryDirectory(prefix="voiceflow-ml-") as scratch:
        for number, (name, entry) in enumerate(manifest.files.items()):
            say(f"reading {name} ({entry.size_bytes} bytes)")
            _download(registry, name, entry, Path(scratch) / str(number))
    return manifest


def load(folder: Path) -> Manifest:
    """Check a folder that was fetched, file by file: do this before anything in it is used.

    Returns:
        What it holds.

    Raises:
        IntegrityError: a file is missing, additional, or not what was published.
        RegistryError: the folder was not fetched from a registry.
    """
    try:
        data = (folder / MANIFEST_FILE).read_bytes()
    except OSError:
        raise RegistryError(f"{folder} has no {MANIFEST_FILE}: it was not fetched from a registry") from None
    manifest = manifest_from_bytes(data, str(folder / MANIFEST_FILE))
    for name, entry in manifest.files.items():
        _check(folder / name, name, entry)
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    additional = sorted(present - set(manifest.files) - {MANIFEST_FILE})
    if additional:
        raise IntegrityError(f"{folder} holds {additional[0]}, which {manifest.model} {manifest.version} does not have")
    return manifest


def _same_version(folder: Path, manifest_sha256: str) -> bool:
    path = folder / MANIFEST_FILE
    return path.is_file() and hash_file(path) == manifest_sha256


def _download(registry: Registry, name: str, entry: PublishedFile, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        registry.store.download(f"{registry.model}/{entry.path}", file)
    except NotThereError:
        raise IntegrityError(f"{name} is missing from the registry ({entry.path})") from None
    _check(file, name, entry)


def _check(file: Path, name: str, entry: PublishedFile) -> None:
    try:
        size_bytes = file.stat().st_size
        if size_bytes != entry.size_bytes:
            raise IntegrityError(f"{name} has {size_bytes} bytes, {entry.size_bytes} were published")
        if hash_file(file) != entry.sha256:
            raise IntegrityError(f"{name} is damaged: its hash is not the published one")
    except OSError as error:
        raise IntegrityError(f"{name} cannot be read: {error.strerror or error}") from None
