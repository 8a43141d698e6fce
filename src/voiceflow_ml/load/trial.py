"""What became of each request of a load: raw, in the order of intended sending, and whether it can be believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import DataError
from voiceflow_ml.latency import percentile
from voiceflow_ml.load.plan import Kind, LoadPlan
from voiceflow_ml.units import NS_PER_MS, NS_PER_S, format_ns

SCHEMA_VERSION = 1
NO_ANSWER = 0
"""The status of a request that was not answered at all, or not in time."""
UNTOLD_NS = -1
"""The server's share of a request where the server does not say."""
LATENESS_QUANTILE = 0.99
LATENESS_SHARE = 0.1
LATENESS_FLOOR_NS = NS_PER_MS
LEAST_SENT_SHARE = 0.95
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shot:
    """One request; times in nanoseconds after the trial began.

    Attributes:
        intended_ns: when it was to be sent.
        sent_ns: when it was.
        done_ns: when its answer was there, whatever it was.
        status: HTTP status; ``NO_ANSWER`` without one.
        version: the model version that answered; empty when nobody says.
        server_ns: what the server says that its processing took; ``UNTOLD_NS`` when it does not.
        model_ns: the same of the model's inference.
    """

    intended_ns: int
    sent_ns: int
    done_ns: int
    status: int
    version: str = ""
    server_ns: int = UNTOLD_NS
    model_ns: int = UNTOLD_NS


@dataclass(frozen=True, eq=False)
class Trial:
    """The counted requests of one load.

    Attributes:
        plan: what was to be done.
        shots: one for each request whose intended time was after the warm-up, in the order of those times.
        planned: how many there were to be; as many as there are, where that was not planned.
        facts: how the generator ran: process, CPUs, address, network.
    """

    plan: LoadPlan
    shots: tuple[Shot, ...]
    planned: int
    facts: Mapping[str, str]

    @cached_property
    def statuses(self) -> Mapping[int, int]:
        """Status -> how many requests ended with it."""
        return dict(sorted(Counter(shot.status for shot in self.shots).items()))

    @cached_property
    def versions(self) -> Mapping[str, int]:
        """Model version -> how many successes are its; an empty name for those that do not say."""
        return dict(sorted(Counter(shot.version for shot in self.shots if _succeeded(shot)).items()))

    @cached_property
    def latencies_ns(self) -> Times:
        """Of the successes, from intended sending to the whole answer; int64, shape ``[successes]``."""
        return np.array([shot.done_ns - shot.intended_ns for shot in self.shots if _succeeded(shot)], dtype=np.int64)

    @cached_property
    def lateness_ns(self) -> Times:
        """Of all requests, from intended to actual sending; int64, shape ``[requests]``."""
        return np.array([shot.sent_ns - shot.intended_ns for shot in self.shots], dtype=np.int64)

    @property
    def rate_per_s(self) -> float:
        """Successes in a second of the time that was counted."""
        return self.latencies_ns.size / (self.plan.duration_ns / NS_PER_S)

    @property
    def failures(self) -> int:
        """Requests that were neither successes nor turned away with 503."""
        return sum(count for status, count in self.statuses.items() if not 200 <= status < 300 and status != 503)

    def percentile_ns(self, quantile: float) -> int | None:
        """Nearest-rank percentile of the latencies; None without any."""
        return percentile(self.latencies_ns, quantile) if self.latencies_ns.size else None

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """Why the trial is INVALID; empty when it is not.

        The rule: the P99 of the lateness may be a tenth of the P99 latency, or 1 ms where that is more; and of the
        planned requests at least 95 % were sent. A late generator does not send the load that it names.
        """
        if not self.shots:
            return ("no request was counted: give it a longer duration, or a shorter warm-up",)
        found = []
        late_ns = percentile(self.lateness_ns, LATENESS_QUANTILE)
        allowed_ns = allowed_lateness_ns(self.percentile_ns(LATENESS_QUANTILE) or 0)
        if late_ns > allowed_ns:
            found.append(
                f"the generator was late: P99 of its lateness is {format_ns(late_ns)}, allowed are "
                f"{format_ns(allowed_ns)}; ask for less, or give the generator a CPU of its own"
            )
        if len(self.shots) < LEAST_SENT_SHARE * self.planned:
            found.append(
                f"the generator sent {len(self.shots)} of {self.planned} requests; ask for less, or give it a CPU "
                "of its own"
            )
        return tuple(found)

    @property
    def is_valid(self) -> bool:
        """Whether the load was what the plan says."""
        return not self.problems


def allowed_lateness_ns(latency_ns: int) -> int:
    """The P99 of a generator's lateness up to which its load is what it says.

    Args:
        latency_ns: the P99 of the latency, which counts from the intended sending.
    """
    return max(LATENESS_FLOOR_NS, round(LATENESS_SHARE * latency_ns))


def _succeeded(shot: Shot) -> bool:
    return 200 <= shot.status < 300


def trial_of(plan: LoadPlan, shots: Iterable[Shot], planned: int | None, facts: Mapping[str, str]) -> Trial:
    """Drop the warm-up and put the rest in order.

    Args:
        plan: what was to be done.
        shots: every request that was sent, in any order.
        planned: how many were to be counted; None where that depends on the answers.
        facts: how the generator ran.
    """
    counted = (shot for shot in shots if plan.warmup_ns <= shot.intended_ns < plan.total_ns)
    kept = tuple(sorted(counted, key=lambda shot: shot.intended_ns))
    return Trial(plan, kept, len(kept) if planned is None else planned, dict(facts))


def trial_to_dict(trial: Trial) -> dict[str, Any]:
    """A trial as JSON values: every request, a summary beside them."""
    columns = {
        name: [getattr(shot, name) for shot in trial.shots]
        for name in Shot.__slots__  # each column in one line
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "valid": trial.is_valid,
        "problems": list(trial.problems),
        "summary": summary(trial),
        "facts": dict(trial.facts),
        "plan": asdict(trial.plan),
        "planned": trial.planned,
        "shots": columns,
    }


def trial_from_dict(content: Mapping[str, Any]) -> Trial:
    """What :func:`trial_to_dict` wrote.

    Raises:
        DataError: another version, or fields that are missing or of another kind.
    """
    if content.get("schema_version") != SCHEMA_VERSION:
        raise DataError(f"a trial of version {content.get('schema_version')!r} cannot be read, only {SCHEMA_VERSION}")
    try:
        plan = LoadPlan(**{**content["plan"], "kind": Kind(content["plan"]["kind"])})
        rows = zip(*(content["shots"][name] for name in Shot.__slots__), strict=True)
        return Trial(plan, tuple(Shot(*row) for row in rows), int(content["planned"]), dict(content["facts"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"a trial cannot be read: {error!r}") from None


def summary(trial: Trial) -> dict[str, Any]:
    """The numbers of a trial; latencies in nanoseconds, None where there are none."""
    quantiles = {"P50": 0.5, "P90": 0.9, "P99": 0.99, "P99.9": 0.999}
    late_ns = percentile(trial.lateness_ns, LATENESS_QUANTILE) if trial.shots else None
    return {
        "requests": len(trial.shots),
        "successes_per_s": trial.rate_per_s,
        "statuses": {str(status): count for status, count in trial.statuses.items()},
        "versions": dict(trial.versions),
        "latency_ns": {name: trial.percentile_ns(quantile) for name, quantile in quantiles.items()},
        "lateness_p99_ns": late_ns,
    }
