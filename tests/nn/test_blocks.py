"""Convolutions, resampling and blocks in 1 to 3 dimensions."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.nn.blocks import (
    AttentionBlock,
    FactorizedConv3d,
    ResidualBlock,
    conv1,
    conv3,
    downsample,
    num_groups,
    upsample,
    zeroed,
)

SIZES = {1: (8,), 2: (4, 6), 3: (3, 4, 6)}


def randomized(module: nn.Module) -> nn.Module:
    """The module with random numbers where its parameters are zero, as if it had been trained."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return module


@pytest.mark.parametrize("dims", SIZES)
def test_convolutions_keep_the_size_and_resampling_halves_and_doubles_it(dims: int) -> None:
    x = torch.randn(2, 4, *SIZES[dims])
    assert conv3(dims, 4, 7)(x).shape == conv1(dims, 4, 7)(x).shape == (2, 7, *SIZES[dims])
    frames = SIZES[dims][:1] if dims == 3 else ()  # time keeps its length
    halved = downsample(x)
    assert halved.shape == (2, 4, *frames, *(size // 2 for size in SIZES[dims][len(frames) :]))
    doubled = upsample(x)
    assert torch.equal(doubled[..., ::2], doubled[..., 1::2])
    torch.testing.assert_close(downsample(doubled), x)


@pytest.mark.parametrize("dims", SIZES)
def test_the_pointwise_layer_is_a_convolution_of_width_one(dims: int) -> None:
    x, layer = torch.randn(2, 6, *SIZES[dims]), conv1(dims, 6, 5)
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims](6, 5, 1)
    convolution.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x), convolution(x), atol=1e-5, rtol=0)


def test_downsampling_averages() -> None:
    x = torch.randn(1, 1, 4, 4)
    torch.testing.assert_close(downsample(x)[0, 0, 0, 0], x[0, 0, :2, :2].mean())


def test_the_factorized_convolution_is_a_3d_convolution_of_rank_one_in_time() -> None:
    factorized, whole = FactorizedConv3d(3, 5), nn.Conv3d(3, 5, 3, padding=1)
    nn.init.zeros_(factorized.space.bias)  # else zero frames beyond the ends differ from frames of the bias
    with torch.no_grad():
        whole.weight.copy_(torch.einsum("omt,mihw->oithw", factorized.time.weight, factorized.space.weight))
        whole.bias.copy_(factorized.time.bias)  # type: ignore[union-attr]
    x = torch.randn(2, 3, 4, 5, 6)
    torch.testing.assert_close(factorized(x), whole(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3, 6, 16, 32, 48, 64, 96, 128, 192, 288, 320])
def test_groups_divide_the_channels_into_at_least_four(channels: int) -> None:
    groups = num_groups(channels)
    assert channels % groups == 0
    assert groups == 1 or channels // groups >= 4
    assert groups <= 32


@pytest.mark.parametrize("dims", SIZES)
def test_a_zeroed_convolution_returns_zero_and_yet_learns(dims: int) -> None:
    conv = zeroed(conv3(dims, 4, 4))
    x, target = torch.randn(2, 4, *SIZES[dims]), torch.randn(2, 4, *SIZES[dims])
    assert not conv(x).any()
    optimizer = torch.optim.SGD(conv.parameters(), lr=0.5)
    for _ in range(3):
        F.mse_loss(conv(x), target).backward()
        optimizer.step()
    weights = [parameter for parameter in conv.parameters() if parameter.ndim > 1]
    assert all(weight.grad is not None and weight.grad.any() for weight in weights)


@pytest.mark.parametrize("dims", SIZES)
def test_a_fresh_residual_block_passes_x_on(dims: int) -> None:
    x, embedding = torch.randn(2, 8, *SIZES[dims]), torch.randn(2, 16)
    assert torch.equal(ResidualBlock(dims, 8, 8, 16)(x, embedding), x)
    assert torch.equal(ResidualBlock(dims, 8, 8, 16, resample="down")(x, embedding), downsample(x))
    assert torch.equal(ResidualBlock(dims, 8, 8, 16, resample="up")(x, embedding), upsample(x))


def test_a_residual_block_is_the_formula() -> None:
    block, x, embedding = randomized(ResidualBlock(2, 8, 16, 12)), torch.randn(2, 8, 4, 4), torch.randn(2, 12)
    assert isinstance(block, ResidualBlock)
    scale, shift = block.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
    hidden = block.conv_in(F.silu(block.norm_in(x)))
    hidden = block.conv_out(F.silu(block.norm_out(hidden) * (1 + scale) + shift))
    torch.testing.assert_close(block(x, embedding), block.skip(x) + hidden, atol=1e-6, rtol=1e-5)


def attention_block(text: str) -> AttentionBlock:
    return AttentionBlock(8, head_width=4, text=text, context_width=6, qk_norm=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["none", "joint", "cross"])
@pytest.mark.parametrize("dims", SIZES)
def test_a_fresh_attention_block_passes_x_on(dims: int, text: str) -> None:
    block, x, context = attention_block(text), torch.randn(2, 8, *SIZES[dims]), torch.randn(2, 3, 6)
    keys_values = block.text_keys_values(context)
    assert (keys_values is None) == (text == "none")
    assert torch.equal(block(x, keys_values, None), x)


@pytest.mark.parametrize("text", ["none", "joint", "cross"])
def test_attention_treats_all_positions_alike(text: str) -> None:
    block, x, context = randomized(attention_block(text)), torch.randn(2, 8, 12), torch.randn(2, 3, 6)
    assert isinstance(block, AttentionBlock)
    order = torch.randperm(12)

    def result(values: Tensor) -> Tensor:
        return block(values, block.text_keys_values(context), None)

    torch.testing.assert_close(result(x[:, :, order]), result(x)[:, :, order], atol=1e-5, rtol=0)
    assert not torch.allclose(result(x), x, atol=1e-2)
