"""What callers see of a reload: the requests that overlap one beside all others, what failed, and what was wrong.

Answers are told apart by their outputs, not by what the server calls them: each source's answer to the one request is
known before the load begins. An answer is wrong when it is that of no source, when it names another version than that
of its outputs, or when its source was not in use at any time between its sending and its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from voiceflow_ml.latency import Outcome, Verdict, judge, percentile
from voiceflow_ml.load.trial import Shot, Times, Trial, summary

QUANTILE = 0.99


@dataclass(frozen=True)
class Known:
    """What a source answers.

    Attributes:
        version: what the server calls it; empty when it does not say.
        fingerprint: hash of its outputs for the one request.
    """

    version: str
    fingerprint: str


@dataclass(frozen=True)
class Reload:
    """One reload; times in nanoseconds after the trial began.

    Attributes:
        source: what was asked for.
        begun_ns: when it was asked for.
        ended_ns: when the server said that it is done.
        status: HTTP status; 0 without an answer.
    """

    source: str
    begun_ns: int
    ended_ns: int
    status: int

    @property
    def is_done(self) -> bool:
        """Whether the server says that it is."""
        return 200 <= self.status < 300


@dataclass(frozen=True, eq=False)
class ReloadTrial:
    """A load with reloads in it.

    Attributes:
        trial: the load.
        fingerprints: of the outputs of each of its requests, in their order; empty where there were none.
        reloads: in order.
        known: source -> what it answers.
        first: the source that was in use at the beginning.
    """

    trial: Trial
    fingerprints: tuple[str, ...]
    reloads: tuple[Reload, ...]
    known: Mapping[str, Known]
    first: str

    @cached_property
    def overlaps(self) -> tuple[bool, ...]:
        """Whether each request was under way, by its intended sending, during any part of a reload."""
        return tuple(
            any(reload.begun_ns <= shot.done_ns and shot.intended_ns <= reload.ended_ns for reload in self.reloads)
            for shot in self.trial.shots
        )

    def latencies_ns(self, *, overlapping: bool) -> Times:
        """Of the successes that overlap a reload, or of those that do not; int64, shape ``[successes]``."""
        return np.array(
            [
                shot.done_ns - shot.intended_ns
                for shot, overlaps in zip(self.trial.shots, self.overlaps, strict=True)
                if overlaps == overlapping and 200 <= shot.status < 300
            ],
            dtype=np.int64,
        )

    @cached_property
    def failed(self) -> int:
        """Requests without success: a full queue counts, too, since a reload must not fill one."""
        return sum(not 200 <= shot.status < 300 for shot in self.trial.shots)

    @cached_property
    def wrong(self) -> tuple[str, ...]:
        """One sentence for each wrong answer."""
        return tuple(problem for place in range(len(self.trial.shots)) for problem in self._problem(place))

    def _problem(self, place: int) -> Iterator[str]:
        shot, fingerprint = self.trial.shots[place], self.fingerprints[place]
        if not 200 <= shot.status < 300:
            return
        sources = [source for source, known in self.known.items() if known.fingerprint == fingerprint]
        versions = {self.known[source].version for source in sources}
        if not sources:
            yield f"an answer of {shot.version or 'no named version'} is that of no source"
        elif shot.version and shot.version not in versions:
            yield f"an answer names {shot.version} and is that of {', '.join(sorted(versions))}"
        elif not set(sources) & self._in_use(shot):
            yield f"an answer is that of {sources[0]}, which was not in use"

    def _in_use(self, shot: Shot) -> set[str]:
        """Sources that were in use at any time between a request's sending and its end."""
        before, during = self.first, set()
        for reload in self.reloads:
            if not reload.is_done:
                continue
            if reload.ended_ns <= shot.sent_ns:
                before = reload.source
            elif reload.begun_ns <= shot.done_ns:
                during.add(reload.source)
        return {before, *during}

    @property
    def tells_apart(self) -> bool:
        """Whether the sources answer differently, so that a wrong version could be seen."""
        return len({known.fingerprint for known in self.known.values()}) > 1

    def percentile_ns(self, quantile: float, *, overlapping: bool) -> int | None:
        """Nearest-rank percentile; None without a sample."""
        samples_ns = self.latencies_ns(overlapping=overlapping)
        return percentile(samples_ns, quantile) if samples_ns.size else None

    @property
    def ratio(self) -> float | None:
        """P99 of the requests that overlap a reload over that of the others; None where one is missing."""
        overlapping, steady = (self.percentile_ns(QUANTILE, overlapping=which) for which in (True, False))
        return overlapping / steady if overlapping is not None and steady else None

    def verdict(self, most_times: float) -> Verdict | None:
        """Is the P99 of the overlapping requests within this many times that of the others? None without samples.

        The steady P99 counts as known; its own uncertainty is in its number of samples, which is reported.
        """
        steady_ns = self.percentile_ns(QUANTILE, overlapping=False)
        samples_ns = self.latencies_ns(overlapping=True)
        if not steady_ns or not samples_ns.size:
            return None
        return judge(samples_ns, limit_ns=round(most_times * steady_ns), quantile=QUANTILE)

    def outcome(self, most_times: float) -> Outcome:
        """The whole in one word: INVALID when the load or the reloads did not happen as asked."""
        if self.problems:
            return Outcome.INVALID
        if self.failed or self.wrong:
            return Outcome.BREACHED
        verdict = self.verdict(most_times)
        return verdict.outcome if verdict is not None else Outcome.INCONCLUSIVE

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """Why the trial is INVALID; empty when it is not."""
        undone = Counter(reload.status for reload in self.reloads if not reload.is_done)
        found = [f"{count} reloads were answered {status or 'not at all'}" for status, count in sorted(undone.items())]
        if not self.reloads:
            found.append("nothing was reloaded: give the trial a longer duration")
        return (*self.trial.problems, *found)


def reload_trial_to_dict(trial: ReloadTrial, most_times: float) -> dict[str, Any]:
    """A trial as JSON values: a summary and every reload, without the single requests."""
    verdict = trial.verdict(most_times)
    return {
        "outcome": trial.outcome(most_times),
        "problems": list(trial.problems),
        "failed": trial.failed,
        "wrong": len(trial.wrong),
        "versions_can_be_told_apart": trial.tells_apart,
        "most_times": most_times,
        "ratio": trial.ratio,
        "latency": verdict.outcome if verdict is not None else Outcome.INCONCLUSIVE,
        "verdict": verdict.sentence if verdict is not None else "",
        "duration_ns": trial.trial.plan.duration_ns,
        **{name: _side(trial, overlapping=which) for name, which in (("overlapping", True), ("steady", False))},
        "load": summary(trial.trial),
        "reloads": [asdict(reload) for reload in trial.reloads],
    }


def _side(trial: ReloadTrial, *, overlapping: bool) -> dict[str, Any]:
    samples_ns = trial.latencies_ns(overlapping=overlapping)
    named = {"P50": 0.5, "P99": QUANTILE}
    quantiles = {name: trial.percentile_ns(value, overlapping=overlapping) for name, value in named.items()}
    return {
        "requests": int(samples_ns.size),
        **quantiles,
        "slowest": int(samples_ns.max()) if samples_ns.size else None,
    }
