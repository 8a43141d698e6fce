"""The soak's judges: what is wrong is found, what is right is not, and the page shows the committed run."""

from __future__ import annotations

import asyncio
import json
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from benchmarks.marked import block_of
from benchmarks.soak.__main__ import PICTURE
from benchmarks.soak.bench import Bench, Durations, Served
from benchmarks.soak.changes import Changes, Step, steps
from benchmarks.soak.chart import draw
from benchmarks.soak.faults import LEFT, Fault, commit, fault_ends
from benchmarks.soak.judging import TURNED_AWAY, Answer, InUse, Known, Ledger, Trouble, problem_of
from benchmarks.soak.learning import check_apart
from benchmarks.soak.material import Bad, asks, fingerprint_of, stream_fingerprint
from benchmarks.soak.plan import QUICK
from benchmarks.soak.run_state import FINISHED, INTERRUPTED
from benchmarks.soak.table import BLOCK, PAGE, RESULTS, render
from benchmarks.soak.traffic import request, streams
from benchmarks.soak.verdict import goals, is_reached, memory_of

from voiceflow_ml.client.answers import Reply
from voiceflow_ml.client.exchanges import Exchange
from voiceflow_ml.errors import AnswerError, BusyError, UnreachableError
from voiceflow_ml.rttm import Turn
from voiceflow_ml.wire import infer_request

MIB = 1 << 20
ONE = Known("v1", "folder/1", {"window": "a1", "stream 1": "s1"})
TWO = Known("v2", "folder/2", {"window": "a2", "stream 1": "s2"})


def used() -> InUse:
    """The first version until 100, the second from 200, a canary of the first from 400."""
    in_use = InUse("v1")
    in_use.change(100, 200, frozenset({"v2"}))
    in_use.change(300, 400, frozenset({"v1", "v2"}))
    return in_use


@pytest.mark.parametrize(
    ("first", "last", "versions"),
    [
        (0, 99, {"v1"}),
        (0, 100, {"v1", "v2"}),
        (150, 160, {"v1", "v2"}),
        (199, 250, {"v1", "v2"}),
        (200, 299, {"v2"}),
        (250, 350, {"v1", "v2"}),
        (500, 900, {"v1", "v2"}),
    ],
)
def test_which_versions_may_answer_when(first: int, last: int, versions: set[str]) -> None:
    assert used().between(first, last) == versions


def test_changes_count_by_their_end_in_whatever_order_they_become_known() -> None:
    in_use = InUse("v1")
    in_use.change(300, 400, frozenset({"v1"}))
    in_use.change(100, 200, frozenset({"v2"}))
    assert in_use.between(250, 260) == {"v2"}
    assert in_use.between(400, 500) == {"v1"}


@pytest.mark.parametrize(
    ("version", "fingerprint", "at", "problem"),
    [
        ("v1", "a1", 50, ""),
        ("v2", "a2", 250, ""),
        ("v2", "a2", 150, ""),
        ("v3", "a1", 50, "window: answered by v3, which nobody loaded"),
        ("", "a1", 50, "window: answered by a version without a name, which nobody loaded"),
        ("v1", "a2", 50, "window: the answer names v1 and is that of v2"),
        ("v1", "??", 50, "window: the answer names v1 and is that of no version"),
        ("v1", "a1", 250, "window: answered by v1, while v2 was in use"),
        ("v2", "a2", 50, "window: answered by v2, while v1 was in use"),
    ],
)
def test_an_answer_is_held_to_its_version_its_content_and_its_time(
    version: str, fingerprint: str, at: int, problem: str
) -> None:
    assert problem_of(Answer("window", version, fingerprint, at, at + 10), (ONE, TWO), used()) == problem


def test_a_stream_keeps_the_version_that_it_began_with() -> None:
    # Begun under the first version: its end, long after the swap, says nothing about it.
    assert problem_of(Answer("stream 1", "v1", "s1", 40, 50), (ONE, TWO), used()) == ""
    assert "that of v2" in problem_of(Answer("stream 1", "v1", "s2", 40, 50), (ONE, TWO), used())


