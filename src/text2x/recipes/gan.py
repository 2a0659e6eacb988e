"""`gan`: a GAN in DF-GAN's shape, pictures in one network call; `emoji-gan`: the same judged by frozen features.

Tao et al. 2022 (DF-GAN); relativistic loss and penalties of Huang et al. 2024 (R3GAN); labelled augmentation. With a
small twin, training and packing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from text2x.adversarial import LABELS, Adversarial, AdversarialConfig, GANRecipe, GANSampling, held_out
from text2x.config import to_dict
from text2x.data import load as load_data
from text2x.data.batches import Batch, BatchConfig, ImageBatches
from text2x.data.imageset import ImageSet
from text2x.data.shapes import STYLES as SHAPE_STYLES
from text2x.data.shapes import shapes
from text2x.files import write_json
from text2x.gan_generator import PART, GANGenerator, GANModel
from text2x.guides import load_clip
from text2x.library import info
from text2x.media import contact_sheet
from text2x.networks.gan import GAN, GANConfig
from text2x.packaging import Labels, averaged_part, recipe_of_run, write_parts
from text2x.recipes.emoji import STYLES, TEXT_WIDTH
from text2x.requests import ImageRequest
from text2x.text_conditioner import MiniLMConfig, TextConditioner, build_conditioner
from text2x.training_config import TrainingConfig

HELD_OUT_BATCHES = 4
SHEET_ITEMS = 24
FILE = "generator.safetensors"


def gan() -> GANRecipe:
    """Words to a picture of 64 px in one network call."""
    return GANRecipe(
        name="gan",
        summary="Emoji of 64 px from words in one network call: a GAN in DF-GAN's shape.",
        size=64,
        network=GANConfig(
            size=64,
            vector_width=TEXT_WIDTH + len(STYLES),
            generator_widths=(256, 128, 64, 32),
            discriminator_widths=(256, 128, 64, 32),
            label_width=LABELS,
        ),
        conditioner=MiniLMConfig(max_tokens=32, styles=STYLES, context=False),
        data=BatchConfig(
            size=64,
            styles=STYLES,
            batch_size=32,
            exclude_groups=("flags",),
            caption_drop=0.0,
            augment_probability=0.0,
            mirror=True,
        ),
        training=TrainingConfig(
            steps=4500,
            batch_size=32,
            learning_rate=5e-4,
            betas=(0.0, 0.99),
            weight_decay=0.0,
            warmup_steps=50,
            final_learning_rate=0.1,
            max_grad_norm=1e6,  # hardly ever clips: both networks' gradients are one vector to it
            averages=(0.995, 0.998),
            average_every=4,
        ),
        objective=AdversarialConfig(gamma=1.0, augment_probability=0.3),
        sampling=GANSampling(style=STYLES[0]),
    )


def emoji_gan() -> GANRecipe:
    """`gan` judged by frozen features and held to the real picture of each text: what the shipped GAN is made by.

    It needs the package with the frozen network. Sauer et al. 2021, Isola et al. 2017: see `FrozenDiscriminator` and
    `AdversarialConfig`. Pictures are not mirrored: a text has one picture in each style, to be held to. Most of the
    time is better spent on pixels alone, where a step takes half as long: docs/models.md has both commands.
    """
    recipe = gan()
    widths = (256, 128, 64, 32, 16)
    return replace(
        recipe,
        name="emoji-gan",
        summary="Emoji of 64 px from words in one network call: a GAN judged by frozen features.",
        network=replace(
            recipe.network, discriminator="frozen", patch=1, generator_widths=widths, discriminator_widths=widths
        ),
        data=replace(recipe.data, mirror=False),
        training=replace(
            recipe.training,
            steps=2000,
            optimizer="muon",
            learning_rate=8e-4,
            betas=(0.5, 0.99),
            rates=(("discriminator.", 0.5),),
        ),
        objective=replace(recipe.objective, loss="hinge", penalty_share=0.0, match_weight=400.0, match_features=30.0),
    )


def debug_gan() -> GANRecipe:
    """Words to a coloured shape of 16 px."""
    recipe = gan()
    return replace(
        recipe,
        name="debug-gan",
        summary="Coloured shapes of 16 px by a GAN: learns in half a minute.",
        size=16,
        network=GANConfig(
            size=16,
            noise_width=16,
            vector_width=TEXT_WIDTH + len(SHAPE_STYLES),
            text_width=64,
            generator_widths=(64, 32),
            discriminator_widths=(64, 32),
            label_width=LABELS,
        ),
        conditioner=MiniLMConfig(max_tokens=12, styles=tuple(SHAPE_STYLES), context=False),
        data=replace(recipe.data, size=16, styles=(), exclude_groups=()),
        data_set="shapes",
        training=replace(
            recipe.training,
            steps=600,
            learning_rate=1e-3,
            warmup_steps=20,
            averages=(0.98, 0.99),
            checkpoint_seconds=20,
            evaluate_every=150,
            sample_every=600,
        ),
        objective=AdversarialConfig(gamma=1.0),
        sampling=GANSampling(style="large"),
    )


@dataclass(frozen=True)
class GANRun:
    """A GAN's recipe with its data and text encoder; makes what a trainer needs."""

    recipe: GANRecipe
    images: ImageSet
    text: TextConditioner
    trainable: GAN
    objective: Adversarial
    batches: ImageBatches
    held_out: tuple[Batch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """The energy score on concepts that are not trained on."""
        assert isinstance(trainable, GAN)
        return held_out(trainable, self.text, self.held_out, self.recipe.training.seed, self.device)

    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write a sheet: each prompt in each of two styles, and twice in the first one; the same seeds each time."""
        assert isinstance(trainable, GAN)
        model = GANModel(self.recipe.name, self.recipe.summary, "none", self.recipe, size=self.recipe.size)
        generator = GANGenerator(model, trainable.generator, self.text, self.device)
        styles = (*generator.styles[:2], *generator.styles[:1]) or (None, None)
        tiles, labels = [], []
        for position, prompt in enumerate(self.sheet_prompts()):
            for place, style in enumerate(styles):
                request = ImageRequest(prompt, seed=len(styles) * position + place, style=style)
                tiles.append(generator.generate(request)[0].media)
                labels.append(prompt if style is None else f"{prompt}, {style}")
        folder.mkdir(parents=True, exist_ok=True)
        scale = max(1, 96 // self.recipe.size)
        contact_sheet(tiles, columns=9, labels=labels, scale=scale).save(folder / f"step-{step:07d}.png")

    def sheet_prompts(self) -> list[str]:
        """Plain names spread over the training part, then as many of concepts that are not trained on."""
        seen = list(dict.fromkeys(self.images.items[i].captions[0] for i in self.batches.indexes))
        unseen = list(dict.fromkeys(self.images.items[int(i)].captions[0] for b in self.held_out for i in b.items))
        half = SHEET_ITEMS // 2
        return [name for part in (seen, unseen) for name in part[:: max(1, len(part) // half)][:half]]


def fitted(recipe: GANRecipe, images: ImageSet) -> GANRecipe:
    """The recipe for a data set that is not the one it was written for: with that one's styles and all its groups."""
    foreign = not set(recipe.data.styles) <= set(images.styles)
    data = replace(recipe.data, styles=(), exclude_groups=()) if foreign else recipe.data
    text = recipe.conditioner
    if set(data.styles or images.styles) <= set(text.styles):
        return replace(recipe, data=data)
    more = len(images.styles) - len(text.styles)
    return replace(
        recipe,
        data=data,
        network=replace(recipe.network, vector_width=recipe.network.vector_width + more),
        conditioner=replace(text, styles=images.styles),
        sampling=replace(recipe.sampling, style=images.styles[0]),
    )


def prepare_gan_run(recipe: GANRecipe, device: str = "cpu", data_root: Path | None = None) -> GANRun:
    """Load the data and the text encoder, and make both networks from the recipe's seed."""
    images = shapes() if recipe.data_set == "shapes" else load_data(recipe.data_set, root=data_root)
    recipe = fitted(recipe, images)
    text = build_conditioner(recipe.conditioner)
    torch.manual_seed(recipe.training.seed)
    trainable = GAN(recipe.network).to(device)
    clip = None
    if recipe.objective.clip_weight > 0:
        clip = load_clip(info(recipe.objective.clip).folder, device)
    objective = Adversarial(trainable, text, recipe.objective, device, clip)
    batches = ImageBatches(images, recipe.data)
    unseen = ImageBatches(images, replace(recipe.data, split="unseen-concepts", style_drop=0.0, mirror=False))
    held = tuple(unseen.batch_at(step) for step in range(HELD_OUT_BATCHES))
    return GANRun(recipe, images, text, trainable, objective, batches, held, device)


def ship_gan(folder: Path, target: Path, labels: Labels) -> GANModel:
    """Write a model folder from a training run: the averaged generator alone, packed, and recipe.json with its hash."""
    recipe = recipe_of_run(GANRecipe, folder)
    tensors = averaged_part(folder, recipe.training, labels.average, PART, keep=True)
    weights = write_parts(target, {FILE: (tensors, labels.packing)})
    model = GANModel(*labels.titles(recipe.summary), recipe, weights, recipe.size, attribution=labels.attribution)
    write_json(target / "recipe.json", to_dict(model))
    return model
