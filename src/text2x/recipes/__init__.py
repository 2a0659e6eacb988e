"""Recipes by name, one file a system of the field; `running` trains them. Nothing heavy is loaded until one is made."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from text2x.adversarial import GANRecipe
    from text2x.recipe import GuideRecipe, Recipe


def _made(file: str, name: str) -> Any:
    """Call the function `name` of the recipe file."""
    return getattr(importlib.import_module(f"text2x.recipes.{file}"), name)()


RECIPES: Mapping[str, Callable[[], Recipe | GANRecipe | GuideRecipe]] = {
    "emoji": partial(_made, "emoji", "emoji"),
    "upsampler": partial(_made, "emoji", "upsampler"),
    "vanilla": partial(_made, "vanilla", "vanilla"),
    "dit": partial(_made, "dit", "dit"),
    "gan": partial(_made, "gan", "gan"),
    "classifier": partial(_made, "guides", "classifier"),
    "clip": partial(_made, "guides", "clip"),
    "judge": partial(_made, "guides", "judge"),
    "debug": partial(_made, "debug", "debug"),
    "debug-vanilla": partial(_made, "debug", "debug_vanilla"),
    "debug-dit": partial(_made, "debug", "debug_dit"),
    "debug-bytes": partial(_made, "debug", "debug_bytes"),
    "debug-gan": partial(_made, "gan", "debug_gan"),
    "debug-classifier": partial(_made, "guides", "debug_classifier"),
    "debug-clip": partial(_made, "guides", "debug_clip"),
}
