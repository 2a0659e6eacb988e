"""Objectives: a batch and a generator of random numbers to losses; "loss" is minimised, the rest is logged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.conditioning import Conditioner, Conditioning
from text2x.data.batches import Batch
from text2x.degradation import blurred, degraded
from text2x.diffusion.denoiser import WEIGHTINGS, Denoiser, draw_times
from text2x.diffusion.schedules import Linear, expand
from text2x.latents import Latents
from text2x.masks import known_channels, placed, random_masks, unknown_channels
from text2x.networks.classifier import Classifier
from text2x.networks.clip import CLIP
from text2x.recipe import ClassificationConfig, ContrastiveConfig, DenoisingConfig, LowResolution

SCALES = (2.0, 4.0, 6.0, 9.0, 13.0, 20.0, 30.0, 45.0, 70.0, 100.0)  # of a cosine; up to the largest of a CLIP


@dataclass(frozen=True)
class ToldEmbeddings:
    """Image embeddings [N, D] of about unit variance, by the index of an item, and how often one is not told."""

    table: Tensor
    drop: float = 0.0

    def of(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Those of a batch, [B, D], zeros for what is dropped."""
        kept = torch.rand(len(batch.items), generator=rng) >= self.drop
        return self.table[batch.items] * kept[:, None]


class Denoising:
    """The loss of a denoiser on captioned pictures, with known regions and, for an upsampler, a low resolution.

    Everything random is drawn on the CPU from the generator it is given, so a step depends on its batch and seed alone.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        conditioner: Conditioner | None,
        config: DenoisingConfig,
        low_resolution: LowResolution | None = None,
        device: torch.device | str = "cpu",
        latents: Latents | None = None,
        embeddings: ToldEmbeddings | None = None,
    ) -> None:
        self.denoiser, self.conditioner, self.config = denoiser, conditioner, config
        self.low_resolution, self.latents, self.embeddings = low_resolution, latents, embeddings
        self.device = torch.device(device)
        self.weighting = WEIGHTINGS[config.weighting]

    def __call__(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean loss over the batch at random times."""
        given, masks = batch, None
        if float(torch.rand((), generator=rng)) < self.config.mask_probability:
            batch, masks = self._masked(batch, rng)
        conditioning = self.condition(batch, rng, masks)
        x_0 = self._encoded(batch, changed=batch.images is not given.images)
        t = draw_times(len(x_0), rng, self.config.times)
        return {"loss": self._losses(x_0, t, rng, conditioning).mean()}

    def _encoded(self, batch: Batch, changed: bool = False) -> Tensor:
        """What is noised: pixels, or latents; `changed` says that the pictures are not the items' own."""
        return batch.images if self.latents is None else self.latents.of(batch, changed)

    def _masked(self, batch: Batch, rng: torch.Generator) -> tuple[Batch, Tensor]:
        """The batch, its pictures perhaps shrunk and placed on an empty canvas, and masks of what is known of it."""
        masks = random_masks(len(batch.images), batch.images.shape[-1], rng)
        if float(torch.rand((), generator=rng)) >= self.config.placed_probability:
            return batch, masks
        images, frames = placed(batch.images, rng)
        whole = torch.rand(len(images), generator=rng) < 0.5  # known is all of the picture, and nothing around it
        return replace(batch, images=images), torch.where(whole[:, None, None, None], frames, masks)

    def condition(self, batch: Batch, rng: torch.Generator, masks: Tensor | None) -> Conditioning:
        """What the network is told of a batch: text, and the channels of known regions and low resolution."""
        if self.conditioner is None:
            conditioning = Conditioning()
        else:
            conditioning = self.conditioner(batch.captions, batch.styles, batch.augmentations)
        if self.embeddings is not None:
            conditioning = conditioning.with_vector(self.embeddings.of(batch, rng))
        if self.latents is not None:
            return conditioning.with_channels(self.latents.told(batch.images, masks))
        known = unknown_channels(batch.images) if masks is None else known_channels(batch.images, masks)
        if self.low_resolution is None:
            return conditioning.with_channels(known)
        small = quantized(shrink(batch.images, self.low_resolution.factor), self.low_resolution)
        if self.low_resolution.blur > 0:
            small = blurred(small, torch.full((len(small),), self.low_resolution.blur))
        if self.low_resolution.degradation > 0:
            small = degraded(small, self.low_resolution.degradation, rng)
        level = torch.rand(len(small), generator=rng) * self.low_resolution.largest_noise
        noise = torch.randn(small.shape, generator=rng)
        told = upsampling_condition(small, level, noise, known, self.low_resolution.factor)
        return beside(conditioning, told, self.low_resolution)

    @torch.no_grad()
    def held_out(self, batches: Iterable[Batch], seed: int) -> dict[str, float]:
        """The unweighted error in x_0 at each evaluation time, and their mean as "held_out"; nothing known."""
        times = self.config.evaluation_times
        sums, count = torch.zeros(len(times), dtype=torch.float64), 0
        for index, batch in enumerate(batches):
            rng = torch.Generator().manual_seed(seed + index)
            conditioning = self.condition(batch, rng, None)
            x_0 = self._encoded(batch)
            noise = torch.randn(x_0.shape, generator=rng)
            for place, time in enumerate(times):
                t = torch.full((len(x_0),), time)
                losses = self._errors(x_0, t, noise, conditioning)
                sums[place] += losses.double().sum().cpu()
            count += len(batch.images)
        means = (sums / max(count, 1)).tolist()
        named = {f"held_out/t={time:g}": mean for time, mean in zip(times, means, strict=True)}
        return {"held_out": sum(means) / len(means), **named}

    def _losses(self, images: Tensor, t: Tensor, rng: torch.Generator, conditioning: Conditioning) -> Tensor:
        noise = torch.randn(images.shape, generator=rng)
        x_0, t, noise = (each.to(self.device) for each in (images, t, noise))
        return self.denoiser.loss(x_0, t, noise, conditioning.to(self.device), self.weighting)

    def _errors(self, images: Tensor, t: Tensor, noise: Tensor, conditioning: Conditioning) -> Tensor:
        x_0, t, noise = (each.to(self.device) for each in (images, t, noise))
        alpha, sigma = (each.reshape(-1, 1, 1, 1) for each in self.denoiser.schedule(t))
        estimate, _ = self.denoiser.estimate(alpha * x_0 + sigma * noise, t, conditioning.to(self.device))
        return (estimate - x_0).square().flatten(1).mean(1)


