"""The adversarial objective of clips: a generator against a judge of frames and one of clips; and the recipe of both.

"loss" is the sum of all losses; each network gets the gradient of its own alone, as in adversarial.py.
Shapes: B batch, T frames, F frames that are seen. Logits [B]: higher for what looks real and fits its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from text2x.adversarial import draw_noise, squared_gradient
from text2x.conditioning import Conditioner
from text2x.config import from_dict
from text2x.data.clip_batches import ClipBatch, ClipBatchConfig
from text2x.errors import InputError
from text2x.networks.gan import Discriminator
from text2x.networks.video_gan import VideoGAN, VideoGANConfig, draw_motion, draw_places, picked, shown
from text2x.recipe import FORMAT, WeightFile
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig

SMALL = 8  # px a side of what the energy score compares


@dataclass(frozen=True)
class VideoAdversarialConfig:
    """The relativistic loss, pair by pair, with gradient penalties at real and made clips (Huang et al. 2024, R3GAN).

    Penalties are taken in `penalty_share` of the steps, with 1 / that share as weight.
    """

    gamma: float = 0.5
    penalty_share: float = 0.25
    mismatch_weight: float = 0.5  # of real clips with another's text
    clip_weight: float = 1.0  # of the judge of clips beside that of frames

    def __post_init__(self) -> None:
        if not 0 <= self.penalty_share <= 1:
            raise InputError(f"objective.penalty_share is {self.penalty_share}; it must be from 0 to 1")
        for name in ("gamma", "mismatch_weight", "clip_weight"):
            if not getattr(self, name) >= 0:
                raise InputError(f"objective.{name} is {getattr(self, name)}; it must be at least 0")


@dataclass(frozen=True)
class VideoGANRecipe:
    """Everything that makes a GAN of clips, but its weights."""

    name: str
    summary: str
    size: int  # pixels a side
    network: VideoGANConfig
    conditioner: MiniLMConfig
    data: ClipBatchConfig
    training: TrainingConfig
    objective: VideoAdversarialConfig = VideoAdversarialConfig()
    data_set: str = "animated-emoji"
    rate: float = 12.0  # frames/s of what is made


@dataclass(frozen=True)
class VideoGANModel:
    """A trained GAN of clips; its weight file holds the generator alone."""

    name: str
    summary: str
    licence: str
    recipe: VideoGANRecipe
    file: str = "video.safetensors"
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    format: int = FORMAT
    attribution: tuple[str, ...] = ()


def video_gan_model(values: Mapping[str, Any]) -> VideoGANModel:
    """The model that a recipe.json describes; that of a training run has its weights in averages/."""
    if values.get("type") == "VideoGANModel":
        return from_dict(VideoGANModel, values, where="recipe.json")
    recipe = from_dict(VideoGANRecipe, values, where="recipe.json")
    file = f"averages/{recipe.training.averages[0]}.safetensors"
    return VideoGANModel(recipe.name, recipe.summary, "unknown", recipe, file)


class VideoAdversarial:
    """The losses of a GAN on captioned clips; a batch of single pictures meets the judge of frames alone.

    Everything random is drawn on the CPU from the generator it is given, so a step depends on its batch and seed alone.
    """

    def __init__(
        self,
        gan: VideoGAN,
        conditioner: Conditioner,
        config: VideoAdversarialConfig,
        styles: tuple[str, ...] = (),  # that the conditioner knows; others are not told
        device: torch.device | str = "cpu",
    ) -> None:
        self.gan, self.conditioner, self.config, self.styles = gan, conditioner, config, styles
        self.device = torch.device(device)

    def __call__(self, batch: ClipBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """Losses "generator" and "discriminator", their sum as "loss", the penalty, and mean logits of each judge."""
        config, network = self.config, self.gan.config
        vector = text_vector(self.conditioner, batch, self.styles).to(self.device)
        frames, loops = batch.videos.shape[2], batch.loops.to(self.device)
        noise = draw_noise(len(vector), network.image.noise_width, rng).to(self.device)
        motion = draw_motion(len(vector), network, rng).to(self.device)
        single = torch.randint(frames, (len(vector), 1), generator=rng).to(self.device)
        penalised = float(torch.rand((), generator=rng)) < config.penalty_share
        made = self.gan.generator(noise, motion, vector, frames, loops)
        real = batch.videos.to(self.device)
        views: list[tuple[str, Discriminator, Tensor, Tensor | None, float]] = [
            ("frame", self.gan.of_frames, single, None, 1.0)
        ]
        if not batch.pictures and config.clip_weight > 0:
            places, told = (each.to(self.device) for each in draw_places(frames, batch.loops, network.seen, rng))
            views.append(("clip", self.gan.of_clips, places, told, config.clip_weight))
        totals = {name: vector.new_zeros(()) for name in ("generator", "discriminator", "penalty")}
        means = {}
        for name, judge, places, told, weight in views:
            pair = picked(real, places), picked(made, places)
            losses = self._judged(judge, *pair, vector, told, penalised)
            for key in totals:
                totals[key] = totals[key] + weight * losses[key]
            means |= {f"{name}/{key}": losses[key].detach().mean() for key in ("real", "fake", "mismatched")}
        loss = sum(totals.values())
        assert isinstance(loss, Tensor)
        return {**means, **{key: value.detach() for key, value in totals.items()}, "loss": loss}

    def _judged(
        self, judge: Discriminator, real: Tensor, made: Tensor, vector: Tensor, told: Tensor | None, penalised: bool
    ) -> dict[str, Tensor]:
        """The judge's loss and penalty, the generator's loss by it, and its logits."""
        config, fake = self.config, made.detach()
        if penalised:
            real, fake = real.detach().requires_grad_(), fake.requires_grad_()
        of_real, of_fake = judge.features(torch.cat([real, fake])).chunk(2)
        is_real, is_fake = judge.judge(of_real, vector, told), judge.judge(of_fake, vector, told)
        other = judge.judge(of_real, vector.roll(1, 0), told)
        loss = F.softplus(is_fake - is_real).mean() + config.mismatch_weight * F.softplus(other - is_real).mean()
        penalty = loss.new_zeros(())
        if penalised:
            gradient = squared_gradient(is_real.sum() + is_fake.sum(), [real, fake])
            penalty = config.gamma / 2 * gradient / config.penalty_share
        frozen = {name: value.detach() for name, value in judge.named_parameters()}
        logits = functional_call(judge, frozen, (made, vector, told))
        generator = F.softplus(is_real.detach() - logits).mean()
        return {
            "discriminator": loss,
            "penalty": penalty,
            "generator": generator,
            "real": is_real,
            "fake": is_fake,
            "mismatched": other,
        }


def text_vector(conditioner: Conditioner, batch: ClipBatch, styles: tuple[str, ...] = ()) -> Tensor:
    """[B, V] of the captions, with those of the batch's styles that are known; a GAN has nothing else of the text."""
    named = [style if style in styles else None for style in batch.styles]
    vector = conditioner(batch.captions, named).vector
    if vector is None:
        raise InputError("a GAN is told of the text by a vector; set conditioner.vector to true")
    return vector


