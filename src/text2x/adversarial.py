"""The adversarial objective: generator and discriminator learn from one backward pass; and the recipe of a GAN.

"loss" is the sum of both losses. The discriminator's sees the generator's pictures detached, the generator's goes
through the discriminator with its weights detached: each network gets the gradient of its own loss and nothing else.
Shapes: B batch, V text vector width, A augmentation labels. Logits [B], or [B, heads]: higher for what looks real and
fits its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from text2x.conditioning import Conditioner
from text2x.data.batches import Batch, BatchConfig
from text2x.errors import InputError
from text2x.guides import CLIPGuide
from text2x.networks.gan import GAN, FrozenDiscriminator, GANConfig, in_range
from text2x.text_conditioner import HubTextConfig, MiniLMConfig
from text2x.training_config import TrainingConfig

LABELS = (
    9  # of `augmented`: shift right and down; a window's place across, down, and whether; brightness; red, green, blue
)
MOST_SHIFT = 1 / 8  # of the side (Zhao et al. 2020, DiffAugment, Sec. 3.3)
WINDOW = 1 / 2  # side of what is cut out, as a share of the picture's (the same)
MOST_BRIGHTER, MOST_COLOUR = 0.3, 0.2  # factors of 1 +- that
CLIP_MOST_NOISE = 0.5  # time up to which what the CLIP sees is noised: what fools it by single pixels is drowned
GRADIENT_WEIGHT, GRADIENT_POWER = 2.0, 6.0  # of the matching-aware gradient penalty (Tao et al. 2022, DF-GAN, Eq. 3)


@dataclass(frozen=True)
class AdversarialConfig:
    """How both networks are judged.

    "hinge": the hinge loss with the penalty 2 |gradient by picture and text|^6 at real pairs (DF-GAN, Eq. 2 and 3).
    "relativistic": softplus of differences of logits, pair by pair, with penalties gamma / 2 |gradient by picture|^2 at
    real and at made pictures (Huang et al. 2024, "The GAN is dead; long live the GAN!", R3GAN, Eq. 2 to 4).
    Penalties need a second derivative: they are taken in `penalty_share` of the steps, with 1 / that share as weight,
    and not at all if it is 0: a frozen network's features need none (Sauer et al. 2021, Projected GANs).
    With `clip_weight` the generator is also told how far its pictures are from their texts to a frozen noised CLIP
    (Sauer et al. 2023, StyleGAN-T, Sec. 3.3).
    With `match_weight` and `match_features` it is also told how far they are from the real pictures of the same texts,
    in pixels and in what a frozen discriminator sees (Isola et al. 2017, pix2pix, Eq. 4; see `unmatched_features`).
    Where a text has one picture, that teaches what belongs to it far sooner than a discriminator does, at the cost of
    variety. A frozen network's gradients are steep and a mean over pixels is not: to count for as much, the weight of
    pixels is some hundreds. With `adversarial_weight` 0 there is no discriminator at all, which is a fast way to begin.
    """

    loss: Literal["hinge", "relativistic"] = "relativistic"
    gamma: float = 0.5
    penalty_share: float = 0.25
    mismatch_weight: float = 0.5  # of real pictures with another's text
    augment_probability: float = 0.5  # of each change, told to the discriminator
    clip_weight: float = 0.0
    clip: str = "emoji-guides"  # a model or a folder with a noised CLIP
    match_weight: float = 0.0
    match_features: float = 0.0
    adversarial_weight: float = 1.0  # of the generator's

    def __post_init__(self) -> None:
        if not 0 <= self.penalty_share <= 1:
            raise InputError(f"objective.penalty_share is {self.penalty_share}; it must be from 0 to 1")
        if not 0 <= self.augment_probability < 1:
            raise InputError(
                f"objective.augment_probability is {self.augment_probability}; it must be from 0 to below 1"
            )
        for name in ("gamma", "mismatch_weight", "clip_weight", "match_weight", "match_features", "adversarial_weight"):
            if not getattr(self, name) >= 0:
                raise InputError(f"objective.{name} is {getattr(self, name)}; it must be at least 0")


@dataclass(frozen=True)
class GANSampling:
    """What is used where a request leaves it open."""

    style: str | None = None
    truncation: float = 1.0  # the noise is multiplied by it: lower is plainer and less varied


@dataclass(frozen=True)
class GANRecipe:
    """Everything that makes a GAN, but its weights."""

    name: str
    summary: str
    size: int  # pixels a side
    network: GANConfig
    conditioner: MiniLMConfig | HubTextConfig
    data: BatchConfig
    training: TrainingConfig
    objective: AdversarialConfig = AdversarialConfig()
    sampling: GANSampling = GANSampling()
    data_set: str = "emoji"


class Adversarial:
    """Both losses of a GAN on captioned pictures.

    Everything random is drawn on the CPU from the generator it is given, so a step depends on its batch and seed alone.
    """

    def __init__(
        self,
        gan: GAN,
        conditioner: Conditioner,
        config: AdversarialConfig,
        device: torch.device | str = "cpu",
        clip: CLIPGuide | None = None,
    ) -> None:
        if (clip is None) == (config.clip_weight > 0):
            raise InputError(
                f"objective.clip_weight is {config.clip_weight}: above 0 it needs a CLIP, at 0 it has none"
            )
        self.gan, self.conditioner, self.config, self.clip = gan, conditioner, config, clip
        self.device = torch.device(device)

    def __call__(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Losses "generator" and "discriminator", their sum as "loss", penalty, mean logits, "unlike", "unmatched"."""
        vector = self._vector(batch)
        count, config = len(batch.images), self.config
        labels = [draw_labels(count, config.augment_probability, rng).to(self.device) for _ in range(2)]
        noise = draw_noise(count, self.gan.generator.config.noise_width, rng).to(self.device)
        penalised = float(torch.rand((), generator=rng)) < config.penalty_share
        made = self.gan.generator(noise, vector)
        real = batch.images.to(self.device)
        judged: dict[str, Tensor] = {}
        loss = generator = made.new_zeros(())
        if config.adversarial_weight > 0:
            fake, shown = augmented(made, labels[1]), augmented(real, labels[0])
            judged = self._discriminator(shown, fake.detach(), vector, labels, penalised)
            loss = judged["discriminator"] + judged["penalty"]
            generator = config.adversarial_weight * self._fooling(fake, vector, labels[1], judged["real"].detach())
        if self.clip is not None:
            judged["unlike"] = unlikeness(self.clip, in_range(made), batch.captions, batch.styles, rng)
            generator = generator + config.clip_weight * judged["unlike"].mean()
        if config.match_weight > 0:
            judged["unmatched"] = (made - real).abs().flatten(1).mean(1)
            generator = generator + config.match_weight * judged["unmatched"].mean()
        if config.match_features > 0:
            judged["unmatched_features"] = unmatched_features(self.gan.discriminator, made, real)
            generator = generator + config.match_features * judged["unmatched_features"].mean()
        means = {name: value.detach().mean() for name, value in judged.items()}
        return {**means, "loss": loss + generator, "generator": generator.detach()}

    def _fooling(self, fake: Tensor, vector: Tensor, labels: Tensor, real: Tensor) -> Tensor:
        """The generator's loss of its own pictures, against logits of real ones where the loss is relativistic."""
        frozen = {name: value.detach() for name, value in self.gan.discriminator.named_parameters()}
        logits = functional_call(self.gan.discriminator, frozen, (fake, vector, labels))
        return -logits.mean() if self.config.loss == "hinge" else F.softplus(real - logits).mean()

    def _vector(self, batch: Batch) -> Tensor:
        vector = self.conditioner(batch.captions, batch.styles).to(self.device).vector
        if vector is None:
            raise InputError("a GAN is told of the text by a vector; set conditioner.vector to true")
        return vector

    def _discriminator(
        self, real: Tensor, fake: Tensor, vector: Tensor, labels: list[Tensor], penalised: bool
    ) -> dict[str, Tensor]:
        """The discriminator's loss and penalty, and its logits of real, made and mismatched pairs."""
        discriminator, config = self.gan.discriminator, self.config
        text = vector
        if penalised:
            real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
            text = vector.detach().requires_grad_()
        features = discriminator.features(torch.cat([real, fake]))
        of_real, of_fake = features.chunk(2)
        is_real = discriminator.judge(of_real, text, labels[0])
        is_fake = discriminator.judge(of_fake, vector, labels[1])
        other = discriminator.judge(of_real, vector.roll(1, 0), labels[0])
        if config.loss == "hinge":
            wrong = F.relu(1 + is_fake).mean() * (1 - config.mismatch_weight)
            loss = F.relu(1 - is_real).mean() + wrong + F.relu(1 + other).mean() * config.mismatch_weight
        else:
            loss = F.softplus(is_fake - is_real).mean() + config.mismatch_weight * F.softplus(other - is_real).mean()
        penalty = loss.new_zeros(())
        if penalised and config.loss == "hinge":
            penalty = gradient_penalty(is_real, [real, text])
        elif penalised:
            penalty = config.gamma / 2 * squared_gradient(is_real.sum() + is_fake.sum(), [real, fake])
        penalty = penalty / config.penalty_share if penalised else penalty
        return {"discriminator": loss, "penalty": penalty, "real": is_real, "fake": is_fake, "mismatched": other}


