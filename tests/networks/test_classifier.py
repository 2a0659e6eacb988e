"""The classifier of noised pictures: two heads, batch independence, gradients that depend on time, refusals."""

import pytest
import torch
from torch import Tensor, nn

from text2x.errors import InputError
from text2x.networks.classifier import Classifier, ClassifierConfig, HalfUNet, HalfUNetConfig

TRUNK = HalfUNetConfig(size=16, width=16, multipliers=(1, 2), attention_levels=(1,), head_width=16)
SMALL = ClassifierConfig(TRUNK, num_classes=7, num_groups=3, text_width=5)


def filled(network: nn.Module) -> nn.Module:
    """Random weights that are nowhere zero, so that nothing is hidden behind a zero layer."""
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return network.eval()


def batch(count: int, size: int = 16) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(count)
    return torch.randn(count, 4, size, size, generator=rng), torch.rand(count, generator=rng)


def test_there_is_a_logit_for_every_class_and_every_group() -> None:
    classes, groups = filled(Classifier(SMALL))(*batch(5))
    assert classes.shape == (5, 7) and groups.shape == (5, 3)
    assert classes.std(0).min() > 0 and groups.std(0).min() > 0


def test_what_is_said_of_a_picture_depends_on_no_other_one() -> None:
    network = filled(Classifier(SMALL))
    x, t = batch(6)
    together, _ = network(x, t)
    alone = torch.cat([network(x[i : i + 1], t[i : i + 1])[0] for i in range(6)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_time_changes_the_answer_and_a_clean_trunk_reads_none() -> None:
    x, t = batch(3)
    noisy = filled(HalfUNet(TRUNK))
    assert not torch.allclose(noisy(x, t), noisy(x, 1 - t), atol=1e-4)
    clean = filled(HalfUNet(HalfUNetConfig(**{**TRUNK.__dict__, "timestep": False})))
    assert torch.equal(clean(x, t), clean(x, 1 - t)) and torch.equal(clean(x), clean(x, t))
    with pytest.raises(ValueError, match="time"):
        noisy(x)


def test_pooling_with_zero_attention_is_the_mean_of_the_positions() -> None:
    network = filled(HalfUNet(TRUNK))
    nn.init.zeros_(network.pool.out.weight)
    nn.init.zeros_(network.pool.out.bias)
    seen: list[Tensor] = []
    network.norm_out.register_forward_hook(lambda module, given, made: seen.append(made))
    features = network(*batch(2))
    expected = nn.functional.silu(seen[0]).flatten(2).mean(2) + network.positions.mean(0)
    assert torch.allclose(features, expected, atol=1e-5)


def test_the_vectors_of_the_names_are_saved_with_the_weights_but_not_trained() -> None:
    network = Classifier(SMALL)
    assert network.state_dict()["class_vectors"].shape == (7, 5)
    assert "class_vectors" not in dict(network.named_parameters())


def test_a_size_that_does_not_fit_is_refused_with_its_number() -> None:
    with pytest.raises(InputError, match="18"):
        HalfUNet(HalfUNetConfig(size=18, multipliers=(1, 2)))
    with pytest.raises(InputError, match="16 by 16"):
        filled(Classifier(SMALL))(*batch(1, 32))