def shrink(images: Tensor, factor: int) -> Tensor:
    """Area-average by a whole factor."""
    return F.avg_pool2d(images, factor)


def upsampling_condition(small: Tensor, level: Tensor, noise: Tensor, known: Tensor, factor: int) -> Conditioning:
    """What an upsampler is told: the noised low resolution at full size, known channels, and the noise level [B]."""
    spread = level[:, None, None, None]
    noised = (1 - spread**2).sqrt() * small + spread * noise
    large = F.interpolate(noised, scale_factor=float(factor), mode="bilinear", align_corners=False)
    return Conditioning(vector=level[:, None], channels=torch.cat([large, known], dim=1))


def quantized(small: Tensor, low: LowResolution) -> Tensor:
    """The low resolution as files keep it, in steps of 1 / 127.5, where the stage was trained on that."""
    return ((small + 1) * 127.5).round() / 127.5 - 1 if low.quantized else small


def beside(text: Conditioning, told: Conditioning, low: LowResolution) -> Conditioning:
    """Words and, with them, channels and noise level of a low resolution; the level is the vector's last number.

    A stage that was trained without noise is not told the level, unless that is all it is told.
    """
    vector = told.vector
    if text.vector is not None and vector is not None:
        level = vector.to(text.vector)
        vector = torch.cat([text.vector, level], dim=1) if low.largest_noise > 0 else text.vector
    return replace(text, vector=vector, channels=told.channels)


@dataclass(frozen=True)
class Labels:
    """What the items of an image set are, by their index; -1 is a class that is not among those told apart."""

    classes: Tensor  # [N] int64
    groups: Tensor  # [N] int64
    styles: tuple[str, ...]  # [N]
    names: tuple[str, ...]  # [N] plain names


