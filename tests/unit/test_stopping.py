from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.speech_data import TINY_RUN, TINY_TRANSFORMER_RUN, shipped_bank
from voiceflow_ml.errors import TrainingError
from voiceflow_ml.training.checkpoint import Checkpoint, load_checkpoint
from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.curve import CURVE_NAME, DEV_CURVE_NAME, CurvePoint, DevPoint, read_curve
from voiceflow_ml.training.networks import build_network
from voiceflow_ml.training.stopping import Stopping, validator
from voiceflow_ml.training.train import train

BANK = shipped_bank()
CPU = torch.device("cpu")
# A network that hardly moves soon finds nothing better.
STUCK = replace(
    TINY_RUN, steps=40, learning_rate=1e-12, warmup_steps=1, validate_every=2, validate_conversations=1, patience=3
)


def quiet(_: str) -> None:
    """A progress line nobody reads."""


def latest(run_dir: Path) -> Checkpoint:
    return load_checkpoint(run_dir / "checkpoint.pt")


def errors(run_dir: Path) -> list[tuple[int, float]]:
    return [(point.step, point.local_der) for point in read_curve(run_dir / DEV_CURVE_NAME, DevPoint)]


def test_only_a_lower_error_is_better_and_patience_counts_the_rest() -> None:
    config = replace(TINY_RUN, patience=2)
    state = Stopping()
    seen = []
    for step, der in enumerate([0.5, 0.4, 0.4, 0.3, 0.35, 0.3], start=1):
        state = state.after(step, der)
        seen.append((state.best_der, state.best_step, state.stale, state.is_over(config)))
    assert seen == [
        (0.5, 1, 0, False),
        (0.4, 2, 0, False),
        (0.4, 2, 1, False),
        (0.3, 4, 0, False),
        (0.3, 4, 1, False),
        (0.3, 4, 2, True),
    ]
    assert not state.is_over(replace(config, patience=0))
    assert Stopping().best_der == math.inf


def test_a_run_that_gets_no_better_ends_early_and_gives_its_best_network(tmp_path: Path) -> None:
    lines: list[str] = []
    chosen = train(STUCK, BANK, tmp_path, progress=lines.append, dev=BANK)
    checkpoint = latest(tmp_path)
    assert checkpoint.step < STUCK.steps
    assert checkpoint.stopping.stale == 3
    assert chosen == tmp_path / "best.pt"
    assert load_checkpoint(chosen).step == checkpoint.stopping.best_step == checkpoint.step - 6
    assert "the best so far" in next(line for line in lines if "dev local DER" in line)
    assert lines[-1].endswith("3 of 3 scorings ago; nothing better came, so the run ends here")
    assert min(errors(tmp_path), key=lambda each: each[1])[0] == checkpoint.stopping.best_step


def test_a_run_that_ended_early_does_nothing_more(tmp_path: Path) -> None:
    chosen = train(STUCK, BANK, tmp_path, progress=quiet, dev=BANK)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert train(STUCK, BANK, tmp_path, progress=quiet, dev=BANK) == chosen
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("stop_at", [4, 5])
@pytest.mark.parametrize("config", [TINY_RUN, TINY_TRANSFORMER_RUN], ids=["fast-cnn", "transformer"])
def test_a_run_resumed_amid_its_patience_ends_at_the_same_step_with_the_same_digits(
    tmp_path: Path, config: TrainConfig, stop_at: int
) -> None:
    config = replace(config, steps=20, validate_every=2, validate_conversations=1, patience=2, save_every=50)
    config = replace(config, learning_rate=1e-12, warmup_steps=1)
    train(config, BANK, tmp_path / "whole", progress=quiet, dev=BANK)
    ticks = iter(range(1_000))
    # The clock is read once before the first step and twice in each.
    train(
        config,
        BANK,
        tmp_path / "parts",
        progress=quiet,
        dev=BANK,
        max_seconds=2 * stop_at,
        clock=lambda: float(next(ticks)),
    )
    assert latest(tmp_path / "parts").step == stop_at
    train(config, BANK, tmp_path / "parts", progress=quiet, dev=BANK)
    whole, parts = latest(tmp_path / "whole"), latest(tmp_path / "parts")
    assert (parts.step, parts.stopping) == (whole.step, whole.stopping)
    assert parts.step < config.steps
    assert errors(tmp_path / "parts") == errors(tmp_path / "whole")
    losses = [
        [point.loss for point in read_curve(tmp_path / name / CURVE_NAME, CurvePoint)] for name in ("whole", "parts")
    ]
    assert losses[0] == losses[1]
    best = [load_checkpoint(tmp_path / name / "best.pt") for name in ("whole", "parts")]
    assert best[0].step == best[1].step
    for name, tensor in best[0].model.items():
        assert torch.equal(tensor, best[1].model[name]), name


def test_validation_changes_nothing_in_what_is_learned(tmp_path: Path) -> None:
    train(TINY_RUN, BANK, tmp_path / "blind", progress=quiet)
    seeing = replace(TINY_RUN, validate_every=2, validate_conversations=1, patience=0)
    train(seeing, BANK, tmp_path / "seeing", progress=quiet, dev=BANK)
    blind, seen = latest(tmp_path / "blind"), latest(tmp_path / "seeing")
    assert all(torch.equal(tensor, seen.model[name]) for name, tensor in blind.model.items())
    assert not (tmp_path / "blind" / "best.pt").exists()
    assert [step for step, _ in errors(tmp_path / "seeing")] == [2, 4, 6]


def test_the_last_step_is_scored_whatever_the_interval(tmp_path: Path) -> None:
    config = replace(TINY_RUN, steps=5, validate_every=4, validate_conversations=1)
    train(config, BANK, tmp_path, progress=quiet, dev=BANK)
    assert [step for step, _ in errors(tmp_path)] == [4, 5]


def test_a_validator_leaves_the_network_in_its_mode_and_scores_the_dev_windows() -> None:
    config = replace(TINY_RUN, validate_every=1, validate_conversations=2)
    validate = validator(config, BANK, CPU)
    assert validate is not None
    network = build_network(config.model)
    for training in (True, False):
        network.train(training)
        score = validate(network)
        assert network.training is training
        assert score.windows == 20
        assert score.reference > 0
    assert validator(TINY_RUN, BANK, CPU) is None


def test_validation_without_dev_speakers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="needs the dev speakers; give them, or set validate_every to 0"):
        train(STUCK, BANK, tmp_path, progress=quiet)
