"""What a device can do at best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Peaks:
    """What a device can do at best, as its maker or a measurement says.

    Attributes:
        flops_per_s: precision (``"fp32"``, ``"tf32"``, ``"fp16"``, ``"bf16"``, ``"int8"``) -> dense floating-point
            or integer operations in a second; a multiplication and an addition are two.
        bytes_per_s: bandwidth of the device's memory; None when it is not known.
        cache_bytes: last-level cache, which may hold that much from one inference to the next.
        source: where the numbers come from.
    """

    flops_per_s: Mapping[str, float] = field(default_factory=dict)
    bytes_per_s: float | None = None
    cache_bytes: int = 0
    source: str = ""
