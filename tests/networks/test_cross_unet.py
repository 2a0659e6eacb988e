"""The UNet with cross-attention: what is particular to it; parity with published ones is in tests/published."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from text2x.conditioning import Conditioning
from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.networks.cross_unet import CrossUNet, CrossUNetConfig

pytestmark = pytest.mark.medium

TEXT, VECTOR, TOKENS, EXTRA = 10, 6, 5, 2
CONFIG = CrossUNetConfig(
    in_channels=3,
    extra_channels=EXTRA,
    out_channels=3,
    width=16,
    multipliers=(1, 2),
    attention_levels=(1,),
    head_width=8,
    context_width=TEXT,
    vector_width=VECTOR,
)
FIELDS = {"context": "context_width", "vector": "vector_width", "channels": "extra_channels"}


def build(config: CrossUNetConfig) -> CrossUNet:
    """A network with random numbers where a fresh one has zeros, as if it had been trained."""
    network = CrossUNet(config)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    nn.init.normal_(network.conv_in.weight, std=0.1)
    return network


def inputs(count: int = 2) -> tuple[Tensor, Tensor, Conditioning]:
    """Items of which the first has two tokens of padding."""
    mask = torch.ones(count, TOKENS, dtype=torch.bool)
    mask[0, 3:] = False
    context, vector = torch.randn(count, TOKENS, TEXT), torch.randn(count, VECTOR)
    channels = torch.randn(count, EXTRA, 8, 16)
    return torch.randn(count, 3, 8, 16), torch.rand(count), Conditioning(context, mask, vector, channels)


def test_a_fresh_network_returns_zero_of_the_size_of_x() -> None:
    made = CrossUNet(replace(CONFIG, out_channels=6))(*inputs())  # a learned variance doubles the channels
    assert made.shape == (2, 6, 8, 16) and not made.any()


def test_a_fresh_network_starts_without_its_extra_channels() -> None:
    network = CrossUNet(CONFIG)
    nn.init.normal_(network.conv_out.weight)
    x, t, conditioning = inputs()
    assert conditioning.channels is not None
    result = network(x, t, conditioning)
    assert torch.equal(result, network(x, t, conditioning.with_channels(9 * conditioning.channels)))
    result.square().sum().backward()
    assert network.conv_in.weight.grad is not None and network.conv_in.weight.grad[:, 3:].abs().max() > 0


def test_preparing_once_gives_the_same_bits() -> None:
    network, (x, t, conditioning) = build(CONFIG), inputs()
    prepared = network.prepare(conditioning)
    assert torch.equal(network(x, t, prepared), network(x, t, conditioning))
    assert torch.equal(network(x, t / 2, prepared), network(x, t / 2, conditioning))


@pytest.mark.parametrize("field", FIELDS)
def test_each_condition_has_influence_and_none_once_switched_off(field: str) -> None:
    network, (x, t, conditioning) = build(CONFIG), inputs()
    value = getattr(conditioning, field)
    other = replace(conditioning, **{field: value + torch.randn_like(value)})
    without = replace(conditioning, **{field: None})
    results = [network(x, t, each) for each in (conditioning, other, without)]
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert (results[one] - results[two]).abs().mean() > 1e-4
    deaf = build(replace(CONFIG, **{FIELDS[field]: 0}))
    results = [deaf(x, t, each) for each in (conditioning, other, without)]
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_missing_channels_are_zeros_and_padded_tokens_are_hidden() -> None:
    network, (x, t, conditioning) = build(CONFIG), inputs()
    zeros = conditioning.with_channels(torch.zeros(2, EXTRA, 8, 16))
    assert torch.equal(network(x, t, conditioning.with_channels(None)), network(x, t, zeros))
    assert conditioning.context is not None and conditioning.context_mask is not None
    noise = 10 * torch.randn_like(conditioning.context)
    padded = torch.where(conditioning.context_mask[..., None], conditioning.context, noise)
    assert torch.equal(network(x, t, replace(conditioning, context=padded)), network(x, t, conditioning))


def test_an_item_has_the_same_bits_in_any_batch() -> None:
    network, (x, t, conditioning) = build(CONFIG), inputs(3)
    with torch.no_grad():
        expected = network(x, t, conditioning)
        for rows in ([0, 1], [1, 0, 1], [2, 2, 0, 1, 1], [0] * 8):  # torch convolves a single item otherwise
            index = torch.tensor(rows)
            assert torch.equal(network(x[index], t[index], conditioning[index]), expected[index]), rows


def test_every_parameter_has_a_gradient() -> None:
    network, (x, t, conditioning) = build(CONFIG), inputs()
    network(x, t, conditioning).square().sum().backward()
    dead = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    assert not dead


def test_four_samples_are_learnt_by_heart() -> None:
    network = CrossUNet(replace(CONFIG, extra_channels=0))
    noise, target, t = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8), torch.rand(4)
    conditioning = Conditioning(torch.randn(4, TOKENS, TEXT), None, torch.randn(4, VECTOR))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(25):
        loss = (network(noise, t, conditioning) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert abs(losses[0] - 1) < 0.2  # the output starts at zero
    assert losses[-1] < 0.5 * losses[0]


def test_a_step_is_the_same_whether_float32_rounds_its_time_or_not() -> None:
    network, (x, _, conditioning) = build(replace(CONFIG, num_steps=1000)), inputs()
    steps = torch.tensor([6, 998])  # (k + 1) / 1000 is not exact in float32
    exact = network(x, (steps.double() + 1) / 1000, conditioning)
    assert torch.equal(network(x, (steps.float() + 1) / 1000, conditioning), exact)
    between = network(x, (steps + 1.5) / 1000, conditioning)
    assert (between - exact).abs().max() > 1e-4


def test_depths_and_heads_are_given_level_by_level() -> None:
    network = CrossUNet(replace(CONFIG, attention_levels=(0, 1), depths=(1, 3), heads=(2, 4)))
    sizes = [(len(each.blocks), each.blocks[0].attention.num_heads) for each in network.transformers()]
    assert sizes == [(1, 2), (3, 4), (3, 4), (3, 4), (3, 4), (1, 2), (1, 2)]
    assert len(network.prepare(Conditioning(context=torch.randn(1, 4, TEXT))).keys_values) == 15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": (2,)}, r"heads is \[2\], but the UNet has 2 levels"),
        ({"attention_levels": (2,)}, r"attention_levels is \[2\]; this UNet's levels are 0 to 1"),
        ({"heads": (3, 3), "attention_levels": (0,)}, "width 16 is not a multiple of the number of heads, 3"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_their_value(change: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CrossUNet(replace(CONFIG, **change))


def test_sizes_that_do_not_fit_are_refused_with_their_value() -> None:
    with pytest.raises(InputError, match=r"\(8, 15\)"):
        build(CONFIG)(torch.randn(1, 3, 8, 15), torch.rand(1), Conditioning())


def test_a_configuration_survives_json() -> None:
    assert from_dict(CrossUNetConfig, to_dict(CONFIG)) == CONFIG
