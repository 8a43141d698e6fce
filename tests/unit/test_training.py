from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.speech_data import TINY_MODEL, TINY_RUN, TINY_TRANSFORMER_RUN, shipped_bank
from voiceflow_ml.diarization.diarizer import CONFIGS
from voiceflow_ml.diarization.encoders import Encoder
from voiceflow_ml.errors import TrainingError
from voiceflow_ml.files import atomic_path
from voiceflow_ml.models.powerset import PERMUTATIONS
from voiceflow_ml.training.batches import batches, make_batch
from voiceflow_ml.training.checkpoint import load_checkpoint, load_model, save_checkpoint
from voiceflow_ml.training.config import PRECISIONS, TrainConfig
from voiceflow_ml.training.curve import CURVE_NAME, CurvePoint, read_curve
from voiceflow_ml.training.data.meetings import Meeting
from voiceflow_ml.training.losses import PowersetLoss, SpeakerLoss, embeddable
from voiceflow_ml.training.presets import (
    segmentation_run,
    short_segmentation_run,
    short_voices_run,
    voices_run,
)
from voiceflow_ml.training.run import learning_rate
from voiceflow_ml.training.simulate.bank import SpeechBank
from voiceflow_ml.training.simulate.windows import ABSENT
from voiceflow_ml.training.teaching import Teaching
from voiceflow_ml.training.train import begin, train

BANK = shipped_bank()


def curve_losses(run_dir: Path) -> list[tuple[float, float]]:
    return [(point.segmentation_loss, point.speaker_loss) for point in read_curve(run_dir / CURVE_NAME, CurvePoint)]


def quiet(_: str) -> None:
    """A progress line nobody reads."""


@pytest.mark.parametrize(
    "config",
    [pytest.param(replace(TINY_RUN, precision=precision), id=f"fast-cnn-{precision}") for precision in PRECISIONS]
    + [
        pytest.param(replace(TINY_TRANSFORMER_RUN, precision="bf16"), id="transformer-bf16"),
        pytest.param(TINY_TRANSFORMER_RUN, id="transformer-fp32"),
    ],
)
def test_a_resumed_run_ends_with_the_same_weights_to_the_last_digit(tmp_path: Path, config: TrainConfig) -> None:
    whole = train(config, BANK, tmp_path / "whole", progress=quiet)
    stops = iter([0.0, 0.0, 1.0, 1.0, 1.0, 99.0, 99.0, 99.0, 99.0])
    train(config, BANK, tmp_path / "parts", progress=quiet, max_seconds=50.0, clock=lambda: next(stops, 99.0))
    # Between two lines of the learning curve, so that its means have to survive, too.
    assert load_checkpoint(tmp_path / "parts" / "checkpoint.pt").step == 3
    parts = train(config, BANK, tmp_path / "parts", progress=quiet)
    first, second = load_checkpoint(whole), load_checkpoint(parts)
    assert second.step == config.steps
    for name, tensor in first.model.items():
        assert torch.equal(tensor, second.model[name]), name
    assert curve_losses(tmp_path / "whole") == curve_losses(tmp_path / "parts")
    assert first.scaler == second.scaler


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    config = replace(TINY_RUN, steps=20, log_every=5, learning_rate=1e-2, precision="fp32")
    lines: list[str] = []
    train(config, BANK, tmp_path, progress=lines.append)
    losses = curve_losses(tmp_path)
    assert losses[-1][0] < 0.85 * losses[0][0]
    assert lines[0].startswith("step 5/20  loss ")
    assert read_curve(tmp_path / CURVE_NAME, CurvePoint)[-1].step == 20


def test_the_transformer_learns_in_the_same_loop(tmp_path: Path) -> None:
    config = replace(TINY_TRANSFORMER_RUN, steps=30, log_every=5, learning_rate=1e-2)
    train(config, BANK, tmp_path, progress=quiet)
    losses = curve_losses(tmp_path)
    assert losses[-1][0] < 0.85 * losses[0][0]


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    path = train(TINY_RUN, BANK, tmp_path, progress=quiet)
    before = path.read_bytes()
    train(TINY_RUN, BANK, tmp_path, progress=quiet)
    assert path.read_bytes() == before