@torch.no_grad()
def held_out(
    gan: VideoGAN,
    conditioner: Conditioner,
    batches: Iterable[ClipBatch],
    seed: int,
    styles: tuple[str, ...] = (),
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """The energy score of clips shrunk to 8 px, "held_out", lower is better, with its parts (see adversarial.py)."""
    errors, spreads = [], []
    for index, batch in enumerate(batches):
        rng = torch.Generator().manual_seed(seed + index)
        vector = text_vector(conditioner, batch, styles).to(device)
        frames, loops = batch.videos.shape[2], batch.loops.to(device)
        made = []
        for _ in range(2):
            noise = draw_noise(len(vector), gan.config.image.noise_width, rng).to(device)
            motion = draw_motion(len(vector), gan.config, rng).to(device)
            made.append(shown(gan(noise, motion, vector, frames, loops).float().cpu()))
        one, other, real = (_shrunk(each) for each in (*made, batch.videos))
        errors.append(((one - real).norm(dim=1) + (other - real).norm(dim=1)) / 2)
        spreads.append((one - other).norm(dim=1))
    error, spread = float(torch.cat(errors).mean()), float(torch.cat(spreads).mean())
    return {"held_out": error - spread / 2, "held_out/error": error, "held_out/variety": spread}


def _shrunk(clips: Tensor) -> Tensor:
    """[B, C, T, H, W] -> [B, C T 64], of a length that does not grow with T."""
    frames = clips.shape[2]
    small = F.adaptive_avg_pool2d(clips.transpose(1, 2).flatten(0, 1), SMALL)
    return small.unflatten(0, (-1, frames)).flatten(1) / frames**0.5
