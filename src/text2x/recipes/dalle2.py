"""DALL-E 2 (Ramesh et al. 2022): a CLIP, a prior from words to its embedding of a picture, a decoder, two upsamplers.

Train `dalle2-clip` first: `dalle2-prior`, `dalle2-prior-ar` and `dalle2` learn from its embeddings, each from the run
in runs/dalle2-clip unless another folder is named, as with image_embedding.clip=DIR or clip=DIR. The decoder is the net
of `emoji` with GLIDE's conditioning and the embedding's: added to the time embedding, and four more context tokens.
"""

from __future__ import annotations

from dataclasses import replace

from text2x.data.batches import NUM_AUGMENTATIONS, BatchConfig
from text2x.data.shapes import STYLES as SHAPE_STYLES
from text2x.networks.classifier import HalfUNetConfig
from text2x.networks.clip import CLIPConfig, ImageTransformerConfig
from text2x.networks.prior import PriorConfig
from text2x.networks.prior_tokens import TokenPriorConfig
from text2x.priors import PriorRecipe, PriorSampling
from text2x.recipe import ContrastiveConfig, GuideRecipe, ImageEmbedding, LowResolution, Recipe, SamplingConfig
from text2x.recipes.debug import debug
from text2x.recipes.emoji import STYLES, TEXT_WIDTH, emoji, upsampler
from text2x.recipes.guides import SENTENCE, debug_clip
from text2x.recipes.guides import STYLES as ALL_STYLES
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig

CLIP = "dalle2-clip"
EMBEDDING = 256  # numbers of an embedding
TOKENS = 24  # of a prompt, for prior and decoder


def dalle2_clip() -> GuideRecipe:
    """Clean pictures and texts to one embedding, for prior and decoder; another network and seed than the judge's."""
    return GuideRecipe(
        name=CLIP,
        summary="Compares clean emoji with words: the CLIP whose embeddings the prior and the decoder of dalle2 speak.",
        kind="encoder",
        size=32,
        network=CLIPConfig(
            HalfUNetConfig(width=48, dropout=0.1, timestep=False),
            TEXT_WIDTH + len(ALL_STYLES),
            text_dropout=0.1,
            embedding=EMBEDDING,
        ),
        conditioner=replace(SENTENCE, styles=ALL_STYLES),
        data=BatchConfig(
            128, size=32, exclude_groups=("flags",), caption_drop=0.0, style_drop=0.3, augment_probability=0.2
        ),
        training=TrainingConfig(
            steps=2000,
            batch_size=128,
            seed=2022,
            optimizer="muon",
            learning_rate=1.5e-3,
            weight_decay=0.1,
            warmup_steps=100,
            averages=(0.99,),
            evaluate_every=200,
            sample_every=0,
        ),
        objective=ContrastiveConfig(times=None, cutout=0.25),
    )


def dalle2_prior() -> PriorRecipe:
    """The diffusion prior (Sec. 2.2): estimates of the embedding itself, cosine schedule, better of two draws."""
    return PriorRecipe(
        name="dalle2-prior",
        summary="Words to the CLIP embedding of a picture: the diffusion prior of DALL-E 2.",
        network=PriorConfig(embedding=EMBEDDING, tokens=TOKENS, dropout=0.1),
        conditioner=MiniLMConfig(max_tokens=TOKENS, vector=False),
        clip=CLIP,
        data=_prior_data(128),
        training=_prior_training(3000),
    )


def dalle2_prior_ar() -> PriorRecipe:
    """The autoregressive prior (Sec. 2.2): principal components in buckets, one after the other."""
    return replace(
        dalle2_prior(),
        name="dalle2-prior-ar",
        summary="Words to the CLIP embedding of a picture, component by component: DALL-E 2's autoregressive prior.",
        network=TokenPriorConfig(embedding=EMBEDDING, tokens=TOKENS, dropout=0.1),
        data=_prior_data(64),
        training=replace(_prior_training(3000), batch_size=64),
    )


def dalle2() -> Recipe:
    """The decoder (Sec. 2.1): half of the captions and a tenth of the embeddings are dropped."""
    base = emoji()
    width = TEXT_WIDTH + len(STYLES) + NUM_AUGMENTATIONS + EMBEDDING
    return replace(
        base,
        name="dalle2",
        summary="Emoji of 32 px from a CLIP embedding and words: the decoder of DALL-E 2.",
        network=replace(base.network, vector_width=width, image_embedding=EMBEDDING),
        conditioner=MiniLMConfig(max_tokens=TOKENS, styles=STYLES, augmentations=NUM_AUGMENTATIONS),
        data=replace(base.data, caption_drop=0.5),
        objective=replace(base.objective, mask_probability=0.25),
        sampling=SamplingConfig(sampler="dpmpp_2m", steps=16, guidance=2.0, style=STYLES[0]),
        image_embedding=ImageEmbedding(CLIP, drop=0.1),
    )


