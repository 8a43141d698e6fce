"""Waivers: read from sla.toml, tied to a promise, and worded by the day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.sla.load import parse_sla
from voiceflow_ml.sla.waivers import is_expired, waiver_words

LAST_DAY = date(2026, 12, 31)
PROMISE = """\
version = 1

[models.m]
file = "m.onnx"

[[objective]]
model = "m"
target = "cpu"
p50 = "5ms"
p99 = "10ms"
"""
WAIVER = """
[[waiver]]
model = "m"
target = "cpu"
owner = "ann"
reason = "waits for the new kernel"
expires = 2026-12-31
"""
WHERE = "sla.toml:12: waiver[1]"


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_sla(text, Path("sla.toml"))
    return str(caught.value)


def test_a_waiver_is_about_every_statistic_or_about_one() -> None:
    (promise,) = parse_sla(PROMISE + WAIVER, Path("sla.toml")).promises
    (waiver,) = promise.waivers
    assert waiver.statistics == ("P50", "P99")
    assert (waiver.owner, waiver.reason, waiver.expires) == ("ann", "waits for the new kernel", LAST_DAY)
    assert waiver.where == "sla.toml:12"
    (promise,) = parse_sla(PROMISE + WAIVER + 'statistic = "P99"\n', Path("sla.toml")).promises
    assert promise.waiver_of("P50") is None
    assert promise.waiver_of("P99") == promise.waivers[0]


def test_the_last_day_still_counts() -> None:
    assert not is_expired(LAST_DAY, LAST_DAY)
    assert is_expired(LAST_DAY, date(2027, 1, 1))
    assert waiver_words("ann", "why", LAST_DAY, LAST_DAY) == "waived by ann until 2026-12-31: why"
    assert waiver_words("ann", "why", LAST_DAY, date(2027, 1, 1)) == (
        "the waiver by ann expired on 2026-12-31 (why): keep the promise, or renew the waiver"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            'target = "cpu"',
            'target = "cuda-t4"',
            f"{WHERE}: nothing is promised for m · model-inference · cuda-t4; promised: m · model-inference · cpu",
        ),
        (
            'model = "m"',
            'model = "n"',
            f"{WHERE}: nothing is promised for n · model-inference · cpu; promised: m · model-inference · cpu",
        ),
        (
            'owner = "ann"',
            'owner = "ann"\nstatistic = "p90"',
            f"{WHERE}: no P90 is promised for m · model-inference · cpu; promised: P50, P99",
        ),
        (
            'owner = "ann"',
            'owner = "ann"\nstatistic = "mean"',
            (
                "sla.toml:16: waiver[1].statistic: unknown statistic 'mean'; valid: p50, p90, p95, p99, p999; "
                "leave it out for all of them"
            ),
        ),
        (
            'owner = "ann"',
            'owner = " "',
            "sla.toml:15: waiver[1].owner: must not be empty: a waiver that nobody answers for waives nothing",
        ),
        (
            'owner = "ann"\n',
            "",
            'sla.toml:12: waiver[1].owner: is missing; write, for example, owner = "ann@example.org"',
        ),
        (
            "expires = 2026-12-31",
            'expires = "2026-12-31"',
            (
                "sla.toml:17: waiver[1].expires: must be a date without quotes, got '2026-12-31'; "
                "write, for example, expires = 2026-12-31"
            ),
        ),
        (
            "expires = 2026-12-31",
            "expires = 2026-12-31T10:00:00",
            (
                "sla.toml:17: waiver[1].expires: must be a date without quotes, "
                "got datetime.datetime(2026, 12, 31, 10, 0); write, for example, expires = 2026-12-31"
            ),
        ),
        (
            'owner = "ann"',
            'owner = "ann"\nuntil = 1',
            (
                "sla.toml:16: waiver[1].until: unknown key; valid here: model, stage, target, statistic, owner, "
                "reason, expires"
            ),
        ),
    ],
)
def test_a_wrong_waiver_is_one_sentence(old: str, new: str, expected: str) -> None:
    assert complaint(PROMISE + WAIVER.replace(old, new)) == expected


def test_a_waiver_of_nothing_is_told_all_that_is_promised() -> None:
    head = "nothing is promised for n · model-inference · cpu; promised:"
    stray = WAIVER.replace('"m"', '"n"')
    slower = PROMISE[PROMISE.index("[[objective]]") :].replace('"cpu"', '"cuda-t4"')
    promised = "m · model-inference · cpu; m · model-inference · cuda-t4"
    assert complaint(f"{PROMISE}{slower}{stray}") == f"sla.toml:17: waiver[1]: {head} {promised}"
    assert complaint(f"version = 1\n{stray}") == f"sla.toml:3: waiver[1]: {head} nothing"


def test_what_is_waived_already_is_not_waived_again() -> None:
    assert complaint(PROMISE + WAIVER + WAIVER.replace("expires", 'statistic = "p99"\nexpires')) == (
        "sla.toml:19: waiver[2]: P99 of m · model-inference · cpu is already waived at sla.toml:12; keep one"
    )


def test_two_waivers_may_share_a_promise() -> None:
    each = [WAIVER.replace("expires", f'statistic = "{name}"\nexpires') for name in ("p50", "p99")]
    (promise,) = parse_sla(PROMISE + "".join(each), Path("sla.toml")).promises
    assert [waiver.statistics for waiver in promise.waivers] == [("P50",), ("P99",)]
