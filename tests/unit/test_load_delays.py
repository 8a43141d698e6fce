"""Played networks, by the schedule that they compute: no clock runs here."""

from __future__ import annotations

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.load import PROFILES, find_profile
from voiceflow_ml.load.delays import DelayProfile, WireSchedule
from voiceflow_ml.units import NS_PER_MS, NS_PER_S

SAME_REGION = PROFILES["same-region"]


def test_profiles_are_found_by_name_and_say_what_they_are() -> None:
    assert find_profile("same-region").description == "same-region: 10 ms to 40 ms round trip, drawn evenly"
    assert find_profile("none").description == "none: no delay"
    with pytest.raises(ConfigError, match="unknown network 'moon'; the networks are: none, same-region, cross-region"):
        find_profile("moon")


def test_round_trips_are_drawn_evenly_from_their_range() -> None:
    schedule = WireSchedule(SAME_REGION, seed=1)
    trips_ns = []
    for begin_ns in range(0, 4_000 * NS_PER_S, NS_PER_S):
        up_ns = schedule.up(begin_ns) - begin_ns
        back_ns = schedule.down(begin_ns + up_ns) - begin_ns - up_ns
        assert up_ns == back_ns
        trips_ns.append(up_ns + back_ns)
    trips_ns.sort()
    assert SAME_REGION.low_ns - 1 <= trips_ns[0] < 10.1 * NS_PER_MS
    assert 39.9 * NS_PER_MS < trips_ns[-1] <= SAME_REGION.high_ns
    assert trips_ns[1_000] == pytest.approx(17.5 * NS_PER_MS, rel=0.05)
    assert trips_ns[2_000] == pytest.approx(25 * NS_PER_MS, rel=0.05)


def test_pieces_of_one_request_share_their_delay() -> None:
    schedule = WireSchedule(SAME_REGION, seed=7)
    first_ns = schedule.up(0)
    assert schedule.up(1_000) == first_ns + 1_000
    assert schedule.up(2_000) == first_ns + 2_000
    later_ns = NS_PER_S
    assert schedule.up(later_ns) - later_ns != first_ns


def test_nothing_overtakes_what_was_sent_before_it() -> None:
    schedule = WireSchedule(DelayProfile("jumpy", 0, NS_PER_S), seed=5)
    sent_ns = range(0, 200 * NS_PER_S, 90 * NS_PER_MS)
    up_ns = [schedule.up(at_ns) for at_ns in sent_ns]
    down_ns = [schedule.down(at_ns) for at_ns in sent_ns]
    assert up_ns == sorted(up_ns)
    assert down_ns == sorted(down_ns)
    assert all(arrival_ns >= at_ns for at_ns, arrival_ns in zip(sent_ns, up_ns, strict=True))


def test_equal_seeds_play_equal_networks() -> None:
    def arrivals(seed: int) -> list[int]:
        schedule = WireSchedule(SAME_REGION, seed)
        return [schedule.up(at_ns) for at_ns in range(0, 20 * NS_PER_S, NS_PER_S)]

    assert arrivals(3) == arrivals(3)
    assert arrivals(3) != arrivals(4)


def test_no_network_is_no_delay() -> None:
    schedule = WireSchedule(PROFILES["none"], seed=0)
    assert [schedule.up(at_ns) for at_ns in (5, 6, 6)] == [5, 6, 6]
    assert schedule.down(7) == 7
