"""Strict semantic versions (semver.org, 2.0.0), and how large a step a change asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from voiceflow_ml.contract.diff import Level
from voiceflow_ml.errors import RegistryError

if TYPE_CHECKING:
    from semver import Version


def parse_version(text: str) -> Version:
    """Read a version.

    Raises:
        RegistryError: not a semantic version, or one with build metadata (two of those are one version).
    """
    from semver import Version  # noqa: PLC0415

    try:
        version = Version.parse(text)
    except ValueError:
        raise RegistryError(f"{text!r} is not a semantic version; give one such as 1.4.0 or 2.0.0-rc.1") from None
    if version.build:
        raise RegistryError(
            f"{text!r} has build metadata, which does not tell versions apart; leave out +{version.build}"
        )
    return version


def base_of(version: str, published: Iterable[str]) -> str | None:
    """The version whose callers a new one must not surprise: the highest release below it; None for the first.

    Pre-releases promise nothing, so none is a base.
    """
    new = parse_version(version)
    below = [known for known in map(parse_version, published) if known < new and not known.prerelease]
    return str(max(below)) if below else None


def step(base: str, version: str) -> Level:
    """How large the step from a base to a version is. Below 1.0.0 a step of the second number may break, too."""
    old, new = parse_version(base), parse_version(version)
    if new.major != old.major:
        return Level.MAJOR
    if new.minor != old.minor:
        return Level.MAJOR if old.major == 0 else Level.MINOR
    return Level.MINOR if old.major == 0 else Level.PATCH


def smallest_step(base: str, level: Level) -> str:
    """The smallest version that a change of a level may have after a base."""
    old = parse_version(base)
    if level is Level.MAJOR:
        return str(old.bump_minor() if old.major == 0 else old.bump_major())
    if level is Level.MINOR and old.major > 0:
        return str(old.bump_minor())
    return str(old.bump_patch())