def unlikeness(
    clip: CLIPGuide,
    images: Tensor,
    captions: Sequence[str],
    styles: Sequence[str | None],
    rng: torch.Generator,
) -> Tensor:
    """Squared angle between pictures and texts, 2 arcsin(|a - b| / 2)^2 with unit vectors a, b: [B], differentiable.

    Pictures [B, 4, H, H] are brought to the CLIP's size by area and noised to times from 0 to CLIP_MOST_NOISE.
    """
    size = clip.recipe.size
    small = images.float() if images.shape[-1] == size else F.adaptive_avg_pool2d(images.float(), size)
    t = torch.rand(len(small), generator=rng) * CLIP_MOST_NOISE
    noise = torch.randn(small.shape, generator=rng).to(small.device)
    t = t.to(small.device)
    share = t[:, None, None, None]
    seen = clip.network.image_embedding((1 - share) * small + share * noise, t)
    apart = (seen - clip.text_embeddings(captions, styles)).norm(dim=1).clamp_max(2 - 1e-4)  # arcsin' is endless at 2
    return 2 * (apart / 2).arcsin().square()


def unmatched_features(discriminator: nn.Module, made: Tensor, real: Tensor) -> Tensor:
    """How far pictures [B, 4, H, H] look from those that they should be: [B], differentiable by the first.

    The squared distance of the maps of a frozen discriminator, each place's features scaled to length 1, mean over
    places and maps (Zhang et al. 2018, LPIPS, Eq. 1, without weights).
    """
    if not isinstance(discriminator, FrozenDiscriminator):
        raise InputError("objective.match_features needs network.discriminator=frozen; set it to 0, or the other so")
    with torch.no_grad():
        wanted = [F.normalize(each, dim=1) for each in discriminator.seen(real)]
    seen = [F.normalize(each, dim=1) for each in discriminator.seen(made)]
    squares = [(one - other).square().sum(1).mean((1, 2)) for one, other in zip(seen, wanted, strict=True)]
    return torch.stack(squares).mean(0)


