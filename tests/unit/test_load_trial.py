"""What load is planned, what is kept of it, and when a trial is INVALID."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from voiceflow_ml.errors import ConfigError, DataError
from voiceflow_ml.load import Kind, LoadPlan, Trial
from voiceflow_ml.load.generator import spare_cpus
from voiceflow_ml.load.plan import poisson_offsets_ns
from voiceflow_ml.load.streaming import chunks_of, stream_offsets_ns
from voiceflow_ml.load.table import table_lines
from voiceflow_ml.load.trial import Shot, trial_from_dict, trial_of, trial_to_dict
from voiceflow_ml.units import NS_PER_MS, NS_PER_S

OPEN = LoadPlan(Kind.OPEN_LOOP, rate_per_s=100, duration_ns=2 * NS_PER_S, warmup_ns=NS_PER_S)


def shots(count: int, *, late_ns: int = 0, took_ns: int = 5 * NS_PER_MS, status: int = 200) -> list[Shot]:
    """One every 10 ms from the start on."""
    return [
        Shot(at_ns, at_ns + late_ns, at_ns + late_ns + took_ns, status, "1.0.0", 500_000, 4_000_000)
        for at_ns in range(0, count * 10 * NS_PER_MS, 10 * NS_PER_MS)
    ]


def trial(*found: Shot, plan: LoadPlan = OPEN, planned: int | None = None) -> Trial:
    return trial_of(plan, found, planned, {"network": "none: no delay"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rate_per_s": 0}, "rate_per_s must be above 0, got 0"),
        ({"connections": 3}, "connections must be left out, got 3"),
        ({"kind": Kind.CLOSED_LOOP}, "rate_per_s must be left out"),
        ({"kind": Kind.STREAMS, "rate_per_s": 0}, "streams must be above 0"),
        ({"duration_ns": 0}, "duration_ns must be at least 1"),
        ({"warmup_ns": -1}, "warmup_ns must be at least 0"),
        ({"hop_ns": 0}, "hop_ns must be at least 1"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(OPEN, **changes)


def test_arrivals_are_a_poisson_process_of_the_rate_that_was_asked_for() -> None:
    offsets_ns = poisson_offsets_ns(1_000, 20 * NS_PER_S, seed=3)
    gaps_ns = np.diff(offsets_ns)
    assert offsets_ns == sorted(offsets_ns)
    assert offsets_ns[-1] < 20 * NS_PER_S
    # Of a Poisson process the gaps' mean and standard deviation are alike, and counts of equal stretches vary as much.
    assert np.mean(gaps_ns) == pytest.approx(NS_PER_MS, rel=0.03)
    assert np.std(gaps_ns) == pytest.approx(NS_PER_MS, rel=0.05)
    counts = np.histogram(offsets_ns, bins=400, range=(0, 20 * NS_PER_S))[0]
    assert np.var(counts) == pytest.approx(np.mean(counts), rel=0.25)


def test_equal_seeds_give_equal_arrivals_and_other_seeds_others() -> None:
    assert poisson_offsets_ns(50, NS_PER_S, 1) == poisson_offsets_ns(50, NS_PER_S, 1)
    assert poisson_offsets_ns(50, NS_PER_S, 1) != poisson_offsets_ns(50, NS_PER_S, 2)


def test_streams_begin_spread_over_a_hop_and_send_every_hop() -> None:
    plan = LoadPlan(Kind.STREAMS, streams=2, duration_ns=200 * NS_PER_MS, warmup_ns=0)
    in_ms = [(at_ns // NS_PER_MS, which) for at_ns, which in stream_offsets_ns(plan)]
    assert in_ms == [(0, 0), (50, 1), (100, 0), (150, 1)]


def test_speech_is_cut_into_whole_hops() -> None:
    assert [len(chunk) for chunk in chunks_of(b"\0" * 7_000, 100 * NS_PER_MS)] == [3_200, 3_200]


def test_the_warm_up_is_not_counted_and_the_rest_is_in_order() -> None:
    found = trial(*reversed(shots(300)))
    assert len(found.shots) == 200
    assert found.shots[0].intended_ns == NS_PER_S
    assert found.rate_per_s == 100
    assert found.is_valid


def test_latency_counts_from_the_intended_sending() -> None:
    found = trial(*shots(300, late_ns=NS_PER_MS // 2))
    assert found.percentile_ns(0.99) == 5_500_000
    assert set(found.lateness_ns.tolist()) == {500_000}


@pytest.mark.parametrize(
    ("late_ns", "took_ns", "valid"),
    [
        (NS_PER_MS, NS_PER_MS, True),
        (NS_PER_MS + 1, NS_PER_MS, False),
        # A tenth of the P99 latency, which the lateness itself is part of.
        (4 * NS_PER_MS, 36 * NS_PER_MS, True),
        (5 * NS_PER_MS, 36 * NS_PER_MS, False),
    ],
)
def test_a_generator_that_was_late_makes_the_trial_invalid(late_ns: int, took_ns: int, valid: bool) -> None:
    found = trial(*shots(300, late_ns=late_ns, took_ns=took_ns))
    assert found.is_valid is valid
    assert valid or "the generator was late" in found.problems[0]
    assert table_lines(found)[0].startswith("VALID" if valid else "INVALID")


def test_a_few_late_requests_do_not() -> None:
    punctual = shots(300)
    punctual[150] = replace(punctual[150], sent_ns=punctual[150].sent_ns + NS_PER_S)
    assert trial(*punctual).is_valid


def test_requests_that_were_never_sent_make_the_trial_invalid() -> None:
    assert trial(*shots(300), planned=210).is_valid
    assert trial(*shots(300), planned=211).problems == (
        "the generator sent 200 of 211 requests; ask for less, or give it a CPU of its own",
    )


def test_a_trial_without_requests_is_invalid() -> None:
    assert "no request was counted" in trial(*shots(20)).problems[0]
    assert table_lines(trial())[0].startswith("INVALID")


def test_failures_are_told_from_a_full_queue_and_have_no_latency() -> None:
    mixed = [replace(shot, status=(200, 503, 500, 0)[place % 4]) for place, shot in enumerate(shots(300))]
    found = trial(*mixed)
    assert found.statuses == {0: 50, 200: 50, 500: 50, 503: 50}
    assert found.failures == 100
    assert found.latencies_ns.size == 50
    assert found.versions == {"1.0.0": 50}
    text = "\n".join(table_lines(found))
    assert "50 x no answer, 50 x 200, 50 x 500, 50 x 503" in text


def test_a_trial_in_which_nothing_succeeded_has_no_percentile() -> None:
    found = trial(*shots(300, status=503))
    assert found.percentile_ns(0.99) is None
    assert "nothing was answered with success" in "\n".join(table_lines(found))


def test_the_table_says_what_the_server_tells_of_its_share() -> None:
    lines = table_lines(trial(*shots(300)))
    assert any("P99 500 us of processing, P99 4 ms of inference" in line for line in lines)
    assert any("200 x 1.0.0" in line for line in lines)
    untold = [replace(shot, server_ns=-1, model_ns=-1, version="") for shot in shots(300)]
    assert not any("of inference" in line or "versions" in line for line in table_lines(trial(*untold)))


def test_a_trial_is_written_whole_and_read_back() -> None:
    found = trial(*shots(300), planned=201)
    again = trial_from_dict(json.loads(json.dumps(trial_to_dict(found))))
    assert (again.plan, again.shots, again.planned, again.facts) == (found.plan, found.shots, 201, found.facts)


@pytest.mark.parametrize("change", [{"schema_version": 0}, {"plan": {}}, {"shots": {}}, {"planned": "many"}])
def test_a_trial_that_cannot_be_read_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        trial_from_dict({**trial_to_dict(trial(*shots(300))), **change})


@pytest.mark.parametrize(("cpus", "spare"), [({0, 1}, ()), ({0, 1, 2}, ()), ({4, 1, 2, 3}, (4,)), (range(16), (15,))])
def test_a_generator_gets_a_cpu_of_its_own_only_where_there_are_some_to_spare(
    cpus: set[int], spare: tuple[int, ...]
) -> None:
    assert spare_cpus(cpus) == spare
