"""Clips made larger by a network that mixes frames: merged windows, one noise for all frames, loops, seeds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from text2x.clip_conditioning import TOLD
from text2x.conditioning import Conditioning
from text2x.data.clip_batches import ClipBatchConfig
from text2x.diffusion.denoiser import Denoiser
from text2x.diffusion.parameterizations import PARAMETERIZATIONS
from text2x.networks.unet import UNetConfig
from text2x.networks.video_unet import VideoUNet, VideoUNetConfig
from text2x.recipe import LowResolution
from text2x.training_config import TrainingConfig
from text2x.video_recipe import VideoUpsamplerRecipe
from text2x.video_sampling import circular_windows, merged
from text2x.video_upsampling import ClipUpsampler, clip_condition, small_clips

WINDOW = 8
IMAGE = UNetConfig(width=8, multipliers=(1, 2), attention_levels=(), extra_channels=9, vector_width=1)
RECIPE = VideoUpsamplerRecipe(
    "larger", "Noise that grows.", 8,
    VideoUNetConfig(IMAGE, convolution="inflated", attention_levels=(), bottom_attention=False),
    ClipBatchConfig(frames=WINDOW, size=8), TrainingConfig(steps=1), LowResolution(factor=2, sampling_noise=0.1),
)  # fmt: skip


@pytest.fixture(scope="module")
def upsampler() -> ClipUpsampler:
    """One of random weights."""
    torch.manual_seed(0)
    network = VideoUNet(RECIPE.network)
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    denoiser = Denoiser(network.eval().requires_grad_(False), RECIPE.schedule, PARAMETERIZATIONS["x_0"])
    return ClipUpsampler(RECIPE, denoiser)


@torch.inference_mode()
def enlarged(upsampler: ClipUpsampler, frames: Tensor, seed: int = 1, loop: bool = False) -> Tensor:
    return upsampler(frames, seed, 12.0, 5.0, loop)


def clip(frames: int) -> Tensor:
    return torch.rand(frames, 4, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_clip_of_any_length_is_twice_as_large_and_depends_on_its_seed(upsampler: ClipUpsampler) -> None:
    for frames in (2, WINDOW, 20):
        made = enlarged(upsampler, clip(frames))
        assert made.shape == (frames, 4, 8, 8) and made.std() > 0.01
        assert torch.equal(made, enlarged(upsampler, clip(frames)))
        assert not torch.equal(made, enlarged(upsampler, clip(frames), seed=2))


def test_frames_are_mixed_within_a_window_and_hardly_beyond(upsampler: ClipUpsampler) -> None:
    changed = clip(20)
    changed[0] = -changed[0]
    apart = (enlarged(upsampler, clip(20)) - enlarged(upsampler, changed)).abs().amax((1, 2, 3))
    assert (apart[:4] > 0).all()  # a picture's upsampler would change the first frame alone
    assert apart[-4:].max() < 1e-4 * apart[:4].max()  # what windows share carries it on, a little further each step


def test_still_frames_have_the_same_noise_and_so_come_out_alike() -> None:
    torch.manual_seed(0)
    network = VideoUNet(RECIPE.network).eval()  # whose layers over time say nothing yet
    for name, parameter in network.named_parameters():
        if name.startswith("image."):
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    fresh = ClipUpsampler(RECIPE, Denoiser(network, RECIPE.schedule, PARAMETERIZATIONS["x_0"]))
    made = enlarged(fresh, clip(1).expand(20, -1, -1, -1))
    assert (made - made[:1]).abs().max() < 1e-4 < made.std()


def test_a_frame_that_two_windows_share_is_the_mean_of_what_both_say() -> None:
    parts = [(slice(0, 3), lambda x, t: x * 0 + 1.0), (slice(2, 5), lambda x, t: x * 0 + 4.0)]
    made = merged(parts)(torch.randn(1, 4, 5, 2, 2), torch.ones(1))
    assert made[0, 0, :, 0, 0].tolist() == [1, 1, 2.5, 4, 4]
    places = [(torch.tensor([3, 0]), lambda x, t: x), (torch.tensor([1, 2]), lambda x, t: -x)]
    x = torch.randn(1, 4, 4, 2, 2)
    assert torch.equal(merged(places)(x, torch.ones(1)), x * torch.tensor([1.0, -1, -1, 1])[:, None, None])


def test_windows_around_a_loop_overlap_and_have_no_seam(upsampler: ClipUpsampler) -> None:
    for total in (9, 12, 20, 31):
        found = circular_windows(total, WINDOW)
        assert {int(place) for each in found for place in each} == set(range(total))
        assert all(len(set(each.tolist())) == WINDOW for each in found)
        for one, other in zip(found, [*found[1:], found[0]], strict=True):
            assert set(one.tolist()) & set(other.tolist())  # the last overlaps the first too
    rolled = enlarged(upsampler, clip(12).roll(6, 0), loop=True)  # two windows of 12, six frames apart
    torch.testing.assert_close(rolled, enlarged(upsampler, clip(12), loop=True).roll(6, 0), atol=1e-4, rtol=1e-4)


def test_a_loop_of_one_window_rolls_with_its_frames(upsampler: ClipUpsampler) -> None:
    made = [enlarged(upsampler, clip(WINDOW).roll(shift, 0), loop=True).roll(-shift, 0) for shift in (0, 3)]
    torch.testing.assert_close(made[0], made[1], atol=1e-4, rtol=1e-4)


def test_each_frame_is_told_as_an_upsampler_of_pictures_is_and_noise_is_that_of_all_frames() -> None:
    small, noise = torch.randn(2, 4, 3, 4, 4), torch.randn(2, 4, 1, 4, 4)
    level = torch.tensor([0.0, 0.6])
    told: Conditioning = clip_condition(small, level, noise, torch.zeros(2, TOLD), 2)
    assert told.channels is not None and told.vector is not None
    assert told.channels.shape == (2, 9, 3, 8, 8) and told.vector.shape == (2, 1 + TOLD)
    assert torch.equal(told.vector[:, 0], level) and not told.channels[:, 4:].any()
    large = torch.nn.functional.interpolate(small[0].transpose(0, 1), scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(told.channels[0, :4].transpose(0, 1), large)
    noised = told.channels[1, :4, :, 0, 0] - 0.8 * small[1, :, :, 0, 0]  # corners are not interpolated
    torch.testing.assert_close(noised, (0.6 * noise[1, :, :, 0, 0]).expand(-1, 3), atol=1e-5, rtol=1e-5)
    assert small_clips(torch.ones(1, 4, 3, 8, 8), 2).shape == (1, 4, 3, 4, 4)


def test_the_network_grows_out_of_an_upsampler_of_pictures_without_change() -> None:
    torch.manual_seed(0)
    network = VideoUNet(RECIPE.network).eval()
    small, noise = torch.randn(1, 4, 3, 4, 4), torch.randn(1, 4, 1, 4, 4)
    told = clip_condition(small, torch.ones(1), noise, torch.zeros(1, TOLD), 2)
    x, t = torch.randn(1, 4, 3, 8, 8), torch.full((1,), 0.5)
    assert told.channels is not None and told.vector is not None
    alone = Conditioning(vector=told.vector[:, :1].expand(3, -1), channels=told.channels[0].transpose(0, 1))
    with torch.no_grad():
        frames = network.image(x[0].transpose(0, 1), t.expand(3), alone)
        torch.testing.assert_close(network(x, t, told)[0].transpose(0, 1), frames, atol=1e-5, rtol=1e-5)