def bench(**more: Any) -> Bench:
    return Bench("http://127.0.0.1:1", QUICK, (ONE, TWO), used(), **more)


def test_only_answers_are_judged_of_which_it_is_known_what_was_in_use() -> None:
    one = bench()
    one.waiting += [Answer("window", "v1", "a1", 10, 20), Answer("window", "v1", "a1", 210, 240)]
    one.judge(100)
    assert (one.ledger.right["window"], one.ledger.troubles, len(one.waiting)) == (1, 0, 1)
    one.judge(1_000)
    assert (one.ledger.counts[Trouble.WRONG], one.waiting) == (1, [])
    assert one.ledger.examples[Trouble.WRONG].startswith("window: answered by v1, while v2 was in use")


@pytest.mark.parametrize(
    ("status", "headers", "what"),
    [
        (500, {}, Trouble.SERVER_ERROR),
        (503, {"retry-after": "1"}, TURNED_AWAY),
        (503, {}, Trouble.SERVER_ERROR),
        (404, {}, Trouble.STATUS),
        (302, {}, Trouble.STATUS),
    ],
)
def test_statuses_that_nobody_asked_for(status: int, headers: dict[str, str], what: str) -> None:
    ledger = Ledger()
    for body in (b"first", b"second"):
        ledger.refused("window", Reply("POST", "http://x/", status, headers, body))
    assert ledger.counts == {what: 2}
    assert ledger.examples == {what: f"window: {status}, first"}
    assert ledger.troubles == (0 if what == TURNED_AWAY else 2)


def ending(result: str | Exception) -> Fault:
    async def end(_: tuple[str, int]) -> str:
        if isinstance(result, Exception):
            raise result
        return result

    return Fault("dawdles", end, "408")


@pytest.mark.parametrize(
    ("result", "counted", "example"),
    [
        ("408", None, ""),
        ("503", TURNED_AWAY, "who dawdles: 503"),
        ("200", Trouble.FAULT, "who dawdles: 200 instead of 408"),
        (LEFT, Trouble.FAULT, f"who dawdles: {LEFT} instead of 408"),
        (ConnectionResetError("gone"), Trouble.FAULT, "who dawdles: ConnectionResetError: gone instead of 408"),
        (TimeoutError(), Trouble.FAULT, "who dawdles: nothing within 30 s instead of 408"),
    ],
)
def test_a_fault_must_end_as_stated(result: str | Exception, counted: str | None, example: str) -> None:
    one = bench()
    asyncio.run(commit(one, ("127.0.0.1", 1), ending(result)))
    assert one.ledger.faults["dawdles"] == (counted is None)
    assert one.ledger.examples == ({counted: example} if counted else {})


class Asked:
    """A client whose every answer, or error, is the same."""

    def __init__(self, outcome: Reply | Exception) -> None:
        self.outcome = outcome

    async def reply(self, _: Exchange[Any]) -> Reply:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def stream(self) -> Any:
        assert isinstance(self.outcome, Exception)
        raise self.outcome


TURNS = b'{"version": "v1", "turns": []}'


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (Reply("POST", "http://x/v1/diarize", 200, {"voiceflow-version": "v1"}, TURNS), None),
        (Reply("POST", "http://x/v1/diarize", 200, {}, b"[]"), Trouble.WRONG),
        (Reply("POST", "http://x/v1/diarize", 500, {}, b"{}"), Trouble.SERVER_ERROR),
        (UnreachableError("no answer", url="http://x"), Trouble.LOST),
    ],
)
def test_a_request_is_answered_or_lost(outcome: Reply | Exception, counted: str | None) -> None:
    one = bench()
    asyncio.run(request(one, Asked(outcome), asks()[-1], 0))  # type: ignore[arg-type]
    assert one.ledger.counts == ({counted: 1} if counted else {})
    assert [answer.version for answer in one.waiting] == ([] if counted else ["v1"])


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (BusyError("1013", url="ws://x"), TURNED_AWAY),
        (AnswerError("1006, the connection broke", url="ws://x"), Trouble.LOST),
        (TimeoutError(), Trouble.LOST),
    ],
)
def test_a_stream_that_breaks_is_lost_and_one_that_is_turned_away_is_told(error: Exception, counted: str) -> None:
    async def run() -> Ledger:
        one = bench()
        task = asyncio.create_task(streams(one, Asked(error), [np.zeros(1_600, np.float32)], 0))  # type: ignore[arg-type]
        while not one.ledger.counts:
            await asyncio.sleep(0)
        one.over.set()
        await task
        return one.ledger

    assert asyncio.run(run()).counts == {counted: 1}


