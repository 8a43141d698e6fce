"""What pytest-benchmark is asked to measure. Run by ``peers.py``, which says in the environment what to call."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.ours import WARM_UP_CALLS
from benchmarks.harness.peers import MODEL_VARIABLE, SAMPLES_VARIABLE
from benchmarks.harness.small_model import open_subject


@pytest.fixture
def call() -> Callable[[], object]:
    """One call of the model."""
    return open_subject(Path(os.environ[MODEL_VARIABLE])).call


def test_auto(benchmark: Any, call: Callable[[], object]) -> None:
    """As most tests use it: pytest-benchmark finds out how often to call."""
    benchmark(call)


def test_pedantic(benchmark: Any, call: Callable[[], object]) -> None:
    """One call in each round, as many rounds as the others take samples."""
    benchmark.pedantic(call, rounds=int(os.environ[SAMPLES_VARIABLE]), warmup_rounds=WARM_UP_CALLS)
