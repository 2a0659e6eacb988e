"""The UNet of clips: before training it is the UNet of pictures, frame by frame; what mixes frames and what not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from text2x.clip_conditioning import TOLD, loops_of, told_numbers
from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.networks.unet import UNetConfig
from text2x.networks.video_unet import IMAGE, VideoUNet, VideoUNetConfig
from text2x.nn.frames import Clips, InflatedConv, TimeAttention, TimeConv, TimeDownsample, TimeUpsample

PICTURES = UNetConfig(
    width=16,
    multipliers=(1, 2),
    attention_levels=(1,),
    head_width=16,
    extra_channels=5,
    context_width=12,
    vector_width=8,
)
MAKE_A_VIDEO = VideoUNetConfig(PICTURES, attention_levels=(0, 1), head_width=16, most_frames=16)
LUMIERE = VideoUNetConfig(
    PICTURES, "inflated", attention_levels=(1,), halved_levels=(0,), head_width=16, most_frames=16
)
STABLE = replace(MAKE_A_VIDEO, frame_channels=5)
CONFIGS = pytest.mark.parametrize("config", [MAKE_A_VIDEO, LUMIERE, STABLE], ids=["pseudo", "inflated", "frames"])


def built(config: VideoUNetConfig, fresh: bool = False) -> VideoUNet:
    """A network whose UNet of pictures is nowhere zero; if not fresh, nor are its layers over time."""
    torch.manual_seed(0)
    network = VideoUNet(config)
    for name, parameter in network.named_parameters():
        if name.startswith(IMAGE) or not fresh:
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return network.eval()


def condition(count: int, channels: Tensor | None = None, loops: bool = False) -> Conditioning:
    rng = torch.Generator().manual_seed(7)
    context, words = torch.randn(count, 5, 12, generator=rng), torch.randn(count, 8, generator=rng)
    told = told_numbers(torch.full((count,), 12.0), torch.full((count,), 5.0), torch.full((count,), loops))
    mask = torch.arange(5) < 2 + torch.arange(count)[:, None]
    return Conditioning(context, mask, torch.cat([words, told], 1), channels)


@CONFIGS
def test_before_training_it_is_the_image_network_frame_by_frame(config: VideoUNetConfig) -> None:
    network = built(config, fresh=True)
    x, t = torch.randn(2, 4, 8, 8, 8), torch.tensor([0.3, 0.8])
    channels = torch.randn(2, config.extra_channels, 8, 8, 8)
    whole = condition(2, channels)
    assert whole.vector is not None
    with torch.no_grad():
        made = network(x, t, whole)
        for place in range(8):
            picture = replace(whole, vector=whole.vector[:, :-TOLD], channels=channels[:, :5, place])
            alone = network.image(x[:, :, place], t, picture)
            if config.halved_levels and place % 2:  # what is halved and doubled shows every second frame twice
                continue
            torch.testing.assert_close(made[:, :, place], alone, atol=2e-5, rtol=1e-4)


def test_halved_time_changes_nothing_of_a_clip_that_stands_still() -> None:
    network = built(LUMIERE, fresh=True)
    still = torch.randn(1, 4, 1, 8, 8).expand(-1, -1, 8, -1, -1)
    with torch.no_grad():
        made = network(still, torch.tensor([0.4]), condition(1))
    torch.testing.assert_close(made, made[:, :, :1].expand_as(made), atol=2e-5, rtol=1e-4)


@CONFIGS
def test_a_single_picture_meets_the_layers_of_pictures_alone(config: VideoUNetConfig) -> None:
    network = built(config)
    x, t = torch.randn(2, 4, 1, 8, 8), torch.tensor([0.3, 0.8])
    vector = condition(2).vector
    assert vector is not None
    none = told_numbers(torch.zeros(2), torch.zeros(2), torch.zeros(2), pictures=True)
    with torch.no_grad():
        given = replace(condition(2), vector=torch.cat([vector[:, :-TOLD], none], 1))
        made = network(x, t, given)
        before = [each.clone() for each in network.time.parameters()]
        for each in network.time.parameters():
            each.zero_()
        assert torch.equal(made, network(x, t, given)) and before


def test_layers_over_time_begin_as_the_identity_and_those_of_attention_give_zero() -> None:
    x, clips = torch.randn(2 * 6, 16, 4, 4), Clips(6, torch.tensor([True, False]))
    for layer in (TimeConv(16), InflatedConv(16), TimeAttention(16, 8)):
        assert torch.equal(layer(x, clips), x), type(layer).__name__
    frames = x.unflatten(0, (2, 6))
    halved = TimeDownsample(16)(x, clips)
    assert torch.equal(halved, frames[:, ::2].flatten(0, 1))
    doubled = TimeUpsample(16)(halved, clips.halved())
    assert torch.equal(doubled.unflatten(0, (2, 6)), frames[:, ::2].repeat_interleave(2, 1))


@CONFIGS
def test_trained_layers_mix_frames_and_clips_stay_apart(config: VideoUNetConfig) -> None:
    network = built(config)
    x, t = torch.randn(2, 4, 8, 8, 8), torch.tensor([0.5, 0.5])
    other = x.clone()
    other[0, :, 5] += 1
    with torch.no_grad():
        one, two = network(x, t, condition(2)), network(other, t, condition(2))
    assert ((one[0] - two[0]).abs().amax((0, 2, 3)) > 1e-5).sum() > 3  # frames around the one that was changed
    assert torch.equal(one[1], two[1])


@CONFIGS
@pytest.mark.parametrize("loops", [True, False])
def test_rolling_a_loop_rolls_what_comes_out(config: VideoUNetConfig, loops: bool) -> None:
    network = built(config)
    x, t = torch.randn(1, 4, 8, 8, 8), torch.tensor([0.5])
    with torch.no_grad():
        made, rolled = (network(each, t, condition(1, loops=loops)) for each in (x, x.roll(config.step, 2)))
    error = float((made.roll(config.step, 2) - rolled).abs().max() / made.abs().max())
    assert (error < 1e-4) == loops, error


def test_known_frames_enter_by_channels_whose_weights_begin_at_zero() -> None:
    x, t, channels = torch.randn(1, 4, 6, 8, 8), torch.tensor([0.5]), torch.randn(1, 10, 6, 8, 8)
    plain = channels.clone()
    plain[:, 5:] = 0
    with torch.no_grad():
        for fresh in (True, False):
            network = built(STABLE, fresh)
            same = torch.allclose(network(x, t, condition(1, channels)), network(x, t, condition(1, plain)))
            assert same == fresh


def test_what_does_not_fit_is_said() -> None:
    network = built(LUMIERE)
    with pytest.raises(InputError, match="7 frames do not fit this network: take at most 16 and multiples of 2"):
        network(torch.zeros(1, 4, 7, 8, 8), torch.tensor([0.5]), condition(1))
    with pytest.raises(InputError, match="18 frames do not fit"):
        network(torch.zeros(1, 4, 18, 8, 8), torch.tensor([0.5]), condition(1))
    with pytest.raises(InputError, match="halved_levels is"):
        VideoUNet(replace(LUMIERE, halved_levels=(1,)))
    with pytest.raises(ValueError, match="is told 14 numbers, got a vector of 8"):
        vector = condition(1).vector
        assert vector is not None
        network.prepare(replace(condition(1), vector=vector[:, :8]))


def test_temporal_parameters_are_those_that_the_image_network_has_not() -> None:
    network = VideoUNet(MAKE_A_VIDEO)
    names = {name.removeprefix(IMAGE) for name, _ in network.named_parameters() if name.startswith(IMAGE)}
    assert names == {name for name, _ in network.image.named_parameters()}
    assert len(names) + len(network.temporal_names()) == len(list(network.parameters()))


def test_numbers_told_of_a_clip() -> None:
    told = told_numbers(torch.tensor([24.0, 0.0]), torch.tensor([5.0, -1.0]), torch.tensor([True, False]))
    assert told.tolist() == [[1, 1, 0.5, 1, 1, 1], [0, 0, 0, 0, 0, 1]]
    assert loops_of(told).tolist() == [True, False]
