"""The autoencoding objective: reconstruction, a small KL, a discriminator of patches; and the recipe of an autoencoder.

Rombach et al. 2022, App. G, after Esser et al. 2021 (VQGAN): both networks learn from one backward pass, each from the
gradient of its own loss, as in adversarial.py. Losses are means over numbers of a picture, where theirs are sums: the
balance between the terms is the same. The perceptual term is left out: it needs a network trained on other data.
Shapes: B batch, C channels, Z latent channels. Pictures are [B, C, H, W] in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from text2x.data.batches import Batch, BatchConfig, ImageBatches
from text2x.errors import InputError
from text2x.networks.autoencoder import Autoencoder, AutoencoderConfig
from text2x.networks.patch_discriminator import PatchDiscriminator, PatchDiscriminatorConfig
from text2x.training_config import TrainingConfig

PART = "autoencoder."  # the autoencoder's names among a run's weights; the rest is the discriminator's
SMALLEST_GRADIENT, LARGEST_BALANCE = 1e-4, 1e4  # of the adaptive weight (Esser et al. 2021, Eq. 7, and their code)
PEAK = 2.0  # of pictures in [-1, 1], from black to white


@dataclass(frozen=True)
class AutoencodingConfig:
    """How both networks are judged.

    `kl_weight` is on the KL divergence summed over a picture's latents, beside the reconstruction error summed over its
    numbers. The discriminator's hinge loss counts from step `adversarial_from` on; with `adaptive` its weight is
    multiplied by the ratio of the gradients by the decoder's last layer (Esser et al. 2021, Eq. 7).
    """

    reconstruction: Literal["l1", "mse"] = "l1"
    kl_weight: float = 1e-6  # Rombach et al. 2022, App. G
    adversarial_weight: float = 0.5  # theirs; 0: no discriminator
    adaptive: bool = True
    adversarial_from: int = 1000  # steps; theirs is 50,000

    def __post_init__(self) -> None:
        for name in ("kl_weight", "adversarial_weight", "adversarial_from"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"objective.{name} is {getattr(self, name)}; it must be at least 0 and finite")


@dataclass(frozen=True)
class AutoencoderRecipe:
    """Everything that makes an autoencoder but its weights: the codec of models that work on latents."""

    name: str
    summary: str
    size: int  # pixels a side that it is trained at; it takes any multiple of its factor
    network: AutoencoderConfig
    discriminator: PatchDiscriminatorConfig
    data: BatchConfig
    training: TrainingConfig
    objective: AutoencodingConfig = AutoencodingConfig()
    data_set: str = "emoji"


class AutoencoderAndDiscriminator(nn.Module):
    """What is trained: the autoencoder, and what tells its pictures from real ones, if anything does."""

    def __init__(self, network: AutoencoderConfig, discriminator: PatchDiscriminatorConfig | None) -> None:
        super().__init__()
        self.autoencoder = Autoencoder(network)
        self.discriminator = None if discriminator is None else PatchDiscriminator(discriminator)


def build_autoencoder(recipe: AutoencoderRecipe) -> AutoencoderAndDiscriminator:
    """Both networks with fresh weights, from torch's current random state."""
    judged = recipe.objective.adversarial_weight > 0
    return AutoencoderAndDiscriminator(recipe.network, recipe.discriminator if judged else None)


