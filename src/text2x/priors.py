"""Priors of DALL-E 2 in use: their recipe, their losses on cached CLIP embeddings, and drawing an embedding for a text.

Embeddings are [B, D] of unit length wherever they leave this file. One item's draws come from its own CPU generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.conditioning import Conditioner, Conditioning, concatenate
from text2x.data.batches import Batch, BatchConfig
from text2x.diffusion.denoiser import Denoiser, TimeDistribution, draw_times, uniform_weight
from text2x.diffusion.guidance import combine, paired
from text2x.diffusion.parameterizations import PARAMETERIZATIONS
from text2x.diffusion.samplers import SAMPLERS, time_grid
from text2x.diffusion.schedules import Betas, Cosine, Karras, Linear, expand
from text2x.errors import InputError
from text2x.networks.prior import PIXEL_STD, DiffusionPrior, PriorConfig
from text2x.networks.prior_tokens import TokenPrior, TokenPriorConfig
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig

EmbedText = Callable[[Sequence[str], Sequence[str | None] | None], Tensor]  # prompts, styles -> [B, D] of unit length


@dataclass(frozen=True)
class PriorSampling:
    """How an embedding is drawn: of `candidates` the one nearest to the text is kept (Ramesh et al. 2022, Sec. 2.2)."""

    sampler: str = "dpmpp_2m"  # of a diffusion prior
    steps: int = 25
    guidance: float = 1.5  # null + w (cond - null), of estimates or of logits; 1 is off
    candidates: int = 2
    temperature: float = 1.0  # of an autoregressive prior

    def __post_init__(self) -> None:
        if self.candidates < 1 or not self.temperature > 0:
            given = f"candidates {self.candidates} and temperature {self.temperature}"
            raise InputError(f"{given}: a prior needs at least 1 candidate and a temperature above 0")


@dataclass(frozen=True)
class PriorRecipe:
    """Everything that makes a prior but its weights; `clip` is the folder of the CLIP whose embeddings it speaks."""

    name: str
    summary: str
    network: PriorConfig | TokenPriorConfig
    conditioner: MiniLMConfig  # of the text tokens
    clip: str
    data: BatchConfig  # its captions and their dropping; the pictures are seen by the CLIP alone
    training: TrainingConfig
    scaling: Literal["scaled", "whitened"] = "scaled"  # to the variance of pixels, or each number to mean 0, variance 1
    schedule: Linear | Cosine | Betas | Karras = Cosine()
    times: TimeDistribution = TimeDistribution()
    evaluation_times: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    sampling: PriorSampling = PriorSampling()
    data_set: str = "emoji"


PriorNetwork = DiffusionPrior | TokenPrior


def build_prior(recipe: PriorRecipe) -> PriorNetwork:
    """The network with fresh weights, from torch's current random state."""
    config = recipe.network
    if config.tokens != recipe.conditioner.max_tokens:
        sizes = f"network.tokens is {config.tokens} and conditioner.max_tokens {recipe.conditioner.max_tokens}"
        raise InputError(f"{sizes}; set both to the same")
    return TokenPrior(config) if isinstance(config, TokenPriorConfig) else DiffusionPrior(config)


@torch.no_grad()
def fit_prior(network: PriorNetwork, recipe: PriorRecipe, images: Tensor, texts: Tensor) -> None:
    """Measure on embeddings [M, D] of pictures and of their texts what a prior has to know before it is trained."""
    if isinstance(network, TokenPrior):
        network.fit(images, (images * texts).sum(1))
    elif recipe.scaling == "whitened":
        network.mean.copy_(images.double().mean(0))
        network.std.copy_(images.double().std(0).clamp_min(1e-6))
    else:
        network.mean.zero_()
        network.std.fill_(1 / (PIXEL_STD * math.sqrt(images.shape[1])))