def test_a_run_folder_of_another_configuration_or_data_is_refused(tmp_path: Path) -> None:
    train(TINY_RUN, BANK, tmp_path, progress=quiet)
    with pytest.raises(TrainingError, match="another configuration; use another run folder"):
        train(replace(TINY_RUN, seed=1), BANK, tmp_path, progress=quiet)
    with pytest.raises(TrainingError, match="other speech data"):
        train(TINY_RUN, replace(BANK, manifest_sha256="f" * 64), tmp_path, progress=quiet)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    config = replace(TINY_RUN, learning_rate=1e30, warmup_steps=1, precision="fp32", steps=20)
    with pytest.raises(TrainingError, match="lower learning_rate"):
        train(config, BANK, tmp_path, progress=quiet)


def test_batches_depend_on_nothing_but_their_number() -> None:
    late = next(batches(BANK, TINY_RUN, 3))
    alone = make_batch(BANK, TINY_RUN, 3)
    assert torch.equal(late.audio, alone.audio)
    assert torch.equal(late.classes, alone.classes)
    assert sum(1 for _ in batches(BANK, TINY_RUN, 4)) == TINY_RUN.steps - 4
    assert sum(1 for _ in batches(BANK, TINY_RUN, TINY_RUN.steps)) == 0


def test_learning_rate_rises_then_falls_to_zero() -> None:
    config = replace(TINY_RUN, steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0)
    assert all(before >= after for before, after in itertools.pairwise(rates[10:]))


def test_powerset_loss_forgives_the_order_of_speakers() -> None:
    classes = torch.tensor([[0, 1, 1, 4, 2, 3]])
    loss = PowersetLoss()
    for order in range(len(PERMUTATIONS)):
        logits = 20.0 * torch.eye(7)[loss.permutations[order][classes]]
        assert float(loss(logits, classes)) < 1e-4


def test_powerset_loss_of_knowing_nothing_is_the_entropy() -> None:
    assert float(PowersetLoss()(torch.zeros(2, 5, 7), torch.zeros(2, 5, dtype=torch.long))) == pytest.approx(
        math.log(7), rel=1e-5
    )


def test_powerset_loss_does_not_forgive_a_swap_in_the_middle() -> None:
    classes = torch.tensor([[1] * 5 + [2] * 5])
    swapped = torch.tensor([[1] * 5 + [3] * 3 + [1] * 2])
    assert float(PowersetLoss()(20.0 * torch.eye(7)[swapped], classes)) > 1.0


def test_speaker_loss_is_least_on_the_centre_and_skips_the_absent() -> None:
    loss = SpeakerLoss(3, 4, margin=0.1, scale=20.0)
    with torch.no_grad():
        loss.centres.copy_(torch.eye(4)[:3])
    loss.requires_grad_(requires_grad=False)
    labels = torch.tensor([[0, ABSENT, ABSENT]])
    on_centre = torch.eye(4)[[0, 3, 3]][None]
    off_centre = torch.eye(4)[[1, 3, 3]][None]
    assert float(loss(on_centre, labels)) < 1e-5 < float(loss(off_centre, labels))
    nobody = torch.full((1, 3), ABSENT)
    assert float(loss(on_centre, nobody)) == 0.0


def test_speakers_who_hardly_talk_alone_lose_their_label() -> None:
    activity = torch.zeros(1, 150, 3, dtype=torch.bool)
    activity[0, :40, 0] = True
    activity[0, 20:60, 1] = True
    speakers = torch.tensor([[7, 8, ABSENT]])
    kept = embeddable(activity, speakers, min_alone_s=0.4)
    assert kept.tolist() == [[7, 8, ABSENT]]
    assert embeddable(activity, speakers, min_alone_s=0.5).tolist() == [[ABSENT] * 3]


def test_the_teacher_pulls_an_embedding_to_its_target() -> None:
    targets = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    loss, plain = (
        SpeakerLoss(2, 2, margin=0.0, scale=1.0, targets=given, teacher_weight=5.0) for given in (targets, None)
    )
    plain.centres.data.copy_(loss.centres.data)
    on_target, off_target = torch.tensor([[[0.0, 1.0]] * 3]), torch.tensor([[[1.0, 0.0]] * 3])
    labels = torch.tensor([[0, ABSENT, ABSENT]])
    with torch.no_grad():
        assert float(loss(on_target, labels) - plain(on_target, labels)) == pytest.approx(0.0, abs=1e-5)
        assert float(loss(off_target, labels) - plain(off_target, labels)) == pytest.approx(5.0, abs=1e-5)
        # A voice that the teacher does not know has no target to be far from.
        unknown = torch.tensor([[1, ABSENT, ABSENT]])
        assert float(loss(off_target, unknown) - plain(off_target, unknown)) == pytest.approx(0.0, abs=1e-5)


