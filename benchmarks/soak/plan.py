"""How long a soak lasts, and how much of what is in it."""

from __future__ import annotations

from dataclasses import dataclass

SERVER = {
    "queue_timeout_s": 3,
    "head_timeout_s": 3,
    "body_timeout_s": 3,
    "stream_idle_s": 4,
    "ping_s": 4,
    "max_body_bytes": 4 << 20,
    "max_tensor_bytes": 1 << 20,
}
"""Settings of the server that are not the default: bounds that slow clients meet often in half an hour, and a queue
that outlasts a stop of the process."""


@dataclass(frozen=True)
class Plan:
    """One soak; all lengths in seconds.

    Attributes:
        duration_s: of the load.
        rate_per_s: requests in a second, Poisson arrivals.
        streams: live streams at any time, each begun again when it has ended.
        stream_s: audio of each.
        change_s: from one step of the versions (a load, a refused load, a canary, a rollback) to the next.
        fault_s: from one fault to the next.
        pause_every_s: from one stop of the server's process to the next.
        pause_s: how long it is stopped.
        sample_s: from one look at the server's process to the next.
        window_s: what a percentile is of.
        warmup_s: after this memory is compared.
        compare_s: memory is the median of so long, after the warm-up and at the end.
        settle_s: from the end of the load to the last look.
    """

    duration_s: float = 1_800.0
    rate_per_s: float = 6.0
    streams: int = 3
    stream_s: float = 15.0
    change_s: float = 10.0
    fault_s: float = 1.0
    pause_every_s: float = 60.0
    pause_s: float = 1.0
    sample_s: float = 5.0
    window_s: float = 30.0
    warmup_s: float = 180.0
    compare_s: float = 180.0
    settle_s: float = 15.0


QUICK = Plan(
    duration_s=9.0,
    rate_per_s=8.0,
    streams=2,
    stream_s=3.0,
    change_s=0.9,
    fault_s=0.25,
    pause_every_s=4.0,
    pause_s=0.3,
    sample_s=0.5,
    window_s=3.0,
    warmup_s=2.0,
    compare_s=3.0,
    settle_s=6.0,
)
"""Shows that it works, and is no result."""
