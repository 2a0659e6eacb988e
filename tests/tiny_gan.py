"""A GAN's model folder with random weights, for tests of what is around it."""

from __future__ import annotations

from pathlib import Path

import torch

from text2x.adversarial import GANRecipe, GANSampling
from text2x.config import to_dict
from text2x.data.batches import BatchConfig
from text2x.files import save_tensors, write_json
from text2x.gan_generator import GANModel
from text2x.networks.gan import GAN, GANConfig
from text2x.recipe import WeightFile
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig
from text2x.weights import pack

STYLES = ("flat", "line")
RECIPE = GANRecipe(
    name="small",
    summary="Random weights.",
    size=16,
    network=GANConfig(
        size=16,
        noise_width=8,
        vector_width=384 + len(STYLES),
        text_width=16,
        generator_widths=(16, 8),
        discriminator_widths=(16, 8),
    ),
    conditioner=MiniLMConfig(max_tokens=12, styles=STYLES, context=False),
    data=BatchConfig(size=16),
    training=TrainingConfig(steps=1),
    sampling=GANSampling(style="flat"),
)


def write_gan(place: Path, name: str = "small") -> Path:
    """A model folder; pictures of so small random weights are grey, so the last layer is made larger."""
    torch.manual_seed(0)
    gan = GAN(RECIPE.network)
    with torch.no_grad():
        gan.generator.end.weight.mul_(8)  # type: ignore[operator]
    sha256 = save_tensors(place / "gan.safetensors", pack(gan.state_dict(), "float16"))
    weights = {"gan.safetensors": WeightFile(sha256, "float16", 1)}
    write_json(place / "recipe.json", to_dict(GANModel(name, "Random.", "none", RECIPE, weights, size=16)))
    return place