def gradient_penalty(logits: Tensor, inputs: list[Tensor]) -> Tensor:
    """Mean of 2 |gradient of an item's logit by all its inputs together|^6 (DF-GAN, Eq. 3)."""
    gradients = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    squares = torch.stack([each.float().flatten(1).square().sum(1) for each in gradients]).sum(0)  # [B]
    return GRADIENT_WEIGHT * squares.pow(GRADIENT_POWER / 2).mean()


def squared_gradient(total: Tensor, inputs: list[Tensor]) -> Tensor:
    """The sum over inputs of the mean over items of |gradient|^2; `total` is the sum of the items' logits."""
    gradients = torch.autograd.grad(total, inputs, create_graph=True)
    return torch.stack([each.float().flatten(1).square().sum(1).mean() for each in gradients]).sum()


def draw_noise(count: int, width: int, rng: torch.Generator) -> Tensor:
    """[count, width] standard normal numbers."""
    return torch.randn(count, width, generator=rng)


# Augmentation that a gradient passes through and that the discriminator is told of


def draw_labels(count: int, probability: float, rng: torch.Generator) -> Tensor:
    """[count, LABELS] in [-1, 1], 0 where nothing is changed; each kind of change has the given probability an item."""
    amount = torch.rand(count, LABELS, generator=rng) * 2 - 1
    shift, cut, bright, colour = (torch.rand(4, count, 1, generator=rng) < probability).float().unbind(0)
    amount[:, 4] = 1
    return amount * torch.cat([shift, shift, cut, cut, cut, bright, colour, colour, colour], dim=1)


