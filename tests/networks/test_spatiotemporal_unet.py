"""The UNet of Stable Video Diffusion: convolutions over time, frames, conditions. Oracles are torch's own layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from text2x.conditioning import Conditioning
from text2x.errors import InputError
from text2x.networks.spatiotemporal_blocks import TimeConv, VideoResidualBlock, crossed, told_waves
from text2x.networks.spatiotemporal_unet import SpatioTemporalUNet, SpatioTemporalUNetConfig
from text2x.nn.spatial import CrossBlock

CONFIG = SpatioTemporalUNetConfig(
    width=32,
    multipliers=(1, 2),
    blocks_per_level=1,
    attention_levels=(0,),
    depths=(1, 1),
    heads=(2, 4),
    context_width=12,
    told_frequencies=8,
)


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def built() -> SpatioTemporalUNet:
    """A network no part of which is zero."""
    torch.manual_seed(0)
    network = SpatioTemporalUNet(CONFIG)
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    return network.eval()


def told(count: int, tokens: int = 1, channels: Tensor | None = None) -> Conditioning:
    numbers = torch.tensor([[6.0, 127.0, 0.02]]).expand(count, -1)
    return Conditioning(noise(count, tokens, 12, seed=5), None, numbers, channels)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_convolution_over_time_is_torchs_of_length_3_with_its_gradients(frames: int) -> None:
    ours, theirs = TimeConv(6), nn.Conv3d(6, 6, (3, 1, 1), padding=(1, 0, 0))
    theirs.weight.data.copy_(ours.weight.data.permute(1, 2, 0)[..., None, None])
    assert theirs.bias is not None
    theirs.bias.data.copy_(ours.bias.data)
    x = noise(2, 6, frames, 15)
    own, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    made, expected = ours(own), theirs(other.unflatten(3, (3, 5))).flatten(3)
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)
    made.square().sum().backward()
    expected.square().sum().backward()
    assert own.grad is not None and other.grad is not None and ours.weight.grad is not None
    torch.testing.assert_close(own.grad, other.grad, atol=1e-4, rtol=1e-4)
    assert theirs.weight.grad is not None
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad[..., 0, 0].permute(2, 0, 1), atol=1e-3, rtol=1e-3)


def test_with_no_share_of_time_each_frame_is_on_its_own() -> None:
    block = VideoResidualBlock(8, 8, time_mix=True).eval()
    block.mix.data.fill_(-1e4)
    x = noise(6, 8, 4, 4)
    torch.testing.assert_close(block(x, frames=3), block.space(x))
    block.mix.data.fill_(0.0)
    assert (block(x, frames=3) - block.space(x)).abs().max() > 1e-3


def test_one_token_of_text_gives_what_attention_over_it_gives() -> None:
    block = CrossBlock(16, 2, 12).eval()
    assert block.cross is not None
    x, text = noise(6, 5, 16), block.cross.text_keys_values(noise(2, 1, 12))
    spread = (text[0].repeat_interleave(3, 0), text[1].repeat_interleave(3, 0))
    torch.testing.assert_close(crossed(block, x, text), block(x, spread, None), atol=1e-5, rtol=1e-5)


def test_told_numbers_are_cosines_then_sines_one_number_after_the_other() -> None:
    made = told_waves(torch.tensor([[0.5, 2.0]]), 4)
    expected = [
        f(value * step) for value in (0.5, 2.0) for f in (torch.cos, torch.sin) for step in torch.tensor([1.0, 0.01])
    ]
    torch.testing.assert_close(made[0], torch.stack(expected))


def test_a_fresh_network_returns_zero() -> None:
    assert not SpatioTemporalUNet(CONFIG)(noise(1, 4, 3, 4, 4), torch.tensor([0.5]), told(1)).any()


@torch.no_grad()
@pytest.mark.parametrize("tokens", [1, 4])
def test_an_item_does_not_depend_on_the_others_nor_on_preparing(tokens: int) -> None:
    network, x, t = built(), noise(3, 4, 4, 4, 8), torch.tensor([0.2, 0.5, 0.9])
    condition = told(3, tokens, noise(3, 4, 4, 4, 8, seed=8))
    made = network(x, t, condition)
    assert torch.equal(network(x, t, network.prepare(condition)), made)
    for item in range(3):
        alone = network(x[item : item + 1], t[item : item + 1], condition[item : item + 1])
        torch.testing.assert_close(alone[0], made[item], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_absent_channels_are_zeros_and_channels_numbers_and_context_each_change_the_result() -> None:
    network, x, t = built(), noise(1, 4, 3, 4, 4), torch.tensor([0.5])
    plain = network(x, t, told(1))
    assert torch.equal(plain, network(x, t, told(1, channels=torch.zeros(1, 4, 3, 4, 4))))
    others = told(1)
    assert others.vector is not None
    for changed in (
        told(1, channels=noise(1, 4, 3, 4, 4)),
        replace(others, vector=others.vector + 3),
        replace(others, context=noise(1, 1, 12, seed=6)),
    ):
        assert (network(x, t, changed) - plain).abs().max() > 1e-4


def test_every_parameter_gets_a_gradient() -> None:
    network = built()
    network(noise(2, 4, 3, 4, 4), torch.tensor([0.2, 0.9]), told(2, 3)).square().sum().backward()
    lacking = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    assert not lacking


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": (2,)}, r"heads is \[2\], but the UNet has 2 levels"),
        ({"attention_levels": (2,)}, "levels are 0 to 1"),
    ],
)
def test_shapes_that_are_none_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SpatioTemporalUNet(replace(CONFIG, **change))


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"size \(3, 4\) does not fit this UNet: take multiples of 2"):
        built()(noise(1, 4, 2, 3, 4), torch.tensor([0.5]), told(1))
