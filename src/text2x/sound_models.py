"""The generator of a model of sound or music from its recipe.json: of codes, of diffusion, or a GAN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from text2x.sound_adversarial import is_sound_gan
from text2x.sound_diffusion import is_sound_diffusion, read_parts
from text2x.sound_diffusion_generator import SoundDiffusionGenerator
from text2x.sound_gan_generator import SoundGANGenerator, build_sound_gan_generator
from text2x.token_generator import TokenGenerator
from text2x.token_models import build_token_generator


def build_sound_generator(
    values: Mapping[str, Any], folder: Path, device: str = "cpu", find: Callable[[str], Path] | None = None
) -> TokenGenerator | SoundDiffusionGenerator | SoundGANGenerator:
    """The generator of a model's folder, or of a training run's; `find` gives the folder of a model by its name."""
    if is_sound_diffusion(values):
        return SoundDiffusionGenerator.of_parts(read_parts(values, folder, device, find))
    if is_sound_gan(values):
        return build_sound_gan_generator(values, folder, device)
    return build_token_generator(values, folder, device)
