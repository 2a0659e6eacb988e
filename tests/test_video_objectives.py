"""The loss of clips: masks of known frames, shared noise, what is told, and a step that its batch and seed decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from text2x.conditioning import Conditioning
from text2x.data.clip_batches import ClipBatch, ClipBatchConfig, ClipBatches
from text2x.data.moving_shapes import moving_shapes
from text2x.diffusion.denoiser import Denoiser
from text2x.diffusion.parameterizations import PARAMETERIZATIONS
from text2x.diffusion.schedules import Linear
from text2x.errors import InputError
from text2x.networks.unet import UNetConfig
from text2x.networks.video_unet import VideoUNet, VideoUNetConfig
from text2x.video_objectives import KNOWN, VideoDenoising, clip_noise, draw_known, first_frames, known_frames
from text2x.video_recipe import VideoDenoisingConfig

pytestmark = pytest.mark.medium

CLIPS = moving_shapes(8)
DATA = ClipBatchConfig(batch_size=4, frames=6, size=8, strides=(1,))
SHAPE = UNetConfig(width=16, multipliers=(1, 2), attention_levels=(), extra_channels=5, vector_width=4)


class Words:
    """A conditioner of four numbers a caption."""

    def __call__(self, prompts: object, styles: object = None) -> Conditioning:
        rows = [[float(len(each)), float(bool(each)), 0.0, 1.0] for each in prompts]  # type: ignore[attr-defined]
        return Conditioning(vector=torch.tensor(rows) / 10)


def objective(config: VideoDenoisingConfig, network: VideoUNet | None = None) -> VideoDenoising:
    torch.manual_seed(0)
    network = network or VideoUNet(VideoUNetConfig(SHAPE, attention_levels=(), head_width=16))
    return VideoDenoising(Denoiser(network, Linear(), PARAMETERIZATIONS["x_0"]), Words(), config)  # type: ignore[arg-type]


def batch(step: int = 0, **changed: object) -> ClipBatch:
    return ClipBatches(CLIPS, replace(DATA, **changed)).batch_at(step)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_each_way_of_knowing_frames_leaves_some_unknown(name: str) -> None:
    rng = torch.Generator().manual_seed(1)
    for frames in (6, 16):
        rows = torch.stack([KNOWN[name](frames, rng) for _ in range(40)])
        assert rows.any(1).all() and not rows.all(1).any()
    known = {"first": [0], "last": [7], "ends": [0, 7]}
    if name in known:
        assert KNOWN[name](8, rng).nonzero().flatten().tolist() == known[name]


def test_masks_come_in_the_shares_that_are_asked_for() -> None:
    rng = torch.Generator().manual_seed(0)
    config = VideoDenoisingConfig(known=(("first", 0.25), ("region", 0.25)))
    drawn = [draw_known(config, (2, 6, 8), rng) for _ in range(400)]
    first = sum(each is not None and bool(each[:, :, 0].all() and not each[:, :, 1:].any()) for each in drawn)
    none = sum(each is None for each in drawn)
    assert abs(first - 100) < 40 and abs(none - 200) < 50
    regions = [each for each in drawn if each is not None and each[:, :, 1:].any()]
    assert regions and all(torch.equal(each, each[:, :, :1].expand_as(each)) for each in regions[:9])
    with pytest.raises(InputError, match="objective.known names 'middle'"):
        objective(VideoDenoisingConfig(known=(("middle", 0.1),)))


def test_shared_noise_has_unit_variance_and_the_correlation_that_is_asked_for() -> None:
    like = torch.empty(8, 4, 6, 16, 16)
    rngs = [torch.Generator().manual_seed(seed) for seed in range(8)]
    noise = clip_noise(like, rngs, shared=0.5)
    assert abs(float(noise.var()) - 1) < 0.05
    assert abs(float((noise[:, :, 0] * noise[:, :, 3]).mean()) - 0.5) < 0.05
    alone = clip_noise(like[:1], [torch.Generator().manual_seed(0)], shared=0.5)
    assert torch.equal(alone[0], noise[0])
    picture = clip_noise(like[:1, :, :1], [torch.Generator().manual_seed(0)], shared=0.5)
    assert torch.equal(picture, torch.randn(1, 4, 1, 16, 16, generator=torch.Generator().manual_seed(0)))


def test_channels_hold_what_is_known_and_where() -> None:
    videos, keep = torch.randn(1, 4, 3, 2, 2), torch.zeros(1, 1, 3, 2, 2)
    keep[:, :, 0] = 1
    channels = known_frames(videos, keep)
    assert torch.equal(channels[:, :4, 0], videos[:, :, 0]) and not channels[:, :, 1:].any()
    assert not known_frames(videos, None).any()
    told = first_frames(videos, torch.tensor([1.0]))
    assert torch.equal(told[:, :4, 2], videos[:, :, 0]) and bool((told[:, 4] == 1).all())
    assert not first_frames(videos, torch.tensor([0.0])).any()


def test_a_step_depends_on_its_batch_and_seed_alone() -> None:
    one = objective(VideoDenoisingConfig(shared_noise=0.5))
    with torch.no_grad():
        for parameter in one.denoiser.network.parameters():  # type: ignore[attr-defined]
            parameter.add_(torch.randn_like(parameter), alpha=0.02)  # a fresh one gives 0, whatever the noise
    losses = [one(batch(), torch.Generator().manual_seed(seed))["loss"].item() for seed in (3, 4, 3)]
    assert losses[0] == losses[2] != losses[1]


def test_a_few_steps_lower_the_held_out_loss() -> None:
    trained = objective(VideoDenoisingConfig())
    network = trained.denoiser.network
    assert isinstance(network, VideoUNet)
    held = [batch(9)]
    before = trained.held_out(held, seed=0)
    assert set(before) == {"held_out", *(f"held_out/t={t:g}" for t in (0.3, 0.5, 0.7, 0.9))}
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    rng = torch.Generator().manual_seed(0)
    for step in range(12):
        optimizer.zero_grad()
        trained(batch(step), rng)["loss"].backward()
        optimizer.step()
    assert trained.held_out(held, seed=0)["held_out"] < 0.8 * before["held_out"]
