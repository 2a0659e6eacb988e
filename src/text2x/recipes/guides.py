"""`classifier` and `clip`: guides on noised pictures; `judge`: a clean CLIP that measures and never guides.

All look at 32 px, where the base model samples, and learn from every style, so that a guide knows the styles that a
model draws and the judge knows how else a thing may look.
"""

from __future__ import annotations

from dataclasses import replace

from text2x.data.batches import BatchConfig
from text2x.data.shapes import STYLES as SHAPE_STYLES
from text2x.diffusion.denoiser import TimeDistribution
from text2x.networks.classifier import ClassifierConfig, HalfUNetConfig
from text2x.networks.clip import CLIPConfig, ImageTransformerConfig
from text2x.recipe import ClassificationConfig, ContrastiveConfig, GuideRecipe
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig

STYLES = ("noto", "noto-v1", "twemoji", "fluent", "fluent-flat", "openmoji", "emojione")
SENTENCE = MiniLMConfig(max_tokens=32, context=False)  # the sentence vector alone
WIDTH = 384  # of it


def classifier() -> GuideRecipe:
    """A noised picture to the concept that it shows (Dhariwal and Nichol 2021), for classifier guidance."""
    return GuideRecipe(
        name="classifier",
        summary="Names what a noised emoji shows: half a UNet for classifier guidance.",
        kind="classifier",
        size=32,
        network=ClassifierConfig(HalfUNetConfig(width=48, dropout=0.1), dropout=0.2),
        conditioner=SENTENCE,
        data=_data(128, mirror=True, augment_probability=0.1),
        training=_training(2200),
        objective=ClassificationConfig(),
    )


def clip() -> GuideRecipe:
    """A noised picture and a text to one embedding (Nichol et al. 2021), for CLIP guidance.

    The image network is half a UNet, where GLIDE has a transformer (`debug_clip`): in one short trial of each, on a
    busy machine, it learned more in the same time. That is a lead and no ranking.
    """
    return GuideRecipe(
        name="clip",
        summary="Compares noised emoji with words: a noised CLIP for guidance.",
        kind="clip",
        size=32,
        network=CLIPConfig(HalfUNetConfig(width=48, dropout=0.1), WIDTH + len(STYLES), text_dropout=0.1),
        conditioner=replace(SENTENCE, styles=STYLES),
        data=_data(128, mirror=True, augment_probability=0.1),
        training=_training(2200),
        objective=ContrastiveConfig(),
    )


def judge() -> GuideRecipe:
    """A clean picture and a text to one embedding: another network, seed and augmentation than the guides have."""
    return GuideRecipe(
        name="judge",
        summary="Compares clean emoji of 32 px with words: the judge of text agreement; it must not guide.",
        kind="judge",
        size=32,
        network=CLIPConfig(
            HalfUNetConfig(width=64, multipliers=(1, 2, 3), dropout=0.1, timestep=False),
            WIDTH + len(STYLES),
            text_dropout=0.2,
        ),
        conditioner=replace(SENTENCE, styles=STYLES),
        data=_data(128, mirror=True, augment_probability=0.4, style_drop=0.5),
        training=_training(1900, seed=1009),
        objective=ContrastiveConfig(times=None, cutout=0.5),
    )


def debug_classifier() -> GuideRecipe:
    """`classifier` on drawn shapes, in seconds."""
    return replace(
        classifier(),
        name="debug-classifier",
        summary="classifier on coloured shapes of 16 px.",
        size=16,
        network=ClassifierConfig(
            HalfUNetConfig(16, width=24, multipliers=(1, 2), attention_levels=(1,), head_width=24)
        ),
        data=BatchConfig(size=16, batch_size=32, caption_drop=0.0, augment_probability=0.0),
        training=_debug_training(),
        objective=ClassificationConfig(times=TimeDistribution("logit_normal", mean=-1.0)),
        data_set="shapes",
    )


def debug_clip() -> GuideRecipe:
    """`clip` on drawn shapes, in seconds."""
    return replace(
        clip(),
        name="debug-clip",
        summary="clip on coloured shapes of 16 px.",
        size=16,
        network=CLIPConfig(
            ImageTransformerConfig(16, width=48, depth=2, num_heads=2),
            WIDTH + len(SHAPE_STYLES),
            text_hidden=64,
            embedding=64,
        ),
        conditioner=replace(SENTENCE, styles=tuple(SHAPE_STYLES)),
        data=BatchConfig(size=16, batch_size=32, caption_drop=0.0, augment_probability=0.0),
        training=_debug_training(),
        objective=ContrastiveConfig(times=TimeDistribution("logit_normal", mean=-1.0)),
        data_set="shapes",
    )


def _data(batch_size: int, mirror: bool, augment_probability: float, style_drop: float = 0.3) -> BatchConfig:
    """All styles, without flags: no base model draws them."""
    return BatchConfig(
        batch_size,
        size=32,
        exclude_groups=("flags",),
        caption_drop=0.0,
        style_drop=style_drop,
        augment_probability=augment_probability,
        mirror=mirror,
    )


def _training(steps: int, seed: int = 0) -> TrainingConfig:
    return TrainingConfig(
        steps=steps,
        batch_size=128,
        seed=seed,
        optimizer="muon",
        learning_rate=1.5e-3,
        weight_decay=0.1,
        warmup_steps=100,
        averages=(0.99,),
        evaluate_every=200,
        sample_every=0,
    )


def _debug_training() -> TrainingConfig:
    return TrainingConfig(
        steps=150,
        batch_size=32,
        optimizer="muon",
        learning_rate=2e-3,
        warmup_steps=10,
        averages=(0.95,),
        checkpoint_seconds=20,
        evaluate_every=75,
        sample_every=0,
    )