def dalle2_upsampler() -> Recipe:
    """The first upsampler: no words, no attention, a blurred start, trained on a quarter of each picture."""
    base = upsampler()
    return replace(
        base,
        name="dalle2-upsampler",
        summary="Doubles 32 px: the first upsampler of DALL-E 2, trained on blurred crops.",
        low_resolution=LowResolution(factor=2, largest_noise=0.0, sampling_noise=0.0, blur=0.6, repeats=False),
    )


def dalle2_upsampler_2() -> Recipe:
    """The second: a start with many kinds of faults, trained on crops of a quarter of each side."""
    base = upsampler()
    return replace(
        base,
        name="dalle2-upsampler-2",
        summary="Doubles 64 px, and again what it made: the second upsampler of DALL-E 2, trained on damaged crops.",
        size=128,
        data=replace(base.data, size=128, crop=32),
        low_resolution=LowResolution(factor=2, largest_noise=0.0, sampling_noise=0.0, degradation=0.75),
    )


def debug_dalle2_clip() -> GuideRecipe:
    """`dalle2-clip` on drawn shapes, in seconds."""
    base = debug_clip()
    return replace(
        base,
        name="debug-dalle2-clip",
        summary="dalle2-clip on coloured shapes of 16 px.",
        kind="encoder",
        network=CLIPConfig(
            ImageTransformerConfig(16, width=48, depth=2, num_heads=2, timestep=False),
            TEXT_WIDTH + len(SHAPE_STYLES),
            text_hidden=64,
            embedding=32,
        ),
        objective=ContrastiveConfig(times=None),
    )


def debug_dalle2_prior() -> PriorRecipe:
    """`dalle2-prior` on drawn shapes, in seconds."""
    return replace(
        dalle2_prior(),
        name="debug-dalle2-prior",
        summary="dalle2-prior on coloured shapes.",
        network=PriorConfig(embedding=32, tokens=12, width=64, depth=2, num_heads=2),
        conditioner=MiniLMConfig(max_tokens=12, vector=False),
        clip="debug-dalle2-clip",
        data=BatchConfig(size=16, batch_size=64, augment_probability=0.0),
        training=_debug_training(),
        sampling=PriorSampling(steps=8),
        data_set="shapes",
    )


def debug_dalle2_prior_ar() -> PriorRecipe:
    """`dalle2-prior-ar` on drawn shapes, in seconds."""
    return replace(
        debug_dalle2_prior(),
        name="debug-dalle2-prior-ar",
        summary="dalle2-prior-ar on coloured shapes.",
        network=TokenPriorConfig(
            embedding=32, components=8, buckets=16, dots=4, tokens=12, width=64, depth=2, num_heads=2
        ),
    )


def debug_dalle2() -> Recipe:
    """`dalle2` on drawn shapes, in under a minute."""
    base = debug()
    return replace(
        base,
        name="debug-dalle2",
        summary="debug with the conditioning of DALL-E 2's decoder.",
        network=replace(base.network, vector_width=base.network.vector_width + 32, image_embedding=32),
        data=replace(base.data, caption_drop=0.5),
        image_embedding=ImageEmbedding("debug-dalle2-clip"),
    )


def _prior_data(batch_size: int) -> BatchConfig:
    """Every style: the CLIP knows them all. A tenth of the texts is dropped."""
    return BatchConfig(batch_size, size=8, exclude_groups=("flags",), style_drop=0.3, augment_probability=0.0)


def _prior_training(steps: int) -> TrainingConfig:
    return TrainingConfig(
        steps=steps,
        batch_size=128,
        optimizer="muon",
        learning_rate=1e-3,
        weight_decay=0.06,  # Ramesh et al. 2022, Table 3
        warmup_steps=150,
        averages=(0.998,),
        evaluate_every=250,
        sample_every=0,
    )


def _debug_training() -> TrainingConfig:
    return TrainingConfig(
        steps=150,
        batch_size=64,
        optimizer="muon",
        learning_rate=2e-3,
        warmup_steps=10,
        averages=(0.95,),
        checkpoint_seconds=20,
        evaluate_every=75,
        sample_every=0,
    )
