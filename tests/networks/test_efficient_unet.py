"""What is particular to the Efficient U-Net; how it is called is as for the other networks."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from text2x.conditioning import Conditioning
from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.networks.efficient_unet import EfficientUNet, EfficientUNetConfig

pytestmark = pytest.mark.medium

CONFIG = EfficientUNetConfig(
    extra_channels=9, width=8, multipliers=(1, 2), blocks=(1, 2), context_width=10, vector_width=6, head_width=8,
    pooled_context=True,
)  # fmt: skip


def build(config: EfficientUNetConfig = CONFIG) -> EfficientUNet:
    """A network with random numbers where a fresh one has zeros, as if it had been trained."""
    torch.manual_seed(0)
    network = EfficientUNet(config)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return network


def inputs(count: int = 2) -> tuple[Tensor, Tensor, Conditioning]:
    torch.manual_seed(1)
    mask = torch.ones(count, 5, dtype=torch.bool)
    mask[0, 3:] = False
    told = Conditioning(torch.randn(count, 5, 10), mask, torch.randn(count, 6), torch.randn(count, 9, 8, 16))
    return torch.randn(count, 4, 8, 16), torch.rand(count), told


def test_a_fresh_network_returns_zero_of_the_size_of_x() -> None:
    fresh = EfficientUNet(replace(CONFIG, out_channels=8))
    assert fresh(*inputs()).shape == (2, 8, 8, 16) and not fresh(*inputs()).any()


def test_no_residual_block_works_at_full_size() -> None:
    network, seen = build(), []
    for level in network.levels():
        level.blocks[0].register_forward_hook(lambda *call: seen.append(tuple(call[1][0].shape[2:])))
    network(*inputs())
    assert seen == [(4, 8), (2, 4), (2, 4), (4, 8)]


def test_most_weights_lie_at_the_lowest_level() -> None:
    network = EfficientUNet(EfficientUNetConfig(width=16, multipliers=(1, 2, 4, 8), blocks=(2, 4, 8, 8)))
    of_levels = [sum(each.numel() for each in level.parameters()) for level in network.levels()]
    assert sum(of_levels[3:5]) > 0.6 * sum(each.numel() for each in network.parameters())


def test_text_is_read_at_the_lowest_level_only_and_self_attention_can_be_left_out() -> None:
    network = build()
    assert [level.cross is not None for level in network.levels()] == [False, True, True, False]
    assert [level.attention is not None for level in network.levels()] == [False, True, True, False]
    assert all(level.attention is None for level in build(replace(CONFIG, self_attention=False)).levels())
    assert len(network.prepare(inputs()[2]).keys_values) == 2


@pytest.mark.parametrize("field", ["context", "vector", "channels"])
def test_each_condition_has_influence(field: str) -> None:
    network, (x, t, told) = build(), inputs()
    other = replace(told, **{field: getattr(told, field) + 1 + torch.randn_like(getattr(told, field))})
    results = [network(x, t, each) for each in (told, other, replace(told, **{field: None}))]
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert (results[one] - results[two]).abs().mean() > 1e-4


def test_padded_tokens_are_hidden_from_attention_and_pooling() -> None:
    network, (x, t, told) = build(), inputs()
    assert told.context is not None and told.context_mask is not None
    padded = torch.where(told.context_mask[..., None], told.context, torch.randn_like(told.context))
    assert torch.equal(network(x, t, replace(told, context=padded)), network(x, t, told))


def test_preparing_once_gives_the_same_bits_and_an_item_has_them_in_any_batch() -> None:
    network, (x, t, told) = build(), inputs(3)
    with torch.no_grad():
        expected = network(x, t, told)
        assert torch.equal(network(x, t, network.prepare(told)), expected)
        for rows in ([0, 1], [2, 0, 1], [1, 1, 2, 0]):
            assert torch.equal(network(x[rows], t[rows], told[torch.tensor(rows)]), expected[rows])


def test_the_noise_of_every_pixel_can_be_told_apart() -> None:
    """One pixel of x changed by much changes the prediction there: half the size alone does not blur it away."""
    torch.manual_seed(0)
    network, noise = EfficientUNet(replace(CONFIG, extra_channels=0)), torch.randn(8, 4, 16, 16)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        loss = (network(noise, torch.ones(8), Conditioning()) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.15


def test_every_parameter_has_a_gradient() -> None:
    network, (x, t, told) = build(), inputs()
    network(x, t, told).square().sum().backward()
    assert not [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]


def test_mistakes_in_shape_are_said_with_their_value_and_a_config_survives_json() -> None:
    with pytest.raises(InputError, match=r"\(6, 8\).*multiples of 4"):
        build()(torch.randn(1, 4, 6, 8), torch.rand(1), Conditioning())
    with pytest.raises(InputError, match=r"\(1, 2, 3\)"):
        EfficientUNet(replace(CONFIG, blocks=(1, 2, 3)))
    with pytest.raises(InputError, match="at least 1"):
        EfficientUNet(replace(CONFIG, blocks=(1, 0)))
    assert from_dict(EfficientUNetConfig, to_dict(CONFIG)) == CONFIG
