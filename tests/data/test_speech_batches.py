from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from text2x.data.speech_batches import SpeechBatchConfig, SpeechBatches
from text2x.data.speechset import SpeechSet
from text2x.data.tone_speech import tone_speech
from text2x.errors import InputError


@pytest.fixture(scope="module")
def speech() -> SpeechSet:
    return tone_speech(40)


def same(a: object, b: object) -> bool:
    fields = vars(a)
    return all(
        torch.equal(value, vars(b)[name]) if isinstance(value, torch.Tensor) else value == vars(b)[name]
        for name, value in fields.items()
    )


def test_a_step_gives_the_same_batch_on_every_call_and_in_every_object(speech: SpeechSet):
    config = SpeechBatchConfig(batch_size=5, join=0.5, seed=3)
    first, second = SpeechBatches(speech, config), SpeechBatches(speech, config)
    later = first.batch_at(9)
    first.batch_at(2)
    assert same(first.batch_at(9), later) and same(second.batch_at(9), later)
    assert not same(SpeechBatches(speech, replace(config, seed=4)).batch_at(9), later)


def test_every_clip_of_the_part_is_seen_as_often():
    speech = tone_speech(12)
    batches = SpeechBatches(speech, SpeechBatchConfig(batch_size=4))
    steps = 16 * batches.epoch_size  # whole buckets of 16 batches, and whole epochs
    seen = np.concatenate([batches.batch_at(step).items.numpy() for step in range(steps)])
    counts = np.bincount(seen, minlength=len(speech))
    assert counts[speech.split("train")].tolist() == [64] * batches.epoch_size
    assert not counts[speech.split("held-out")].any()


def test_an_item_is_its_clip_with_zeros_behind(speech: SpeechSet):
    batch = SpeechBatches(speech, SpeechBatchConfig(batch_size=6)).batch_at(0)
    assert batch.durations is not None and batch.pitch is not None
    for row, index in enumerate(batch.items.tolist()):
        clip = speech.clips[index]
        count, frames = int(batch.phone_counts[row]), int(batch.frame_counts[row])
        assert [speech.phones[place] for place in batch.phones[row, :count].tolist()] == list(clip.phones)
        assert batch.durations[row, :count].tolist() == list(clip.durations or ())
        assert int(batch.durations[row].sum()) == frames == clip.samples // speech.hop
        sound = batch.samples[row].numpy()
        assert np.array_equal(sound[: clip.samples], speech.samples_of(index).astype(np.float32) / 32768)
        assert not sound[clip.samples :].any() and not batch.phones[row, count:].any()
        pitch = speech.phone_pitch_of(index)
        assert np.allclose(batch.pitch[row, :count].exp().numpy()[pitch > 0], pitch[pitch > 0], rtol=1e-4)
        assert not batch.pitch[row, :count].numpy()[pitch == 0].any()
        assert speech.speakers[int(batch.speakers[row])] == clip.speaker


def test_clips_of_like_length_go_together(speech: SpeechSet):
    def padding(batches: SpeechBatches) -> float:
        found = [batches.batch_at(step).frame_counts.float() for step in range(16)]
        return float(np.mean([1 - float(counts.mean() / counts.max()) for counts in found]))

    lengths = np.array([clip.samples for clip in speech.clips], dtype=float)
    at_random = np.mean(
        [1 - (drawn := np.random.default_rng(n).choice(lengths, 8)).mean() / drawn.max() for n in range(50)]
    )
    assert padding(SpeechBatches(speech, SpeechBatchConfig(batch_size=8))) < 0.5 * at_random


def test_joined_clips_are_of_one_voice_and_their_durations_fill_the_sound(speech: SpeechSet):
    batches = SpeechBatches(speech, SpeechBatchConfig(batch_size=8, join=1.0, pause=(0.2, 0.2)))
    batch = batches.batch_at(1)
    assert batch.durations is not None
    assert batch.durations.sum(1).tolist() == batch.frame_counts.tolist()
    silent = [speech.phones.index(each) for each in ("sil", ".")]
    texts = {clip.text: clip.speaker for clip in speech.clips}
    for row, text in enumerate(batch.texts):
        parts = [part + "." for part in text.removesuffix(".").split(". ")]
        assert 2 <= len(parts) <= 3
        assert all(speech.speakers.index(texts[part]) == int(batch.speakers[row]) for part in parts)
        inner = batch.phones[row, 1 : int(batch.phone_counts[row]) - 1].tolist()
        pauses = [place + 1 for place, phone in enumerate(inner) if phone in silent]
        assert len(pauses) == len(parts) - 1
        assert all(int(batch.durations[row, place]) >= 0.2 * speech.rate / speech.hop for place in pauses)


def test_the_silence_between_joined_clips_is_that_of_the_clip_before():
    from text2x.data.speech_batches import _quiet

    sound = np.arange(1, 9, dtype=np.int16)
    assert _quiet(sound, 12).tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 1, 2, 3, 4]
    assert _quiet(sound[:1], 3).tolist() == [0, 0, 0]


def test_lengths_that_are_given_are_kept_and_longer_clips_left_out(speech: SpeechSet):
    config = SpeechBatchConfig(batch_size=4, phones=14, frames=110, join=0.5)
    batches = SpeechBatches(speech, config)
    for step in range(4):
        batch = batches.batch_at(step)
        assert batch.phones.shape == (4, 14) and batch.samples.shape == (4, 110 * speech.hop)
        assert batch.frame_pitch.shape == (4, 110)
    assert 0 < batches.epoch_size < len(speech.split("train"))
    with pytest.raises(InputError, match="no clip left in 'train'"):
        SpeechBatches(speech, SpeechBatchConfig(frames=5))


def test_one_voice_can_be_chosen_and_an_unknown_one_is_named(speech: SpeechSet):
    batch = SpeechBatches(speech, SpeechBatchConfig(batch_size=8, speakers=("low",))).batch_at(0)
    assert {speech.speakers[place] for place in batch.speakers.tolist()} == {"low"}
    with pytest.raises(InputError, match="no speaker 'high!'; it has low, high"):
        SpeechBatches(speech, SpeechBatchConfig(speakers=("high!",)))


def test_measuring_goes_through_all_clips_once(speech: SpeechSet):
    batches = list(SpeechBatches(speech, SpeechBatchConfig(batch_size=7, join=1.0)).in_order())
    items = torch.cat([batch.items for batch in batches]).tolist()
    assert sorted(items) == speech.split("train").tolist()
    lengths = [count for batch in batches for count in batch.frame_counts.tolist()]
    assert lengths == sorted(lengths)


def test_without_timing_there_are_no_durations_and_no_pitch_of_phones(speech: SpeechSet):
    clips = [replace(clip, durations=None) for clip in speech.clips]
    untimed = SpeechSet("x", clips, speech.audio, speech.pitch, speech.rate, speech.hop)
    batch = SpeechBatches(untimed, SpeechBatchConfig(batch_size=4, join=1.0)).batch_at(0)
    assert not untimed.aligned and batch.durations is None and batch.pitch is None
    assert bool((batch.frame_pitch > 0).any())
    with pytest.raises(InputError, match="have no durations"):
        untimed.phone_pitch_of(0)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"join": 1.5}, {"pause": (0.5, 0.2)}, {"frames": 0}])
def test_senseless_settings_are_refused(wrong: dict[str, object]):
    with pytest.raises(InputError):
        SpeechBatchConfig(**wrong)  # pyright: ignore
