"""Batches of latents: the same each time, loops whose end leads into their beginning, seconds of sound, mixtures."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.audio import Audio
from text2x.audio_codecs import decode_circular, encode_circular
from text2x.data.audioset import AudioSet, Clip, in_memory
from text2x.data.latent_batches import LatentBatchConfig, LatentBatches, latents_of_clips, looped
from text2x.errors import InputError
from tiny_sound_flow import CHANNELS, HOP, RATE, tiny_latent_codec
from tiny_sounds import tone

CODEC = tiny_latent_codec()


@pytest.fixture(scope="module")
def clips() -> AudioSet:
    sounds = [
        (Clip(str(n), 0, 0, group=str(n), text=f"sound {n}", captions=(f"noise {n}",)), tone(0.1 * (n + 1), 200.0 + n))
        for n in range(8)
    ]
    return in_memory("few", RATE, sounds)


def batches(clips: AudioSet, **fields: object) -> LatentBatches:
    config = LatentBatchConfig(batch_size=6, seconds=0.24, **fields)  # type: ignore[arg-type]
    return LatentBatches(clips, CODEC, latents_of_clips(clips, CODEC, 60), config)


def test_a_batch_is_the_same_on_every_call_and_has_the_latents_of_its_clips(clips: AudioSet) -> None:
    made = batches(clips)
    one, again = made.batch_at(3), made.batch_at(3)
    assert torch.equal(one.latents, again.latents) and one.captions == again.captions
    assert one.latents.shape == (6, CHANNELS, 60) and one.latents.dtype == torch.float32
    assert not torch.equal(one.latents, made.batch_at(4).latents)
    assert {caption.split()[0] for step in range(6) for caption in made.batch_at(step).captions} == {"sound", "noise"}


def test_the_seconds_are_those_of_sound_before_silence(clips: AudioSet) -> None:
    made = batches(clips)
    for step in range(4):
        batch = made.batch_at(step)
        for caption, seconds in zip(batch.captions, batch.seconds.tolist(), strict=True):
            whole = 0.1 * (int(caption.split()[1]) + 1)
            assert seconds == pytest.approx(whole) if whole < 0.24 else 0 < seconds <= 0.24


def test_a_share_of_batches_is_of_loops_of_any_length(clips: AudioSet) -> None:
    every = [batches(clips, loops=0.5).batch_at(step) for step in range(20)]
    assert 3 < sum(each.loop for each in every) < 17
    lengths = {each.latents.shape[2] for each in every if each.loop}
    assert len(lengths) > 3 and min(lengths) >= 15 and max(lengths) <= 60
    loop = next(each for each in every if each.loop)
    assert loop.seconds.tolist() == pytest.approx([loop.latents.shape[2] * HOP / RATE] * 6)


def test_mixtures_join_their_captions(clips: AudioSet) -> None:
    captions = [each for step in range(4) for each in batches(clips, mix=1.0).batch_at(step).captions]
    assert any(" and " in each for each in captions)


def test_latents_are_kept_for_the_next_time_and_belong_to_one_codec(clips: AudioSet, tmp_path: Path) -> None:
    first = latents_of_clips(clips, CODEC, 60, tmp_path)
    files = list(tmp_path.glob("latents-*.safetensors"))
    kept = latents_of_clips(clips, CODEC, 60, tmp_path)
    assert len(files) == 1 and np.array_equal(first.frames, kept.frames)
    latents_of_clips(clips, dataclasses.replace(CODEC, scale=(1.0, 1.0, 1.0)), 60, tmp_path)
    assert len(list(tmp_path.glob("latents-*.safetensors"))) == 2


def test_a_loop_is_made_of_what_follows_it() -> None:
    wave = tone(1.0, 7.3).samples[0]
    loop = looped(wave[:5000], 4000)
    assert len(loop) == 4000 and np.array_equal(loop[1000:], wave[1000:4000])
    assert abs(loop[0] - loop[-1]) <= 1.05 * np.abs(np.diff(wave)).max() < abs(wave[0] - wave[3999])
    assert np.array_equal(looped(wave[:300], 400), np.pad(wave[:300], (0, 100)))  # silence leads into any beginning


def test_latents_of_a_loop_do_not_depend_on_where_it_begins() -> None:
    sound = tone(0.4, 220.0).tensor()[None]
    latents = encode_circular(CODEC, sound)
    assert latents.shape == (1, CHANNELS, 100)
    torch.testing.assert_close(
        encode_circular(CODEC, sound.roll(9 * HOP, -1)), latents.roll(9, -1), atol=1e-5, rtol=1e-5
    )
    back = decode_circular(CODEC, latents)
    torch.testing.assert_close(
        decode_circular(CODEC, latents.roll(9, -1)), back.roll(9 * HOP, -1), atol=1e-5, rtol=1e-5
    )
    middle = CODEC.decode(latents)[..., 20 * HOP : 80 * HOP]
    torch.testing.assert_close(back[..., 20 * HOP : 80 * HOP], middle, atol=1e-5, rtol=1e-5)
    short = decode_circular(CODEC, latents[..., :3])  # shorter than what a sample depends on
    assert short.shape == (1, 1, 3 * HOP)
    with pytest.raises(InputError, match="a loop has 3199 samples; it must be a multiple of 32"):
        encode_circular(CODEC, sound[..., :-1])


def test_shares_and_seconds_out_of_range_are_refused(clips: AudioSet) -> None:
    with pytest.raises(InputError, match=r"data.loops 2"):
        LatentBatchConfig(loops=2)
    with pytest.raises(InputError, match="seconds 100"):
        LatentBatchConfig(seconds=100)
    alone = in_memory("one", RATE, [(Clip("a", 0, 0, group="a"), Audio(np.zeros(800), RATE))])
    config = LatentBatchConfig(split="held-out", seconds=0.24)
    with pytest.raises(InputError, match="has no clip in 'held-out'"):
        LatentBatches(alone, CODEC, latents_of_clips(alone, CODEC, 60), config)
