from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.speech_data import shipped_bank, write_data_dir
from voiceflow_ml.errors import DataError
from voiceflow_ml.models.signal import FRAME_SAMPLES
from voiceflow_ml.training.data.meetings import Meeting
from voiceflow_ml.training.simulate.acoustics import (
    apply_channel,
    coloured_noise,
    play_at,
    recorded_noise,
    room_response,
    telephone_gain,
)
from voiceflow_ml.training.simulate.bank import SpeechBank, Voice, load_bank
from voiceflow_ml.training.simulate.conversation import Conversation, SimulationConfig, simulate
from voiceflow_ml.training.simulate.windows import ABSENT, cut_windows, join, meeting_windows
from voiceflow_ml.training.teaching import Teaching

BANK = shipped_bank()
CLEAN = SimulationConfig(
    seconds=6.0,
    speaker_weights=(0.0, 0.0, 1.0),
    room_chance=0.0,
    telephone_chance=0.0,
    recorded_noise_chance=0.0,
    snr_db=(60.0, 60.0),
    gain_db=(0.0, 0.0),
)


def test_the_same_seed_gives_the_same_samples_and_another_seed_others() -> None:
    first, again, other = (simulate(BANK, SimulationConfig(seconds=3.0), (1, seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.audio, again.audio)
    np.testing.assert_array_equal(first.activity, again.activity)
    assert not np.array_equal(first.audio, other.audio)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_there_is_energy_where_the_labels_say_speech(seed: int) -> None:
    conversation = simulate(BANK, CLEAN, (seed,))
    frames = conversation.audio.reshape(-1, FRAME_SAMPLES)
    level_db = 10.0 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    active = conversation.activity.any(axis=1)
    if active.any() and not active.all():
        assert np.median(level_db[active]) > np.median(level_db[~active]) + 15.0


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_shape_range_and_never_more_than_two_at_once(seed: int) -> None:
    conversation = simulate(BANK, SimulationConfig(seconds=3.0, overlap_chance=0.9), (seed,))
    assert conversation.audio.shape == (48_000,)
    assert conversation.audio.dtype == np.float32
    assert float(np.abs(conversation.audio).max()) <= 1.0
    assert conversation.activity.shape == (150, len(conversation.speakers))
    assert conversation.activity.sum(axis=1).max(initial=0) <= 2


def test_overlap_happens_when_asked_for_and_not_otherwise() -> None:
    def overlap(chance: float) -> int:
        conversations = (simulate(BANK, replace(CLEAN, overlap_chance=chance), (seed,)) for seed in range(8))
        return sum(int((conversation.activity.sum(axis=1) == 2).sum()) for conversation in conversations)

    assert overlap(0.0) == 0
    assert overlap(0.9) > 50


def test_nobody_speaks_in_a_noise_only_conversation() -> None:
    config = SimulationConfig(seconds=3.0, speaker_weights=(1.0,), silence_chance=0.0)
    conversation = simulate(BANK, config, (0,))
    assert conversation.speakers == ()
    assert conversation.activity.shape == (150, 0)
    assert float(np.abs(conversation.audio).max()) > 0.0
    silent = simulate(BANK, replace(config, silence_chance=1.0), (0,))
    assert not silent.audio.any()
    assert silent.activity.shape == (150, 0)


def test_voices_of_one_group_are_never_mixed() -> None:
    voices = tuple(Voice(f"{voice.speaker}-{n}", voice.group, voice.clips) for voice in BANK.voices for n in range(3))
    bank = SpeechBank(voices, (), "")
    for seed in range(20):
        drawn = bank.draw_voices(np.random.default_rng(seed), 4)
        groups = [voices[index].group for index in drawn]
        assert len(groups) == len(set(groups)) == 2


def test_a_room_starts_with_the_direct_sound_and_decays() -> None:
    response = room_response(np.random.default_rng(0))
    assert response[0] == 1.0
    half = response.size // 2
    assert np.square(response[1:half]).sum() > 10 * np.square(response[half:]).sum()


def test_a_telephone_passes_speech_and_stops_the_rest() -> None:
    low, middle, high = telephone_gain(np.array([50.0, 1_000.0, 7_000.0]))
    assert low < 0.01
    assert middle > 0.95
    assert high < 0.1


def test_noises_have_unit_power() -> None:
    rng = np.random.default_rng(0)
    for noise in (coloured_noise(rng, 20_000), recorded_noise(rng, BANK, 20_000)):
        assert np.square(noise).mean() == pytest.approx(1.0, rel=0.05)
    assert not recorded_noise(rng, SpeechBank(BANK.voices, (), ""), 100).any()


def test_windows_keep_the_three_who_talk_most() -> None:
    activity = np.zeros((300, 4), dtype=bool)
    activity[:100, 2] = True
    activity[100:140, 0] = True
    activity[140:145, 1] = True
    activity[145:150, 3] = True
    activity[150:, 3] = True
    conversation = Conversation(np.arange(96_000, dtype=np.float32), activity, (10, 11, 12, 13), (0, 1, 2, 1))
    windows = cut_windows([conversation], 48_000, speeds=3)
    assert windows.identities.tolist() == [[38, 30, 34], [40, ABSENT, ABSENT]]
    assert windows.activity.sum(axis=1).tolist() == [[100, 40, 5], [150, 0, 0]]
    np.testing.assert_array_equal(windows.audio[1], conversation.audio[48_000:])


def test_conversations_shorter_than_a_window_are_refused() -> None:
    with pytest.raises(ValueError, match="as long as one window"):
        cut_windows([simulate(BANK, SimulationConfig(seconds=1.0), (0,))], 48_000, speeds=5)


def test_a_bank_holds_one_split_only(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    bank = load_bank(data_dir, "train")
    assert [voice.speaker for voice in bank.voices] == [voice.speaker for voice in BANK.voices]
    np.testing.assert_array_equal(bank.voices[0].clips[0], BANK.voices[0].clips[0])
    with pytest.raises(DataError, match="no speaker of the dev split"):
        load_bank(data_dir, "dev")


def test_a_cut_off_shard_is_named(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    shard = data_dir / "shards" / "shipped.i16"
    shard.write_bytes(shard.read_bytes()[:2_000])
    with pytest.raises(DataError, match=r"shipped\.i16: cut off"):
        load_bank(data_dir, "train")
    shard.unlink()
    with pytest.raises(DataError, match=r"shipped\.i16: missing or empty"):
        load_bank(data_dir, "train")


def test_a_voice_played_faster_is_shorter_and_higher() -> None:
    tone = np.sin(2 * np.pi * 400.0 * np.arange(16_000) / 16_000).astype(np.float32)
    fast = play_at(tone, 1.25)
    assert fast.size == 12_800
    assert np.abs(np.fft.rfft(fast)).argmax() * 16_000 / fast.size == pytest.approx(500.0, abs=2.0)
    np.testing.assert_array_equal(play_at(tone, 1.0), tone)


def test_short_pauses_inside_a_turn_are_labelled_as_speech() -> None:
    conversations = [simulate(BANK, CLEAN, (seed,)) for seed in range(6)]
    pauses = []
    for conversation in conversations:
        for column in conversation.activity.T:
            marks = np.flatnonzero(column)
            pauses += [int(gap) - 1 for gap in np.diff(marks) if gap > 1]
    # A pause that was cut into by another turn of the same voice may be shorter; none inside a turn is.
    assert sum(1 for pause in pauses if pause <= 8) <= len(pauses) // 4


def meeting(speakers: int = 3, frames: int = 500) -> Meeting:
    rng = np.random.default_rng(3)
    audio = (rng.standard_normal(frames * FRAME_SAMPLES) * 2_000).astype(np.int16)
    return Meeting("m", audio, rng.random((frames, speakers)) < 0.5)


def test_windows_of_meetings_keep_their_labels_but_no_names() -> None:
    bank = SpeechBank((), (), "", meetings=(meeting(),))
    windows = meeting_windows(bank, np.random.default_rng(0), 48_000, 4)
    assert windows.audio.shape == (4, 48_000)
    assert np.isfinite(windows.audio).all()
    assert (windows.identities == ABSENT).all()
    assert windows.activity.sum(axis=2).max() == 2
    again = meeting_windows(bank, np.random.default_rng(0), 48_000, 4)
    np.testing.assert_array_equal(windows.audio, again.audio)


def test_of_three_who_talk_at_once_the_two_who_talk_most_are_kept() -> None:
    activity = np.zeros((150, 3), dtype=bool)
    activity[:150, 0] = True
    activity[:100, 1] = True
    activity[:50, 2] = True
    only = Meeting("m", np.ones(48_000, dtype=np.int16), activity)
    windows = meeting_windows(SpeechBank((), (), "", meetings=(only,)), np.random.default_rng(0), 48_000, 1)
    assert windows.activity[0].sum(axis=0).tolist() == [150, 100, 0]


def test_meetings_are_laid_over_each_other_only_where_the_labels_can_hold_it() -> None:
    alone = np.zeros((500, 4), dtype=bool)
    alone[:, 0] = True
    pair = np.zeros((500, 4), dtype=bool)
    pair[:, :2] = True
    noise = meeting().audio
    crowded = SpeechBank((), (), "", meetings=(Meeting("m", noise, pair),))
    quiet = SpeechBank((), (), "", meetings=(Meeting("m", noise, alone),))
    rng = np.random.default_rng(0)
    talkers = meeting_windows(quiet, rng, 48_000, 60).activity.any(axis=1).sum(axis=1)
    assert set(talkers) == {1, 2}
    assert 5 <= np.count_nonzero(talkers == 2) <= 35
    assert set(meeting_windows(crowded, rng, 48_000, 20).activity.any(axis=1).sum(axis=1)) == {2}


def test_a_meeting_that_is_played_faster_keeps_its_labels_on_its_sound() -> None:
    # Loud where it is said to talk: at any speed the labels must stay on the loud frames.
    said = np.zeros((600, 1), dtype=bool)
    said[100:300] = said[420:500] = True
    rng = np.random.default_rng(1)
    audio = np.where(np.repeat(said[:, 0], FRAME_SAMPLES), rng.standard_normal(600 * FRAME_SAMPLES) * 8_000, 0.0)
    bank = SpeechBank((), (), "", meetings=(Meeting("m", audio.astype(np.int16), said),))
    windows = meeting_windows(bank, rng, 96_000, 40)
    level = np.sqrt(np.square(windows.audio.reshape(40, 300, FRAME_SAMPLES)).mean(axis=2))
    alone = windows.activity.sum(axis=2) == 1
    assert np.mean(level[alone] > 0.2 * level.max(axis=1, keepdims=True).repeat(300, axis=1)[alone]) > 0.97


def test_one_microphone_colours_every_voice_alike() -> None:
    tone = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    here = [
        apply_channel(tone, np.random.default_rng(seed), room=False, telephone=False, colour=np.random.default_rng(7))
        for seed in (1, 2)
    ]
    np.testing.assert_array_equal(here[0], here[1])
    other = apply_channel(tone, np.random.default_rng(1), room=False, telephone=False)
    assert not np.allclose(here[0], other, atol=1e-3)


def test_what_makes_conversations_harder_leaves_the_others_as_they_were() -> None:
    plain = simulate(BANK, CLEAN, (4,))
    np.testing.assert_array_equal(plain.audio, simulate(BANK, replace(CLEAN, twin_chance=0.0, alike=0.0), (4,)).audio)
    assert not np.array_equal(plain.audio, simulate(BANK, replace(CLEAN, one_microphone_chance=1.0), (4,)).audio)


def test_twins_are_one_voice_at_the_slowest_and_the_fastest_speed() -> None:
    twins = simulate(BANK, replace(CLEAN, twin_chance=1.0), (4,))
    assert twins.speakers[0] == twins.speakers[1]
    assert twins.speeds == (0, len(CLEAN.speeds) - 1)


def test_joined_windows_are_those_of_both() -> None:
    bank = SpeechBank((), (), "", meetings=(meeting(),))
    first = cut_windows([simulate(BANK, CLEAN, (0,))], 48_000, speeds=5)
    second = meeting_windows(bank, np.random.default_rng(0), 48_000, 1)
    both = join(first, second)
    assert both.audio.shape == (3, 48_000)
    np.testing.assert_array_equal(both.identities[2], second.identities[0])


def taught(speakers: tuple[str, ...], targets: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Teaching:
    return Teaching("test", "", (1.0,), speakers, targets[:, None, :].astype(np.float32), {})


def test_voices_that_the_encoder_cannot_tell_apart_are_never_mixed() -> None:
    voices = tuple(Voice(name, "one group", BANK.voices[0].clips) for name in "abc")
    near = np.array([[1.0, 0.0], [0.9, np.sqrt(0.19)], [0.0, 1.0]], dtype=np.float32)
    bank = SpeechBank(voices, (), "", taught(("a", "b", "c"), near))
    seen = {tuple(sorted(bank.draw_voices(np.random.default_rng(seed), 3))) for seed in range(40)}
    assert seen
    assert all(not {0, 1} <= set(drawn) for drawn in seen)
    assert (0, 2) in seen


def test_alike_voices_meet_more_often_where_that_is_asked_for() -> None:
    voices = tuple(Voice(name, name, BANK.voices[0].clips) for name in "abc")
    places = np.array([[1.0, 0.0], [0.4, 0.9165], [-1.0, 0.0]], dtype=np.float32)
    bank = SpeechBank(voices, (), "", taught(("a", "b", "c"), places))

    def near(alike: float) -> float:
        drawn = [bank.draw_voices(np.random.default_rng(seed), 2, alike=alike) for seed in range(300)]
        of_a = [second for first, second in drawn if first == 0]
        return of_a.count(1) / len(of_a)

    assert 0.35 < near(0.0) < 0.65
    assert near(6.0) > 0.95
