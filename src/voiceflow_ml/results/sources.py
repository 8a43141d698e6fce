"""Folders of finished sessions as a user names them, each with the machine that it was measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from voiceflow_ml.errors import ResultError
from voiceflow_ml.results.record import Result, Session
from voiceflow_ml.results.store import SESSION_FILE, read_session

MERGED_FROM = "merged from"
"""Environment entry of a session that was made by a merge, and fact of each of its measurements: which folders."""
MACHINE = "machine"
"""Fact of each measurement of such a session: where it was taken."""
_HARDWARE = ("CPU", "logical cores", "GPU")
_UNKNOWN = "unknown machine"
_STRICTEST_FIRST = ("strict", "lenient", "report-only")


@dataclass(frozen=True)
class Source:
    """One session that was read from a folder.

    Attributes:
        name: how the user tells it from the others.
        session: its record.
        results: its finished tests, in the order of the plan.
    """

    name: str
    session: Session
    results: tuple[Result, ...]

    @property
    def machine(self) -> str:
        """``"CPU Intel(R) Xeon(R), logical cores 2"``: what must be equal for one objective."""
        return machine_of(self.session)


def machine_of(session: Session, result: Result | None = None) -> str:
    """The hardware that a session, or one result of a merged session, was measured on."""
    if result is not None and result.measurement is not None and MACHINE in result.measurement.facts:
        return result.measurement.facts[MACHINE]
    return hardware_of(session.environment)


def hardware_of(facts: Mapping[str, str]) -> str:
    """``"CPU Intel(R) Xeon(R), logical cores 2"``, of facts about a machine: what must be equal for one objective."""
    return ", ".join(f"{name} {facts[name]}" for name in _HARDWARE if name in facts) or _UNKNOWN


def leniency(session: Session) -> int:
    """How little a session's policy fails on: 0 for strict.

    Raises:
        ResultError: a policy that no release writes.
    """
    if session.policy not in _STRICTEST_FIRST:
        valid = ", ".join(_STRICTEST_FIRST)
        raise ResultError(f"a session has the policy {session.policy!r}, which is none of {valid}")
    return _STRICTEST_FIRST.index(session.policy)


def find_sessions(folder: Path) -> tuple[Path, ...]:
    """The session folders at or below a folder, by path.

    Raises:
        ResultError: the folder is not there, or holds no session.
    """
    if not folder.is_dir():
        raise ResultError(f"{folder} is not a folder; give one that a run left, such as reports/results/*-*")
    if (folder / SESSION_FILE).is_file():
        return (folder,)
    found = tuple(sorted(path.parent for path in folder.rglob(SESSION_FILE)))
    if not found:
        raise ResultError(f"{folder} holds no {SESSION_FILE}: it is empty, or not what a run left in reports/results")
    return found


def read_source(folder: Path) -> Source:
    """Read the one session at or below a folder: its own, or that of an unpacked artifact.

    Raises:
        ResultError: no session, more than one, a file that is damaged or of another version, or a test that
            has two results.
    """
    found = find_sessions(folder)
    if len(found) > 1:
        names = ", ".join(str(path) for path in found[:5]) + (", ..." if len(found) > 5 else "")
        raise ResultError(f"{folder} holds {len(found)} sessions; give one of them: {names}")
    session, results = read_session(found[0])
    seen: set[str] = set()
    for result in results:
        node_id = result.planned.node_id
        if node_id in seen:
            raise ResultError(f"{found[0]} holds two results of {node_id}; a run writes one: remove what was copied in")
        seen.add(node_id)
    return Source(str(folder), session, results)


def read_sources(folders: Sequence[Path]) -> tuple[Source, ...]:
    """Read several folders; each is named by the last parts of its path that tell it from the others.

    Raises:
        ResultError: as :func:`read_source`, or one folder is given twice.
    """
    real: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in real:
            raise ResultError(f"{folder} is given twice (also as {real[folder.resolve()]}); give each folder once")
        real[folder.resolve()] = folder
    names = _short_names(tuple(real))
    return tuple(replace(read_source(folder), name=name) for folder, name in zip(folders, names, strict=True))


def _short_names(paths: Sequence[Path]) -> list[str]:
    """As many last parts of each path as make all of them different."""
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = [str(Path(*path.parts[-length:])) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
