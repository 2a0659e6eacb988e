"""`lumiere-upsampler`: clips of 32 px to 64 px by an upsampler of pictures whose frames are mixed; its small twin.

Bar-Tal et al. 2024 (Lumiere, Sec. 3.3): the upsampler of the model of pictures with inflated convolutions, which alone
are trained, on windows of frames; those of a longer clip overlap and are merged. Theirs goes from 128 to 1024 px.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.data import load_clips
from text2x.data.clip_batches import ClipBatch, ClipBatchConfig, ClipBatches
from text2x.data.clipset import ClipSet
from text2x.data.moving_shapes import moving_shapes
from text2x.diffusion.denoiser import TimeDistribution
from text2x.library import info
from text2x.moving import Video
from text2x.networks.unet import UNetConfig
from text2x.networks.video_unet import VideoUNet, VideoUNetConfig
from text2x.recipes.emoji import upsampler
from text2x.recipes.make_a_video import make_a_video
from text2x.training_config import TrainingConfig
from text2x.video_models import inherited_upsampler, of_base, read_base, upsampler_denoiser
from text2x.video_recipe import VideoDenoisingConfig, VideoSampling, VideoUpsamplerRecipe, trained_names
from text2x.video_upsampling import ClipUpsampler, VideoUpsampling, small_clips

HELD_OUT_BATCHES = 4
SHEET_CLIPS = 4  # that each sample shows: small, as made, as they are


def lumiere_upsampler() -> VideoUpsamplerRecipe:
    """16 frames of 32 px to 64 px; begins with the first upsampler of the emoji model."""
    image = upsampler().network
    assert isinstance(image, UNetConfig)
    recipe = make_a_video()
    return VideoUpsamplerRecipe(
        name="lumiere-upsampler",
        summary="Twice the size of a clip, its frames mixed: an upsampler of pictures with layers over time.",
        size=64,
        network=VideoUNetConfig(image, convolution="inflated", attention_levels=(), bottom_attention=False),
        data=ClipBatchConfig(
            batch_size=2, frames=16, size=64, exclude_groups=("flags",), loop_share=0.4, caption_drop=0.0
        ),
        training=replace(recipe.training, steps=1500, batch_size=2),
        objective=VideoDenoisingConfig(
            times=TimeDistribution("logit_normal", mean=0.0, std=1.0), weighting="velocity", known=(), shared_noise=1.0
        ),
        sampling=VideoSampling(sampler="dpmpp_2m", steps=4, guidance=1.0),
        base="emoji",
    )


def debug_lumiere_upsampler() -> VideoUpsamplerRecipe:
    """Moving shapes of 8 px to 16 px, without a base."""
    recipe = lumiere_upsampler()
    image = replace(recipe.network.image, width=16, multipliers=(1, 2))
    return replace(
        recipe,
        name="debug-lumiere-upsampler",
        summary="Moving shapes of 16 px from 8 px, in a minute, without a base.",
        size=16,
        network=replace(recipe.network, image=image),
        data=ClipBatchConfig(batch_size=8, frames=8, size=16, strides=(1,), loop_share=0.5),
        data_set="moving-shapes",
        training=TrainingConfig(
            steps=200,
            batch_size=8,
            learning_rate=2e-3,
            warmup_steps=20,
            averages=(0.98, 0.99),
            checkpoint_seconds=20,
            evaluate_every=100,
            sample_every=200,
        ),
        base=None,
        trained="all",
    )


@dataclass(frozen=True)
class VideoUpsamplerRun:
    """A recipe with its clips; makes what a trainer needs."""

    recipe: VideoUpsamplerRecipe
    clips: ClipSet
    trainable: nn.Module
    objective: VideoUpsampling
    batches: ClipBatches
    held_out: tuple[ClipBatch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """The held-out loss by noise level, on concepts that are not trained on."""
        objective = VideoUpsampling(upsampler_denoiser(self.recipe, trainable), self.recipe, self.device)
        return objective.held_out(self.held_out, self.recipe.training.seed)

    @torch.inference_mode()
    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write held-out clips beside each other, moving: small ones above, then as made, then real ones."""
        made = ClipUpsampler(self.recipe, upsampler_denoiser(self.recipe, trainable))
        batch, factor = self.held_out[0], self.recipe.low_resolution.factor
        rows: list[list[Tensor]] = [[], [], []]
        for place, clip in enumerate(batch.videos[:SHEET_CLIPS]):
            small = small_clips(clip[None], factor)[0].transpose(0, 1)  # [T, 4, h, w]
            told = float(batch.rates[place]), float(batch.motion[place]), bool(batch.loops[place])
            larger = made(small.to(self.device), place, *told).cpu()
            shown = (F.interpolate(small, scale_factor=float(factor), mode="nearest"), larger, clip.transpose(0, 1))
            for row, each in zip(rows, shown, strict=True):
                row.append(each)
        frames = torch.cat([torch.cat(row, dim=3) for row in rows], dim=2).clamp(-1, 1)
        folder.mkdir(parents=True, exist_ok=True)
        Video(np.ascontiguousarray(frames.numpy()), 12.0).save(folder / f"step-{step:07d}.webp")


def prepare_video_upsampler_run(
    recipe: VideoUpsamplerRecipe, device: str = "cpu", data_root: Path | None = None
) -> VideoUpsamplerRun:
    """Load the clips, make the network from the recipe's seed and give it the weights of its base's upsampler."""
    drawn = recipe.data_set == "moving-shapes"
    clips = moving_shapes(recipe.data.size) if drawn else load_clips(recipe.data_set, root=data_root)
    groups = {item.group for item in clips.items}
    kept = tuple(group for group in recipe.data.exclude_groups if group in groups)
    recipe = replace(recipe, data=replace(recipe.data, exclude_groups=kept))
    base = None if recipe.base is None else read_base(info(recipe.base).folder)
    recipe, state = (recipe, {}) if base is None else inherited_upsampler(recipe, base)
    torch.manual_seed(recipe.training.seed)
    network = VideoUNet(recipe.network)
    network.load_state_dict({**network.state_dict(), **of_base(state)})
    trained = trained_names(network, recipe.trained)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    network.to(device)
    objective = VideoUpsampling(upsampler_denoiser(recipe, network), recipe, device)
    unseen = ClipBatches(clips, replace(recipe.data, split="unseen-concepts", mirror=False))
    held = tuple(unseen.batch_at(step) for step in range(HELD_OUT_BATCHES))
    return VideoUpsamplerRun(recipe, clips, network, objective, ClipBatches(clips, recipe.data), held, device)
