"""Networks that are played and not real: named profiles of delay, and when a piece of data arrives under one."""

from __future__ import annotations

import random
from dataclasses import dataclass

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.units import NS_PER_MS, format_ns


@dataclass(frozen=True)
class DelayProfile:
    """How long the wire takes, both ways together.

    Attributes:
        name: what it is called.
        low_ns: the shortest round trip.
        high_ns: the longest; each between the two is as likely as any other.
    """

    name: str
    low_ns: int
    high_ns: int

    @property
    def description(self) -> str:
        """``"same-region: 10 to 40 ms round trip, drawn evenly"``."""
        if not self.high_ns:
            return f"{self.name}: no delay"
        low, high = (format_ns(value_ns) for value_ns in (self.low_ns, self.high_ns))
        return f"{self.name}: {low} to {high} round trip, drawn evenly"


PROFILES = {
    profile.name: profile
    for profile in (
        DelayProfile("none", 0, 0),
        DelayProfile("same-region", 10 * NS_PER_MS, 40 * NS_PER_MS),
        DelayProfile("cross-region", 60 * NS_PER_MS, 120 * NS_PER_MS),
        DelayProfile("intercontinental", 140 * NS_PER_MS, 280 * NS_PER_MS),
    )
}
"""Declared, not measured; the same-region range is that of ``[stages.network]`` in this project's sla.toml."""


def find_profile(name: str) -> DelayProfile:
    """Look up a profile by name.

    Raises:
        ConfigError: none of that name; the message lists them.
    """
    if name not in PROFILES:
        raise ConfigError(f"unknown network {name!r}; the networks are: {', '.join(PROFILES)}")
    return PROFILES[name]


class WireSchedule:
    """When data that enters one connection comes out at its other end.

    A burst of the client draws a round trip; half of it delays the burst, half what comes back until the next one. A
    burst begins with the first data after the last of the client's has arrived: the pieces of one request share
    their delay, as they share their way. Neither direction reorders: what went in first comes out first.

    Args:
        profile: the delays.
        seed: of the draws; equal seeds draw equal round trips.
    """

    def __init__(self, profile: DelayProfile, seed: int) -> None:
        self._profile = profile
        self._random = random.Random(seed)  # noqa: S311 - delays need to be irregular, not secret # nosec B311
        self._half_ns = 0
        self._up_until_ns = self._down_until_ns = -1

    def up(self, now_ns: int) -> int:
        """When data that the client sends now reaches the server; times in nanoseconds on one clock."""
        if now_ns > self._up_until_ns:
            self._half_ns = self._random.randint(self._profile.low_ns, self._profile.high_ns) // 2
        self._up_until_ns = max(self._up_until_ns, now_ns + self._half_ns)
        return self._up_until_ns

    def down(self, now_ns: int) -> int:
        """When data that the server sends now reaches the client."""
        self._down_until_ns = max(self._down_until_ns, now_ns + self._half_ns)
        return self._down_until_ns
