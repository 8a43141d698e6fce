"""Which exit status a run ends with: each way not to be green is told apart, and nothing turns green."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from voiceflow_ml.pytest_plugin.exit_status import MEANINGS, ExitStatus, Failed, exit_status

OK, TESTS_FAILED = pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED
SUBSETS = [set(chosen) for count in range(len(Failed) + 1) for chosen in itertools.combinations(Failed, count)]


def status(pytest_status: int, *failures: Failed, not_run: bool = False, unwritten: bool = False) -> int:
    return exit_status(pytest_status, set(failures), not_run=not_run, unwritten=unwritten)


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([], TESTS_FAILED),
        ([Failed.TEST], TESTS_FAILED),
        ([Failed.BREACHED], TESTS_FAILED),
        ([Failed.INCONCLUSIVE], ExitStatus.INCONCLUSIVE),
        ([Failed.INVALID], ExitStatus.INVALID),
        ([Failed.ERROR], ExitStatus.ERROR),
        ([Failed.INVALID, Failed.INCONCLUSIVE], ExitStatus.INVALID),
        ([Failed.ERROR, Failed.INVALID], ExitStatus.ERROR),
        (list(Failed), TESTS_FAILED),
    ],
)
def test_what_failed_tells_the_status(failures: Iterable[Failed], expected: int) -> None:
    assert status(TESTS_FAILED, *failures) == expected


def test_a_run_whose_tests_passed_is_green_only_when_nothing_is_missing() -> None:
    assert status(OK) == OK
    assert status(OK, not_run=True) == ExitStatus.NOT_RUN
    assert status(OK, unwritten=True) == ExitStatus.ERROR
    assert status(OK, not_run=True, unwritten=True) == ExitStatus.ERROR
    assert status(TESTS_FAILED, Failed.INCONCLUSIVE, not_run=True) == ExitStatus.NOT_RUN


@pytest.mark.parametrize("failures", SUBSETS, ids=lambda failures: "+".join(sorted(failures)))
def test_a_failed_run_never_turns_green(failures: set[Failed]) -> None:
    for not_run, unwritten in itertools.product((False, True), repeat=2):
        assert exit_status(TESTS_FAILED, failures, not_run=not_run, unwritten=unwritten) != OK


@pytest.mark.parametrize(
    "ended",
    [
        pytest.ExitCode.INTERRUPTED,
        pytest.ExitCode.INTERNAL_ERROR,
        pytest.ExitCode.USAGE_ERROR,
        pytest.ExitCode.NO_TESTS_COLLECTED,
        6,
    ],
)
def test_what_pytest_ends_with_otherwise_stays(ended: int) -> None:
    assert status(ended, Failed.INVALID, not_run=True, unwritten=True) == ended


def test_every_status_of_ours_has_words_and_none_is_one_of_pytests() -> None:
    assert set(MEANINGS) == set(ExitStatus)
    assert {int(one) for one in ExitStatus} & {int(one) for one in pytest.ExitCode} == set()
