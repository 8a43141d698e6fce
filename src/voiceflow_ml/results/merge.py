"""Sessions of several machines as one session, without mixing hardware inside one objective."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from voiceflow_ml.errors import ResultError
from voiceflow_ml.results.record import Planned, Result, Session, State
from voiceflow_ml.results.sources import MACHINE, MERGED_FROM, Source, leniency
from voiceflow_ml.results.store import ResultStore

# A test that failed said something about its objective, too: it must not vanish behind one that did not.
_SPOKE = (State.MEASURED, State.ERROR)

Winners = Mapping[str, Source]
"""Label of a promise -> the source whose results of it count; no entry where no source has any."""


def merge(sources: Sequence[Source], *, command: str, latest: bool = False) -> tuple[Session, tuple[Result, ...]]:
    """Join sessions into one.

    Args:
        sources: at least two sessions, in the order in which they are shown.
        command: the command line that merges them again.
        latest: where one promise was measured twice on the same hardware, keep the later and name the other.

    Returns:
        The joint session, and its results in the order of its plan.

    Raises:
        ResultError: one promise was measured on two kinds of hardware, or twice without ``latest``; the sessions
            are one and the same, already merged, of different confidence, or of different promises.
    """
    _check_mergeable(sources)
    winners = _winners(sources, latest=latest)
    plan = _plan(sources, winners)
    results = tuple(result for _, result in plan if result is not None)
    declared = {entry.label: entry for source in reversed(sources) for entry in source.session.declared}
    session = Session(
        # Waivers are judged by the day of the session: by the last one, so that none is honoured after its end.
        started_at=max(source.session.started_at for source in sources),
        command=command,
        policy=min((source.session for source in sources), key=leniency).policy,
        confidence=sources[0].session.confidence,
        environment=_environment(sources, winners),
        planned=tuple(entry for entry, _ in plan),
        declared=tuple(declared.values()),
        finished=all(source.session.finished for source in sources),
        integrity=tuple(dict.fromkeys(line for source in sources for line in source.session.integrity)),
    )
    return session, results


def write_merged(session: Session, results: Sequence[Result], folder: Path) -> None:
    """Write a merged session to a new folder.

    Args:
        session: what :func:`merge` made.
        results: the same.
        folder: where to; must not be there yet, since results of before would be read as if they were of this one.

    Raises:
        ResultError: the folder is there already, or cannot be written.
    """
    if folder.exists():
        raise ResultError(f"{folder} is there already; remove it, or give another --out")
    store = ResultStore(folder)
    positions = {entry.node_id: position for position, entry in enumerate(session.planned)}
    for result in results:
        store.write_result(result, positions[result.planned.node_id])
    # Last: a folder without it is not a session, so an interrupted merge cannot be taken for a whole one.
    store.write_session(session)


def _check_mergeable(sources: Sequence[Source]) -> None:
    if len(sources) < 2:
        raise ResultError(f"merging needs at least two folders, given is {len(sources)}")
    for position, source in enumerate(sources):
        _check_source(source)
        for other in sources[:position]:
            _check_pair(other, source)


def _check_source(source: Source) -> None:
    if MERGED_FROM in source.session.environment:
        parts = source.session.environment[MERGED_FROM]
        raise ResultError(f"{source.name} was merged from {parts} already; merge the folders that it was made from")
    planned = {entry.node_id: entry for entry in source.session.planned}
    for result in source.results:
        node_id = result.planned.node_id
        if node_id not in planned or _terms(planned[node_id]) != _terms(result.planned):
            raise ResultError(f"{source.name} holds a result of {node_id} that its session did not plan; remove it")


def _check_pair(one: Source, other: Source) -> None:
    if one.session == other.session and _events(one) == _events(other):
        raise ResultError(f"{one.name} and {other.name} hold the same session; give one of them")
    if one.session.confidence != other.session.confidence:
        raise ResultError(
            f"{one.name} was judged at confidence {one.session.confidence:g} and {other.name} at "
            f"{other.session.confidence:g}; one report has one: run both with the same --sla-confidence"
        )
    _check_promises(one, other)


def _events(source: Source) -> list[tuple[str, str]]:
    """What was measured when, enough to tell a copy from another run of the same second."""
    return [(result.started_at, str(result.state)) for result in source.results]


def _check_promises(one: Source, other: Source) -> None:
    """Both must mean the same by one test, and by one declared promise."""
    tests = {entry.node_id: entry for entry in one.session.planned}
    declared = {entry.label: entry for entry in one.session.declared}
    pairs = [(tests.get(entry.node_id), entry) for entry in other.session.planned]
    pairs += [(declared.get(entry.label), entry) for entry in other.session.declared]
    for known, entry in pairs:
        if known is not None and _terms(known) != _terms(entry):
            raise ResultError(
                f"{entry.node_id} promises {_promise_text(known)} in {one.name} and {_promise_text(entry)} in "
                f"{other.name}; merge sessions of one version of the tests and of sla.toml"
            )


def _terms(entry: Planned) -> tuple[object, ...]:
    """What is promised; a declared promise may be on another line of sla.toml."""
    return entry.label, entry.limits_ns, entry.waivers


def _promise_text(entry: Planned) -> str:
    terms = [f"{name} <= {limit_ns} ns" for name, limit_ns in entry.limits_ns.items()]
    terms += [f"{name} waived until {waiver['expires']}" for name, waiver in entry.waivers.items()]
    return f"{entry.label} ({', '.join(terms)})"


def _winners(sources: Sequence[Source], *, latest: bool) -> dict[str, Source]:
    winners: dict[str, Source] = {}
    for source in sources:
        for label in dict.fromkeys(result.planned.label for result in source.results if result.state in _SPOKE):
            known = winners.get(label)
            if known is None:
                winners[label] = source
                continue
            if known.machine != source.machine:
                raise ResultError(
                    f"{label} was measured on two kinds of hardware: {known.machine} in {known.name}, and "
                    f"{source.machine} in {source.name}; one objective is about one machine: leave one folder out, "
                    "or declare a target for each"
                )
            if not latest:
                raise ResultError(
                    f"{label} was measured twice on the same hardware, in {known.name} and in {source.name}; "
                    "leave one folder out, or add --latest to keep the later and name the other in the report"
                )
            winners[label] = max(known, source, key=lambda each: _last_start(each, label))
    return winners


def _last_start(source: Source, label: str) -> str:
    """ISO 8601 in UTC sorts by time."""
    return max(result.started_at for result in _spoken(source, label))


def _spoken(source: Source, label: str) -> list[Result]:
    return [result for result in source.results if result.planned.label == label and result.state in _SPOKE]


def _plan(sources: Sequence[Source], winners: Winners) -> list[tuple[Planned, Result | None]]:
    """Each test once, with the result that counts; a test left out by ``latest`` is not in it."""
    plan: dict[str, tuple[Planned, Result | None]] = {}
    left_out: set[str] = set()
    for source in sources:
        results = {result.planned.node_id: result for result in source.results}
        for entry in source.session.planned:
            result = results.get(entry.node_id)
            spoke = result is not None and result.state in _SPOKE
            if spoke and winners[entry.label] is not source:
                left_out.add(entry.node_id)
            elif spoke and result is not None:
                plan[entry.node_id] = (entry, _placed(result, source))
            elif plan.get(entry.node_id, (entry, None))[1] is None:
                plan[entry.node_id] = (entry, result)
    # Left out and not measured by the winner either: the objective has a verdict, of another test.
    return [(e, r) for e, r in plan.values() if e.node_id not in left_out or (r is not None and r.state in _SPOKE)]


def _placed(result: Result, source: Source) -> Result:
    """The result with the machine that it is from among its facts."""
    if result.measurement is None:
        return result
    facts = {MACHINE: source.machine, MERGED_FROM: source.name, **result.measurement.facts}
    return replace(result, measurement=replace(result.measurement, facts=facts))


def _environment(sources: Sequence[Source], winners: Winners) -> dict[str, str]:
    facts = {MERGED_FROM: ", ".join(source.name for source in sources)}
    for source in sources:
        session = source.session
        own = {
            "run": "finished" if session.finished else "not finished: still going on, or ended from outside",
            "started": session.started_at,
            "command": session.command,
            "policy": session.policy,
            **session.environment,
            **_left_out(source, winners),
        }
        facts.update({f"{source.name} · {name}": value for name, value in own.items()})
    return facts


def _left_out(source: Source, winners: Winners) -> dict[str, str]:
    """What ``latest`` did not count: a verdict that nobody liked must not vanish by measuring again."""
    return {
        f"left out, {label}": f"{_outcomes_text(_spoken(source, label))}; measured again later in {winner.name}"
        for label, winner in winners.items()
        if winner is not source and _spoken(source, label)
    }


def _outcomes_text(results: Iterable[Result]) -> str:
    words = (
        f"{name} {outcome}"
        for result in results
        for name, outcome in zip(
            result.planned.limits_ns, result.outcomes or ["ERROR"] * len(result.planned.limits_ns), strict=True
        )
    )
    return ", ".join(words)
