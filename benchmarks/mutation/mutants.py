"""What a mutation run left in ``mutants/``: which mutants there are, and what became of each."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MUTANTS = ROOT / "mutants"
EXPLAINED = Path(__file__).with_name("explained.toml")
PACKAGES = ("latency", "sla")


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMEOUT = "timeout"
    """A test ran much longer than it should: seen, by the limit instead of by an assertion."""
    SURVIVED = "survived"
    """All tests that reach the function passed, or none reaches it."""
    OPEN = "open"
    """Not tested yet, or interrupted."""


_FATES = {0: Fate.SURVIVED, 5: Fate.SURVIVED, 33: Fate.SURVIVED, 1: Fate.KILLED, 3: Fate.KILLED}
_FATES |= dict.fromkeys((-24, 24, 36, 152, -9, -14), Fate.TIMEOUT)


@dataclass(frozen=True)
class Mutant:
    """One change of one function.

    Attributes:
        key: mutmut's name of it.
        module: package and module, such as ``latency/plan``.
        fate: what became of it.
    """

    key: str
    module: str
    fate: Fate

    @property
    def function(self) -> str:
        """The function, with its class: ``Count.samples_needed``."""
        mangled = self.key.rpartition(".")[2].partition("__mutmut_")[0]
        return mangled.removeprefix("x").strip("ǁ").replace("ǁ", ".") if "ǁ" in mangled else mangled.removeprefix("x_")


@dataclass(frozen=True)
class Explanation:
    """Why no test can or need tell a mutant from the program; by its text, as numbers change with the code.

    Attributes:
        module: such as ``latency/plan``.
        function: the function, with its class.
        was: the lines that it changes.
        becomes: what it makes of them.
        reason: why.
    """

    module: str
    function: str
    was: str
    becomes: str
    reason: str


def read_mutants() -> list[Mutant]:
    """All mutants of the last generation, module by module."""
    found = []
    for package in PACKAGES:
        for path in sorted((MUTANTS / "src" / "voiceflow_ml" / package).glob("*.py.meta")):
            codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
            module = f"{package}/{path.name.removesuffix('.py.meta')}"
            found += [Mutant(key, module, fate_of(code)) for key, code in codes.items()]
    return found


def fate_of(exit_code: int | None) -> Fate:
    """What pytest's exit status, or mutmut's in its place, says of a mutant; what is unknown stays open."""
    return Fate.OPEN if exit_code is None else _FATES.get(exit_code, Fate.OPEN)


def change_of(mutant: Mutant) -> tuple[str, str]:
    """The lines that a mutant changes, and what it makes of them; without their indentation."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: PLC0415 - an extra, and slow to import

    diff = get_diff_for_mutant(mutant.key, path=f"src/voiceflow_ml/{mutant.module}.py").splitlines()
    return changed_lines(diff, "-"), changed_lines(diff, "+")


def changed_lines(diff: Iterable[str], sign: str) -> str:
    """The lines of one side of a unified diff, without its head."""
    return "\n".join(line[1:].strip() for line in diff if line.startswith(sign) and not line.startswith(sign * 3))


def read_explained() -> list[Explanation]:
    """The committed explanations."""
    return [Explanation(**one) for one in tomllib.loads(EXPLAINED.read_text(encoding="utf-8")).get("mutant", [])]


def survivors(mutants: Iterable[Mutant]) -> list[dict[str, Any]]:
    """Each mutant that survived, in text, and why that is right where it was explained."""
    reasons = {(one.module, one.function, one.was, one.becomes): one.reason for one in read_explained()}
    listed = []
    for mutant in mutants:
        if mutant.fate is Fate.SURVIVED:
            was, becomes = change_of(mutant)
            reason = reasons.get((mutant.module, mutant.function, was, becomes))
            about = {"module": mutant.module, "function": mutant.function, "was": was, "becomes": becomes}
            listed.append({**about, "reason": reason})
    return listed


def counts_of(mutants: Iterable[Mutant], left: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Counts and scores, a row for each module, as the results file holds them.

    Args:
        mutants: all of them, tested or not.
        left: the survivors, as :func:`survivors` lists them.
    """
    fates: dict[str, list[Fate]] = {}
    for mutant in mutants:
        fates.setdefault(mutant.module, []).append(mutant.fate)
    reasons: dict[str, list[bool]] = {}
    for one in left:
        reasons.setdefault(one["module"], []).append(one["reason"] is not None)
    return [row(module, found, sum(reasons.get(module, []))) for module, found in fates.items()]


def row(name: str, fates: list[Fate], explained: int) -> dict[str, Any]:
    """Counts of one module or of a package; scores are shares of the mutants tested, with and without the explained."""
    seen = sum(fate in (Fate.KILLED, Fate.TIMEOUT) for fate in fates)
    tested = len(fates) - fates.count(Fate.OPEN)
    return {
        "name": name,
        "mutants": len(fates),
        "tested": tested,
        "killed": fates.count(Fate.KILLED),
        "timeouts": fates.count(Fate.TIMEOUT),
        "survived": fates.count(Fate.SURVIVED),
        "explained": explained,
        "score_percent": percent(seen, tested),
        "score_without_explained_percent": percent(seen, tested - explained),
    }


def percent(part: int, whole: int) -> float | None:
    """A share with one decimal; None of nothing."""
    return round(100 * part / whole, 1) if whole else None
