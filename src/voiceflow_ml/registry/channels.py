"""Channels: which version is in use, as a list of promotions that only grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from voiceflow_ml.errors import IntegrityError, RegistryError, quoted
from voiceflow_ml.records import checked
from voiceflow_ml.registry.sealed import seal, unseal
from voiceflow_ml.registry.store import AlreadyThereError, Store

_MOST_TRIES = 1_000
"""Each try means that somebody else's promotion went through."""


@dataclass(frozen=True)
class Promotion:
    """One entry of a channel.

    Attributes:
        number: its place, from 1.
        version: what is in use from here on.
        manifest_sha256: hash of that version's manifest.
        kind: ``"promote"`` or ``"rollback"``.
        returns_to: number of the promotion that a rollback from here goes back to; 0 for none.
        who: who did it.
        when: ISO 8601, UTC.
        why: the reason given.
    """

    number: int
    version: str
    manifest_sha256: str
    kind: str
    returns_to: int
    who: str
    when: str
    why: str


@dataclass(frozen=True)
class Signature:
    """Who did something, when and why."""

    who: str
    when: str
    why: str


class Channel:
    """The promotions of one channel of a model.

    Args:
        store: where they lie.
        folder: folder of the channel.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store, self._folder = store, folder

    def current(self) -> Promotion | None:
        """The latest promotion; None when there was none.

        Raises:
            IntegrityError: it is damaged.
        """
        number = self._latest()
        return self.entry(number) if number else None

    def entry(self, number: int) -> Promotion:
        """One promotion; errors as in :meth:`current`."""
        path = self._path(number)
        content: Mapping[str, Any] = unseal(self._store.read(path), f"{self._store.url}/{path}")
        try:
            promotion = checked(Promotion(**content))
        except TypeError as error:
            raise IntegrityError(f"{self._store.url}/{path} is not a promotion: {quoted(error)}") from None
        if promotion.number != number:
            raise IntegrityError(f"{self._store.url}/{path} is promotion {promotion.number}: it was moved")
        return promotion

    def history(self) -> list[Promotion]:
        """All promotions, oldest first; errors as in :meth:`current`."""
        return [self.entry(number) for number in sorted(self._numbers())]

    def promote(self, version: str, manifest_sha256: str, by: Signature) -> Promotion:
        """Append a promotion. Others may do the same at the same time: each gets a number of its own.

        Raises:
            RegistryError: the store does not do it.
        """
        for _ in range(_MOST_TRIES):
            latest = self._latest()
            promotion = Promotion(latest + 1, version, manifest_sha256, "promote", latest, **asdict(by))
            if self._append(promotion):
                return promotion
        raise RegistryError(f"{self._folder}: others promote faster than this; try again")

    def rollback(self, by: Signature) -> Promotion:
        """Append a promotion of what was in use before the current one.

        Raises:
            RegistryError: nothing was, or somebody else changed the channel meanwhile.
        """
        current = self.current()
        if current is None or not current.returns_to:
            raise RegistryError(f"{self._folder} has nothing to go back to")
        earlier = self.entry(current.returns_to)
        promotion = Promotion(
            current.number + 1,
            earlier.version,
            earlier.manifest_sha256,
            "rollback",
            earlier.returns_to,
            **asdict(by),
        )
        if not self._append(promotion):
            raise RegistryError(f"{self._folder} was changed by somebody else meanwhile; look at it and try again")
        return promotion

    def _append(self, promotion: Promotion) -> bool:
        try:
            self._store.create(self._path(promotion.number), seal(asdict(promotion)))
        except AlreadyThereError:
            return False
        return True

    def _latest(self) -> int:
        return max(self._numbers(), default=0)

    def _numbers(self) -> list[int]:
        stems = (name.removesuffix(".json") for name in self._store.names(self._folder))
        return [int(stem) for stem in stems if stem.isdecimal()]

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:06d}.json"
