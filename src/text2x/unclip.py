"""unCLIP, the system of DALL-E 2: embeddings of pictures told to a decoder, and edits by them (Ramesh et al. 2022).

A CLIP of clean pictures makes embeddings, a prior draws them from words, the base of the model draws pictures of them.
An embedding has unit length; networks are told it times sqrt(D), and zeros for none. Pictures are [B, 4, S, S],
premultiplied RGBA in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.diffusion.samplers import time_grid
from text2x.editing import Box, cut, fill, scale_to, window_for
from text2x.edits import Blending, Edit, Shifting, Variation
from text2x.errors import InputError
from text2x.files import read_json
from text2x.guiding import Asked, Leaders, led
from text2x.inversion import invert, renoised, slerp
from text2x.networks.clip import CLIP
from text2x.nn.initialization import no_initialization
from text2x.painting import picture_of
from text2x.priors import Prior
from text2x.recipe import GuideRecipe, Guides, build_guide, guides_from_dict, trained_from_dict
from text2x.requests import ImageRequest
from text2x.sampling import TrainedStage, stage_seed
from text2x.settings import Settings
from text2x.text import clean_prompt
from text2x.text_conditioner import FrozenText, MiniLMText, TextConditioner
from text2x.weights import load_weights

TOGETHER = 64  # pictures embedded at a time
PRIOR, BEFORE = -2, -3  # stage numbers of the seeds of the prior's noise, and of that of inversion
SAMPLER = "ddim"  # of edits: the one that inversion retraces


@dataclass(frozen=True)
class Embedder:
    """A CLIP of clean pictures, by whose embeddings a prior and a decoder understand each other."""

    recipe: GuideRecipe
    network: CLIP
    text: TextConditioner

    @property
    def width(self) -> int:
        """D."""
        return self.network.config.embedding

    @torch.no_grad()
    def image_embeddings(self, images: Tensor) -> Tensor:
        """[B, D] of unit length on the CPU, of pictures of any square size, brought to the CLIP's by area."""
        device = next(self.network.parameters()).device
        size = (self.recipe.size, self.recipe.size)
        made = [torch.zeros(0, self.width)]
        for part in images.float().split(TOGETHER) if len(images) else ():
            seen = part if part.shape[2:] == size else F.interpolate(part, size, mode="area")
            made.append(self.network.image_embedding(seen.to(device)).cpu())
        return torch.cat(made)

    @torch.no_grad()
    def text_embeddings(self, prompts: Sequence[str], styles: Sequence[str | None] | None = None) -> Tensor:
        """[B, D] of unit length on the CPU; a style that the CLIP does not know counts as not named."""
        known = self.recipe.conditioner.styles
        named = None if styles is None else [style if style in known else None for style in styles]
        vector = self.text(prompts, named).vector
        assert vector is not None
        device = next(self.network.parameters()).device
        return self.network.text_embedding(vector.to(device)).cpu()


def load_embedder(folder: Path, device: str = "cpu", encoder: FrozenText | None = None) -> Embedder:
    """The CLIP in a folder of guides, of a model or of a training run; `encoder` is a sentence encoder loaded already.

    Raises InputError for a folder without one, and for weights that are not those that its recipe names.
    """
    recipe, path, sha256 = find_embedder(Path(folder))
    return embedder_of(recipe, path, sha256, device, encoder)


def embedder_of(
    recipe: GuideRecipe, path: Path, sha256: str | None, device: str, encoder: FrozenText | None = None
) -> Embedder:
    """The CLIP of a recipe with the weights in a file."""
    with torch.inference_mode(False):
        with no_initialization():
            network = build_guide(recipe)
        if not isinstance(network, CLIP):
            raise InputError(f"{path} is of a {type(network).__name__}; the embeddings of DALL-E 2 come from a CLIP")
        load_weights(network, path, sha256)
        network = network.to(device).eval().requires_grad_(False)
    return Embedder(recipe, network, TextConditioner(recipe.conditioner, encoder or MiniLMText(recipe.conditioner)))