def taught_bank(dim: int, speeds: tuple[float, ...]) -> SpeechBank:
    names = tuple(voice.speaker for voice in BANK.voices)
    targets = np.zeros((len(names), len(speeds), dim), dtype=np.float32)
    targets[..., 0] = 1.0
    return replace(BANK, teaching=Teaching("test", BANK.manifest_sha256, speeds, names, targets, {}, sha256="7" * 64))


def test_training_imitates_the_teacher_and_says_which(tmp_path: Path) -> None:
    bank = taught_bank(TINY_MODEL.embedding_dim, TINY_RUN.simulation.speeds)
    path = train(TINY_RUN, bank, tmp_path / "taught", progress=quiet)
    plain = train(TINY_RUN, BANK, tmp_path / "plain", progress=quiet)
    assert load_checkpoint(path).teaching_sha256 == "7" * 64
    assert load_checkpoint(plain).teaching_sha256 == ""
    with pytest.raises(TrainingError, match="with another teacher; use another run folder"):
        train(TINY_RUN, BANK, tmp_path / "taught", progress=quiet)


def with_clip_targets(bank: SpeechBank) -> SpeechBank:
    dim = TINY_MODEL.embedding_dim
    voices = tuple(
        replace(voice, targets=np.eye(dim, dtype=np.float32)[[number] * len(voice.clips)])
        for number, voice in enumerate(bank.voices)
    )
    return replace(bank, voices=voices)


def test_the_voice_branch_goes_on_alone_from_another_runs_weights(tmp_path: Path) -> None:
    bank = with_clip_targets(taught_bank(TINY_MODEL.embedding_dim, TINY_RUN.simulation.speeds))
    first = train(TINY_RUN, bank, tmp_path / "first", progress=quiet)
    start = load_checkpoint(first)
    config = replace(voices_run(start.config, "5" * 64), steps=2, conversations_per_step=1, clips_per_step=3)
    begin(config, bank, tmp_path / "second", lambda: start)
    second = load_checkpoint(train(config, bank, tmp_path / "second", progress=quiet))
    assert second.config.start_sha256 == "5" * 64
    assert second.step == 2
    assert second.began_with["steps_done"] == TINY_RUN.steps
    assert second.facts()["began_with"]["config"] == TINY_RUN.to_dict()
    assert "began_with" not in start.facts()
    changed = {name for name, weight in start.model.items() if not torch.equal(weight, second.model[name])}
    assert changed
    assert all(name.startswith(("voice", "embed")) for name in changed)
    # A folder that has a run is left as it is.
    begin(config, bank, tmp_path / "second", lambda: start)
    assert load_checkpoint(tmp_path / "second" / "checkpoint.pt").step == 2


def test_segmentation_goes_on_alone_from_another_runs_weights(tmp_path: Path) -> None:
    start = load_checkpoint(train(TINY_RUN, BANK, tmp_path / "first", progress=quiet))
    config = replace(segmentation_run(start.config, "5" * 64), steps=2, conversations_per_step=1)
    begin(config, BANK, tmp_path / "second", lambda: start)
    second = load_checkpoint(train(config, BANK, tmp_path / "second", progress=quiet))
    changed = {name for name, weight in start.model.items() if not torch.equal(weight, second.model[name])}
    assert changed
    assert not any(name.startswith(("voice", "embed")) for name in changed)
    assert all(speaker == 0.0 for _, speaker in second.losses)
    assert second.config.simulation.one_microphone_chance > 0.0


def test_short_windows_are_as_short_as_the_diarizers() -> None:
    shortest = CONFIGS[Encoder.OWN].window_samples
    for build in (short_voices_run, short_segmentation_run):
        assert min(build(TINY_RUN, "5" * 64).window_samples) == shortest


def test_voices_are_looked_for_where_the_teacher_puts_them() -> None:
    targets = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    loss = SpeakerLoss(2, 2, margin=0.0, scale=1.0, targets=targets, teacher_weight=1.0)
    chance = loss.centres.detach().clone()
    loss.begin_at_targets()
    assert torch.equal(loss.centres.detach()[0], targets[0])
    assert torch.equal(loss.centres.detach()[1], chance[1])


def test_a_run_from_before_branches_had_names_is_read() -> None:
    plain = TINY_RUN.to_dict()
    del plain["branch"]
    assert TrainConfig.from_dict({**plain, "voice_only": True}).branch == "voice"
    assert TrainConfig.from_dict({**plain, "voice_only": False}) == TINY_RUN


