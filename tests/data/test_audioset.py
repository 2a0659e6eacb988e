"""Sets of sounds: what is stored comes back, splits, and batches that depend on the step alone."""

from pathlib import Path

import numpy as np
import pytest

from text2x.audio import Audio
from text2x.data.audioset import (
    AudioBatchConfig,
    AudioBatches,
    AudioSet,
    Clip,
    in_memory,
    joined,
    open_sounds,
    save_audio_set,
)
from text2x.data.tones import tones
from text2x.errors import InputError

RATE = 8000


def clip(key: str, group: str = "", **more: str) -> Clip:
    return Clip(key, 0, 1, group or key, **more)


def sounds(count: int = 12, frames: int = 3000) -> list[tuple[Clip, Audio]]:
    rng = np.random.default_rng(0)
    return [
        (clip(f"clip-{k}", text=f"ठीक {k}", licence="CC0"), Audio(rng.uniform(-0.9, 0.9, frames + k), RATE))
        for k in range(count)
    ]


def test_what_is_saved_is_read_again_to_the_last_bit_of_16(tmp_path: Path) -> None:
    given = sounds()
    save_audio_set(tmp_path / "set", "trial", RATE, iter(given))
    again = open_sounds(tmp_path / "set")
    assert (again.name, again.rate, len(again)) == ("trial", RATE, 12)
    assert again.clips[3].text == "ठीक 3" and again.clips[3].licence == "CC0"
    assert again.seconds == pytest.approx(sum(audio.seconds for _, audio in given))
    for index, (_, audio) in enumerate(given):
        assert np.array_equal(again.audio(index).to_int16(), audio.to_int16())
    assert np.array_equal(again.samples(2, 100, 50), again.samples(2)[100:150])
    assert len(again.samples(0, 2900, 500)) == 100, "a part ends where its clip does"


def test_other_rates_and_channels_are_brought_to_those_of_the_set() -> None:
    stereo = Audio(np.stack([np.full(16_000, 0.5), np.full(16_000, 0.1)]), 16_000)
    made = in_memory("trial", RATE, [(clip("a"), stereo)])
    assert made.clips[0].frames == 8000
    assert made.samples(0)[1000:7000] == pytest.approx(0.3, abs=0.001)


def test_sets_are_joined_each_clip_in_its_part_and_one_given_twice_counts_twice() -> None:
    few, many = in_memory("few", RATE, sounds(3)), in_memory("many", RATE, sounds(12, frames=900))
    both = joined([few, many, few])
    assert (both.name, both.rate, len(both)) == ("few+many+few", RATE, 18)
    assert both.seconds == pytest.approx(2 * few.seconds + many.seconds)
    assert len(both.stored) == len(few.stored) + len(many.stored), "samples are kept once"
    for own, index in ((few, 0), (many, 3), (few, 15)):
        for at in range(len(own)):
            assert np.array_equal(both.samples(index + at), own.samples(at))
        for split in ("train", "held-out"):
            inside = [each - index for each in both.split(split) if index <= each < index + len(own)]
            assert inside == own.split(split).tolist()
    with pytest.raises(InputError, match="'few' has 8000 Hz, 'other' has 4000 Hz; prepare them at the same"):
        joined([few, in_memory("other", 4000, sounds(2))])


def test_groups_are_never_in_two_splits_and_adding_clips_moves_none() -> None:
    def groups_of(split: str, count: int) -> set[str]:
        rng = np.random.default_rng(0)
        many = [(clip(f"{k}", f"sentence {k // 2}"), Audio(rng.uniform(-1, 1, 10), RATE)) for k in range(count)]
        made = in_memory("trial", RATE, many)
        return {made.clips[index].group for index in made.split(split)}  # type: ignore[arg-type]

    train, held = groups_of("train", 200), groups_of("held-out", 200)
    assert train and held and not train & held
    assert 3 <= len(held) <= 20
    assert held <= groups_of("held-out", 400)


def test_a_set_of_two_groups_holds_one_out_and_a_set_of_one_trains_on_it() -> None:
    assert [len(in_memory("t", RATE, sounds(2)).split(name)) for name in ("train", "held-out")] == [1, 1]
    alone = in_memory("t", RATE, sounds(1))
    assert len(alone.split("train")) == 1
    with pytest.raises(InputError, match="no clip in 'held-out'"):
        AudioBatches(alone, AudioBatchConfig(split="held-out"))


def test_a_batch_depends_on_its_step_alone() -> None:
    made = in_memory("trial", RATE, sounds())
    config = AudioBatchConfig(batch_size=4, frames=500, seed=3)
    batches, again = AudioBatches(made, config), AudioBatches(made, config)
    later = batches.batch_at(7)
    assert later.samples.shape == (4, 500) and later.step == 7
    again.batch_at(0)
    assert again.batch_at(7).samples.equal(later.samples) and again.batch_at(7).items.equal(later.items)
    assert not batches.batch_at(8).samples.equal(later.samples)


