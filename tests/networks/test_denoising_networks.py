"""What the UNet and the DiT have in common: how they are called, what is switched on and off, that they learn."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from text2x.conditioning import Conditioning
from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.networks.dit import DiT, DiTConfig
from text2x.networks.unet import UNet, UNetConfig

TEXT, VECTOR, EXTRA, TOKENS = 10, 6, 2, 5
SIZES = {1: (16,), 2: (8, 16), 3: (2, 8, 8)}
UNET = UNetConfig(
    in_channels=3,
    extra_channels=EXTRA,
    out_channels=3,
    width=16,
    multipliers=(1, 2),
    attention_levels=(1,),
    head_width=16,
    context_width=TEXT,
    vector_width=VECTOR,
)
DIT = DiTConfig(
    in_channels=3,
    extra_channels=EXTRA,
    out_channels=3,
    width=32,
    depth=2,
    num_heads=2,
    bottleneck=16,
    context_width=TEXT,
    vector_width=VECTOR,
)
CONFIGS: dict[str, UNetConfig | DiTConfig] = {
    "unet joint": UNET,
    "unet cross": replace(UNET, text_attention="cross", qk_norm=False),
    "dit joint": DIT,
    "dit cross gelu": replace(DIT, text_attention="cross", feed_forward="gelu", positions="sines"),
    "dit without modulation": replace(DIT, modulation="none", bottleneck=0),
    "dit cross without modulation": replace(DIT, modulation="none", text_attention="cross", qk_norm=False),
}


def build(config: UNetConfig | DiTConfig) -> UNet | DiT:
    """A network with random numbers where a fresh one has zeros, as if it had been trained."""
    network = UNet(config) if isinstance(config, UNetConfig) else DiT(config)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return network


def inputs(dims: int = 2) -> tuple[Tensor, Tensor, Conditioning]:
    """Two items, of which the first has two tokens of padding."""
    mask = torch.ones(2, TOKENS, dtype=torch.bool)
    mask[0, 3:] = False
    conditioning = Conditioning(
        torch.randn(2, TOKENS, TEXT), mask, torch.randn(2, VECTOR), torch.randn(2, EXTRA, *SIZES[dims])
    )
    return torch.randn(2, 3, *SIZES[dims]), torch.rand(2), conditioning


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> UNetConfig | DiTConfig:
    return CONFIGS[request.param]


@pytest.mark.parametrize("dims", SIZES)
def test_the_output_has_the_size_of_x_and_a_fresh_network_returns_zero(
    config: UNetConfig | DiTConfig, dims: int
) -> None:
    config = replace(config, dims=dims, out_channels=6)  # a learned variance doubles the channels
    fresh = UNet(config) if isinstance(config, UNetConfig) else DiT(config)
    result = fresh(*inputs(dims))
    assert result.shape == (2, 6, *SIZES[dims])
    assert not result.any()
    assert build(config)(*inputs(dims)).std() > 0.01


def test_preparing_once_gives_the_same_bits(config: UNetConfig | DiTConfig) -> None:
    network, (x, t, conditioning) = build(config), inputs()
    prepared = network.prepare(conditioning)
    assert torch.equal(network(x, t, prepared), network(x, t, conditioning))
    assert torch.equal(network(x, t / 2, prepared), network(x, t / 2, conditioning))


@pytest.mark.parametrize("field", ["context", "vector", "channels"])
def test_each_condition_has_influence_and_none_once_switched_off(config: UNetConfig | DiTConfig, field: str) -> None:
    network, (x, t, conditioning) = build(config), inputs()
    value = getattr(conditioning, field)
    other = replace(conditioning, **{field: value + torch.randn_like(value)})
    without = replace(conditioning, **{field: None})
    results = [network(x, t, each) for each in (conditioning, other, without)]
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert (results[one] - results[two]).abs().mean() > 1e-4

    width = {"context": "context_width", "vector": "vector_width", "channels": "extra_channels"}[field]
    deaf = build(replace(config, **{width: 0}))
    results = [deaf(x, t, each) for each in (conditioning, other, without)]
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_missing_channels_are_zeros(config: UNetConfig | DiTConfig) -> None:
    network, (x, t, conditioning) = build(config), inputs()
    zeros = conditioning.with_channels(torch.zeros(2, EXTRA, *SIZES[2]))
    assert torch.equal(network(x, t, conditioning.with_channels(None)), network(x, t, zeros))


def test_padded_tokens_are_hidden_by_the_mask(config: UNetConfig | DiTConfig) -> None:
    network, (x, t, conditioning) = build(config), inputs()
    assert conditioning.context is not None and conditioning.context_mask is not None
    noise = 10 * torch.randn_like(conditioning.context)
    padded = torch.where(conditioning.context_mask[..., None], conditioning.context, noise)
    expected = network(x, t, conditioning)
    assert torch.equal(network(x, t, replace(conditioning, context=padded)), expected)
    seen = network(x, t, replace(conditioning, context=padded, context_mask=None))
    assert not torch.allclose(seen[0], expected[0], atol=1e-4)


def test_time_has_influence(config: UNetConfig | DiTConfig) -> None:
    network, (x, _, conditioning) = build(config), inputs()
    early, late = (network(x, torch.full((2,), t), conditioning) for t in (0.2, 0.8))
    assert (early - late).abs().mean() > 1e-3


def test_an_item_has_the_same_bits_in_any_batch(config: UNetConfig | DiTConfig) -> None:
    network, (x, t, conditioning) = build(config), inputs()
    smallest = 2 if isinstance(config, UNetConfig) else 1  # torch convolves a single item by another algorithm
    with torch.no_grad():
        expected = network(x, t, conditioning)
        for rows in ([0, 1], [1, 0], [1, 1], [0, 1, 1], [1, 0, 0, 1, 0], [0] * 8, [0], [1]):
            if len(rows) >= smallest:
                index = torch.tensor(rows)
                assert torch.equal(network(x[index], t[index], conditioning[index]), expected[index]), rows


def test_every_parameter_has_a_gradient(config: UNetConfig | DiTConfig) -> None:
    network, (x, t, conditioning) = build(config), inputs()
    network(x, t, conditioning).square().sum().backward()
    dead = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    assert not dead


@pytest.mark.medium
@pytest.mark.parametrize(("name", "dims"), [*((name, 2) for name in CONFIGS), ("unet joint", 3), ("dit joint", 3)])
def test_four_samples_are_learnt_by_heart(name: str, dims: int) -> None:
    config = replace(CONFIGS[name], dims=dims)
    network = UNet(config) if isinstance(config, UNetConfig) else DiT(config)
    sizes = (8, 8) if dims == 2 else (2, 4, 4)
    noise, target, t = torch.randn(4, 3, *sizes), torch.randn(4, 3, *sizes), torch.rand(4)
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


def test_sizes_that_do_not_fit_are_refused_with_their_value(config: UNetConfig | DiTConfig) -> None:
    with pytest.raises(InputError, match=r"\(8, 15\)"):
        build(config)(torch.randn(1, 3, 8, 15), torch.rand(1), Conditioning())


def test_a_configuration_survives_json(config: UNetConfig | DiTConfig) -> None:
    assert from_dict(type(config), to_dict(config)) == config
