"""Objects that are written once: the few things a registry needs of a file system or an object store.

Everything goes through fsspec, so that ``file://``, ``gs://`` and ``s3://`` take the same code. Creating is the one
operation that stores do differently and that everything rests on: Google Cloud Storage and S3 refuse a second object
of a name by a condition in the request; on a file system a finished file is linked to its name, which fails when the
name is taken and never shows half a file.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voiceflow_ml.errors import RegistryError

_PART = ".part"
_TIMEOUT_S = 120
# A server that accepts and never answers would hold a caller for ever otherwise.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "gs": {"requests_timeout": _TIMEOUT_S},
    "s3": {"config_kwargs": {"connect_timeout": 10, "read_timeout": _TIMEOUT_S}},
}


class AlreadyThereError(RegistryError):
    """An object of that name is there already."""


class NotThereError(RegistryError):
    """There is no object of that name."""


class Store:
    """A folder of an fsspec file system; paths are relative to it, with ``/`` between the parts.

    Args:
        url: ``file:///path``, a plain path, ``gs://bucket/folder`` or ``s3://bucket/folder``.
        options: for the file system, such as ``endpoint_url`` of S3; fsspec's own configuration counts as well.

    Raises:
        RegistryError: an address that fsspec cannot read, or whose file system is not installed.
    """

    def __init__(self, url: str, **options: Any) -> None:
        import fsspec  # noqa: PLC0415

        self.url = url.rstrip("/")
        defaults = _DEFAULTS.get(url.partition("://")[0], {})
        try:
            # What others write must be seen at once: no listing is kept.
            self._fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False, **{**defaults, **options})
        except (ValueError, ImportError) as error:
            raise RegistryError(f"{url!r} is not an address of a registry: {error}") from None
        self._root = str(root).rstrip("/")
        self._is_local = "file" in self._protocols()

    def create(self, path: str, data: bytes) -> None:
        """Write an object that must not be there yet; it is there whole afterwards, or not at all.

        Raises:
            AlreadyThereError: the name is taken.
            RegistryError: the store does not do it.
        """
        with self._explained("write", path):
            if self._is_local:
                _link_new(Path(self._full(path)), data)
            else:
                try:
                    self._fs.pipe_file(self._full(path), data, mode="create")
                except FileExistsError:
                    raise AlreadyThereError(
                        f"{self.url}/{path} is there already, and nothing is ever overwritten"
                    ) from None

    def read(self, path: str) -> bytes:
        """Content of an object.

        Raises:
            NotThereError: there is none.
            RegistryError: the store does not give it.
        """
        with self._explained("read", path):
            content: bytes = self._fs.cat_file(self._full(path))
            return content

    def download(self, path: str, file: Path) -> None:
        """Copy an object into a local file; errors as in :meth:`read`."""
        with self._explained("read", path):
            self._fs.get_file(self._full(path), str(file))

    def names(self, folder: str) -> list[str]:
        """Names of the objects directly in a folder, in no order; nothing where there is no folder."""
        return [name for name, kind in self._list(folder) if kind == "file" and not name.endswith(_PART)]

    def folders(self, folder: str) -> list[str]:
        """Names of the folders directly in a folder, in no order."""
        return [name for name, kind in self._list(folder) if kind == "directory"]

    def _list(self, folder: str) -> list[tuple[str, str]]:
        """(name, kind) of each entry."""
        with self._explained("list", folder):
            try:
                if self._is_local:
                    # fsspec asks for the facts of each file, one by one; names are enough.
                    with os.scandir(self._full(folder)) as entries:
                        return [(entry.name, "directory" if entry.is_dir() else "file") for entry in entries]
                listed = self._fs.ls(self._full(folder), detail=True, refresh=True)
            except FileNotFoundError:
                return []
            paths = ((str(entry["name"]).rstrip("/"), str(entry["type"])) for entry in listed)
            return [(path.rpartition("/")[2], kind) for path, kind in paths if path != self._full(folder)]

    def _protocols(self) -> tuple[str, ...]:
        protocol = self._fs.protocol
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextlib.contextmanager
    def _explained(self, what: str, path: str) -> Iterator[None]:
        try:
            yield
        except RegistryError:
            raise
        except FileNotFoundError:
            raise NotThereError(f"{self.url}/{path} is not there") from None
        except Exception as error:  # each store's client has errors of its own
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise RegistryError(f"cannot {what} {self.url}/{path}: {reason}") from error


def _link_new(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=_PART)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        # Published files are for everyone who may read the folder, and for nobody to write.
        Path(name).chmod(0o444)
        try:
            os.link(name, path)
        except FileExistsError:
            raise AlreadyThereError(f"{path} is there already, and nothing is ever overwritten") from None
    finally:
        Path(name).unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
