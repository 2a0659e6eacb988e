"""Systems of several trainings: what comes first, what learns from it, and one generator of all their weights.

A codec and a CLIP are trained before what learns from them; upsamplers learn alone. Folders are those of points, which
look like training runs: {recipe.json, averages/, codec.safetensors}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from text2x.autoencoding import AutoencoderRecipe
from text2x.building import build_generator, build_upsamplers, load_prior
from text2x.coding import CodecRecipe
from text2x.comparing.budgets import AnyRecipe
from text2x.errors import InputError
from text2x.files import read_json
from text2x.generators import DiffusionGenerator
from text2x.guides import load_classifier, load_clip
from text2x.guiding import Leaders
from text2x.priors import PriorRecipe
from text2x.recipe import GuideRecipe, Recipe, trained_from_dict
from text2x.recipes import RECIPES
from text2x.sound_adversarial import SoundGANRecipe
from text2x.sound_diffusion import SoundDiffusionRecipe
from text2x.token_models import TokenRecipe
from text2x.unclip import UnCLIP, load_embedder
from text2x.video_recipe import VideoRecipe
from text2x.vocoding import VocoderRecipe


def comes_first(recipe: str) -> bool:
    """Whether others learn from what this trains: an autoencoder, a codec of sound, a vocoder, or DALL-E 2's CLIP."""
    made = RECIPES[recipe]()
    return isinstance(made, (AutoencoderRecipe, CodecRecipe, VocoderRecipe)) or (
        isinstance(made, GuideRecipe) and made.kind == "encoder"
    )


def reads_embeddings(recipe: str) -> bool:
    """Whether it is a prior, which learns from a CLIP."""
    return isinstance(RECIPES[recipe](), PriorRecipe)


def told_of(recipe: AnyRecipe, needs: Sequence[Path]) -> AnyRecipe:
    """The recipe with the folders of what it learns from in the place of its own; InputError where it takes none."""
    for place in needs:
        first = read_json(place / "recipe.json")["type"]
        latent = isinstance(recipe, (Recipe, VideoRecipe)) and recipe.codec is not None
        heard = isinstance(recipe, (TokenRecipe, SoundDiffusionRecipe, SoundGANRecipe))
        on_mel = isinstance(recipe, (SoundDiffusionRecipe, SoundGANRecipe)) and first == VocoderRecipe.__name__
        if (first == AutoencoderRecipe.__name__ and latent) or (first == CodecRecipe.__name__ and heard) or on_mel:
            recipe = cast(AnyRecipe, replace(cast(Any, recipe), codec=str(place)))
        elif first == GuideRecipe.__name__ and isinstance(recipe, PriorRecipe):
            recipe = replace(recipe, clip=str(place))
        elif first == GuideRecipe.__name__ and isinstance(recipe, Recipe) and recipe.image_embedding is not None:
            recipe = replace(recipe, image_embedding=replace(recipe.image_embedding, clip=str(place)))
        else:
            raise InputError(
                f"the recipe {recipe.name!r} learns nothing from {place.parent.parent.name!r}; leave it out"
            )
    return recipe


def assembled(base: Path, others: Sequence[Path], device: str = "cpu") -> DiffusionGenerator:
    """The generator of a base with the guides, the upsamplers, the CLIP and the prior in other folders."""
    made = build_generator(read_json(base / "recipe.json"), base, device)
    stages, finders, clip, prior = made.stages, {}, None, None
    for place in others:
        values = read_json(place / "recipe.json")
        kind = values["type"]
        if kind == Recipe.__name__:
            stages += build_upsamplers(place, device)
        elif kind == PriorRecipe.__name__:
            prior = place
        elif kind == GuideRecipe.__name__ and values["kind"] == "encoder":
            clip = load_embedder(place, device)
        elif kind == GuideRecipe.__name__:
            load = {"classifier": load_classifier, "clip": load_clip}[values["kind"]]
            finders[values["kind"]] = lambda load=load, place=place: load(place, device)
    unclip = None if clip is None else UnCLIP(clip)
    if unclip is not None and prior is not None:
        recipe = trained_from_dict(read_json(prior / "recipe.json"))
        assert isinstance(recipe, PriorRecipe)
        weights = prior / "averages" / f"{recipe.training.averages[0]}.safetensors"
        unclip = replace(unclip, prior=load_prior(recipe, weights, unclip.clip, device))
    generator = DiffusionGenerator(made.model, made.stages, device, Leaders(finders), unclip=unclip)
    return generator.with_stages(stages)
