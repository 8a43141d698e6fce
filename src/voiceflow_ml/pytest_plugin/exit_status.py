"""What a run's exit status says: which of the ways not to be green it is, for scripts that must tell them apart."""

from __future__ import annotations

from collections.abc import Set
from enum import IntEnum, StrEnum

import pytest


class Failed(StrEnum):
    """What failed a test."""

    TEST = "TEST"
    """The test itself: an assertion, as in any test."""
    BREACHED = "BREACHED"
    """A broken promise, or a model that is slower than its baseline."""
    ERROR = "ERROR"
    """It was to measure, and could not."""
    INVALID = "INVALID"
    """Evidence that is not about what was promised."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """Too little evidence, under the strict policy."""


class ExitStatus(IntEnum):
    """Beyond pytest's own, of which 1 is a failed test: here a broken promise too. pytest's end at 6."""

    INCONCLUSIVE = 11
    INVALID = 12
    NOT_RUN = 13
    ERROR = 14


MEANINGS = {
    ExitStatus.INCONCLUSIVE: "no promise is known to be broken, some are INCONCLUSIVE",
    ExitStatus.INVALID: "no promise is known to be broken, some evidence is INVALID",
    ExitStatus.NOT_RUN: "what was asked for was NOT RUN",
    ExitStatus.ERROR: "ERROR: something could not be measured or written",
}


def exit_status(pytest_status: int, failures: Set[Failed], *, not_run: bool, unwritten: bool) -> int:
    """The exit status of a run: what is worst and surest of all that is wrong.

    Args:
        pytest_status: what pytest itself would exit with.
        failures: what failed its tests; empty where nothing is known of them.
        not_run: something that was asked for has no verdict.
        unwritten: a file of the report could not be written.
    """
    failed = pytest_status == pytest.ExitCode.TESTS_FAILED
    # An interrupted run, wrong usage and the like stay what they are.
    if pytest_status != pytest.ExitCode.OK and not failed:
        return pytest_status
    if failed and (not failures or failures & {Failed.TEST, Failed.BREACHED}):
        return pytest_status
    found = (
        (ExitStatus.ERROR, unwritten or Failed.ERROR in failures),
        (ExitStatus.INVALID, Failed.INVALID in failures),
        (ExitStatus.NOT_RUN, not_run),
        (ExitStatus.INCONCLUSIVE, Failed.INCONCLUSIVE in failures),
    )
    return next((status for status, holds in found if holds), pytest_status)
