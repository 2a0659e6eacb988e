"""A tiny DALL-E 2 with random weights that are nowhere zero: decoder, prior and CLIP, packed into a model's folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from text2x.config import to_dict
from text2x.files import save_tensors, write_json
from text2x.networks.prior import DiffusionPrior
from text2x.networks.prior_tokens import TokenPrior
from text2x.priors import PriorRecipe, PriorSampling, build_prior, fit_prior
from text2x.recipe import GuideRecipe, ImageEmbedding, Recipe, SamplingConfig, build_guide, build_network
from text2x.recipes.dalle2 import debug_dalle2_clip, debug_dalle2_prior, debug_dalle2_prior_ar
from text2x.shipping import About, Part, ship
from text2x.text_conditioner import MiniLMConfig
from tiny_models import STYLES, base_recipe, upsampler_recipe

D = 32  # numbers of an embedding


def decoder_recipe() -> Recipe:
    """The tiny base, told an embedding."""
    base = base_recipe()
    width = base.network.vector_width + D
    return replace(
        base,
        name="decoder",
        network=replace(base.network, vector_width=width, image_embedding=D),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=6, guidance=2.0, style=STYLES[0]),
        image_embedding=ImageEmbedding("clip"),
    )


def clip_recipe() -> GuideRecipe:
    return replace(debug_dalle2_clip(), name="clip")


def prior_recipe(autoregressive: bool = False) -> PriorRecipe:
    """Of two draws or tokens, on the tokens of the tiny base."""
    made = debug_dalle2_prior_ar() if autoregressive else debug_dalle2_prior()
    return replace(
        made, name="prior", sampling=PriorSampling(steps=3), conditioner=MiniLMConfig(max_tokens=12, vector=False)
    )


def random_network(recipe: Recipe | GuideRecipe | PriorRecipe) -> nn.Module:
    """A network without zeros."""
    torch.manual_seed(len(recipe.name))
    if isinstance(recipe, PriorRecipe):
        network = build_prior(recipe)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        points = torch.nn.functional.normalize(torch.randn(200, D), dim=1)
        fit_prior(network, recipe, points, points.roll(1, 0))
        assert isinstance(network, (DiffusionPrior, TokenPrior))
        return network
    network = build_guide(recipe) if isinstance(recipe, GuideRecipe) else build_network(recipe)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return network


def write_run(folder: Path, recipe: Recipe | GuideRecipe | PriorRecipe) -> Path:
    """The folder of a run of one average."""
    average = recipe.training.averages[0]
    save_tensors(folder / "averages" / f"{average}.safetensors", random_network(recipe).state_dict())
    write_json(folder / "recipe.json", to_dict(recipe))
    return folder


def write_unclip(root: Path, autoregressive: bool = False) -> Path:
    """A model's folder, packed of runs beside it, with an upsampler."""
    recipes = (decoder_recipe(), upsampler_recipe(), prior_recipe(autoregressive), clip_recipe())
    runs = [write_run(root / "runs" / recipe.name, recipe) for recipe in recipes]
    ship([Part(run) for run in runs], About("painter", "Paints.", "CC0-1.0"), root / "painter", "float16")
    return root / "painter"
