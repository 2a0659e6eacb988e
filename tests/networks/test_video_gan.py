"""The GAN of clips: its path of motion, loops, what the judges see. Oracles are closed forms and identities."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from text2x.errors import InputError
from text2x.networks.gan import GANConfig
from text2x.networks.video_gan import (
    VideoGAN,
    VideoGANConfig,
    draw_motion,
    draw_places,
    harmonics,
    picked,
    shown,
)

IMAGE = GANConfig(
    size=16, noise_width=8, vector_width=6, text_width=8, generator_widths=(32, 16), discriminator_widths=(32, 16)
)
CONFIG = VideoGANConfig(IMAGE, frames=8, motion_noise=5, motion_width=8)


def built() -> VideoGAN:
    torch.manual_seed(0)
    return VideoGAN(CONFIG).eval()


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def given(count: int) -> tuple[Tensor, Tensor, Tensor]:
    noise, vector = torch.randn(count, 8, generator=rng(2)), torch.randn(count, 6, generator=rng(3))
    return noise, draw_motion(count, CONFIG, rng(4)), vector


def turned(motion: Tensor, angle: float) -> Tensor:
    """The same path begun further along the circle."""
    order = torch.arange(1, motion.shape[1] + 1)[None, :, None]
    first, second = motion.unbind(2)
    cos, sin = (order * angle).cos(), (order * angle).sin()
    return torch.stack([cos * first + sin * second, cos * second - sin * first], dim=2)


def test_a_path_of_one_harmonic_is_a_circle_of_unit_variance() -> None:
    motion = torch.eye(2)[None, None]  # cosine in the first number, sine in the second
    angles = torch.linspace(0, 2 * math.pi, 9)[None]
    made = harmonics(motion, angles)
    torch.testing.assert_close(made, torch.stack([angles.cos(), angles.sin()], dim=2))
    many = harmonics(torch.randn(4000, 4, 2, 3, generator=rng()), torch.rand(4000, 5, generator=rng()) * 6)
    assert abs(float(many.var()) - 1) < 0.05


@torch.no_grad()
def test_a_loop_begun_later_is_the_same_loop_rolled() -> None:
    network, (noise, motion, vector) = built(), given(2)
    loops = torch.tensor([True, True])
    made = network(noise, motion, vector, 6, loops)
    later = network(noise, turned(motion, 2 * math.pi / 6), vector, 6, loops)
    torch.testing.assert_close(later, made.roll(-1, 2), atol=1e-4, rtol=1e-4)
    assert (made[:, :, 0] - made[:, :, 3]).abs().max() > 1e-3


@torch.no_grad()
def test_the_seam_of_a_loop_is_a_step_like_the_others_and_that_of_another_clip_is_not() -> None:
    network, (noise, motion, vector) = built(), given(16)
    for loops, closes in ((True, True), (False, False)):
        made = network(noise, motion, vector, 8, torch.full((16,), loops))
        steps = (made - made.roll(1, 2)).square().mean((1, 3, 4))  # [B, T]: first is the seam
        ratio = float((steps[:, 0] / steps[:, 1:].mean(1)).median())
        assert (ratio < 2) == closes, ratio


@torch.no_grad()
def test_frames_of_a_clip_do_not_depend_on_how_many_there_are_unless_it_loops() -> None:
    network, (noise, motion, vector) = built(), given(1)
    short, long = (network(noise, motion, vector, frames, torch.tensor([False])) for frames in (4, 12))
    torch.testing.assert_close(short, long[:, :, :4], atol=1e-5, rtol=1e-5)
    single = network(noise, motion, vector, 1, torch.tensor([True]))
    assert single.shape == (1, 4, 1, 16, 16)


@torch.no_grad()
def test_motion_content_and_words_each_change_the_clip() -> None:
    network, (noise, motion, vector) = built(), given(1)
    plain = network(noise, motion, vector, 4, torch.tensor([True]))
    for changed in ((-noise, motion, vector), (noise, -motion, vector), (noise, motion, -vector)):
        assert (network(*changed, 4, torch.tensor([True])) - plain).abs().max() > 1e-3
    still = network(noise, torch.zeros_like(motion), vector, 4, torch.tensor([True]))
    torch.testing.assert_close(still, still[:, :, :1].expand_as(still), atol=1e-5, rtol=1e-5)


def test_shown_clips_are_premultiplied_pictures() -> None:
    clip = shown(3 * torch.randn(2, 4, 3, 8, 8, generator=rng()))
    assert clip.abs().max() <= 1 and (clip[:, :3] <= clip[:, 3:]).all()


def test_places_are_distinct_and_told_as_what_lies_between_them() -> None:
    loops = torch.tensor([True, False] * 50)
    places, told = draw_places(8, loops, 3, rng())
    assert all(len(set(row)) == 3 for row in places.tolist())
    assert (places[~loops].diff(dim=1) > 0).all() and (places[loops].diff(dim=1) < 0).any()
    assert torch.equal((places.diff(dim=1) % 8) / 8, told[:, :2]) and torch.equal(told[:, 2] > 0, loops)
    with pytest.raises(InputError, match="2 frames are too few: the discriminator sees 3"):
        draw_places(2, loops, 3, rng())


def test_picked_frames_are_channels_in_order() -> None:
    clips = torch.arange(2 * 4 * 5).float().reshape(2, 4, 5, 1, 1)
    made = picked(clips, torch.tensor([[0, 4], [3, 1]]))
    assert torch.equal(made[1].flatten(), torch.cat([clips[1, :, 3], clips[1, :, 1]]).flatten())


def test_each_network_learns_from_each_of_its_inputs() -> None:
    network, (noise, motion, vector) = built(), given(2)
    for judge in (network.of_frames, network.of_clips):
        for each in judge.blocks:
            each.weight.data.fill_(0.5)  # begins at 0
    clips = network(noise, motion, vector, 4, torch.tensor([True, False]))
    places, told = draw_places(4, torch.tensor([True, False]), 3, rng())
    told = told.requires_grad_()
    total = network.of_clips(picked(clips, places), vector, told).sum()
    (total + network.of_frames(clips[:, :, 0], vector).sum()).backward()
    lacking = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    assert not lacking and told.grad is not None and told.grad.any()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(CONFIG, seen=9), "seen is 9; the discriminator sees 2 to 8 frames"),
        (replace(CONFIG, harmonics=0), "harmonics is 0"),
        (replace(CONFIG, image=replace(IMAGE, size=32, generator_widths=(8,) * 3, discriminator_widths=(8,) * 3,
                                       discriminator="frozen")), "image.discriminator is 'frozen'"),
    ],
)  # fmt: skip
def test_shapes_that_are_none_are_refused(config: VideoGANConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        VideoGAN(config)
