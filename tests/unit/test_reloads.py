"""What counts as overlapping, failed and wrong in a load with reloads, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voiceflow_ml.client.answers import Reply
from voiceflow_ml.commands.bench_swap import reload_lines
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.latency import Outcome
from voiceflow_ml.load.generator import Job
from voiceflow_ml.load.plan import Kind, LoadPlan
from voiceflow_ml.load.reloading import Api, ReloadPlan, fingerprint_of, reload_apart, reload_exchange
from voiceflow_ml.load.reloads import Known, Reload, ReloadTrial, reload_trial_to_dict
from voiceflow_ml.load.trial import Shot, Trial

MS = 1_000_000
PLAN = LoadPlan(Kind.OPEN_LOOP, rate_per_s=1_000.0, duration_ns=1_000 * MS, warmup_ns=0)
KNOWN = {"one": Known("1", "aaa"), "two": Known("2", "bbb")}
TWO = Reload("two", 100 * MS, 200 * MS, 200)


def shot(sent_ms: float, took_ms: float = 5.0, *, version: str = "1", status: int = 200) -> Shot:
    sent_ns = round(sent_ms * MS)
    return Shot(sent_ns, sent_ns, sent_ns + round(took_ms * MS), status, version)


def trial_with(*answers: tuple[Shot, str], reloads: tuple[Reload, ...] = (TWO,)) -> ReloadTrial:
    shots = tuple(shot for shot, _ in answers)
    return ReloadTrial(
        Trial(PLAN, shots, len(shots), {}), tuple(fingerprint for _, fingerprint in answers), reloads, KNOWN, "one"
    )


@pytest.mark.parametrize(
    ("sent_ms", "took_ms", "overlaps"),
    [(90, 9, False), (90, 10, True), (150, 1, True), (200, 5, True), (201, 5, False), (0, 300, True)],
)
def test_a_request_overlaps_a_reload_from_its_sending_to_its_end(
    sent_ms: float, took_ms: float, overlaps: bool
) -> None:
    assert trial_with((shot(sent_ms, took_ms), "aaa")).overlaps == (overlaps,)


def test_a_request_that_was_sent_late_overlaps_by_when_it_was_to_be_sent() -> None:
    late = replace(shot(201), intended_ns=199 * MS)
    assert trial_with((late, "bbb")).overlaps == (True,)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((shot(10), "aaa"), ""),
        ((shot(10, version="2"), "bbb"), "an answer is that of two, which was not in use"),
        ((shot(150), "aaa"), ""),
        ((shot(150, version="2"), "bbb"), ""),
        # Sent before the reload was done, so both may answer; after that only the new one.
        ((shot(199), "aaa"), ""),
        ((shot(200), "aaa"), "an answer is that of one, which was not in use"),
        ((shot(300, version="2"), "bbb"), ""),
        ((shot(150, version="2"), "aaa"), "an answer names 2 and is that of 1"),
        ((shot(150), "ccc"), "an answer of 1 is that of no source"),
        ((shot(150, version=""), "aaa"), ""),
        ((shot(150, status=503), ""), ""),
    ],
)
def test_what_is_a_wrong_answer(answer: tuple[Shot, str], sentence: str) -> None:
    assert trial_with(answer).wrong == ((sentence,) if sentence else ())


def test_a_reload_that_was_refused_leaves_the_version_before_in_use() -> None:
    refused = replace(TWO, status=422)
    found = trial_with((shot(300), "aaa"), (shot(310, version="2"), "bbb"), reloads=(refused,))
    assert found.wrong == ("an answer is that of two, which was not in use",)
    assert found.problems == ("1 reloads were answered 422",)
    assert found.outcome(2.0) is Outcome.INVALID


def test_reloads_one_after_the_other() -> None:
    back = Reload("one", 400 * MS, 500 * MS, 200)
    answers = [(shot(350, version="2"), "bbb"), (shot(450, version="2"), "bbb"), (shot(450), "aaa"), (shot(600), "aaa")]
    assert trial_with(*answers, reloads=(TWO, back)).wrong == ()
    # One that was under way during all of it may be any.
    assert trial_with((shot(50, 900, version="2"), "bbb"), reloads=(TWO, back)).wrong == ()
    assert trial_with((shot(600, version="2"), "bbb"), reloads=(TWO, back)).wrong != ()


def many(overlapping_ms: float, *, slow_every: int = 10**9, count: int = 3_000) -> ReloadTrial:
    """So many answers beside a reload and as many without one, those at 10 ms."""
    took_ms = [50.0 if place % slow_every == 1 else overlapping_ms for place in range(count)]
    during = [(shot(100 + place / 100, took_ms[place], version="2"), "bbb") for place in range(count)]
    steady = [(shot(300 + place / 10, 10.0, version="2"), "bbb") for place in range(count)]
    return trial_with(*during, *steady)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (many(20.0), Outcome.MET),
        (many(20.1), Outcome.BREACHED),
        (many(10.0, slow_every=300), Outcome.MET),
        (many(10.0, slow_every=33), Outcome.BREACHED),
        (many(10.0, count=100), Outcome.INCONCLUSIVE),
    ],
)
def test_the_multiple_is_judged(found: ReloadTrial, outcome: Outcome) -> None:
    assert found.outcome(2.0) is outcome
    first, *rest = reload_lines(found, 2.0)
    assert first.startswith(f"{outcome}  1 reloads at 1000 requests/s")
    assert any("wrong       0 answers" in line for line in rest)
    assert reload_trial_to_dict(found, 2.0)["outcome"] == outcome


def test_one_failed_request_or_one_wrong_answer_is_a_breach_whatever_the_latency() -> None:
    good = many(10.0)
    for bad in ((shot(150, status=503), ""), (shot(150, status=0), ""), (shot(990), "aaa")):
        found = trial_with(*zip(good.trial.shots, good.fingerprints, strict=True), bad)
        assert found.outcome(2.0) is Outcome.BREACHED


def test_without_samples_nothing_is_said() -> None:
    found = trial_with((shot(10), "aaa"))
    assert (found.ratio, found.verdict(2.0)) == (None, None)
    assert found.outcome(2.0) is Outcome.INCONCLUSIVE
    assert "  overlapping no request" in reload_lines(found, 2.0)


def test_without_a_reload_or_on_time_it_is_invalid() -> None:
    assert trial_with((shot(10), "aaa"), reloads=()).problems == (
        "nothing was reloaded: give the trial a longer duration",
    )
    late = replace(shot(10, 200), sent_ns=150 * MS)
    assert "the generator was late" in trial_with((late, "aaa")).problems[0]


def test_sources_that_answer_alike_are_said_to() -> None:
    alike = ReloadTrial(Trial(PLAN, (), 0, {}), (), (TWO,), {"one": KNOWN["one"], "two": Known("2", "aaa")}, "one")
    assert not alike.tells_apart
    assert any("versions cannot be told apart" in line for line in reload_lines(alike, 2.0))


def test_how_a_server_is_asked() -> None:
    ours = reload_exchange(ReloadPlan("m/x", ("1.0.0",), 1), "1.0.0")
    assert (ours.path, ours.body) == ("/v2/repository/models/m%2Fx/load", b'{"parameters": {"source": "1.0.0"}}')
    triton = ReloadPlan("m", ("", '{"a": 1}'), 1, Api.TRITON)
    assert reload_exchange(triton, "").body == b"{}"
    assert reload_exchange(triton, '{"a": 1}').body == b'{"parameters": {"config": "{\\"a\\": 1}"}}'
    assert ours.is_admin


@pytest.mark.parametrize(("sources", "reloads"), [((), 1), (("one",), 0)])
def test_a_plan_without_anything_to_do_is_refused(sources: tuple[str, ...], reloads: int) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        ReloadPlan("m", sources, reloads)


def test_waiting_callers_would_hide_a_reload() -> None:
    closed = Job("http://127.0.0.1:1", LoadPlan(Kind.CLOSED_LOOP, connections=1), "GET", "/", (), b"")
    with pytest.raises(ConfigError, match="waiting callers would hide them"):
        reload_apart(closed, ReloadPlan("m", ("one",), 1))


def test_a_fingerprint_is_of_the_outputs_alone() -> None:
    def reply(body: bytes, **headers: str) -> Reply:
        return Reply("POST", "http://x", 200, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    named = [reply(b'{"model_version": "%d", "outputs": [1]}' % version) for version in (1, 2)]
    assert fingerprint_of(named[0]) == fingerprint_of(named[1])
    assert fingerprint_of(named[0]) != fingerprint_of(reply(b'{"model_version": "1", "outputs": [2]}'))
    binary = [reply(head + b"raw", inference_header_content_length=str(len(head))) for head in (b"{}", b'{"a":1}')]
    assert fingerprint_of(binary[0]) == fingerprint_of(binary[1])