class Told(Served):
    """Says what serves, by a script."""

    def __init__(self, *versions: set[str], by_rule: int = 0) -> None:
        self.versions, self.by_rule, self.step_ns = list(versions), by_rule, None

    async def look(self) -> frozenset[str]:
        return frozenset(self.versions.pop(0))


class Admin:
    """Answers by a script."""

    def __init__(self, *answers: tuple[int, dict[str, str]]) -> None:
        self.answers = list(answers)

    async def reply(self, exchange: Exchange[Any]) -> Reply:
        status, document = self.answers.pop(0)
        return Reply(exchange.method, "http://127.0.0.1:1", status, {}, json.dumps(document).encode())


def stepped(step: Step, status: int, versions: set[str], *, code: str = "", by_rule: int = 0) -> Ledger:
    one = bench()
    changes = Changes(one, Admin((status, {"code": code})), Told(versions, by_rule=by_rule))  # type: ignore[arg-type]
    asyncio.run(changes._step(step))
    return one.ledger


THOSE = steps(("folder/1", "folder/2"), (Bad("folder/bad", "not-finite"),))
LOAD, REFUSED, _BACK, CANARY = (next(THOSE) for _ in range(4))


@pytest.mark.parametrize(
    ("step", "status", "versions", "code", "example"),
    [
        (LOAD, 200, {"v2"}, "", ""),
        (LOAD, 422, {"v1"}, "", "load: 422 instead of 200"),
        (LOAD, 200, {"v1"}, "", "load: v1 serves afterwards instead of v2"),
        (CANARY, 200, {"v1", "v2"}, "", ""),
        (CANARY, 200, {"v2"}, "", "canary: v2 serves afterwards instead of v1, v2"),
        (REFUSED, 422, {"v1"}, "not-finite", ""),
        (REFUSED, 422, {"v1"}, "failed", "refused load (not-finite): refused for failed instead of not-finite"),
        (REFUSED, 200, {"v1"}, "", "refused load (not-finite): 200 instead of 422"),
        (REFUSED, 422, {"v2"}, "not-finite", "refused load (not-finite): v2 serves afterwards instead of v1"),
    ],
)
def test_a_step_of_the_versions_must_end_as_stated(
    step: Step, status: int, versions: set[str], code: str, example: str
) -> None:
    ledger = stepped(step, status, versions, code=code)
    assert ledger.troubles == bool(example)
    assert ledger.examples.get(Trouble.STATUS, "").startswith(example)
    assert ledger.changes[step.name] == (not example)


def test_what_a_version_that_was_taken_back_by_rule_makes_of_the_next_step_is_no_trouble() -> None:
    promote = next(step for step in THOSE if step.name == "promotion of the canary")
    assert stepped(promote, 409, {"v1"}).troubles == 1
    assert stepped(promote, 409, {"v1"}, by_rule=1).troubles == 0


def test_tensors_have_one_fingerprint_in_binary_and_in_json() -> None:
    outputs = {"y": np.array([[0.1, -3.7e-5, 2.0]], dtype=np.float32)}
    replies = []
    for binary in (True, False):
        body, headers = infer_request(outputs, binary=binary)
        encoded = int(next(iter(headers.values()))) if binary else len(body)
        document = json.loads(body[:encoded])
        text = json.dumps({"model_name": "m", "model_version": str(binary), "outputs": document["inputs"]}).encode()
        length = {"inference-header-content-length": str(len(text))} if binary else {}
        replies.append(Reply("POST", "http://x/v2/models/m/infer", 200, length, text + body[encoded:]))
    assert fingerprint_of(replies[0]) == fingerprint_of(replies[1])