class PriorText:
    """What a prior is told of prompts: token states, and as the vector the CLIP's text embedding times sqrt(D)."""

    def __init__(self, tokens: Conditioner, embed: EmbedText) -> None:
        self.tokens, self.embed = tokens, embed

    def __call__(self, prompts: Sequence[str], styles: Sequence[str | None] | None) -> tuple[Conditioning, Tensor]:
        """The condition, and the text embeddings [B, D] themselves."""
        read, texts = self.tokens(prompts), self.embed(prompts, styles)
        return Conditioning(read.context, read.context_mask, texts.to("cpu") * math.sqrt(texts.shape[1])), texts


class PriorLoss:
    """The loss of a prior on cached embeddings [N, D], by the index of an item.

    Of a diffusion prior the squared error of the estimate of x_0 (Ramesh et al. 2022, Eq. 2), of an autoregressive one
    the cross entropy of each component's bucket, the text's dot product with the picture being told.
    """

    def __init__(
        self,
        network: PriorNetwork,
        text: PriorText,
        recipe: PriorRecipe,
        embeddings: Tensor,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self.text, self.recipe, self.embeddings = network, text, recipe, embeddings
        self.device = torch.device(device)

    def __call__(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """The mean loss over the batch, at random times for a diffusion prior."""
        conditioning, texts = self._told(batch)
        images = self.embeddings[batch.items].to(self.device)
        if isinstance(self.network, TokenPrior):
            loss, right = self._tokens(self.network, conditioning, images, texts)
            return {"loss": loss, "right": right}
        x_0 = self.network.scaled(images)
        t = draw_times(len(x_0), rng, self.recipe.times).to(self.device)
        noise = torch.randn(x_0.shape, generator=rng).to(self.device)
        denoiser = denoiser_of(self.recipe, self.network)
        return {"loss": denoiser.loss(x_0, t, noise, conditioning, uniform_weight).mean()}

    def _told(self, batch: Batch) -> tuple[Conditioning, Tensor]:
        conditioning, texts = self.text(batch.captions, batch.styles)
        return conditioning.to(self.device), texts.to(self.device)

    def _tokens(
        self, network: TokenPrior, conditioning: Conditioning, images: Tensor, texts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The mean cross entropy and the share of buckets guessed."""
        buckets, dots = network.quantised(images), network.dot_buckets((images * texts).sum(1))
        logits = network(conditioning, dots, buckets[:, :-1]).float()  # [B, K, N]
        loss = F.cross_entropy(logits.flatten(0, 1), buckets.flatten())
        return loss, (logits.argmax(2) == buckets).float().mean().detach()

    @torch.no_grad()
    def held_out(self, batches: Iterable[Batch], seed: int) -> dict[str, float]:
        """The loss as "held_out" and, of a diffusion prior, at each evaluation time, and the estimates' cosines."""
        sums: dict[str, float] = {}
        count = 0
        for index, batch in enumerate(batches):
            rng = torch.Generator().manual_seed(seed + index)
            conditioning, texts = self._told(batch)
            images = self.embeddings[batch.items].to(self.device)
            found = self._figures(conditioning, images, texts, rng)
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + value * len(images)
            count += len(images)
        return {name: value / max(count, 1) for name, value in sums.items()}

    def _figures(
        self, conditioning: Conditioning, images: Tensor, texts: Tensor, rng: torch.Generator
    ) -> dict[str, float]:
        if isinstance(self.network, TokenPrior):
            loss, right = self._tokens(self.network, conditioning, images, texts)
            return {"held_out": float(loss), "held_out/right": float(right)}
        x_0 = self.network.scaled(images)
        noise = torch.randn(x_0.shape, generator=rng).to(self.device)
        denoise = denoiser_of(self.recipe, self.network).denoise(conditioning)
        found: dict[str, float] = {}
        for time in self.recipe.evaluation_times:
            t = torch.full((len(x_0),), time, device=self.device)
            alpha, sigma = (expand(value, x_0) for value in self.recipe.schedule(t))
            estimate = denoise(alpha * x_0 + sigma * noise, t)
            found[f"held_out/t={time:g}"] = float((estimate - x_0).square().mean())
            cosines = F.cosine_similarity(self.network.unscaled(estimate), images, dim=1)
            found[f"held_out/cosine/t={time:g}"] = float(cosines.mean())
        errors = [found[f"held_out/t={time:g}"] for time in self.recipe.evaluation_times]
        return {"held_out": sum(errors) / len(errors), **found}


def denoiser_of(recipe: PriorRecipe, network: DiffusionPrior) -> Denoiser:
    """A diffusion prior read as an estimate of x_0, which is what it predicts."""
    return Denoiser(network, recipe.schedule, PARAMETERIZATIONS["x_0"])


@dataclass(frozen=True)
class Prior:
    """A trained prior: a text to the embedding of a picture of it."""

    recipe: PriorRecipe
    network: PriorNetwork
    text: PriorText

    @torch.no_grad()
    def draw(self, prompt: str, style: str | None, seeds: Sequence[int]) -> Tensor:
        """[len(seeds), D] of unit length, each from its own seed alone: of some candidates the nearest to the text."""
        read, texts = self.text([prompt, ""], [style, None])
        device = next(self.network.parameters()).device
        read, text = read.to(device), texts[0].to(device)
        chosen = []
        for seed in seeds:  # one at a time, so that an item meets calls of the same shape in every batch
            rng = torch.Generator().manual_seed(seed)
            drawn = F.normalize(self._candidates(read, rng), dim=1)  # [candidates, D]
            chosen.append(drawn[int((drawn * text).sum(1).argmax())])
        return torch.stack(chosen) if chosen else texts.new_zeros(0, texts.shape[1])

    def _candidates(self, read: Conditioning, rng: torch.Generator) -> Tensor:
        count = self.recipe.sampling.candidates
        given, null = (read[torch.full((count,), place, device=_device(read))] for place in (0, 1))
        if isinstance(self.network, TokenPrior):
            return self._spoken(self.network, given, null, rng)
        return self._diffused(self.network, given, null, rng)

    def _diffused(
        self, network: DiffusionPrior, given: Conditioning, null: Conditioning, rng: torch.Generator
    ) -> Tensor:
        sampling, schedule = self.recipe.sampling, self.recipe.schedule
        denoiser = denoiser_of(self.recipe, network)
        both = denoiser.denoise(concatenate([given, null]))
        denoise = paired(denoiser.denoise(given), both, sampling.guidance)
        shape = torch.empty(sampling.candidates, network.config.embedding, device=network.mean.device)

        def noise_like(x: Tensor) -> Tensor:
            return torch.randn(x.shape, generator=rng).to(x)

        ts = time_grid(sampling.steps)
        x = noise_like(shape) * float(schedule(ts[:1])[1])
        made = SAMPLERS[sampling.sampler](denoise, x, ts, schedule, noise_like=noise_like)
        return network.unscaled(made)

    def _spoken(self, network: TokenPrior, given: Conditioning, null: Conditioning, rng: torch.Generator) -> Tensor:
        """Component by component; the dot token is one of the upper half of its buckets."""
        sampling, config = self.recipe.sampling, network.config
        device = network.mean.device
        dots = torch.randint(config.dots // 2, config.dots, (sampling.candidates,), generator=rng).to(device)
        buckets = torch.zeros(sampling.candidates, 0, dtype=torch.long, device=device)
        pair = concatenate([given, null])
        for _ in range(config.components):
            if sampling.guidance == 1:
                logits = network(given, dots, buckets)[:, -1]
            else:
                rows = network(pair, dots.repeat(2), buckets.repeat(2, 1))[:, -1]
                conditional, unconditional = rows.chunk(2)
                logits = combine(conditional, unconditional, sampling.guidance)
            chances = (logits.double().cpu() / sampling.temperature).softmax(1)
            buckets = torch.cat([buckets, torch.multinomial(chances, 1, generator=rng).to(device)], dim=1)
        return network.restored(buckets)


def _device(read: Conditioning) -> torch.device:
    assert read.vector is not None
    return read.vector.device
