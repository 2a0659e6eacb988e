"""The adversarial objective on latents of captioned sounds, the recipe of such a GAN, and what its recipe.json says.

"loss" is the sum of both networks' losses; each gets the gradient of its own alone, as in adversarial.py. A model's
folder is {recipe.json, generator.safetensors, codec.safetensors}; that of a run has averages/ instead of the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from text2x.adversarial import draw_noise, squared_gradient
from text2x.conditioning import Conditioner
from text2x.config import from_dict
from text2x.data.latent_batches import LatentBatch, LatentBatchConfig
from text2x.errors import InputError
from text2x.networks.sound_gan import SoundGAN, SoundGANConfig
from text2x.recipe import FORMAT, WeightFile
from text2x.sound_diffusion import LatentPart, told_numbers
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig

GENERATOR_FILE = "generator.safetensors"
BINS = 8  # of time, in which the energy score compares means


@dataclass(frozen=True)
class SoundAdversarialConfig:
    """The relativistic loss, pair by pair, with gradient penalties at real and made sounds (Huang et al. 2024, R3GAN).

    Penalties are taken in `penalty_share` of the steps, with 1 / that share as weight.
    """

    gamma: float = 50.0  # at 0.5 the judge of a small set soon wins
    penalty_share: float = 0.25
    mismatch_weight: float = 0.5  # of real sounds with another's words

    def __post_init__(self) -> None:
        if not 0 <= self.penalty_share <= 1:
            raise InputError(f"objective.penalty_share is {self.penalty_share}; it must be from 0 to 1")
        for name in ("gamma", "mismatch_weight"):
            if not getattr(self, name) >= 0:
                raise InputError(f"objective.{name} is {getattr(self, name)}; it must be at least 0")


@dataclass(frozen=True)
class SoundGANRecipe:
    """Everything that makes a GAN of sounds, but its weights; what codec and text decide is filled in by them."""

    name: str
    summary: str
    kind: Literal["sound", "music"]
    network: SoundGANConfig
    conditioner: MiniLMConfig
    data: LatentBatchConfig
    training: TrainingConfig
    codec: str | LatentPart = "runs/codec-kl"
    objective: SoundAdversarialConfig = SoundAdversarialConfig()
    data_set: str = "sounds"

    def __post_init__(self) -> None:
        if self.data.loops > 0:
            raise InputError(f"data.loops is {self.data.loops}; a GAN of sounds makes no loops: set it to 0")


@dataclass(frozen=True)
class SoundGANModel:
    """A trained GAN: what recipe.json in its folder says."""

    name: str
    summary: str
    licence: str
    recipe: SoundGANRecipe
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    format: int = FORMAT
    attribution: tuple[str, ...] = ()


def is_sound_gan(values: Mapping[str, Any]) -> bool:
    """Whether a recipe.json is of a GAN of sounds, packed or a training run's."""
    return values.get("type") in (SoundGANRecipe.__name__, SoundGANModel.__name__)


def sound_gan_model(values: Mapping[str, Any]) -> SoundGANModel:
    """The model that a recipe.json describes: of a model folder, or of a training run."""
    if values.get("type") == SoundGANModel.__name__:
        return from_dict(SoundGANModel, values, where="recipe.json")
    recipe = from_dict(SoundGANRecipe, values, where="recipe.json")
    return SoundGANModel(recipe.name, recipe.summary, "unknown", recipe)


def sound_vector(text: Conditioner, captions: Iterable[str], seconds: Tensor, longest: float) -> Tensor:
    """[B, V]: the vector of the words and what tells the seconds; a GAN has nothing else of them."""
    vector = text(tuple(captions)).with_vector(told_numbers(seconds, longest, False)).vector
    assert vector is not None
    return vector


class SoundAdversarial:
    """Both losses of a GAN on latents.

    Everything random is drawn on the CPU from the generator it is given, so a step depends on its batch and seed alone.
    """

    def __init__(
        self, gan: SoundGAN, text: Conditioner, recipe: SoundGANRecipe, device: torch.device | str = "cpu"
    ) -> None:
        self.gan, self.text, self.config = gan, text, recipe.objective
        self.longest, self.device = recipe.data.seconds, torch.device(device)

    def __call__(self, batch: LatentBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """Losses "generator" and "discriminator", their sum as "loss", the penalty, and mean logits."""
        config, judge = self.config, self.gan.discriminator
        vector = sound_vector(self.text, batch.captions, batch.seconds, self.longest).to(self.device)
        noise = draw_noise(len(vector), self.gan.config.noise_width, rng).to(self.device)
        penalised = float(torch.rand((), generator=rng)) < config.penalty_share
        made, real = self.gan.generator(noise, vector), batch.latents.to(self.device)
        fake = made.detach()
        if penalised:
            real, fake = real.detach().requires_grad_(), fake.requires_grad_()
        of_real, of_fake = judge.features(torch.cat([real, fake])).chunk(2)
        is_real, is_fake = judge.judge(of_real, vector), judge.judge(of_fake, vector)
        other = judge.judge(of_real, vector.roll(1, 0))
        loss = F.softplus(is_fake - is_real).mean() + config.mismatch_weight * F.softplus(other - is_real).mean()
        penalty = loss.new_zeros(())
        if penalised:
            gradient = squared_gradient(is_real.sum() + is_fake.sum(), [real, fake])
            penalty = config.gamma / 2 * gradient / config.penalty_share
        frozen = {name: value.detach() for name, value in judge.named_parameters()}
        logits = functional_call(judge, frozen, (made, vector))
        generator = F.softplus(is_real.detach() - logits).mean()
        told = {"generator": generator, "discriminator": loss, "penalty": penalty, "real": is_real, "fake": is_fake}
        means = {name: value.detach().mean() for name, value in told.items()}
        return {**means, "loss": loss + penalty + generator}


@torch.no_grad()
def held_out(
    gan: SoundGAN,
    text: Conditioner,
    batches: Iterable[LatentBatch],
    longest: float,
    seed: int,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """The energy score of latents, "held_out", lower is better, with its two parts (see adversarial.py).

    Compared are the means of each channel and of its size over eighths of the time: where there is sound, and how much.
    """
    errors, spreads = [], []
    for index, batch in enumerate(batches):
        rng = torch.Generator().manual_seed(seed + index)
        vector = sound_vector(text, batch.captions, batch.seconds, longest).to(device)
        noises = [draw_noise(len(vector), gan.config.noise_width, rng).to(device) for _ in range(2)]
        made = [gan.generator(noise, vector).cpu() for noise in noises]
        one, other, real = (_summary(each) for each in (*made, batch.latents))
        errors.append(((one - real).norm(dim=1) + (other - real).norm(dim=1)) / 2)
        spreads.append((one - other).norm(dim=1))
    error, spread = float(torch.cat(errors).mean()), float(torch.cat(spreads).mean())
    return {"held_out": error - spread / 2, "held_out/error": error, "held_out/variety": spread}


def _summary(latents: Tensor) -> Tensor:
    """[B, Z, S] -> [B, 2 Z BINS]."""
    return F.adaptive_avg_pool1d(torch.cat([latents, latents.abs()], dim=1), BINS).flatten(1)