def test_weights_of_another_shape_or_of_other_voices_are_no_start(tmp_path: Path) -> None:
    start = load_checkpoint(train(replace(TINY_RUN, steps=1), BANK, tmp_path / "run", progress=quiet))
    wider = replace(TINY_RUN, model=replace(TINY_MODEL, width=24))
    with pytest.raises(TrainingError, match="a network of another shape"):
        begin(wider, BANK, tmp_path / "a", lambda: start)
    with pytest.raises(TrainingError, match="trained on other voices"):
        begin(TINY_RUN, replace(BANK, voices=BANK.voices[:1]), tmp_path / "b", lambda: start)
    assert not (tmp_path / "a").exists()


def test_the_teachers_word_on_a_clip_goes_before_its_word_on_the_voice() -> None:
    loss = SpeakerLoss(1, 2, margin=0.0, scale=1.0, targets=torch.tensor([[0.0, 1.0]]), teacher_weight=1.0)
    found, labels = torch.tensor([[[1.0, 0.0]] * 3]), torch.tensor([[0, ABSENT, ABSENT]])
    own, none = torch.tensor([[[1.0, 0.0]] * 3]), torch.zeros(1, 3, 2)
    with torch.no_grad():
        assert float(loss(found, labels, none) - loss(found, labels, own)) == pytest.approx(1.0, abs=1e-5)
        assert float(loss(found, labels, none)) == pytest.approx(float(loss(found, labels)), abs=1e-6)


def test_a_teacher_of_other_speeds_or_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="heard the speeds"):
        train(TINY_RUN, taught_bank(TINY_MODEL.embedding_dim, (1.0,)), tmp_path, progress=quiet)
    with pytest.raises(TrainingError, match="embedding_dim must be the teacher's 5, got 8"):
        train(TINY_RUN, taught_bank(5, TINY_RUN.simulation.speeds), tmp_path, progress=quiet)


def test_batches_take_window_lengths_in_turns_and_a_share_of_real_conversation() -> None:
    config = replace(
        TINY_RUN,
        window_samples=(16_000, 48_000),
        meeting_share=0.5,
        simulation=replace(TINY_RUN.simulation, seconds=3.0),
    )
    activity = np.zeros((300, 2), dtype=np.bool_)
    activity[:, 0] = True
    bank = replace(BANK, meetings=(Meeting("m", np.ones(96_000, dtype=np.int16), activity),))
    short, long = make_batch(bank, config, 0), make_batch(bank, config, 1)
    assert list(short.audio.shape) == [6 + 3, 16_000]
    assert list(long.audio.shape) == [2 + 1, 48_000]
    assert (short.identities[6:] == ABSENT).all()
    assert bool(short.activity[6:, :, 0].all())


@pytest.mark.parametrize("samples", [639, 700, 48_640])
def test_windows_must_be_whole_steps_of_the_net_and_fit_a_conversation(samples: int) -> None:
    with pytest.raises(TrainingError, match="window_samples must be multiples of 640 up to a conversation's 48000"):
        replace(TINY_RUN, window_samples=(samples,))


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(replace(TINY_RUN, steps=1), BANK, tmp_path_factory.mktemp("run"), progress=quiet)


def test_damaged_checkpoints_are_refused_in_one_way(checkpoint_path: Path, tmp_path: Path) -> None:
    whole = checkpoint_path.read_bytes()
    for content in (b"", b"not a checkpoint", whole[: len(whole) // 2]):
        (tmp_path / "c.pt").write_bytes(content)
        with pytest.raises(TrainingError, match=r"c\.pt: not a readable checkpoint"):
            load_checkpoint(tmp_path / "c.pt")
    with pytest.raises(TrainingError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_checkpoint_of_another_version_or_shape_is_refused(checkpoint_path: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint_path, weights_only=True)
    torch.save({**content, "version": 99}, tmp_path / "v.pt")
    with pytest.raises(TrainingError, match="version 99, expected 1"):
        load_checkpoint(tmp_path / "v.pt")
    checkpoint = load_checkpoint(checkpoint_path)
    wider = replace(checkpoint.config, model=replace(TINY_MODEL, width=32))
    with pytest.raises(TrainingError, match="do not fit its configuration"):
        load_model(replace(checkpoint, config=wider))


def test_a_checkpoint_that_cannot_be_written_is_one_sentence(checkpoint_path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "c.pt", load_checkpoint(checkpoint_path))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]
