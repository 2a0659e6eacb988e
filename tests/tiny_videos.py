"""Models of clips without training, small enough for tests: what they make is noise, but it obeys every law."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from text2x.config import to_dict
from text2x.data.clip_batches import Bucket, ClipBatchConfig
from text2x.files import file_hash, read_json, save_tensors, write_json
from text2x.moving import Video
from text2x.networks.dit import DiTConfig
from text2x.networks.unet import UNetConfig
from text2x.networks.video_dit import VideoDiTConfig
from text2x.networks.video_unet import VideoUNetConfig
from text2x.recipe import WeightFile
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig
from text2x.video_generator import VideoGenerator
from text2x.video_models import build_video_generator
from text2x.video_recipe import VideoDenoisingConfig, VideoModel, VideoRecipe, VideoSampling, build_video_network
from text2x.weights import pack

SIZE, FRAMES = 8, 6  # of what these models make at once
BUCKETS = (Bucket(FRAMES, SIZE, SIZE), Bucket(10, SIZE, 4), Bucket(4, 12, SIZE))
IMAGE = UNetConfig(width=16, multipliers=(1, 2), attention_levels=(1,), head_width=16, context_width=384,
                   vector_width=384)  # fmt: skip
TRANSFORMER = DiTConfig(dims=3, patch=4, time_patch=2, width=48, depth=2, num_heads=2, text_attention="cross",
                        context_width=384, vector_width=384)  # fmt: skip
Kind = Literal["unet", "first", "lumiere", "dit", "plain", "shapes", "merged"]
NETWORKS: dict[Kind, VideoUNetConfig | VideoDiTConfig] = {
    "unet": VideoUNetConfig(replace(IMAGE, extra_channels=5), attention_levels=(1,), head_width=16),
    "first": VideoUNetConfig(IMAGE, attention_levels=(1,), head_width=16, frame_channels=5),
    "lumiere": VideoUNetConfig(
        replace(IMAGE, extra_channels=5), "inflated", attention_levels=(1,), halved_levels=(0,), head_width=16
    ),
    "dit": VideoDiTConfig(TRANSFORMER, frame_channels=5),
    "shapes": VideoDiTConfig(TRANSFORMER, frame_channels=5),
    "merged": VideoUNetConfig(replace(IMAGE, extra_channels=5), attention_levels=(1,), head_width=16),
    "plain": VideoUNetConfig(IMAGE, attention_levels=(1,), head_width=16),  # knows no frames
}


def tiny_recipe(kind: Kind = "unet") -> VideoRecipe:
    """A recipe of clips of 6 frames of 8 px."""
    first = kind == "first"
    return VideoRecipe(
        name=kind,
        summary="Noise that moves.",
        size=SIZE,
        network=NETWORKS[kind],
        conditioner=MiniLMConfig(max_tokens=12),
        data=ClipBatchConfig(frames=FRAMES, size=SIZE, buckets=BUCKETS if kind == "shapes" else ()),
        training=TrainingConfig(steps=1),
        objective=VideoDenoisingConfig(first_frame=first, known=(), shared_noise=0.0 if first else 0.5),
        sampling=VideoSampling(steps=3, guidance=2.0, frames=FRAMES, windows="merged" if kind == "merged" else "after"),
    )


def write_videos(folder: Path, kind: Kind = "unet") -> Path:
    """A model folder with random weights that are nowhere zero."""
    torch.manual_seed(3)
    recipe = tiny_recipe(kind)
    network = build_video_network(recipe)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "video.safetensors"
    tensors = network.state_dict()
    save_tensors(file, pack(tensors, "float32"))
    told = {file.name: WeightFile(file_hash(file), "float32", sum(each.numel() for each in tensors.values()))}
    model = VideoModel(folder.name, "Makes noise.", "CC0-1.0", recipe, weights=told, size=SIZE)
    write_json(folder / "recipe.json", to_dict(model))
    return folder


def videos(folder: Path, kind: Kind = "unet") -> VideoGenerator:
    """The generator of such a folder."""
    write_videos(folder, kind)
    values: Any = read_json(folder / "recipe.json")
    return build_video_generator(values, folder)


def clip(frames: int = 5, size: int = SIZE, rate: float = 12.0, seed: int = 0) -> Video:
    """Opaque noise, each frame another, in steps of 1/255 as files hold them."""
    values = np.random.default_rng(seed).integers(0, 256, (frames, 4, size, size)).astype(np.float32)
    values[:, 3] = 255
    return Video(values / 127.5 - 1, rate, loops=False)
