"""Recipes by name, one file a system of the field, and `train`, which runs one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from text2x.recipe import Recipe


def _emoji() -> Recipe:
    from text2x.recipes.emoji import emoji

    return emoji()


def _upsampler() -> Recipe:
    from text2x.recipes.emoji import upsampler

    return upsampler()


def _debug() -> Recipe:
    from text2x.recipes.debug import debug

    return debug()


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    "emoji": _emoji,
    "upsampler": _upsampler,
    "debug": _debug,
}
