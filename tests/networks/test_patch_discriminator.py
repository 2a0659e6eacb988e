"""The discriminator of patches: how far a logit sees, how many there are, that an item is judged alone."""

import pytest
import torch

from text2x.errors import InputError
from text2x.networks.patch_discriminator import PatchDiscriminator, PatchDiscriminatorConfig


@pytest.mark.parametrize(("layers", "sees"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_sees_as_much_as_it_says(layers: int, sees: int) -> None:
    """By the gradient of the middle logit: norms are left out, since their means see everything."""
    config = PatchDiscriminatorConfig(width=8, layers=layers)
    network = PatchDiscriminator(config)
    for place, module in enumerate(network.layers):
        if isinstance(module, torch.nn.GroupNorm):
            network.layers[place] = torch.nn.Identity()
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 0.1)
    x = torch.zeros(1, 4, 96, 96, requires_grad=True)
    logits = network(x)
    side = 96 // 2**layers - 2
    assert config.sees == sees and logits.shape == (1, 1, side, side)
    logits[0, 0, side // 2, side // 2].backward()
    assert x.grad is not None
    rows = x.grad[0].abs().sum((0, 2)).nonzero().flatten()
    assert int(rows[-1] - rows[0]) + 1 == sees


def test_an_item_is_judged_on_its_own() -> None:
    network = PatchDiscriminator(PatchDiscriminatorConfig(width=8))
    x = torch.randn(3, 4, 32, 32)
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]), atol=1e-5, rtol=1e-5)


def test_layers_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="layers is 0"):
        PatchDiscriminatorConfig(layers=0)