def test_recordings_and_streams_are_told_apart_by_their_turns() -> None:
    def reply(end_s: float, version: str) -> Reply:
        document = {"version": version, "turns": [{"speaker": "A", "start_s": 0.0, "end_s": end_s}]}
        return Reply("POST", "http://x/v1/diarize", 200, {}, json.dumps(document).encode())

    assert fingerprint_of(reply(1.0, "v1")) == fingerprint_of(reply(1.0, "v2"))
    assert fingerprint_of(reply(1.0, "v1")) != fingerprint_of(reply(1.02, "v1"))
    with pytest.raises(AnswerError):
        fingerprint_of(Reply("POST", "http://x/v1/diarize", 200, {}, b"[]"))
    turn = Turn("A", 0.0, 1.0)
    # The same turns, but one of them a chunk later: a stream that was late with it.
    assert stream_fingerprint([(turn,), ()]) != stream_fingerprint([(), (turn,)])


def test_versions_that_answer_the_same_are_no_test() -> None:
    check_apart((ONE, TWO))
    with pytest.raises(ValueError, match="both versions answer the same: window"):
        check_apart((ONE, Known("v2", "", {**TWO.answers, "window": "a1"})))


def test_every_kind_of_request_has_a_name_of_its_own() -> None:
    names = [ask.name for ask in asks()]
    assert len(names) == len(set(names))
    assert {name.split(",")[0] for name in names} == {"infer", "diarize"}


def test_durations_are_taken_once() -> None:
    durations = Durations()
    for elapsed_ns in range(1, 101):
        durations.add("chunk", elapsed_ns)
    assert durations.peek("chunk") == {"count": 100, "p50_ns": 50, "p99_ns": 99}
    assert durations.taken("chunk") == {"count": 100, "p50_ns": 50, "p99_ns": 99}
    assert durations.taken("chunk") == {"count": 0, "p50_ns": None, "p99_ns": None}


def test_what_is_missed_is_not_made_up_for_and_the_end_is_heard() -> None:
    async def count() -> int:
        one = bench()
        one.start_ns -= 10**9  # a second late
        found = 0
        async for _ in one.ticks(0.01):
            found += 1
            if found == 3:
                one.over.set()
        return found

    assert asyncio.run(count()) == 3


COUNTS = {str(trouble): 0 for trouble in Trouble}
GAUGES = {"voiceflow_queue_depth": 0.0, "voiceflow_streams": 0.0, "voiceflow_buffered_bytes": 0.0}
GOOD: dict[str, Any] = {
    "state": FINISHED,
    "measured_at": "2026-01-02T03:04:05+00:00",
    "machine": {"CPU": "Some CPU"},
    "cores": 2,
    "nice": 0,
    "plan": {
        "duration_s": 100.0,
        "warmup_s": 10.0,
        "compare_s": 20.0,
        "rate_per_s": 9.0,
        "streams": 3,
        "window_s": 30.0,
    },
    "counts": {**COUNTS, TURNED_AWAY: 7},
    "examples": {},
    "right": {"infer, 3 s": 900, "diarize, 5 s": 90, "stream 1": 9, "GET /livez": 1},
    "faults": {"sends nothing": 11},
    "fault_ends": fault_ends(),
    "changes": {"load": 4, "rollback": 2},
    "lateness": {"count": 3, "p50_ns": 1, "p99_ns": 2_000_000},
    "before": {"descriptors": 20, **GAUGES},
    "after": {"descriptors": 20, **GAUGES},
    "samples": {
        "at_s": [0.0, 10.0, 25.0, 50.0, 85.0, 95.0, 101.0],
        "resident_bytes": [100 * MIB, 200 * MIB, 200 * MIB, 260 * MIB, 210 * MIB, 210 * MIB, 150 * MIB],
        **{name: [0, 1, 2, 3, 2, 1, 0] for name in ("descriptors", "connections", "threads", "turned_away")},
        "troubles": [0] * 7,
        "load_average": [1.0, 2.0, 5.5, 2.0, 2.0, 2.0, 2.0],
    },
    "windows": {
        "at_s": [30.0, 60.0],
        **{f"{kind}_p50_ns": [4_000_000, None] for kind in ("infer", "diarize", "chunk")},
        **{f"{kind}_p99_ns": [9_000_000, None] for kind in ("infer", "diarize", "chunk")},
    },
}