def test_crops_are_parts_of_their_clips_and_every_second_is_as_likely() -> None:
    long = Audio(np.arange(9000) / 32768, RATE)
    short = Audio(-np.ones(1000) / 2, RATE)
    pair = in_memory("t", RATE, [(clip("long"), long), (clip("short"), short)])
    both = AudioSet("t", RATE, pair.clips, pair.stored, {"train": np.array([0, 1]), "held-out": np.array([0])})
    batches = AudioBatches(both, AudioBatchConfig(batch_size=400, frames=500, gain=(0, 0)))
    batch = batches.batch_at(0)
    of_long = batch.samples[batch.items == 0] * 32768
    assert (of_long.diff(dim=1) == 1).all()
    assert 0.85 < len(of_long) / 400 < 0.95
    assert of_long[:, 0].min() < 500 and of_long[:, -1].max() > 8500
    assert batches.epoch_size == 20


def test_a_clip_shorter_than_a_crop_is_filled_up_with_silence() -> None:
    made = in_memory("t", RATE, sounds(4, 100))
    batch = AudioBatches(made, AudioBatchConfig(batch_size=8, frames=300)).batch_at(0)
    assert batch.samples[:, :90].any(dim=1).all() and not batch.samples[:, 110:].any()


def test_gains_lie_in_their_range() -> None:
    made = in_memory("t", RATE, [(clip(str(k)), Audio(np.full(1000, 0.5), RATE)) for k in range(4)])
    loudest = AudioBatches(made, AudioBatchConfig(batch_size=64, frames=100, gain=(-6, 0))).batch_at(0).samples.amax(1)
    assert 0.25 <= loudest.min() < 0.3 and 0.45 < loudest.max() <= 0.5


def test_predicted_mels_lie_beside_their_samples(tmp_path: Path) -> None:
    ramps = [(clip(f"a/{k}"), Audio(np.arange(5000) / 32768, RATE)) for k in range(4)]
    made = in_memory("t", RATE, ramps)
    for k in range(4):
        (tmp_path / "a").mkdir(exist_ok=True)
        np.save(tmp_path / "a" / f"{k}.npy", np.arange(50, dtype=np.float32)[None] * np.ones((3, 1)) + 100 * k)
    config = AudioBatchConfig(batch_size=16, frames=1000, hop=100, predicted=str(tmp_path))
    batch = AudioBatches(made, config).batch_at(0)
    assert batch.mel is not None and batch.mel.shape == (16, 3, 10)
    first = batch.mel[:, 0, 0] % 100
    assert ((batch.samples[:, 0] * 32768).round() == first * 100).all()
    assert ((batch.mel[:, 0, 0] // 100).long() == batch.items).all()


def test_predicted_mels_that_are_missing_or_of_another_length_are_named(tmp_path: Path) -> None:
    made = in_memory("t", RATE, sounds(4))
    batches = AudioBatches(made, AudioBatchConfig(frames=1000, hop=100, predicted=str(tmp_path)))
    with pytest.raises(InputError, match=r"cannot read the predicted mel .*clip-\d\.npy"):
        batches.batch_at(0)
    for k in range(4):
        np.save(tmp_path / f"clip-{k}.npy", np.zeros((3, 7), np.float32))
    with pytest.raises(InputError, match=r"has the shape \[3, 7\]; \[M, 3\d\] belongs"):
        batches.batch_at(0)
    with pytest.raises(InputError, match="1050 must be a multiple of the hop 100"):
        AudioBatchConfig(frames=1050, hop=100, predicted="x")


def test_folders_that_are_no_set_of_sounds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no set of sounds"):
        open_sounds(tmp_path)
    save_audio_set(tmp_path / "set", "trial", RATE, sounds(3))
    (tmp_path / "set" / "samples.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match="is no set of sounds"):
        open_sounds(tmp_path / "set")
    with pytest.raises(InputError, match="has no sound"):
        save_audio_set(tmp_path / "none", "trial", RATE, [])


def test_a_set_of_speech_keeps_its_own_split(tmp_path: Path) -> None:
    from text2x.data import speechset

    rng = np.random.default_rng(0)
    spoken = []
    for i in range(40):
        clip = speechset.Clip(f"k{i}", f"word {i // 2}", "en", "a", ("AH",), (8,), 0, "CC0")
        spoken.append(speechset.Spoken(clip, rng.uniform(-0.5, 0.5, 1280)))
    speechset.write_speech(tmp_path / "speech", spoken, 16_000, 160, {})
    speech, made = speechset.SpeechSet.load(tmp_path / "speech"), open_sounds(tmp_path / "speech")
    assert np.array_equal(made.split("held-out"), speech.split("held-out"))
    assert np.array_equal(made.samples(5) * 32768, speech.samples_of(5))


def test_tones_are_the_same_each_time_and_differ_from_each_other() -> None:
    one, other = tones(4, RATE, 0.2), tones(4, RATE, 0.2)
    assert np.array_equal(one.stored, other.stored)
    assert not np.array_equal(one.samples(0), one.samples(1))
    assert 0.4 < np.abs(one.samples(0)).max() <= 0.6