class Classification:
    """Cross entropy of classes and groups on noised pictures (Dhariwal and Nichol 2021), on the linear schedule."""

    def __init__(
        self, network: Classifier, labels: Labels, config: ClassificationConfig, device: torch.device | str = "cpu"
    ) -> None:
        self.network, self.labels, self.config = network, labels, config
        self.device = torch.device(device)

    def __call__(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean loss over the batch at random times, that of the groups alone, and the share of right classes."""
        x_t, t = noised(batch.images, draw_times(len(batch.images), rng, self.config.times), rng)
        classes, groups = self._targets(batch)
        class_logits, group_logits = (each.float() for each in self.network(x_t.to(self.device), t.to(self.device)))
        smoothing = self.config.label_smoothing
        class_loss = F.cross_entropy(class_logits, classes, label_smoothing=smoothing)
        group_loss = F.cross_entropy(group_logits, groups, label_smoothing=smoothing)
        right = (class_logits.argmax(1) == classes).float().mean()
        return {
            "loss": class_loss + self.config.group_weight * group_loss,
            "group_loss": group_loss.detach(),
            "accuracy": right.detach(),
        }

    @torch.no_grad()
    def held_out(self, batches: Iterable[Batch], seed: int) -> dict[str, float]:
        """The classes' cross entropy without smoothing, its mean as "held_out", and accuracies, by noise level."""
        times = self.config.evaluation_times
        sums, count = torch.zeros(3, len(times), dtype=torch.float64), 0
        for index, batch in enumerate(batches):
            rng = torch.Generator().manual_seed(seed + index)
            classes, groups = self._targets(batch)
            for place, time in enumerate(times):
                x_t, t = noised(batch.images, torch.full((len(batch.images),), time), rng)
                logits, group_logits = (each.float() for each in self.network(x_t.to(self.device), t.to(self.device)))
                sums[0, place] += F.cross_entropy(logits, classes, reduction="sum").item()
                sums[1, place] += (logits.argmax(1) == classes).sum().item()
                sums[2, place] += (group_logits.argmax(1) == groups).sum().item()
            count += len(batch.images)
        means = sums / max(count, 1)
        names = ("held_out/t", "held_out/accuracy/t", "held_out/group_accuracy/t")
        named = {f"{name}={t:g}": means[row, at].item() for row, name in enumerate(names) for at, t in enumerate(times)}
        return {"held_out": means[0].mean().item(), **named}

    def _targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.labels.classes[batch.items].to(self.device), self.labels.groups[batch.items].to(self.device)


class Contrastive:
    """Symmetric InfoNCE of pictures and texts (Radford et al. 2021, Fig. 3), pictures noised (GLIDE) or clean.

    A text is no negative for a picture of the same concept or the same caption, unless it names another style.
    """

    def __init__(
        self,
        network: CLIP,
        conditioner: Conditioner,
        labels: Labels,
        config: ContrastiveConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self.conditioner, self.labels, self.config = network, conditioner, labels, config
        self.device = torch.device(device)

    def __call__(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean of both directions' cross entropy, the scale of the cosine, and the share of texts found."""
        images = cut_out(batch.images, self.config.cutout, rng)
        image = self._image_embedding(images, rng, None)
        text = self._text_embedding(batch.captions, batch.styles)
        with torch.autocast(self.device.type, enabled=False):
            logits = self.network.scale() * image @ text.T  # [B pictures, B texts]
            logits = logits.masked_fill(self._same_meaning(batch).to(self.device), -torch.inf)
            target = torch.arange(len(logits), device=self.device)
            loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        right = (logits.argmax(1) == target).float().mean()
        return {"loss": loss, "scale": self.network.scale().detach(), "found": right.detach()}

    @torch.no_grad()
    def held_out(self, batches: Sequence[Batch], seed: int) -> dict[str, float]:
        """Cross entropy and R-precision of the true plain name among others, by noise level, styles not named.

        The scale of the cosine is the best of SCALES at each level: a network that is too sure ranks no worse for it.
        """
        items = torch.cat([batch.items for batch in batches])
        names = tuple(dict.fromkeys(self.labels.names[item] for item in items.tolist()))
        text = self._text_embedding(names, None)
        place = {name: at for at, name in enumerate(names)}
        own = torch.tensor([place[self.labels.names[item]] for item in items.tolist()])
        chosen = candidates(own, len(names), self.config.candidates, torch.Generator().manual_seed(seed))
        times = self.config.evaluation_times if self.config.times is not None else (0.0,)
        losses, precisions = [], []
        for time in times:
            rng = torch.Generator().manual_seed(seed + 1)
            image = torch.cat([self._image_embedding(batch.images, rng, time) for batch in batches])
            cosines = (image @ text.T).float().cpu().gather(1, chosen)  # [N, candidates], the true one first
            first = torch.zeros(len(cosines), dtype=torch.long)
            losses.append(min(F.cross_entropy(scale * cosines, first).item() for scale in SCALES))
            precisions.append((cosines[:, :1] > cosines[:, 1:]).all(1).float().mean().item())
        named = {f"held_out/t={t:g}": value for t, value in zip(times, losses, strict=True)}
        named |= {f"held_out/r_precision/t={t:g}": value for t, value in zip(times, precisions, strict=True)}
        return {"held_out": sum(losses) / len(losses), **named}

    def _image_embedding(self, images: Tensor, rng: torch.Generator, time: float | None) -> Tensor:
        """Embeddings of pictures noised to a time, or to random ones where none is given."""
        if self.config.times is None:
            return self.network.image_embedding(images.to(self.device))
        count = len(images)
        t = draw_times(count, rng, self.config.times) if time is None else torch.full((count,), time)
        x_t, t = noised(images, t, rng)
        return self.network.image_embedding(x_t.to(self.device), t.to(self.device))

    def _text_embedding(self, captions: Sequence[str], styles: Sequence[str | None] | None) -> Tensor:
        vector = self.conditioner(captions, styles).vector
        assert vector is not None
        return self.network.text_embedding(vector.to(self.device))

    def _same_meaning(self, batch: Batch) -> Tensor:
        """[B pictures, B texts], True where a text that is not the picture's own may as well be meant of it."""
        classes = self.labels.classes[batch.items]
        words = _numbered(batch.captions)
        same = (classes[:, None] == classes[None, :]) | (words[:, None] == words[None, :])
        known = dict.fromkeys(self.labels.styles)
        number = {style: at for at, style in enumerate(known)}
        shown = torch.tensor([number[self.labels.styles[item]] for item in batch.items.tolist()])
        named = torch.tensor([-1 if style is None else number[style] for style in batch.styles])
        other = (named[None, :] >= 0) & (named[None, :] != shown[:, None])
        return same & ~other & ~torch.eye(len(classes), dtype=torch.bool)


def noised(images: Tensor, t: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """x_t on the linear schedule, and t."""
    alpha, sigma = (expand(value, images) for value in Linear()(t))
    return alpha * images + sigma * torch.randn(images.shape, generator=rng), t


def cut_out(images: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Make a square of a quarter to half of the side transparent in this share of the pictures (DeVries and Taylor)."""
    if share <= 0:
        return images
    count, side = len(images), images.shape[-1]
    draws = torch.rand(4, count, generator=rng)
    length = side * (1 + draws[1]) / 4
    begins = draws[2:] * side - length / 2  # [2, B] top and left
    at = torch.arange(side) + 0.5
    inside = [(at >= begin[:, None]) & (at < (begin + length)[:, None]) for begin in begins]  # each [B, side]
    hole = inside[0][:, :, None] & inside[1][:, None, :] & (draws[0] < share)[:, None, None]
    return torch.where(hole[:, None], -1.0, images)


def candidates(own: Tensor, count: int, size: int, rng: torch.Generator) -> Tensor:
    """For each item its own text and `size` - 1 others of the `count` there are, drawn once each: [N, size].

    Where there are fewer than `size` texts all of them are candidates.
    """
    others = min(size, count) - 1
    keys = torch.rand(len(own), count, generator=rng)
    keys[torch.arange(len(own)), own] = -1.0  # first
    return keys.argsort(1)[:, : others + 1]


def _numbered(words: Sequence[str]) -> Tensor:
    numbers: dict[str, int] = {}
    return torch.tensor([numbers.setdefault(word, len(numbers)) for word in words])
