"""The one training loop, for every network: simulated conversations in, checkpoints and curves out.

A run folder holds ``checkpoint.pt`` (the latest state, where a stopped run goes
on exactly), ``best.pt`` (the state with the least error on dev, of a run that
is validated), and the learning curves as CSV.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from voiceflow_ml.training.batches import batches
from voiceflow_ml.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.curve import CURVE_NAME, DEV_CURVE_NAME, CurvePoint, DevPoint, read_curve, write_curve
from voiceflow_ml.training.evaluate import LocalDer
from voiceflow_ml.training.run import Run, learning_rate
from voiceflow_ml.training.simulate.bank import SpeechBank
from voiceflow_ml.training.stopping import Stopping, validator

CHECKPOINT_NAME = "checkpoint.pt"
BEST_NAME = "best.pt"
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class _Log:
    """The curves of a run and where its files go."""

    run_dir: Path
    curve: list[CurvePoint]
    dev_curve: list[DevPoint]

    def save(self, run: Run) -> None:
        # The curves first: lines beyond the checkpoint are dropped on a resume, missing ones would stay missing.
        write_curve(self.run_dir / CURVE_NAME, self.curve, CurvePoint)
        if self.dev_curve:
            write_curve(self.run_dir / DEV_CURVE_NAME, self.dev_curve, DevPoint)
        save_checkpoint(self.run_dir / CHECKPOINT_NAME, run.checkpoint())


def train(
    config: TrainConfig,
    bank: SpeechBank,
    run_dir: Path,
    *,
    progress: Callable[[str], None],
    dev: SpeechBank | None = None,
    device: torch.device = _CPU,
    max_seconds: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """Train until the last step, until dev says enough, or until the time is up; a second call continues.

    Args:
        config: The run.
        bank: The training voices.
        run_dir: Holds the checkpoints and the learning curves.
        progress: Called with one line per point of a curve.
        dev: The dev voices, for a run that is validated.
        device: Where to compute; a run that goes on elsewhere is not the same to the last digit.
        max_seconds: Stop after this much wall time (of this call) and save.
        clock: Seconds, rising.

    Returns:
        The path of the checkpoint to use: the best one of a run that is validated, or the latest.

    Raises:
        TrainingError: The folder holds another run, the loss is not finite, or dev voices are missing.
        ModelFileError: Pretrained weights cannot be had.
    """
    validate = validator(config, dev, device)
    run, log = _open_run(config, bank, run_dir, device)
    before, started = run.seconds, clock()
    first_step = config.steps if run.stopping.is_over(config) else run.step
    for batch in batches(bank, config, first_step):
        run.train_step(batch)
        run.seconds = before + clock() - started
        is_last = run.step == config.steps
        if is_last or run.step % config.log_every == 0:
            log.curve.append(_take_point(run))
            progress(_progress_line(log.curve[-1], config.steps))
        if validate is not None and (is_last or run.step % config.validate_every == 0):
            _score(run, log, validate(run.model), progress)
        is_over = run.stopping.is_over(config) or clock() - started >= max_seconds
        if is_over or is_last or run.step % config.save_every == 0:
            log.save(run)
        if is_over:
            break
    best = run_dir / BEST_NAME
    return best if validate is not None and best.exists() else run_dir / CHECKPOINT_NAME


def begin(config: TrainConfig, bank: SpeechBank, run_dir: Path, start: Callable[[], Checkpoint]) -> None:
    """Make a run folder whose run has another's weights and no step behind it; ``train`` goes on there.

    Args:
        config: The run.
        bank: The training voices.
        run_dir: The folder; a run that it has already is left as it is.
        start: Reads the run whose weights it begins with; not called where there is a run already.

    Raises:
        TrainingError: The network has another shape, or knows other voices.
    """
    path = run_dir / CHECKPOINT_NAME
    if not path.exists():
        run = Run(config, bank, _CPU)
        run.begin_with(start())
        save_checkpoint(path, run.checkpoint())


def _open_run(config: TrainConfig, bank: SpeechBank, run_dir: Path, device: torch.device) -> tuple[Run, _Log]:
    """A new run, or the one in the folder with its curves up to the checkpoint."""
    path = run_dir / CHECKPOINT_NAME
    if not path.exists():
        return Run(config, bank, device), _Log(run_dir, [], [])
    run = Run(config, bank, device, load_checkpoint(path))
    curve = [point for point in read_curve(run_dir / CURVE_NAME, CurvePoint) if point.step <= run.step]
    dev_curve = [point for point in read_curve(run_dir / DEV_CURVE_NAME, DevPoint) if point.step <= run.step]
    return run, _Log(run_dir, curve, dev_curve)


def _score(run: Run, log: _Log, errors: LocalDer, progress: Callable[[str], None]) -> None:
    """Note a validation, and keep the network when it is the best so far."""
    parts = (part / errors.reference for part in (errors.missed, errors.false_alarm, errors.confused))
    log.dev_curve.append(DevPoint(run.step, round(run.seconds, 1), errors.der, *parts))
    run.stopping = run.stopping.after(run.step, errors.der)
    if run.stopping.best_step == run.step:
        save_checkpoint(log.run_dir / BEST_NAME, run.checkpoint())
    progress(_dev_line(run.step, errors.der, run.stopping, run.config))


def _take_point(run: Run) -> CurvePoint:
    segmentation = sum(pair[0] for pair in run.losses) / len(run.losses)
    speaker = sum(pair[1] for pair in run.losses) / len(run.losses)
    run.losses = []
    total = segmentation + run.config.speaker_weight * speaker
    rate = learning_rate(run.config, run.step - 1)
    return CurvePoint(run.step, round(run.seconds, 1), total, segmentation, speaker, rate)


def _progress_line(point: CurvePoint, steps: int) -> str:
    left_s = point.seconds / point.step * (steps - point.step)
    return (
        f"step {point.step}/{steps}  loss {point.loss:.3f}  segmentation {point.segmentation_loss:.3f}  "
        f"speaker {point.speaker_loss:.2f}  {point.seconds:.0f} s, about {left_s:.0f} s left"
    )


def _dev_line(step: int, der: float, stopping: Stopping, config: TrainConfig) -> str:
    if stopping.best_step == step:
        return f"step {step}/{config.steps}  dev local DER {100 * der:.2f} %, the best so far"
    patience = f" of {config.patience}" if config.patience else ""
    ends = "; nothing better came, so the run ends here" if stopping.is_over(config) else ""
    return (
        f"step {step}/{config.steps}  dev local DER {100 * der:.2f} %, best {100 * stopping.best_der:.2f} % "
        f"at step {stopping.best_step}, {stopping.stale}{patience} scorings ago{ends}"
    )
