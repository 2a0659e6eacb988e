"""What a network is told of where its frames lie: by hand, in batches, in windows, and in loops nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from text2x.audio import Audio
from text2x.conditioning import Conditioning, Prepared
from text2x.data.audioset import Clip, in_memory
from text2x.data.latent_batches import LatentBatchConfig, LatentBatches, crop_frames, latents_of_clips
from text2x.diffusion.denoiser import Denoiser
from text2x.diffusion.parameterizations import XStart
from text2x.diffusion.schedules import Linear
from text2x.guidance_terms import GuidanceTerm
from text2x.sound_diffusion import told_frames
from text2x.sound_places import FAR, PLACES, SCALES, places
from text2x.sound_sampling import Layout, Passage, guided
from tiny_sound_flow import CHANNELS, HOP, RATE, RECIPE, tiny_latent_codec

FRAME = HOP / RATE  # seconds


def test_a_frame_is_told_how_far_it_is_from_both_ends() -> None:
    told = places(torch.tensor([0.0]), torch.tensor([0.25]), 4, 0.1)[0]
    assert told.shape == (PLACES, 4)
    assert told[0].tolist() == [1, 1, 0, 0], "the middle of the third frame, 0.25 s, is the end"
    middles = (0.05, 0.15, 0.25, 0.35)
    for row, scale in enumerate(SCALES):
        assert told[1 + row].tolist() == pytest.approx([math.exp(-each / scale) for each in middles], rel=1e-5)
        ends = [math.exp(-(0.25 - each) / scale) if each < 0.25 else 0 for each in middles]
        assert told[1 + len(SCALES) + row].tolist() == pytest.approx(ends, rel=1e-5)


def test_in_the_middle_of_a_long_sound_only_that_it_is_sound_is_told() -> None:
    told = places(torch.tensor([FAR]), torch.tensor([FAR]), 5, 0.02)[0]
    assert bool((told[0] == 1).all()) and not told[1:].any()


def test_a_batch_says_what_of_a_clip_is_before_and_after_a_crop() -> None:
    codec = tiny_latent_codec()
    config = LatentBatchConfig(batch_size=8, seconds=10 * FRAME)
    sounds = [(Clip(str(k), 0, 0, group=str(k)), Audio(np.full(size, 0.1), RATE)) for k, size in enumerate((96, 3200))]
    clips = in_memory("two", RATE, sounds)
    latents = latents_of_clips(clips, codec, crop_frames(config, codec))
    found = LatentBatches(clips, codec, latents, replace(config, split=_split_of(clips, 1))).batch_at(0)
    whole = found.since + found.left
    assert whole.tolist() == pytest.approx([3200 / RATE] * 8) and len(found.since.unique()) > 3
    assert (found.since >= 0).all() and found.seconds.tolist() == pytest.approx([config.seconds] * 8)
    short = LatentBatches(clips, codec, latents, replace(config, split=_split_of(clips, 0))).batch_at(0)
    assert short.since.tolist() == [0] * 8 and short.left.tolist() == pytest.approx([96 / RATE] * 8)
    assert short.seconds.tolist() == short.left.tolist()


def _split_of(clips, index: int):
    return next(name for name in ("train", "held-out") if index in clips.split(name))


class Channels:
    """A network that estimates one of the channels beside x."""

    def __init__(self, row: int) -> None:
        self.row = row

    def prepare(self, conditioning: Conditioning) -> Prepared:
        return Prepared(conditioning.vector, (), None, None)

    def __call__(self, x: Tensor, t: Tensor, conditioning: Prepared) -> Tensor:
        """[B, Z, S]."""
        if conditioning.channels is None:
            return torch.zeros_like(x)
        return conditioning.channels[:, self.row][:, None].expand_as(x)


def estimated(row: int, frames: int, seconds: float, loop: bool = False) -> list[float]:
    """What the network is told in one channel, over windows of 50 frames of a sound."""
    layout = Layout(frames, 50, 25, loop)
    conditioning = Conditioning(vector=torch.zeros(2, 1))
    denoiser = Denoiser(Channels(row), Linear(), XStart())
    passage = Passage(layout, 0, "euler", 1, seconds=seconds)
    denoise = guided(RECIPE, denoiser, conditioning, (GuidanceTerm("cfg", 1.0, (0.0, 1.0)),), passage)
    return denoise(torch.zeros(1, CHANNELS, frames), torch.full((1,), 0.5))[0, 0].tolist()


def test_windows_over_a_long_sound_are_told_the_places_of_the_whole() -> None:
    first = CHANNELS + 1
    for row in range(PLACES):
        whole = places(torch.zeros(1), torch.tensor([100.5 * FRAME]), 120, FRAME)[0, row].tolist()
        assert estimated(first + row, 120, 100.5 * FRAME) == pytest.approx(whole, abs=1e-5)


def test_a_loop_is_told_nothing_and_a_long_one_that_it_is_sound() -> None:
    first = CHANNELS + 1
    assert not any(estimated(first + row, 40, 40 * FRAME, loop=True)[0] for row in range(PLACES))
    assert estimated(first, 90, 90 * FRAME, loop=True) == [1.0] * 90
    assert not any(estimated(first + 1, 90, 90 * FRAME, loop=True))


def test_known_frames_and_places_lie_beside_each_other() -> None:
    known, around = torch.randn(1, CHANNELS + 1, 6), (torch.zeros(1), torch.ones(1))
    told = told_frames(RECIPE, known, around, 6)
    assert told is not None and torch.equal(told[:, : CHANNELS + 1], known)
    assert torch.equal(told[:, CHANNELS + 1 :], places(*around, 6, FRAME))
    of_loop = told_frames(RECIPE, known, None, 6)
    assert of_loop is not None and not of_loop[:, CHANNELS + 1 :].any()
    alone = told_frames(RECIPE, None, around, 6)
    assert alone is not None and not alone[:, : CHANNELS + 1].any() and alone.shape[1] == CHANNELS + 1 + PLACES
    assert told_frames(RECIPE, None, None, 6) is None
    assert told_frames(replace(RECIPE, places=False), known, around, 6) is known