def autoencoder_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The autoencoder's part of a run's weights, with the names that it has alone."""
    return {name.removeprefix(PART): value for name, value in tensors.items() if name.startswith(PART)}


@dataclass(frozen=True)
class Numbered:
    """A batch and the step that it is of: the discriminator begins at a step of its own."""

    step: int
    batch: Batch


@dataclass(frozen=True)
class NumberedBatches:
    """Batches with their steps; pure functions of the step, as the trainer needs them."""

    batches: ImageBatches

    def batch_at(self, step: int) -> Numbered:
        """The batch of one step."""
        return Numbered(step, self.batches.batch_at(step))


class Autoencoding:
    """Both losses of an autoencoder and its discriminator.

    Everything random is drawn on the CPU from the generator it is given, so a step depends on its batch and seed alone.
    """

    def __init__(
        self,
        networks: AutoencoderAndDiscriminator,
        config: AutoencodingConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        self.networks, self.config, self.device = networks, config, torch.device(device)

    def __call__(self, given: Numbered, rng: torch.Generator) -> dict[str, Tensor]:
        """The sum of all as "loss", and its parts: "reconstruction", "kl" of a picture, those of the discriminator."""
        images = given.batch.images.to(self.device)
        mean, log_variance = (each.float() for each in self.networks.autoencoder.encode(images))
        noise = torch.randn(mean.shape, generator=rng).to(self.device)
        made = self.networks.autoencoder.decode(mean + (log_variance / 2).exp() * noise).float()
        error = made - images
        reconstruction = error.abs().mean() if self.config.reconstruction == "l1" else error.square().mean()
        divergence = kl_divergence(mean, log_variance).mean()
        loss = reconstruction + self.config.kl_weight * divergence / images[0].numel()
        values = {"reconstruction": reconstruction.detach(), "kl": divergence.detach()}
        discriminator = self.networks.discriminator
        if discriminator is not None and given.step >= self.config.adversarial_from:
            judged, deceived = hinge_losses(discriminator, images, made)
            weight = self._weight(reconstruction, deceived)
            loss = loss + judged + weight * deceived
            values |= {"discriminator": judged.detach(), "generator": deceived.detach(), "weight": weight}
        return {**values, "loss": loss}

    def _weight(self, reconstruction: Tensor, deceived: Tensor) -> Tensor:
        """The generator's weight; adaptive: times |gradient of reconstruction| / |gradient of the adversarial loss|."""
        fixed = reconstruction.new_tensor(self.config.adversarial_weight)
        if not self.config.adaptive:
            return fixed
        last = self.networks.autoencoder.last_layer
        sizes = [
            torch.autograd.grad(each, last, retain_graph=True)[0].float().norm() for each in (reconstruction, deceived)
        ]
        return fixed * (sizes[0] / (sizes[1] + SMALLEST_GRADIENT)).clamp(0, LARGEST_BALANCE).detach()


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of each item's latents [B, Z, h, w] to standard normal ones, summed, in nats, [B] (Kingma, Welling 2014)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1) / 2


def hinge_losses(discriminator: PatchDiscriminator, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """The discriminator's loss, which does not reach `made`, and the generator's, which does not reach its weights.

    (Lim and Ye 2017; half of the hinge loss, as in Esser et al. 2021, their code.)
    """
    is_real, is_made = discriminator(torch.cat([real, made.detach()])).chunk(2)
    judged = (F.relu(1 - is_real).mean() + F.relu(1 + is_made).mean()) / 2
    frozen = {name: value.detach() for name, value in discriminator.named_parameters()}
    return judged, -functional_call(discriminator, frozen, (made,)).mean()


# How well held-out pictures are kept


def psnr(made: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in dB, over all four channels, at most 100, [B]."""
    error = (made - real).square().flatten(1).mean(1)
    return 10 * torch.log10(PEAK**2 / error.clamp_min(PEAK**2 * 1e-10))


@torch.no_grad()
def held_out(
    autoencoder: Autoencoder, batches: Iterable[Batch], device: torch.device | str = "cpu"
) -> dict[str, float]:
    """The squared error of pictures made of mean latents as "held_out", with PSNR in dB, L1 and the latents' deviation.

    In float32 whatever the training's precision is.
    """
    errors, ratios, distances, latents = [], [], [], []
    for batch in batches:
        real = batch.images.to(device)
        with torch.autocast(real.device.type, enabled=False):
            mean, _ = autoencoder.encode(real)
            made = autoencoder.decode(mean).clamp(-1, 1)
        errors.append((made - real).square().flatten(1).mean(1))
        distances.append((made - real).abs().flatten(1).mean(1))
        ratios.append(psnr(made, real))
        latents.append(mean.transpose(0, 1).flatten(1))  # [Z, places]
    deviation = torch.cat(latents, dim=1).std(1).mean()
    return {
        "held_out": float(torch.cat(errors).mean()),
        "held_out/psnr": float(torch.cat(ratios).mean()),
        "held_out/l1": float(torch.cat(distances).mean()),
        "held_out/latent_std": float(deviation),
    }