def find_embedder(folder: Path) -> tuple[GuideRecipe, Path, str | None]:
    """The recipe of the CLIP in a folder, its weight file and, if it is known, the file's hash."""
    values = read_json(folder / "recipe.json")
    kind = values.get("type") if isinstance(values, dict) else None
    if kind == Guides.__name__:
        packed = guides_from_dict(values)
        for each in packed.guides:
            if each.recipe.kind == "encoder":
                file = packed.weights.get(each.weights)
                return each.recipe, folder / each.weights, None if file is None else file.sha256 or None
    elif kind == GuideRecipe.__name__:
        recipe = trained_from_dict(values)
        if isinstance(recipe, GuideRecipe) and recipe.kind == "encoder":
            return recipe, weights_of_run(folder, recipe), None
    raise InputError(f"{folder} holds no CLIP of clean pictures; train one with: text2x train dalle2-clip")


def weights_of_run(folder: Path, recipe: Any) -> Path:
    """The averaged weights of a training run: the best by held-out figures, or else the newest."""
    average = recipe.training.averages[0] if recipe.training.averages else 0.0
    best = folder / f"best-{average}.safetensors"
    return best if best.is_file() else folder / "averages" / f"{average}.safetensors"


def told(embeddings: Tensor) -> Tensor:
    """Embeddings of unit length as networks are told them, of unit variance."""
    return embeddings * math.sqrt(embeddings.shape[1])


@dataclass(frozen=True)
class UnCLIP:
    """What a model has beside its stages: a CLIP, and a prior unless pictures are given or the words alone count."""

    clip: Embedder
    prior: Prior | None = None

    def imagined(self, asked: Asked, seeds: Sequence[int], shown: Tensor | None = None) -> Asked:
        """What is asked with an image embedding for each prompt: that of `shown` [B, D] or one drawn for each seed.

        The null and an empty prompt have none.
        """
        none = torch.zeros(len(seeds), self.clip.width)
        own = [stage_seed(seed, PRIOR, 0) for seed in seeds]

        def drawn(prompt: str) -> Tensor:
            if self.prior is None or not prompt:
                return none
            return told(self.prior.draw(prompt, asked.style, own))

        first = drawn(asked.prompt) if shown is None else told(shown)
        return replace(asked, images=(first, none, *(drawn(prompt) for prompt, _ in asked.further)))


@dataclass(frozen=True)
class Imagined:
    """A picture as unCLIP keeps it: what it shows, and the noise that holds the rest."""

    embedding: Tensor  # [1, D] of unit length
    x: Tensor | None  # [1, 4, S, S] at time 1; None: noise of the item's own
    eta: float = 0.0  # of ddim: noise in every step


def reimagines(edit: Edit | None) -> bool:
    """Whether the edit is made by embedding and inversion, where a model has a CLIP."""
    return isinstance(edit, (Variation, Blending, Shifting))


def check_sees(edit: Edit | None, unclip: UnCLIP | None, model: str) -> None:
    """Raise InputError for an edit that needs a CLIP, asked of a model without one."""
    if unclip is None and isinstance(edit, (Blending, Shifting)):
        what = "blend pictures" if isinstance(edit, Blending) else "shift a picture"
        raise InputError(
            f"the model {model} has no CLIP that sees pictures and cannot {what}; take one that has, as emoji-dalle2, "
            "or train dalle2-clip and dalle2"
        )


def edit_settings(settings: Settings, request: ImageRequest) -> tuple[Settings, tuple[str, ...]]:
    """The settings of an edit by embedding, and what of the request is ignored.

    Without words the network is told none and not led, unless the request says so: then ends and originals come back.
    """
    warnings = ()
    if request.sampler not in (None, SAMPLER):
        warnings = (f"this edit is sampled by {SAMPLER}, so the sampler {request.sampler} is ignored",)
    style = request.style if not request.prompt else settings.style
    guidance = "cfg:1" if request.guidance is None else settings.guidance
    return replace(settings, sampler=SAMPLER, style=style, guidance=guidance), warnings


