"""Which model makes clips where none is named, and its generator by name. Loads torch only to build one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from text2x.errors import InputError
from text2x.library import info, load, models

USUAL, RECIPE = "motion", "make-a-video"  # the shipped model, and the recipe that makes one


def video_model_for(folder: Path | None = None) -> str:
    """The name of the usual model; where it is missing that of another. InputError where there is none at all."""
    names = [each.name for each in models(folder) if each.kind == "video"]
    if not names:
        way = f"`text2x train {RECIPE}` makes one; give its run with --model runs/{RECIPE}"
        raise InputError(f"there is no model of moving pictures yet: {way}")
    return USUAL if USUAL in names else names[0]


def load_video(name: str | Path, device: str = "auto", folder: Path | None = None) -> Any:
    """The generator of a model of moving pictures; a model of anything else raises InputError."""
    found = info(name, folder)
    if found.kind != "video":
        able = ", ".join(each.name for each in models(folder) if each.kind == "video")
        way = f"take --model {able}" if able else f"train one: text2x train {RECIPE}"
        raise InputError(f"{found.name} makes no moving pictures; {way}")
    return load(name, device, folder)
