from __future__ import annotations

from dataclasses import replace

import torch

from tests.speech_data import TINY_RUN, TINY_TRANSFORMER, TINY_TRANSFORMER_RUN, shipped_bank
from voiceflow_ml.training.batches import make_batch
from voiceflow_ml.training.config import PRECISIONS
from voiceflow_ml.training.run import Run, learning_rate

BANK = shipped_bank()
CPU = torch.device("cpu")


def test_half_precision_is_what_the_network_computes_in() -> None:
    seen: dict[str, set[torch.dtype]] = {}
    for precision in PRECISIONS:
        run = Run(replace(TINY_RUN, precision=precision), BANK, CPU)
        classify = run.model.get_submodule("classify")
        classify.register_forward_hook(
            lambda _module, _inputs, output, precision=precision: seen.setdefault(precision, set()).add(output.dtype)
        )
        run.train_step(make_batch(BANK, run.config, 0))
        assert all(weight.dtype == torch.float32 for weight in run.parameters)
    assert seen == {"fp32": {torch.float32}, "bf16": {torch.bfloat16}, "fp16": {torch.float16}}


def test_fp16_scales_the_loss_and_skips_a_step_that_overflows() -> None:
    run = Run(replace(TINY_RUN, precision="fp16"), BANK, CPU)
    scale = run.scaler.get_scale()
    assert scale > 1.0
    before = [weight.detach().clone() for weight in run.parameters]
    # Twice the largest number of fp16 per unit of loss: gradients in half precision become infinite.
    run.scaler.load_state_dict({**run.scaler.state_dict(), "scale": 2.0**40})
    run.train_step(make_batch(BANK, run.config, 0))
    assert all(torch.equal(weight, old) for weight, old in zip(run.parameters, before, strict=True))
    assert run.scaler.get_scale() == 2.0**39
    assert run.step == 1
    assert not Run(TINY_RUN, BANK, CPU).scaler.is_enabled()


def test_an_encoder_learns_at_a_rate_of_its_own() -> None:
    run = Run(replace(TINY_TRANSFORMER_RUN, encoder_rate=0.25), BANK, CPU)
    run.train_step(make_batch(BANK, run.config, 0))
    rates = [group["lr"] for group in run.optimizer.param_groups]
    assert rates == [learning_rate(run.config, 0), 0.25 * learning_rate(run.config, 0)]
    counted = sum(len(group["params"]) for group in run.optimizer.param_groups)
    assert counted == len([*run.model.parameters(), *run.speaker.parameters()])


def test_dropout_depends_on_the_step_and_on_nothing_before_it() -> None:
    config = replace(TINY_TRANSFORMER_RUN, model=replace(TINY_TRANSFORMER, dropout=0.5))
    first, second = (Run(config, BANK, CPU) for _ in range(2))
    batch = make_batch(BANK, config, 0)
    first.train_step(batch)
    torch.manual_seed(99)
    torch.rand(5)
    second.train_step(batch)
    assert first.losses == second.losses