def imagine(edit: Edit, unclip: UnCLIP, stage: TrainedStage, settings: Settings, image: Tensor, seed: int) -> Imagined:
    """What an edit makes of a picture [1, 4, S, S]: an embedding, and the noise to decode it from.

    A variation forgets a share of the noise and draws more in each step (Ramesh et al. 2022, Sec. 3.1); a blend turns
    embeddings and noises from one picture to the other (Sec. 3.2); a shift turns the embedding towards the difference
    of two texts (Sec. 3.3).
    """
    size = stage.recipe.size
    rng = torch.Generator().manual_seed(stage_seed(seed, BEFORE, size))
    shape = (1, stage.recipe.network.in_channels, size, size)
    first, forgetting = (torch.randn(shape, generator=rng) for _ in range(2))
    embedding = unclip.clip.image_embeddings(image)

    def noise_of(picture: Tensor, shown: Tensor) -> Tensor:
        return inverted(unclip, stage, settings, _sized(picture, size), shown, first)

    if isinstance(edit, Variation):
        if edit.strength == 1:
            return Imagined(embedding, None, 1.0)
        return Imagined(embedding, renoised(noise_of(image, embedding), forgetting, edit.strength), edit.strength)
    if isinstance(edit, Shifting):
        words = [clean_prompt(each, allow_empty=True).text for each in (edit.before, edit.after)]
        texts = unclip.clip.text_embeddings(words, [settings.style] * 2)
        if torch.equal(texts[0], texts[1]):
            raise InputError(f"--from and --to are the same to this model: {edit.after!r}; nothing would change")
        towards = F.normalize(texts[1:] - texts[:1], dim=1)
        return Imagined(slerp(embedding, towards, edit.by), noise_of(image, embedding))
    assert isinstance(edit, Blending)
    other = torch.from_numpy(scale_to(square_of(edit.other, image.shape[-1]), image.shape[-1]))[None]
    seen = unclip.clip.image_embeddings(other)
    ends = [noise_of(picture, shown) for picture, shown in ((image, embedding), (other, seen))]
    return Imagined(slerp(embedding, seen, edit.at), slerp(ends[0], ends[1], edit.at))


def inverted(
    unclip: UnCLIP, stage: TrainedStage, settings: Settings, image: Tensor, shown: Tensor, noise: Tensor
) -> Tensor:
    """The noise [1, 4, S, S] from which `ddim` with eta 0 makes a picture, told its embedding and no words."""
    asked = unclip.imagined(Asked("", "", settings.style, (), ()), [0], shown)
    lead = led(stage, asked, Leaders(), "", 1, None, SAMPLER)
    defaults, schedule = stage.recipe.sampling, stage.recipe.schedule
    ts = time_grid(settings.steps, defaults.shift, defaults.grid, schedule)
    device = next(stage.denoiser.network.parameters()).device  # type: ignore[attr-defined]
    with torch.inference_mode():
        return invert(lead.denoise, image.to(device), ts, schedule, noise.to(device)).cpu()


def square_of(source: object, side: int) -> np.ndarray:
    """A picture or its file as one square [4, S, S] with the picture in its middle."""
    image = picture_of(source)
    window = window_for(Box(0, 0, image.width, image.height), image.width, image.height, side)
    pixels, inside = cut(image.pixels, np.ones((image.height, image.width), dtype=np.float32), window)
    return fill(pixels, inside)


def _sized(image: Tensor, size: int) -> Tensor:
    if image.shape[-1] == size:
        return image
    if size < image.shape[-1]:
        return F.interpolate(image, (size, size), mode="area")
    return F.interpolate(image, (size, size), mode="bilinear", align_corners=False)
