"""The autoencoder's losses by hand, each network's gradient its own, the adaptive weight, held-out figures."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference_kl
from torch.nn import functional as F

from text2x.autoencoding import (
    AutoencoderAndDiscriminator,
    Autoencoding,
    AutoencodingConfig,
    Numbered,
    autoencoder_weights,
    held_out,
    hinge_losses,
    kl_divergence,
    psnr,
)
from text2x.data.batches import Batch
from text2x.errors import InputError
from text2x.networks.autoencoder import AutoencoderConfig
from text2x.networks.patch_discriminator import PatchDiscriminatorConfig

SHAPE = AutoencoderConfig(latent_channels=3, width=8, multipliers=(1, 2), attention=False)
PLAIN = AutoencodingConfig(adversarial_from=0)


def batch(count: int = 4) -> Batch:
    images = torch.rand(count, 4, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Batch(images, ("a",) * count, (None,) * count, None, torch.arange(count))


def objective(config: AutoencodingConfig) -> Autoencoding:
    torch.manual_seed(0)
    networks = AutoencoderAndDiscriminator(SHAPE, PatchDiscriminatorConfig(width=8, layers=1))
    for module in networks.discriminator.modules():  # type: ignore[union-attr]
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.2)  # judges differently from the start
    return Autoencoding(networks, config)


def rng(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pieces(made: Autoencoding) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures made of drawn latents, mean and log-variance, as the objective draws them."""
    mean, log_variance = made.networks.autoencoder.encode(batch().images)
    noise = torch.randn(mean.shape, generator=rng())
    return made.networks.autoencoder.decode(mean + torch.exp(0.5 * log_variance) * noise), mean, log_variance


def test_the_kl_divergence_is_that_of_normal_distributions() -> None:
    mean, log_variance = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    known = reference_kl(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).flatten(1).sum(1)
    torch.testing.assert_close(kl_divergence(mean, log_variance), known, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", ["l1", "mse"])
def test_before_its_step_the_discriminator_counts_for_nothing(kind: str) -> None:
    config = AutoencodingConfig(reconstruction=kind, kl_weight=0.01, adversarial_from=5)  # type: ignore[arg-type]
    made = objective(config)
    picture, mean, log_variance = pieces(made)
    error = picture - batch().images
    reconstruction = error.abs().mean() if kind == "l1" else error.square().mean()
    divergence = kl_divergence(mean, log_variance).mean()
    losses = made(Numbered(4, batch()), rng())
    torch.testing.assert_close(losses["loss"], reconstruction + 0.01 * divergence / (4 * 16 * 16))
    assert set(losses) == {"loss", "reconstruction", "kl"}
    losses["loss"].backward()
    assert all(value.grad is None for value in made.networks.discriminator.parameters())  # type: ignore[union-attr]


def test_the_hinge_losses_are_those_of_the_paper() -> None:
    made = objective(PLAIN)
    judge, real = made.networks.discriminator, batch().images
    assert judge is not None
    fake = torch.randn_like(real)
    judged, deceived = hinge_losses(judge, real, fake)
    by_hand = 0.5 * (F.relu(1 - judge(real)).mean() + F.relu(1 + judge(fake)).mean())
    torch.testing.assert_close(judged, by_hand, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(deceived, -judge(fake).mean(), atol=1e-6, rtol=1e-5)


def test_the_adaptive_weight_makes_both_gradients_at_the_last_layer_as_long_as_each_other() -> None:
    made = objective(PLAIN)
    picture, _, _ = pieces(made)
    last = made.networks.autoencoder.last_layer
    judge = made.networks.discriminator
    assert judge is not None
    of_error = torch.autograd.grad((picture - batch().images).abs().mean(), last, retain_graph=True)[0]
    of_judge = torch.autograd.grad(-judge(picture).mean(), last)[0]
    losses = made(Numbered(0, batch()), rng())
    assert float(losses["weight"]) == pytest.approx(0.5 * float(of_error.norm() / (of_judge.norm() + 1e-4)), rel=1e-4)
    fixed = objective(replace(PLAIN, adaptive=False))(Numbered(0, batch()), rng())
    assert float(fixed["weight"]) == 0.5


def test_each_network_gets_the_gradient_of_its_own_loss_and_nothing_else() -> None:
    made = objective(replace(PLAIN, adaptive=False, kl_weight=0.0))
    networks = made.networks
    assert networks.discriminator is not None
    picture, _, _ = pieces(made)
    drawn = (picture - batch().images).abs().mean() - 0.5 * networks.discriminator(picture).mean()
    of_autoencoder = torch.autograd.grad(drawn, list(networks.autoencoder.parameters()), allow_unused=True)
    judged = hinge_losses(networks.discriminator, batch().images, picture.detach())[0]
    of_judge = torch.autograd.grad(judged, list(networks.discriminator.parameters()))
    made(Numbered(0, batch()), rng())["loss"].backward()
    for network, expected in ((networks.autoencoder, of_autoencoder), (networks.discriminator, of_judge)):
        for value, gradient in zip(network.parameters(), expected, strict=True):
            if gradient is not None:
                assert value.grad is not None
                torch.testing.assert_close(value.grad, gradient, atol=1e-6, rtol=1e-4)
    assert max(float(each.abs().max()) for each in of_judge) > 1e-5


def test_a_step_depends_on_its_batch_and_its_random_numbers_alone() -> None:
    made = objective(PLAIN)
    one, again, other = (made(Numbered(0, batch()), rng(seed)) for seed in (3, 3, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["loss"], other["loss"])


def test_psnr_of_a_known_error_is_known() -> None:
    real = torch.zeros(2, 4, 8, 8)
    made = torch.stack([real[0] + 0.2, real[1]])
    assert psnr(made, real).tolist() == pytest.approx([10 * math.log10(4 / 0.04), 100.0], abs=1e-4)


class Grey(nn.Module):
    """Keeps a picture's mean and nothing else."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = x.mean((1, 2, 3), keepdim=True)
        return mean, mean

    def decode(self, z: Tensor) -> Tensor:
        return z.expand(-1, 4, 16, 16)


def test_held_out_figures_are_those_of_the_pictures_made_of_means() -> None:
    given = batch()
    figures = held_out(Grey(), [given], "cpu")  # type: ignore[arg-type]
    means = given.images.mean((1, 2, 3), keepdim=True)
    error = given.images - means
    assert figures["held_out"] == pytest.approx(float(error.square().mean()), rel=1e-5)
    assert figures["held_out/l1"] == pytest.approx(float(error.abs().mean()), rel=1e-5)
    ratios = 10 * torch.log10(4 / error.square().mean((1, 2, 3)))
    assert figures["held_out/psnr"] == pytest.approx(float(ratios.mean()), rel=1e-5)
    assert figures["held_out/latent_std"] == pytest.approx(float(means.std()), rel=1e-4)


def test_without_a_weight_there_is_no_discriminator_and_its_weights_can_be_told_apart() -> None:
    alone = AutoencoderAndDiscriminator(SHAPE, None)
    assert all(name.startswith("autoencoder.") for name in alone.state_dict())
    both = objective(PLAIN).networks
    assert autoencoder_weights(both.state_dict()).keys() == both.autoencoder.state_dict().keys()


@pytest.mark.parametrize("field", ["kl_weight", "adversarial_weight", "adversarial_from"])
def test_weights_below_zero_are_refused(field: str) -> None:
    with pytest.raises(InputError, match=f"objective.{field} is -1"):
        AutoencodingConfig(**{field: -1})  # type: ignore[arg-type]