def augmented(images: Tensor, labels: Tensor) -> Tensor:
    """Shift, cut out a square, change brightness and colour of premultiplied RGBA [B, 4, H, H] as `labels` say.

    (Zhao et al. 2020, DiffAugment.) What is cut out or comes in is transparent. Colours are at most alpha afterwards.
    Since the discriminator knows the labels and untouched pictures occur, the generator has nothing to gain by showing
    such changes itself (Karras et al. 2020, ADA, Sec. 2.2). Shifts are in whole pixels; a gradient passes.
    """
    size = images.shape[-1]
    pixels = (images + 1) / 2
    pixels = _shifted(pixels, (labels[:, :2] * MOST_SHIFT * size).round().long())
    places = torch.arange(size, device=images.device)
    centres = ((labels[:, 2:4] + 1) / 2 * size).round()[..., None]  # [B, 2, 1]
    inside = (places - centres).abs() < WINDOW / 2 * size  # [B, 2, H]
    window = inside[:, 1, :, None] & inside[:, 0, None, :] & (labels[:, 4] > 0)[:, None, None]
    pixels = pixels * ~window[:, None]
    factor = (1 + MOST_BRIGHTER * labels[:, 5:6]) * (1 + MOST_COLOUR * labels[:, 6:9])  # [B, 3]
    colour, alpha = pixels[:, :3], pixels[:, 3:]
    colour = torch.minimum(colour * factor[..., None, None], alpha)
    return torch.cat([colour, alpha], dim=1) * 2 - 1


def _shifted(pixels: Tensor, shifts: Tensor) -> Tensor:
    """[B, C, H, H] moved right and down by whole pixels [B, 2]; zeros come in."""
    size = pixels.shape[-1]
    places = torch.arange(size, device=pixels.device)
    sources = places - shifts[..., None]  # [B, 2, H]
    kept = (sources >= 0) & (sources < size)
    sources = sources.clamp(0, size - 1)
    items = torch.arange(len(pixels), device=pixels.device)[:, None, None]
    moved = pixels[items, :, sources[:, 1, :, None], sources[:, 0, None, :]].movedim(-1, 1)
    return moved * (kept[:, 1, None, :, None] & kept[:, 0, None, None, :])


# How well held-out pictures are foreseen


@torch.no_grad()
def held_out(
    gan: GAN, conditioner: Conditioner, batches: Iterable[Batch], seed: int, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """The energy score of pictures shrunk to 8 px: "held_out", lower is better, with its two parts.

    For a real picture y and two made ones x, x' of its text: mean |x - y| - mean |x - x'| / 2 with Euclidean distances
    (Gneiting and Raftery 2007, Eq. 22); strictly proper: least for the true distribution given the text, so that both
    another subject and too little variety cost. "error" is mean |x - y|, "variety" mean |x - x'|.
    """
    errors, spreads = [], []
    for index, batch in enumerate(batches):
        rng = torch.Generator().manual_seed(seed + index)
        vector = conditioner(batch.captions, batch.styles).to(device).vector
        assert vector is not None
        width = gan.generator.config.noise_width
        noises = [draw_noise(len(vector), width, rng).to(device) for _ in range(2)]
        one, other = (in_range(gan(noise, vector).float().cpu()) for noise in noises)
        one, other, real = (F.adaptive_avg_pool2d(each, 8).flatten(1) for each in (one, other, batch.images))
        errors.append(((one - real).norm(dim=1) + (other - real).norm(dim=1)) / 2)
        spreads.append((one - other).norm(dim=1))
    error, spread = float(torch.cat(errors).mean()), float(torch.cat(spreads).mean())
    return {"held_out": error - spread / 2, "held_out/error": error, "held_out/variety": spread}
