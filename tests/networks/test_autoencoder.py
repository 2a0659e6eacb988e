"""The KL autoencoder: its sizes, its limits, that it learns; parity with published ones is in tests/published."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from text2x.config import from_dict, to_dict
from text2x.errors import InputError
from text2x.networks.autoencoder import Autoencoder, AutoencoderConfig

pytestmark = pytest.mark.medium

SMALL = AutoencoderConfig(width=16, multipliers=(1, 2), latent_channels=3)


@pytest.mark.parametrize(("multipliers", "factor"), [((1,), 1), ((1, 2), 2), ((1, 2, 2, 4), 8)])
def test_each_level_but_the_last_halves_the_size(multipliers: tuple[int, ...], factor: int) -> None:
    config = replace(SMALL, multipliers=multipliers, out_channels=5)
    network, x = Autoencoder(config), torch.randn(2, 4, 16, 24)
    mean, log_variance = network.encode(x)
    assert config.factor == factor
    assert mean.shape == log_variance.shape == (2, 3, 16 // factor, 24 // factor)
    assert network.decode(mean).shape == (2, 5, 16, 24)


def test_the_log_variance_is_clamped() -> None:
    network = Autoencoder(replace(SMALL, quantization=False))
    with torch.no_grad():
        network.encoder.conv_out.bias[3:] = torch.tensor([-100.0, 0.0, 100.0])
    _, log_variance = network.encode(torch.randn(1, 4, 8, 8))
    assert (log_variance[:, 0] == -30).all() and (log_variance[:, 2] == 20).all()
    assert log_variance[:, 1].abs().max() < 20


def test_pictures_are_learnt_by_heart() -> None:
    network = Autoencoder(SMALL)
    x = torch.nn.functional.interpolate(torch.rand(4, 4, 2, 2) * 2 - 1, scale_factor=4, mode="bilinear")
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    losses = []
    for _ in range(40):
        loss = (network(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_a_picture_has_the_same_bits_in_any_batch() -> None:
    network, x = Autoencoder(SMALL), torch.randn(3, 4, 16, 16)
    with torch.no_grad():
        mean, _ = network.encode(x)
        decoded = network.decode(mean)
        for rows in ([0, 1], [2, 1, 0], [1] * 5):  # torch convolves a single item by another algorithm
            assert torch.equal(network.encode(x[rows])[0], mean[rows])
            assert torch.equal(network.decode(mean[rows]), decoded[rows])


def test_every_parameter_has_a_gradient() -> None:
    network = Autoencoder(SMALL)
    mean, log_variance = network.encode(torch.randn(2, 4, 8, 8))
    (network.decode(mean).square().sum() + log_variance.square().sum()).backward()
    dead = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    # the softmax does not see a constant added to all of its scores, so the bias of the keys moves by rounding alone
    assert not [name for name in dead if not name.endswith("key_value.bias")]


def test_without_attention_a_pixel_reaches_only_so_far() -> None:
    near, far = torch.zeros(1, 4, 64, 64), torch.zeros(1, 4, 64, 64)
    far[..., -1, -1] = 5.0
    for attention in (False, True):
        network = Autoencoder(replace(SMALL, attention=attention))
        with torch.no_grad():  # the group norms see everything: take them out
            for module in network.modules():
                if isinstance(module, torch.nn.GroupNorm):
                    module.forward = lambda x: x  # type: ignore[method-assign]
            moved = (network.encode(far)[0] - network.encode(near)[0])[..., 0, 0].abs().max()
        assert bool(moved > 0) == attention


def test_sizes_that_do_not_fit_are_refused_with_their_value() -> None:
    with pytest.raises(InputError, match=r"\(9, 8\) does not fit this autoencoder: take multiples of 2"):
        Autoencoder(SMALL).encode(torch.randn(1, 4, 9, 8))


def test_a_configuration_survives_json() -> None:
    assert from_dict(AutoencoderConfig, to_dict(SMALL)) == SMALL
