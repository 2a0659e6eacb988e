"""`video-gan`: clips of 32 px from words in one call, by a GAN with a path of motion; its small twin; its training.

After MoCoGAN (Tulyakov et al. 2018) and StyleGAN-V (Skorokhodov et al. 2022), with DF-GAN's blocks and R3GAN's loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from text2x.adversarial import draw_noise
from text2x.data import load_clips
from text2x.data.clip_batches import ClipBatch, ClipBatchConfig, ClipBatches
from text2x.data.clipset import ClipSet
from text2x.data.moving_shapes import moving_shapes
from text2x.moving import Video
from text2x.networks.gan import GANConfig
from text2x.networks.video_gan import VideoGAN, VideoGANConfig, draw_motion, shown
from text2x.recipes.emoji import TEXT_WIDTH
from text2x.text_conditioner import MiniLMConfig, TextConditioner, build_conditioner
from text2x.training_config import TrainingConfig
from text2x.video_adversarial import VideoAdversarial, VideoGANRecipe, held_out

HELD_OUT_BATCHES = 6
SHEET_CLIPS = 8  # that each sample shows, all loops


def video_gan() -> VideoGANRecipe:
    """Words to a clip of 16 frames of 32 px."""
    image = GANConfig(
        size=32,
        noise_width=64,
        vector_width=TEXT_WIDTH,
        generator_widths=(192, 128, 64),
        discriminator_widths=(192, 128, 64),
    )
    return VideoGANRecipe(
        name="video-gan",
        summary="Emoji of 32 px that move, 16 frames in one call, by a GAN.",
        size=32,
        network=VideoGANConfig(image),
        conditioner=MiniLMConfig(max_tokens=32, context=False),
        data=ClipBatchConfig(
            batch_size=8,
            frames=16,
            size=32,
            exclude_groups=("flags",),
            loop_share=0.5,
            caption_drop=0.0,
            style_drop=0.0,
        ),
        training=TrainingConfig(
            steps=4000,
            batch_size=8,
            learning_rate=5e-4,
            betas=(0.0, 0.99),
            weight_decay=0.0,
            warmup_steps=50,
            final_learning_rate=0.1,
            max_grad_norm=1e6,  # hardly ever clips: all networks' gradients are one vector to it
            averages=(0.995, 0.998),
            average_every=4,
        ),
    )


def debug_video_gan() -> VideoGANRecipe:
    """Words to a coloured shape of 16 px that slides, jumps, circles or pulses."""
    recipe = video_gan()
    image = GANConfig(
        size=16,
        noise_width=16,
        vector_width=TEXT_WIDTH,
        text_width=64,
        generator_widths=(64, 32),
        discriminator_widths=(64, 32),
    )
    return replace(
        recipe,
        name="debug-video-gan",
        summary="Coloured shapes of 16 px that move, by a GAN: learns in a minute.",
        size=16,
        network=VideoGANConfig(image, frames=8, motion_width=16),
        conditioner=MiniLMConfig(max_tokens=12, context=False),
        data=replace(recipe.data, frames=8, size=16, exclude_groups=(), strides=(1,)),
        data_set="moving-shapes",
        training=replace(
            recipe.training,
            steps=400,
            learning_rate=1e-3,
            warmup_steps=20,
            averages=(0.98, 0.99),
            checkpoint_seconds=20,
            evaluate_every=100,
            sample_every=400,
        ),
    )


@dataclass(frozen=True)
class VideoGANRun:
    """A recipe with its clips and text encoder; makes what a trainer needs."""

    recipe: VideoGANRecipe
    clips: ClipSet
    text: TextConditioner
    trainable: VideoGAN
    objective: VideoAdversarial
    batches: ClipBatches
    held_out: tuple[ClipBatch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """The energy score on concepts that are not trained on."""
        assert isinstance(trainable, VideoGAN)
        styles = self.recipe.conditioner.styles
        return held_out(trainable, self.text, self.held_out, self.recipe.training.seed, styles, self.device)

    @torch.no_grad()
    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write held-out prompts as loops beside each other, with the same seeds each time."""
        assert isinstance(trainable, VideoGAN)
        network, frames = trainable.config, self.recipe.data.frames
        held = [int(item) for batch in self.held_out for item in batch.items]
        prompts = list(dict.fromkeys(self.clips.items[item].captions[0] for item in held))[:SHEET_CLIPS]
        made = []
        for place, prompt in enumerate(prompts):
            rng = torch.Generator().manual_seed(place)
            noise = draw_noise(1, network.image.noise_width, rng).to(self.device)
            motion = draw_motion(1, network, rng).to(self.device)
            vector = self.text([prompt]).to(self.device).vector
            assert vector is not None
            loops = torch.ones(1, dtype=torch.bool, device=self.device)
            made.append(shown(trainable(noise, motion, vector, frames, loops))[0].float().cpu().numpy())
        folder.mkdir(parents=True, exist_ok=True)
        row = np.concatenate(made, axis=3).swapaxes(0, 1)  # [T, C, H, W']
        Video(np.ascontiguousarray(row), self.recipe.rate).save(folder / f"step-{step:07d}.webp")


def prepare_video_gan_run(recipe: VideoGANRecipe, device: str = "cpu", data_root: Path | None = None) -> VideoGANRun:
    """Load the clips and the text encoder, and make all networks from the recipe's seed."""
    drawn = recipe.data_set == "moving-shapes"
    clips = moving_shapes(recipe.data.size) if drawn else load_clips(recipe.data_set, root=data_root)
    groups = {item.group for item in clips.items}
    kept = tuple(group for group in recipe.data.exclude_groups if group in groups)
    recipe = replace(recipe, data=replace(recipe.data, exclude_groups=kept))
    text = build_conditioner(recipe.conditioner)
    assert isinstance(text, TextConditioner)
    torch.manual_seed(recipe.training.seed)
    trainable = VideoGAN(recipe.network).to(device)
    objective = VideoAdversarial(trainable, text, recipe.objective, recipe.conditioner.styles, device)
    plain = replace(recipe.data, split="unseen-concepts", plain_caption=1.0, mirror=False)
    unseen = ClipBatches(clips, plain)
    held = tuple(unseen.batch_at(step) for step in range(HELD_OUT_BATCHES))
    return VideoGANRun(recipe, clips, text, trainable, objective, ClipBatches(clips, recipe.data), held, device)
