"""One row of the matrix: a fault, where it is planted, what must hold afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class NotHereError(Exception):
    """This machine does not let the fault be planted; says why."""


class LostError(AssertionError):
    """A finished test whose result is not on disk, or not what it was."""

    def __init__(self, names: list[str], problem: str) -> None:
        super().__init__(f"lost {', '.join(names)}: {problem}")
        self.names = names


@dataclass(frozen=True)
class Survived:
    """What a planted fault left.

    Attributes:
        finished: tests that had finished when it struck; each was found on disk again, intact.
        exit_status: of the run that it struck, as the shell sees it: below 0 is a signal.
        says: what the run, or the report, says of it; empty where there is nothing to say.
        measured: what was measured on the way, name -> value with its unit in the name.
    """

    finished: int
    exit_status: int
    says: str = ""
    measured: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        id: short and unique.
        fault: what goes wrong.
        planted: where.
        holds: what must hold beside what the common check asks of every row.
        plant: plants it in a folder of its own, and raises unless all of that holds.
        quick: part of the tests; the others are run by ``python -m tests.faults`` alone.
    """

    id: str
    fault: str
    planted: str
    holds: str
    plant: Callable[[Path], Survived]
    quick: bool = False
