from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.warmup import SteadyState, steady_state

latencies = st.lists(st.integers(0, 2**40), min_size=1, max_size=200)


def noise(n: int, seed: int, spread: float = 0.05) -> NDArray[np.float64]:
    return np.exp(spread * np.random.default_rng(seed).standard_normal(n))


def in_ns(milliseconds: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(milliseconds * 1e6).astype(np.int64)


@given(st.integers(0, 2**62), st.integers(20, 400))
def test_a_constant_series_is_steady_from_its_start(latency_ns: int, n: int) -> None:
    assert steady_state([latency_ns] * n) == SteadyState(steady=True, first_steady=0, discard=10)


@pytest.mark.parametrize("n", [1, 4, 5, 19])
def test_a_handful_of_samples_shows_no_steady_state(n: int) -> None:
    state = steady_state([7] * n)
    assert not state.steady
    assert state.first_steady == n
    assert steady_state([7] * 20).steady


@pytest.mark.parametrize(
    ("slow", "first_steady", "discard"),
    # Found in whole blocks of five; up to ten leave the least that is discarded, more are taken half as many again.
    [(0, 0, 10), (2, 0, 10), (3, 5, 10), (5, 5, 10), (10, 10, 10), (15, 15, 23), (40, 40, 60), (95, 95, 143)],
)
def test_a_step_at_the_start_is_found(slow: int, first_steady: int, discard: int) -> None:
    state = steady_state([3_000_000] * slow + [1_000_000] * (200 - slow))
    assert state == SteadyState(steady=True, first_steady=first_steady, discard=discard)


@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_step_is_found_and_never_kept(seed: int) -> None:
    state = steady_state(in_ns(noise(400, seed) * np.where(np.arange(400) < 30, 1.5, 1.0)))
    assert state.steady
    assert 30 <= state.first_steady < 200
    assert state.discard == math.ceil(1.5 * state.first_steady)


@pytest.mark.parametrize("seed", range(5))
def test_an_exponential_decay_is_left_out_down_to_the_noise(seed: int) -> None:
    excess = 2 * np.exp(-np.arange(400) / 10)
    state = steady_state(in_ns(noise(400, seed) * (1 + excess)))
    assert state.steady
    assert excess[state.first_steady] < 0.15
    assert excess[state.discard] < 0.05


@pytest.mark.parametrize("n", [50, 100, 400])
@pytest.mark.parametrize("direction", [-1, 1])
def test_a_trend_without_end_is_not_steady(n: int, direction: int) -> None:
    state = steady_state(in_ns(1 + direction * 0.5 * np.arange(n) / n))
    assert state == SteadyState(steady=False, first_steady=n, discard=math.ceil(1.5 * n))


def test_a_change_in_the_second_half_is_not_steady() -> None:
    assert not steady_state([1_000_000] * 150 + [2_000_000] * 50).steady
    assert not steady_state([1_000_000] * 100 + [2_000_000] * 100).steady


def test_two_interrupted_calls_do_not_move_the_start() -> None:
    samples_ns = [1_000_000] * 200
    samples_ns[60] = 90_000_000
    samples_ns[63] = 90_000_000
    assert steady_state(samples_ns) == SteadyState(steady=True, first_steady=0, discard=10)


@given(latencies, st.integers(1, 1_000), st.integers(0, 2**40))
def test_neither_the_unit_nor_an_offset_matters(samples_ns: list[int], factor: int, offset: int) -> None:
    scaled = [factor * sample + offset for sample in samples_ns]
    assert steady_state(scaled) == steady_state(samples_ns)


@given(latencies)
def test_what_it_says_fits_together(samples_ns: list[int]) -> None:
    state = steady_state(np.array(samples_ns, dtype=np.int64))
    assert state == steady_state(samples_ns)
    assert state.discard == (10 if state.first_steady <= 10 else math.ceil(1.5 * state.first_steady))
    if state.steady:
        assert len(samples_ns) >= 20
        assert 2 * state.first_steady < len(samples_ns)
    else:
        assert state.first_steady == len(samples_ns)


@given(latencies)
def test_the_truncation_is_the_least_squared_error_by_definition(samples_ns: list[int]) -> None:
    state = steady_state(samples_ns)
    blocks = [sorted(samples_ns[i : i + 5])[2] for i in range(0, len(samples_ns) - 4, 5)]
    if not state.steady:
        return
    kept = blocks[state.first_steady // 5 :]
    # Among the truncations of the first half none does better; floating point is a hair off.
    for start in range((len(blocks) + 1) // 2):
        rest = blocks[start:]
        assert np.var(kept) / len(kept) <= np.var(rest) / len(rest) * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize("seed", range(40))
def test_no_other_start_in_the_first_half_has_a_smaller_standard_error(seed: int) -> None:
    blocks = np.rint(1e6 * noise(40, seed, 0.2) * (1 + np.exp(-np.arange(40) / 3))).astype(np.int64)
    state = steady_state(np.repeat(blocks, 5))
    errors = [np.var(blocks[start:]) / (40 - start) for start in range(36)]
    best = int(np.argmin(errors))
    assert (state.steady, state.first_steady) == ((True, 5 * best) if best < 20 else (False, 200))


@pytest.mark.parametrize(("blocks", "alike"), [(40, 4), (12, 3)])
def test_a_few_calls_that_happen_to_be_alike_at_the_end_are_no_steady_state(blocks: int, alike: int) -> None:
    medians = [1_000, 1_100] * (blocks // 2)
    medians[-alike - 1 :] = [5_000] + [1_000] * alike
    assert steady_state(np.repeat(medians, 5)) == SteadyState(steady=True, first_steady=0, discard=10)


@pytest.mark.parametrize(
    ("samples_ns", "message"),
    [([], "there are no samples"), ([1, -2], "cannot be negative, got -2 ns"), ([0.5], "whole nanoseconds")],
)
def test_unfit_samples_are_refused(samples_ns: Any, message: str) -> None:
    with pytest.raises(SampleError, match=message):
        steady_state(samples_ns)