def changed(**more: Any) -> dict[str, Any]:
    return {**deepcopy(GOOD), **more}


def missed(results: dict[str, Any]) -> list[str]:
    assert not is_reached(results)
    return [goal.name for goal in goals(results) if goal.reached is False]


def test_a_soak_in_which_nothing_went_wrong() -> None:
    assert is_reached(GOOD)
    text = render(GOOD)
    assert "1.66667 min of 9 requests/s and 3 live streams; load average of the machine 1.0 to 5.5" in text
    assert "| wrong answers | 0 of 1 000 answers | 0 | reached |" in text
    assert "| faults answered otherwise than stated | 0 of 11 faults | 0 | reached |" in text
    assert "| 200 and 210 MiB (+5.0%), 260 MiB at most | at most +10% | reached |" in text
    assert "| sends nothing | 408 | 11 |" in text
    assert f"| {TURNED_AWAY} | 7 |" in text
    assert "The first of each" not in text


@pytest.mark.parametrize("trouble", list(Trouble))
def test_one_trouble_is_one_too_many_and_its_example_is_shown(trouble: Trouble) -> None:
    results = changed(counts={**GOOD["counts"], str(trouble): 1}, examples={str(trouble): "what it was"})
    assert missed(results) == [str(trouble)]
    assert f"- {trouble}: what it was" in render(results)


def test_memory_may_grow_by_a_tenth_and_no_more() -> None:
    results = changed()
    memory = memory_of(results)
    assert memory is not None
    assert (memory.early, memory.late, memory.most) == (200 * MIB, 210 * MIB, 260 * MIB)
    results["samples"]["resident_bytes"][4:6] = [220 * MIB] * 2
    assert is_reached(results)
    results["samples"]["resident_bytes"][4:6] = [221 * MIB] * 2
    assert missed(results) == ["resident memory, after the warm-up and at the end"]


@pytest.mark.parametrize(("held", "word"), [({"descriptors": 21}, "descriptors"), ({"voiceflow_streams": 1.0}, "held")])
def test_what_the_server_still_holds_afterwards(held: dict[str, float], word: str) -> None:
    names = missed(changed(after={**GOOD["after"], **held}))
    assert len(names) == 1
    assert word in names[0]


def test_a_soak_that_was_cut_off_has_reached_nothing_and_missed_what_it_missed() -> None:
    cut = changed(state=INTERRUPTED)
    del cut["after"]
    assert {goal.reached for goal in goals(cut)} == {None}
    assert not is_reached(cut)
    assert "**Not the whole soak: interrupted.**" in render(cut)
    cut["counts"][Trouble.LOST] = 1
    assert missed(cut) == [str(Trouble.LOST)]


def test_the_picture_is_the_same_for_the_same_results_and_shows_every_quantity() -> None:
    drawn = draw(GOOD).standalone()
    assert drawn == draw(deepcopy(GOOD)).standalone()
    for name in ("resident memory, MiB", "descriptors", "inference P99", "turned away", "load average"):
        assert name in drawn
    early = changed(windows={})
    assert "latency" not in draw(early).standalone()


def test_the_page_and_the_picture_show_the_committed_run() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert block_of(PAGE.read_text(encoding="utf-8"), BLOCK) == render(results)
    assert PICTURE.read_text(encoding="utf-8") == draw(results).standalone()
    assert is_reached(results)
