"""What changed from one session to another: promises, verdicts, numbers and circumstances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from voiceflow_ml.latency import Change, ClockChannel, Interval, Outcome
from voiceflow_ml.results.entries import Entry, Word, by_promise, read_entries
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.results.record import Result, State
from voiceflow_ml.results.sources import Source, leniency

_SEVERITY: Mapping[Word, int] = {
    Outcome.MET: 0,
    Change.NOT_SLOWER: 0,
    Outcome.INCONCLUSIVE: 1,
    Change.INCONCLUSIVE: 1,
    State.NOT_RUN: 2,
    State.ERROR: 3,
    Outcome.BREACHED: 3,
    Change.SLOWER: 3,
    Outcome.INVALID: 3,
}
_WITHOUT_VERDICT = (State.NOT_RUN, State.ERROR)


@dataclass(frozen=True)
class Pair:
    """One objective in both sessions."""

    old: Entry
    new: Entry

    @property
    def loosened(self) -> bool:
        """Whether the promise is easier to keep or to break.

        A higher limit or tolerance, the clock that counts less, or a waiver that is new or lasts longer.
        """
        return (
            _is_more(self.new.limit_ns, self.old.limit_ns)
            or _is_more(self.new.tolerance, self.old.tolerance)
            or (self.clock_changed and self.new.clock is ClockChannel.ADJUSTED)
            or _expiry(self.new) > _expiry(self.old)
        )

    @property
    def clock_changed(self) -> bool:
        """Whether both were judged, on different clocks."""
        return None not in (self.old.clock, self.new.clock) and self.old.clock is not self.new.clock

    @property
    def promise_changed(self) -> bool:
        """Whether the two promise different things under one name."""
        old, new = ((e.limit_ns, e.tolerance, _expiry(e)) for e in (self.old, self.new))
        return old != new or self.clock_changed

    @property
    def worsened(self) -> bool:
        """Whether the verdict got worse; a verdict that was there and is not any more did."""
        lost = self.new.word in _WITHOUT_VERDICT and self.old.word not in _WITHOUT_VERDICT
        return lost or _SEVERITY[self.new.word] > _SEVERITY[self.old.word]

    @property
    def apart(self) -> bool:
        """Whether both percentiles are known, are read off one clock, and their intervals do not overlap."""
        one, other = self.old.interval, self.new.interval
        if one is None or other is None or self.clock_changed or Outcome.INVALID in (self.old.word, self.new.word):
            return False
        return _below(one, other) or _below(other, one)


@dataclass(frozen=True)
class Changed:
    """A circumstance with another value: a setting, a fact of the machine, or how one promise was measured.

    Attributes:
        name: what it is.
        old: value before; None where it was not known.
        new: value now; None where it is not known any more.
        loosened: whether it makes the gate easier to pass.
    """

    name: str
    old: str | None
    new: str | None
    loosened: bool = False


@dataclass(frozen=True)
class Difference:
    """All that changed between two sessions, what weighs most first.

    Attributes:
        removed: objectives that are not there any more.
        added: objectives that are new.
        promises: objectives whose limit, tolerance, clock or waiver changed; loosened first.
        verdicts: objectives whose verdict changed; worse first.
        percentiles: objectives whose intervals do not overlap.
        settings: confidence, policy and whether the run ended by itself.
        environment: facts about the machine and the versions.
        methods: how single promises were measured: model file, threads, inputs.
        objectives: how many objectives the two have in common.
    """

    removed: tuple[Entry, ...]
    added: tuple[Entry, ...]
    promises: tuple[Pair, ...]
    verdicts: tuple[Pair, ...]
    percentiles: tuple[Pair, ...]
    settings: tuple[Changed, ...]
    environment: tuple[Changed, ...]
    methods: tuple[Changed, ...]
    objectives: int

    @property
    def worse(self) -> int:
        """How many changes are for the worse: removed, loosened, or with a worse verdict."""
        loosened = sum(pair.loosened for pair in self.promises) + sum(change.loosened for change in self.settings)
        return len(self.removed) + loosened + sum(pair.worsened for pair in self.verdicts)

    @property
    def any(self) -> bool:
        """Whether anything changed at all."""
        promises = self.removed or self.added or self.promises or self.verdicts or self.percentiles
        return bool(promises or self.settings or self.environment or self.methods)


def diff(old: Source, new: Source) -> Difference:
    """Compare two sessions, of which ``new`` is the later one."""
    olds, news = by_promise([read_entries(source.session, source.results) for source in (old, new)])
    pairs = [Pair(olds[key], news[key]) for key in news if key in olds]
    return Difference(
        removed=tuple(entry for key, entry in olds.items() if key not in news),
        added=tuple(entry for key, entry in news.items() if key not in olds),
        promises=tuple(sorted((pair for pair in pairs if pair.promise_changed), key=lambda pair: not pair.loosened)),
        verdicts=tuple(sorted((p for p in pairs if p.old.word != p.new.word), key=lambda pair: not pair.worsened)),
        percentiles=tuple(pair for pair in pairs if pair.apart),
        settings=_settings(old, new),
        environment=_changes(old.session.environment, new.session.environment),
        methods=_methods(old.results, new.results),
        objectives=len(pairs),
    )


def _settings(old: Source, new: Source) -> tuple[Changed, ...]:
    changes: list[Changed] = []
    one, other = old.session, new.session
    if one.confidence != other.confidence:
        loosened = other.confidence < one.confidence
        changes.append(Changed("confidence", f"{one.confidence:g}", f"{other.confidence:g}", loosened))
    if one.policy != other.policy:
        changes.append(Changed("policy", one.policy, other.policy, leniency(other) > leniency(one)))
    if one.finished != other.finished:
        words = {True: "finished", False: "not finished"}
        changes.append(Changed("run", words[one.finished], words[other.finished]))
    return tuple(changes)


def _changes(old: Mapping[str, str], new: Mapping[str, str], prefix: str = "") -> tuple[Changed, ...]:
    names = dict.fromkeys([*old, *new])
    return tuple(
        Changed(prefix + name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)
    )


def _methods(old: Iterable[Result], new: Iterable[Result]) -> tuple[Changed, ...]:
    before = {r.planned.node_id: _method(r.measurement) for r in old if r.measurement is not None}
    return tuple(
        change
        for result in new
        if result.measurement is not None and result.planned.node_id in before
        for change in _changes(before[result.planned.node_id], _method(result.measurement), f"{result.planned.label}, ")
    )


def _method(measurement: Measurement) -> dict[str, str]:
    mode = {"calls": str(measurement.run.mode), "inputs": measurement.inputs, "timed": measurement.boundary}
    return {**mode, **measurement.facts}


def _expiry(entry: Entry) -> str:
    """When its waiver ends: ISO 8601 dates sort by time, and none sorts before all."""
    return entry.waiver["expires"] if entry.waiver is not None else ""


def _is_more(new: float | None, old: float | None) -> bool:
    return new is not None and old is not None and new > old


def _below(one: Interval, other: Interval) -> bool:
    return one.high_ns is not None and other.low_ns is not None and one.high_ns < other.low_ns
