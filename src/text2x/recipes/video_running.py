"""Runs a recipe of moving pictures: clips, text, a base of pictures whose weights it begins with; training; packing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from text2x.codecs import Codec, Identity, LatentCodec, LatentCodecConfig
from text2x.config import from_dict
from text2x.data import load as load_data
from text2x.data import load_clips
from text2x.data.batches import Batch
from text2x.data.bucketed_clips import BucketedClips, clip_batches
from text2x.data.clip_batches import ClipBatch, ClipBatches
from text2x.data.clipset import ClipSet
from text2x.data.imageset import ImageSet
from text2x.data.moving_shapes import moving_shapes
from text2x.data.shapes import shapes
from text2x.errors import InputError
from text2x.files import file_hash, load_tensors, read_json, save_tensors
from text2x.latents import CODEC_FILE, measured
from text2x.library import info
from text2x.media import contact_sheet
from text2x.moving import Video
from text2x.networks.autoencoder import Autoencoder
from text2x.networks.video_dit import VideoDiTConfig
from text2x.nn.initialization import no_initialization
from text2x.recipes.latent_running import find_autoencoder
from text2x.text_conditioner import TextConditioner, build_conditioner
from text2x.video_generator import VideoGenerator
from text2x.video_models import Base, denoiser_of, inherited, of_base, read_base
from text2x.video_objectives import VideoDenoising
from text2x.video_recipe import VideoModel, VideoRecipe, build_video_network, trained_names
from text2x.video_requests import VideoRequest
from text2x.weights import put_weights

HELD_OUT_BATCHES = 6
SHEET_ITEMS = 8
MEASURED_FRAMES, MEASURED_CLIPS = 512, 4  # whose latents give shift and scale; clips at once
SHEET_FRAMES = 8  # of each that the sheet shows


@dataclass(frozen=True)
class VideoRun:
    """A recipe of moving pictures with its clips and text encoder; makes what a trainer needs."""

    recipe: VideoRecipe
    clips: ClipSet
    text: TextConditioner
    trainable: nn.Module
    objective: VideoDenoising
    batches: ClipBatches | BucketedClips
    held_out: tuple[ClipBatch, ...]
    device: str
    codec: Codec = Identity()

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """The held-out loss by noise level, on concepts that are not trained on; nothing known."""
        objective = VideoDenoising(
            denoiser_of(self.recipe, trainable), self.text, self.recipe.objective, self.recipe.conditioner.styles,
            self.device, self.codec,
        )  # fmt: skip
        return objective.held_out(self.held_out, seed=self.recipe.training.seed)

    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write the same prompts and seeds each time: a sheet of frames, and all clips beside each other, moving."""
        model = VideoModel(self.recipe.name, self.recipe.summary, "none", self.recipe, size=self.recipe.size)
        generator = VideoGenerator(model, denoiser_of(self.recipe, trainable), self.text, self.device, self.codec)
        prompts = self.sheet_prompts()
        made = [generator.generate(VideoRequest(prompt, seed=at))[0].media for at, prompt in enumerate(prompts)]
        tiles, labels = [], []
        for prompt, video in zip(prompts, made, strict=True):
            chosen = np.linspace(0, len(video) - 1, min(SHEET_FRAMES, len(video))).round().astype(int)
            tiles += [video.pictures()[place] for place in chosen]
            labels += [prompt, *[""] * (len(chosen) - 1)]
        folder.mkdir(parents=True, exist_ok=True)
        sheet = contact_sheet(tiles, columns=min(SHEET_FRAMES, len(made[0])), labels=labels, scale=2)
        sheet.save(folder / f"step-{step:07d}.png")
        rows = [np.concatenate([each.frames for each in made[at : at + 4]], axis=3) for at in range(0, len(made), 4)]
        rows = [each for each in rows if each.shape == rows[0].shape]
        Video(np.concatenate(rows, axis=2), made[0].rate).save(folder / f"step-{step:07d}.webp")

    def sheet_prompts(self) -> list[str]:
        """Plain names spread over the training part, then as many of concepts that are not trained on."""
        seen = list(dict.fromkeys(self.clips.items[i].captions[0] for i in self.batches.indexes))
        held = [int(i) for batch in self.held_out for i in batch.items]
        unseen = list(dict.fromkeys(self.clips.items[i].captions[0] for i in held))
        half = SHEET_ITEMS // 2
        return [name for part in (seen, unseen) for name in part[:: max(1, len(part) // half)][:half]]


def prepare_video_run(
    recipe: VideoRecipe, device: str = "cpu", data_root: Path | None = None, folder: Path | None = None
) -> VideoRun:
    """Load clips and text encoder, make the network from the recipe's seed and give it the weights of its base."""
    drawn = recipe.data_set == "moving-shapes"
    clips = moving_shapes(recipe.data.size) if drawn else load_clips(recipe.data_set, root=data_root)
    images = _images(recipe, data_root) if recipe.data.image_share > 0 else None
    base: Base | None = None
    if recipe.base is not None:
        base = read_base(info(recipe.base).folder)
        recipe = inherited(recipe, base)
    foreign = {group for group in recipe.data.exclude_groups if all(item.group != group for item in clips.items)}
    kept = tuple(group for group in recipe.data.exclude_groups if group not in foreign)
    recipe = replace(recipe, data=replace(recipe.data, exclude_groups=kept))
    codec: Codec = Identity()
    if recipe.codec is not None:
        recipe, codec = _with_codec(recipe, clips, device, folder)
    _check_buckets(recipe, codec.factor)
    text = build_conditioner(recipe.conditioner)
    assert isinstance(text, TextConditioner)
    torch.manual_seed(recipe.training.seed)
    network = build_video_network(recipe)
    if base is not None:
        state = network.state_dict()
        network.load_state_dict({**state, **of_base(base.state())})
    trained = trained_names(network, recipe.trained)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    network.to(device)
    styles = recipe.conditioner.styles
    objective = VideoDenoising(denoiser_of(recipe, network), text, recipe.objective, styles, device, codec)
    batches = clip_batches(clips, recipe.data, images)
    plain = replace(
        recipe.data, split="unseen-concepts", caption_drop=0.0, style_drop=0.0, mirror=False, image_share=0.0,
        plain_caption=1.0, recaption=0.0, buckets=(),
    )  # fmt: skip
    unseen = ClipBatches(clips, plain)
    held = tuple(unseen.batch_at(step) for step in range(HELD_OUT_BATCHES))
    return VideoRun(recipe, clips, text, network, objective, batches, held, device, codec)


def _check_buckets(recipe: VideoRecipe, factor: int) -> None:
    """Raise InputError for sizes and durations that the network does not take."""
    network = recipe.network
    if not recipe.data.buckets:
        return
    if not isinstance(network, VideoDiTConfig):
        raise InputError(f"{recipe.name} is a UNet, which is trained on one size: leave data.buckets out")
    for each in recipe.data.buckets:
        unit = factor * network.patch
        if each.width % unit or each.height % unit:
            size = f"{each.width}x{each.height}"
            raise InputError(f"data.buckets has {size}; sides of this network are multiples of {unit}")
        if each.frames % network.step or each.frames > network.most_frames:
            most = f"multiples of {network.step} and at most {network.most_frames}"
            raise InputError(f"data.buckets has {each.frames} frames; those of this network are {most}")


def _images(recipe: VideoRecipe, data_root: Path | None) -> ImageSet:
    """The pictures of the batches that are no clips."""
    return shapes() if recipe.image_set == "shapes" else load_data(recipe.image_set, root=data_root)


def _with_codec(
    recipe: VideoRecipe, clips: ClipSet, device: str, folder: Path | None
) -> tuple[VideoRecipe, LatentCodec]:
    """The recipe with what its codec says, measured on frames of the clips, and the codec.

    The codec's weights are put into the run's folder; a run that is gone on with must be on the codec it began with.
    """
    if not isinstance(recipe.codec, str):
        raise InputError("codec is a whole codec; give the folder of a trained autoencoder, as codec=runs/autoencoder")
    own = _own_codec(folder)
    if own is not None and folder is not None and not Path(recipe.codec).expanduser().exists():
        tensors, network = load_tensors(folder / CODEC_FILE), own.network
    else:
        found = find_autoencoder(recipe.codec)
        tensors, network = dict(found.tensors), found.network
    with no_initialization():
        autoencoder = Autoencoder(network)
    put_weights(autoencoder, tensors, folder / CODEC_FILE if folder is not None else Path(CODEC_FILE))
    autoencoder.eval().requires_grad_(False).to(device)
    config = own or measured(autoencoder, _frames(clips, recipe))
    if folder is not None:
        sha256 = save_tensors(folder / CODEC_FILE, tensors) if own is None else file_hash(folder / CODEC_FILE)
        kept = load_tensors(folder / CODEC_FILE)
        if own is not None and any(not torch.equal(kept[name], value) for name, value in tensors.items()):
            raise InputError(
                f"the run in {folder} was begun with another codec than {recipe.codec} now is; use another folder"
            )
        config = replace(config, sha256=sha256)
    codec = LatentCodec(config, autoencoder)
    if recipe.network.in_channels != codec.channels:
        raise InputError(f"the codec has {codec.channels} channels, the network {recipe.network.in_channels}: set one")
    if recipe.size % codec.factor:
        raise InputError(f"size is {recipe.size}; this codec takes multiples of {codec.factor}")
    return replace(recipe, codec=config), codec


def _own_codec(folder: Path | None) -> LatentCodecConfig | None:
    """The codec of the run in a folder, if it has one and its weights are whole."""
    if folder is None or not (folder / "recipe.json").is_file() or not (folder / CODEC_FILE).is_file():
        return None
    codec = from_dict(VideoRecipe, read_json(folder / "recipe.json"), where="recipe.json").codec
    whole = isinstance(codec, LatentCodecConfig) and file_hash(folder / CODEC_FILE) == codec.sha256
    return codec if whole and isinstance(codec, LatentCodecConfig) else None


def _frames(clips: ClipSet, recipe: VideoRecipe) -> Iterator[Batch]:
    """Frames of training clips, as pictures."""
    plain = replace(recipe.data, image_share=0.0, mirror=False, batch_size=MEASURED_CLIPS, buckets=(), recaption=0.0)
    batches = ClipBatches(clips, plain)
    for step in range(max(1, min(MEASURED_FRAMES // (plain.frames * MEASURED_CLIPS), len(batches.indexes)))):
        batch = batches.batch_at(step)
        frames = batch.videos.transpose(1, 2).flatten(0, 1)
        yield Batch(frames, batch.captions, batch.styles, None, batch.items)
