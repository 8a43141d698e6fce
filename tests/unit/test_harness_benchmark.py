"""The arithmetic of the harness benchmark; what it measures is for a quiet machine and not for a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.harness.loop_cost import Cost, bare_samples, nothing
from benchmarks.harness.loop_memory import allocated_bytes
from benchmarks.harness.peers import HARNESSES, pytest_benchmark_pedantic, read_loadgen_summary
from benchmarks.harness.reading import Harness, Reading, Request, Span, row_of, span_of
from benchmarks.harness.report import installed, side_by_side, table_of_costs, table_of_rows
from benchmarks.harness.small_model import open_subject, write_models

from voiceflow_ml.latency import FakeClock

SUMMARY = """\
Early Stopping Result:
 * Processed at least 662 queries (1000).
 * Early stopping 90.0th percentile estimate: 5097
 * Early stopping 99.0th percentile estimate: 31927
50.00 percentile latency (ns)   : 4798
99.00 percentile latency (ns)   : 5468
"""


def test_loadgen_percentiles_are_read_from_its_summary() -> None:
    reading = read_loadgen_summary(SUMMARY)
    assert (reading.calls, reading.p50_ns, reading.p99_ns) == (1000, 4798.0, 5468.0)
    assert reading.notes == {"early-stopping P99": 31927.0}


def test_a_harness_without_percentiles_is_summed_up_from_its_values() -> None:
    readings = [Reading(3, values_ns=[10, 20, 30]), Reading(3, values_ns=[20, 40, 60])]
    bare = [Reading(3, p50_ns=10.0), Reading(3, p50_ns=20.0)]
    row = row_of("model", "mute", readings, [1.0, 3.0], bare)
    assert (row.reported_p50, row.reported_p99) == (None, None)
    assert (row.raw_p50, row.raw_p99) == (Span(30, 20, 40), Span(45, 30, 60))
    assert row.over_bare == Span(2, 2, 2)
    assert row.wall_s == Span(2, 1, 3)
    assert "-" in table_of_rows([row])


def test_a_number_that_one_round_lacks_is_not_reported() -> None:
    assert span_of([1.0, None]) is None


def test_a_harness_that_says_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="P50 or raw values"):
        row_of("model", "silent", [Reading(1)], [1.0], [Reading(1, p50_ns=1.0)])


def test_every_harness_measures_in_every_round(tmp_path: Path) -> None:
    asked: list[str] = []

    def harness(name: str, p50_ns: float) -> Harness:
        def take(request: Request) -> Reading:
            asked.append(name)
            return Reading(request.samples, p50_ns=p50_ns)

        return Harness(name, "", "", take, "")

    subject = open_subject(write_models(tmp_path)[1])
    rows = side_by_side(subject, [harness("bare", 10), harness("other", 15)], rounds=4, samples=5, scratch=tmp_path)
    assert sorted(asked) == ["bare"] * 4 + ["other"] * 4
    assert [row.over_bare.middle for row in rows] == [1.0, 1.5]
    assert [row.calls for row in rows] == [5, 5]


def test_a_peer_that_is_missing_is_named_with_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    missing = Harness("peer", "no_such_module_anywhere", "peer-package", HARNESSES[0].take, "")
    assert installed([HARNESSES[0], missing]) == [HARNESSES[0]]
    assert "peer is left out: pip install peer-package" in capsys.readouterr().out


def test_our_loop_takes_the_samples_it_is_asked_for(tmp_path: Path) -> None:
    subject = open_subject(write_models(tmp_path)[1])
    for harness in HARNESSES[:4]:
        reading = harness.take(Request(subject, 20, tmp_path))
        assert reading.calls == len(reading.values_ns) == 20, harness.name


def test_pytest_benchmark_measures_in_a_pytest_of_its_own(tmp_path: Path) -> None:
    subject = open_subject(write_models(tmp_path)[1])
    reading = pytest_benchmark_pedantic(Request(subject, 20, tmp_path))
    assert reading.calls == len(reading.values_ns) == 20
    assert reading.p50_ns is not None
    assert reading.p99_ns is None


def test_a_peer_that_fails_says_why(tmp_path: Path) -> None:
    subject = open_subject(write_models(tmp_path)[1])
    gone = replace(subject, path=tmp_path / "gone.onnx")
    with pytest.raises(RuntimeError, match=r"gone\.onnx"):
        pytest_benchmark_pedantic(Request(gone, 20, tmp_path))


def test_both_models_give_what_they_are_given_or_more(tmp_path: Path) -> None:
    layers, identity = (open_subject(path) for path in write_models(tmp_path))
    (same,) = identity.session.run(None, identity.feeds)
    assert (same == identity.feeds["x"]).all()
    (other,) = layers.session.run(None, layers.feeds)
    assert other.shape == same.shape
    assert not (other == same).any()


def test_the_bare_pair_times_nothing_but_the_call() -> None:
    clock = FakeClock()
    assert bare_samples(lambda: clock.advance_ns(7), 3, clock.now_ns) == [7, 7, 7]


@pytest.mark.parametrize("bare", [True, False])
def test_the_probe_sees_what_is_allocated_and_dropped(bare: bool) -> None:
    seen = sorted(allocated_bytes(lambda: bytes(5_000), bare=bare))[100]
    unseen = sorted(allocated_bytes(nothing, bare=bare))[100]
    assert seen - unseen > 4_500


def test_the_loop_allocates_nothing_in_the_timed_region() -> None:
    ours, bare = (sorted(allocated_bytes(nothing, bare=bare))[100] for bare in (False, True))
    assert ours == bare


@pytest.mark.parametrize(("value", "bar", "word"), [(2.0, 2.0, "yes"), (2.1, 2.0, "NO"), (2.1, None, "us")])
def test_a_cost_is_held_against_its_bar(value: float, bar: float | None, word: str) -> None:
    line = table_of_costs([Cost("what", value, bar, "us", "detail")])
    assert line.removesuffix("detail").rstrip().endswith(word)


def test_a_cost_that_is_not_known_holds_no_bar_and_breaks_none() -> None:
    cost = Cost("what", None, 2.0, "us", "detail")
    assert cost.held is None
    assert "unknown" in table_of_costs([cost])
