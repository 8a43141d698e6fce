"""The registry: publish, promote, roll back, list, fetch, verify, yank.

Layout below the address of a registry::

    MODEL/versions/1.4.0.json                  the manifest, written last: a version exists when it does
    MODEL/files/1.4.0/HASH/fast-cnn.onnx       the files; HASH is the beginning of the file's SHA-256
    MODEL/channels/prod/000017.json            promotions, numbered; the highest is in use
    MODEL/yanked/1.4.0.json                    versions that must not be promoted any more, and why

Nothing is ever overwritten or removed. A publish that dies leaves files that no manifest names; the next try of the
same content finds and keeps them. All versions are one listing away, whatever their number of files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from voiceflow_ml.errors import IntegrityError, RegistryError
from voiceflow_ml.files import hash_bytes
from voiceflow_ml.registry.channels import Channel, Promotion, Signature
from voiceflow_ml.registry.manifest import Manifest, checked_name, manifest_from_bytes
from voiceflow_ml.registry.sealed import seal, unseal
from voiceflow_ml.registry.store import AlreadyThereError, NotThereError, Store
from voiceflow_ml.registry.versions import parse_version

Now = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Listed:
    """A version, as listed.

    Attributes:
        version: its semantic version.
        channels: the channels that have it in use.
        yanked: why it must not be promoted any more; empty when it may.
    """

    version: str
    channels: tuple[str, ...]
    yanked: str


class Registry:
    """All versions of one model.

    Args:
        store: where they lie.
        model: name of the model.
        now: the time that is written down.
    """

    def __init__(self, store: Store, model: str, *, now: Now = utc_now) -> None:
        self.store = store
        self.model = checked_name("model", model)
        self._now = now

    def versions(self) -> list[str]:
        """All versions, in the order of their precedence."""
        names = (name.removesuffix(".json") for name in self.store.names(f"{self.model}/versions"))
        return sorted(names, key=parse_version)

    def manifest(self, version: str) -> tuple[Manifest, str]:
        """The manifest of a version and the hash of its bytes.

        Raises:
            RegistryError: there is no such version.
            IntegrityError: it is damaged, or about another version.
        """
        path = self.manifest_path(version)
        try:
            data = self.store.read(path)
        except NotThereError:
            known = ", ".join(self.versions()[-5:]) or "none"
            raise RegistryError(f"{self.model} has no version {version}; the latest are: {known}") from None
        manifest = manifest_from_bytes(data, f"{self.store.url}/{path}")
        if (manifest.model, manifest.version) != (self.model, version):
            raise IntegrityError(f"{self.store.url}/{path} is about {manifest.model} {manifest.version}: it was moved")
        return manifest, hash_bytes(data)

    def resolve(self, reference: str) -> tuple[Manifest, str]:
        """The manifest that a version or the name of a channel stands for; errors as in :meth:`manifest`.

        Raises:
            RegistryError: neither, or the channel's version was yanked.
            IntegrityError: the manifest is not the one that was promoted.
        """
        if reference[:1].isdecimal():
            return self.manifest(str(parse_version(reference)))
        promotion = self.channel(reference).current()
        if promotion is None:
            raise RegistryError(f"{self.model} has no channel {reference!r} with a promotion")
        reason = self.yanked(promotion.version)
        if reason:
            raise RegistryError(
                f"{self.model} {promotion.version} in {reference} was yanked ({reason}); "
                f"promote another, or fetch {promotion.version} by its number"
            )
        manifest, sha256 = self.manifest(promotion.version)
        if sha256 != promotion.manifest_sha256:
            raise IntegrityError(
                f"the manifest of {self.model} {promotion.version} is not the one that was promoted to {reference}"
            )
        return manifest, sha256

    def promote(self, version: str, channel: str, *, who: str, why: str) -> Promotion:
        """Put a version into use in a channel.

        Raises:
            RegistryError: no such version, or it was yanked.
            IntegrityError: its manifest is damaged.
        """
        manifest, sha256 = self.manifest(str(parse_version(version)))
        reason = self.yanked(manifest.version)
        if reason:
            raise RegistryError(f"{self.model} {manifest.version} was yanked ({reason}); promote another version")
        return self.channel(channel).promote(manifest.version, sha256, self._signed(who, why))

    def rollback(self, channel: str, *, who: str, why: str) -> Promotion:
        """Put into use again what was before; a second rollback goes one further back.

        Raises:
            RegistryError: there is nothing before, or what was there is yanked.
        """
        history = self.channel(channel)
        current = history.current()
        if current is not None and current.returns_to:
            version = history.entry(current.returns_to).version
            reason = self.yanked(version)
            if reason:
                raise RegistryError(f"going back leads to {version}, which was yanked ({reason}); promote another")
        return history.rollback(self._signed(who, why))

    def yank(self, version: str, *, who: str, why: str) -> None:
        """Mark a version so that it is never promoted again; who asks for it by its number still gets it.

        Raises:
            RegistryError: no such version, it is in use in a channel, no reason, or it was yanked before.
        """
        if not why.strip():
            raise RegistryError("yanking needs a reason (--why): whoever uses the version will read it")
        manifest, _ = self.manifest(str(parse_version(version)))
        using = [name for name, promotion in self.in_use().items() if promotion.version == manifest.version]
        if using:
            raise RegistryError(
                f"{self.model} {manifest.version} is in use in {', '.join(using)}; promote another there first"
            )
        try:
            self.store.create(f"{self.model}/yanked/{manifest.version}.json", seal(asdict(self._signed(who, why))))
        except AlreadyThereError:
            raise RegistryError(f"{self.model} {manifest.version} was yanked before") from None

    def yanked(self, version: str) -> str:
        """Why a version was yanked; empty when it was not."""
        path = f"{self.model}/yanked/{version}.json"
        try:
            return str(unseal(self.store.read(path), f"{self.store.url}/{path}")["why"])
        except NotThereError:
            return ""

    def list(self) -> list[Listed]:
        """All versions, in the order of their precedence, with their channels and whether they were yanked."""
        yanked = {name.removesuffix(".json") for name in self.store.names(f"{self.model}/yanked")}
        channels: dict[str, list[str]] = {}
        for name, promotion in self.in_use().items():
            channels.setdefault(promotion.version, []).append(name)
        return [
            Listed(version, tuple(channels.get(version, ())), self.yanked(version) if version in yanked else "")
            for version in self.versions()
        ]

    def channel(self, name: str) -> Channel:
        """A channel by its name; it need not have a promotion yet."""
        return Channel(self.store, f"{self.model}/channels/{checked_name('channel', name)}")

    def in_use(self) -> Mapping[str, Promotion]:
        """Channel -> its current promotion."""
        found = {}
        for name in sorted(self.store.folders(f"{self.model}/channels")):
            promotion = self.channel(name).current()
            if promotion is not None:
                found[name] = promotion
        return found

    def manifest_path(self, version: str) -> str:
        """Where the manifest of a version lies."""
        return f"{self.model}/versions/{version}.json"

    def time(self) -> str:
        """The time, ISO 8601, UTC."""
        return self._now().isoformat(timespec="seconds")

    def _signed(self, who: str, why: str) -> Signature:
        return Signature(who, self.time(), why)
