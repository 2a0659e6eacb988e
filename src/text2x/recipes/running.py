"""Runs a recipe: data, text, network, objective and trainer put together, with held-out loss and sample sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from text2x.acoustics import AcousticRecipe
from text2x.adversarial import GANRecipe
from text2x.autoencoding import AutoencoderRecipe
from text2x.codecs import Codec, Identity
from text2x.coding import CodecRecipe
from text2x.conditioning import Conditioning
from text2x.config import override
from text2x.data import load as load_data
from text2x.data.batches import Batch, ImageBatches
from text2x.data.imageset import ImageSet
from text2x.data.shapes import shapes
from text2x.diffusion.guidance import clamped
from text2x.diffusion.samplers import SAMPLERS, time_grid
from text2x.generators import DiffusionGenerator
from text2x.latents import latents_of
from text2x.masks import unknown_channels
from text2x.media import Image, contact_sheet
from text2x.objectives import Denoising, beside, quantized, shrink, upsampling_condition
from text2x.priors import PriorRecipe
from text2x.recipe import (
    GuideRecipe,
    Model,
    Recipe,
    Stage,
    Text,
    build_denoiser,
    build_network,
    build_text,
    parts_of,
    trainable_of,
)
from text2x.recipes import RECIPES
from text2x.recipes.codec import CodecRun, prepare_codec_run
from text2x.recipes.dalle2_running import PriorRun, prepare_prior_run, told_embeddings
from text2x.recipes.gan import GANRun, prepare_gan_run
from text2x.recipes.guide_running import GuideRun, prepare_guide_run
from text2x.recipes.latent_running import AutoencoderRun, prepare_autoencoder_run, with_codec
from text2x.recipes.lumiere_upsampler import VideoUpsamplerRun, prepare_video_upsampler_run
from text2x.recipes.sound_flow_running import SoundFlowRun, prepare_sound_flow_run
from text2x.recipes.sound_gan import SoundGANRun, prepare_sound_gan_run
from text2x.recipes.speech_running import SpeechRun, prepare_speech_run
from text2x.recipes.token_running import TokenRun, prepare_token_run
from text2x.recipes.video_gan import VideoGANRun, prepare_video_gan_run
from text2x.recipes.video_running import VideoRun, prepare_video_run
from text2x.recipes.vocoder import VocoderRun, prepare_vocoder_run
from text2x.requests import ImageRequest, unknown
from text2x.sampling import TrainedStage
from text2x.sound_adversarial import SoundGANRecipe
from text2x.sound_diffusion import SoundDiffusionRecipe
from text2x.text import train_bpe
from text2x.text_conditioner import TrainableTextConfig
from text2x.token_models import TokenRecipe
from text2x.training import Outcome, Trainer
from text2x.video_adversarial import VideoGANRecipe
from text2x.video_recipe import VideoRecipe, VideoUpsamplerRecipe
from text2x.vocoding import VocoderRecipe
from text2x.weights import load_weights

HELD_OUT_BATCHES = 4
SHEET_ITEMS = 24
ImageRecipe = Recipe | GANRecipe | GuideRecipe | AutoencoderRecipe | PriorRecipe
SoundRecipe = VocoderRecipe | AcousticRecipe | CodecRecipe | TokenRecipe | SoundDiffusionRecipe | SoundGANRecipe
AnyRecipe = ImageRecipe | SoundRecipe | VideoRecipe | VideoUpsamplerRecipe | VideoGANRecipe


@dataclass(frozen=True)
class Run:
    """A recipe with its data and its text encoder; makes what a trainer needs."""

    recipe: Recipe
    images: ImageSet
    text: Text
    trainable: nn.Module
    objective: Denoising
    batches: ImageBatches
    held_out: tuple[Batch, ...]
    device: str
    codec: Codec = Identity()

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """The held-out loss by noise level, on concepts that are not trained on."""
        network, text = parts_of(trainable, self.text)
        denoiser = build_denoiser(self.recipe, network)
        low, latents = self.recipe.low_resolution, self.objective.latents
        told = self.objective.embeddings
        told = None if told is None else replace(told, drop=0.0)
        objective = Denoising(denoiser, text, self.recipe.objective, low, self.device, latents, told)
        return objective.held_out(self.held_out, seed=self.recipe.training.seed)

    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write a sheet of the same prompts and seeds each time."""
        reads_prompts = self.recipe.low_resolution is None
        sheet = self._prompt_sheet(trainable) if reads_prompts else self._upsampling_sheet(trainable)
        folder.mkdir(parents=True, exist_ok=True)
        sheet.save(folder / f"step-{step:07d}.png")

    def _prompt_sheet(self, trainable: nn.Module) -> Image:
        network, text = parts_of(trainable, self.text)
        stage = TrainedStage(self.recipe, build_denoiser(self.recipe, network), text, self.codec)
        stages = (Stage(self.recipe, "weights"),)
        model = Model(self.recipe.name, self.recipe.summary, "none", stages, size=self.recipe.size)
        generator = DiffusionGenerator(model, (stage,), self.device)
        styles = generator.styles[:2] or (None,)
        tiles, labels = [], []
        for position, prompt in enumerate(self.sheet_prompts()):
            for style in styles:
                request = ImageRequest(prompt, seed=position, style=style)
                tiles.append(generator.generate(request)[0].media)
                labels.append(prompt if style is None else f"{prompt}, {style}")
        return contact_sheet(tiles, columns=8, labels=labels, scale=max(1, 96 // self.recipe.size))

    def sheet_prompts(self) -> list[str]:
        """Plain names spread over the training part, the same ones each time."""
        names = list(dict.fromkeys(self.images.items[i].captions[0] for i in self.batches.indexes))
        every = max(1, len(names) // SHEET_ITEMS)
        return names[::every][:SHEET_ITEMS]

    @torch.no_grad()
    def _upsampling_sheet(self, trainable: nn.Module) -> Image:
        """For held-out pictures: the small one, the network's one, the real one."""
        low, defaults = self.recipe.low_resolution, self.recipe.sampling
        assert low is not None
        batch = self.held_out[0]
        real = batch.images[:SHEET_ITEMS]
        rng = torch.Generator().manual_seed(0)
        small = quantized(shrink(real, low.factor), low)
        noise = torch.randn(small.shape, generator=rng)
        level = torch.full((len(real),), low.sampling_noise)
        network, text = parts_of(trainable, self.text)
        words = Conditioning() if text is None else text(batch.captions[: len(real)], batch.styles[: len(real)])
        told = upsampling_condition(small, level, noise, unknown_channels(real), low.factor).to(self.device)
        condition = beside(words.to(self.device), told, low)
        denoise = clamped(build_denoiser(self.recipe, network).denoise(condition))
        x = torch.randn(real.shape, generator=rng).to(self.device)
        times = time_grid(defaults.steps, defaults.shift, defaults.grid, self.recipe.schedule)
        made = SAMPLERS[defaults.sampler](denoise, x, times, self.recipe.schedule)
        tiles = [
            Image(each.cpu().numpy()).resize(real.shape[-1])
            for trio in zip(small, made, real, strict=True)
            for each in trio
        ]
        return contact_sheet(tiles, columns=9, scale=max(1, 96 // real.shape[-1]))


ImageRun = Run | GANRun | GuideRun | AutoencoderRun | PriorRun
SoundRun = VocoderRun | SpeechRun | CodecRun | TokenRun | SoundFlowRun | SoundGANRun
AnyRun = ImageRun | SoundRun | VideoRun | VideoUpsamplerRun | VideoGANRun


def recipe_for(name: str, settings: Sequence[str] = (), data: str | None = None) -> AnyRecipe:
    """A recipe by name with "field=value" settings applied; unknown names and fields raise InputError."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    recipe = RECIPES[name]()
    for setting in settings:
        recipe = override(recipe, setting)
    batch = recipe.training.batch_size
    recipe = replace(recipe, data=replace(recipe.data, batch_size=batch, seed=recipe.training.seed))
    return recipe if data is None else replace(recipe, data_set=data)


def with_vocabulary(recipe: Recipe, images: ImageSet) -> Recipe:
    """The recipe with the byte pairs that its text encoder knows, learned from the captions of the training part."""
    text = recipe.conditioner
    if not recipe.vocabulary or not isinstance(text, TrainableTextConfig) or text.merges:
        return recipe
    captions = [caption for index in images.split("train") for caption in images.items[index].captions]
    merges = train_bpe(captions, recipe.vocabulary).merges
    return replace(recipe, conditioner=replace(text, merges=merges))


def fitted(recipe: Recipe, images: ImageSet) -> Recipe:
    """The recipe for a data set that is not the one it was written for: with that one's styles and all its groups."""
    network, text = recipe.network, recipe.conditioner
    foreign = not set(recipe.data.styles) <= set(images.styles)
    data = replace(recipe.data, styles=(), exclude_groups=()) if foreign else recipe.data
    if text is None or set(data.styles or images.styles) <= set(text.styles):
        return replace(recipe, data=data)
    more = len(images.styles) - len(text.styles)
    return replace(
        recipe,
        data=data,
        network=replace(network, vector_width=network.vector_width + more),
        conditioner=replace(text, styles=images.styles),
        sampling=replace(recipe.sampling, style=images.styles[0]),
    )


def prepare_run(recipe: Recipe, device: str = "cpu", data_root: Path | None = None, folder: Path | None = None) -> Run:
    """Load the data and the text encoder, and make the network from the recipe's seed.

    `folder` is where the run is kept; the weights of a codec are copied there.
    """
    images = shapes() if recipe.data_set == "shapes" else load_data(recipe.data_set, root=data_root)
    recipe, codec = with_codec(fitted(with_vocabulary(recipe, images), images), images, device, folder)
    text = build_text(recipe)
    torch.manual_seed(recipe.training.seed)
    trainable = trainable_of(build_network(recipe), text).to(device)
    network, text = parts_of(trainable, text)
    denoiser = build_denoiser(recipe, network)
    latents = latents_of(recipe, codec)
    told = told_embeddings(recipe, images, device)
    objective = Denoising(denoiser, text, recipe.objective, recipe.low_resolution, device, latents, told)
    batches = ImageBatches(images, recipe.data)
    plain = replace(recipe.data, split="unseen-concepts", caption_drop=0.0, style_drop=0.0, augment_probability=0.0)
    held_out = ImageBatches(images, plain)
    held = tuple(held_out.batch_at(step) for step in range(HELD_OUT_BATCHES))
    return Run(recipe, images, text, trainable, objective, batches, held, device, codec)


def prepared_run(
    recipe: AnyRecipe, device: str = "cpu", data_root: Path | None = None, folder: Path | None = None
) -> AnyRun:
    """Data, text and networks of a recipe of any kind; the weights of its codec, if it has one, go into the folder."""
    if isinstance(recipe, VideoRecipe):
        return prepare_video_run(recipe, device, data_root, folder)
    if isinstance(recipe, VideoUpsamplerRecipe):
        return prepare_video_upsampler_run(recipe, device, data_root)
    if isinstance(recipe, VideoGANRecipe):
        return prepare_video_gan_run(recipe, device, data_root)
    if isinstance(recipe, TokenRecipe):
        return prepare_token_run(recipe, device, data_root, folder)
    if isinstance(recipe, SoundDiffusionRecipe):
        return prepare_sound_flow_run(recipe, device, data_root, folder)
    if isinstance(recipe, SoundGANRecipe):
        return prepare_sound_gan_run(recipe, device, data_root, folder)
    if isinstance(recipe, AcousticRecipe):
        return prepare_speech_run(recipe, device, data_root)
    if isinstance(recipe, CodecRecipe):
        return prepare_codec_run(recipe, device, data_root)
    if isinstance(recipe, VocoderRecipe):
        return prepare_vocoder_run(recipe, device, data_root)
    if isinstance(recipe, PriorRecipe):
        return prepare_prior_run(recipe, device, data_root)
    if isinstance(recipe, GuideRecipe):
        return prepare_guide_run(recipe, device, data_root)
    if isinstance(recipe, GANRecipe):
        return prepare_gan_run(recipe, device, data_root)
    if isinstance(recipe, AutoencoderRecipe):
        return prepare_autoencoder_run(recipe, device, data_root)
    return prepare_run(recipe, device, data_root, folder)


def train(
    name: str,
    data: str | None = None,
    settings: Sequence[str] = (),
    folder: Path | None = None,
    device: str = "cpu",
    data_root: Path | None = None,
    start: Path | None = None,
) -> Outcome:
    """Train a recipe into a folder, going on from the checkpoint that is there.

    `start` is a weight file, as a run's averages or a shipped model's, to begin from where there is no checkpoint yet.
    """
    recipe = recipe_for(name, settings, data)
    folder = folder or Path("runs") / name
    run = prepared_run(recipe, device, data_root, folder)
    if start is not None:
        load_weights(run.trainable, start)
    trainer = Trainer(
        run.trainable,
        run.objective,
        run.batches.batch_at,
        run.recipe.training,
        folder,
        evaluate=run.evaluate,
        sample=None if isinstance(run, (GuideRun, PriorRun)) else run.sample,
        recipe=run.recipe,
    )
    return trainer.fit()
