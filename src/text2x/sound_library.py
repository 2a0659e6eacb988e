"""Which model makes sound and music where none is named, and its generator by name. Loads torch only to build one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from text2x.errors import InputError
from text2x.library import info, load, models

USUAL = {"sound": "sounds", "music": "music"}  # the shipped model of each kind
RECIPE = {"sound": "audiogen", "music": "musicgen"}


def model_for(kind: Literal["sound", "music"], folder: Path | None = None) -> str:
    """The name of the usual model; where it is missing the only one there is. InputError where there is none."""
    names = [each.name for each in models(folder) if each.kind == kind]
    if USUAL[kind] in names or len(names) > 1:
        return USUAL[kind] if USUAL[kind] in names else names[0]
    if not names:
        recipe = RECIPE[kind]
        way = f"`text2x train {recipe}` makes one; give its run with --model runs/{recipe}"
        raise InputError(f"there is no model of {kind} yet: {way}")
    return names[0]


def load_sound(
    name: str | Path, kind: Literal["sound", "music"], device: str = "auto", folder: Path | None = None
) -> Any:
    """The generator of a model of sound or of music; a model of anything else raises InputError."""
    found = info(name, folder)
    if found.kind not in ("sound", "music"):
        able = ", ".join(each.name for each in models(folder) if each.kind == kind)
        way = f"take --model {able}" if able else f"train one: text2x train {RECIPE[kind]}"
        raise InputError(f"{found.name} makes no {kind}; {way}")
    return load(name, device, folder)
