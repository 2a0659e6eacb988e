"""The adversarial objective of clips: whose gradient is whose, loops and pictures, and a small GAN that learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from text2x.conditioning import Conditioning
from text2x.data.clip_batches import ClipBatch
from text2x.errors import InputError
from text2x.networks.gan import GANConfig
from text2x.networks.video_gan import VideoGAN, VideoGANConfig
from text2x.video_adversarial import VideoAdversarial, VideoAdversarialConfig, held_out

IMAGE = GANConfig(
    size=8, patch=1, noise_width=8, vector_width=2, text_width=8, generator_widths=(32, 16),
    discriminator_widths=(32, 16),
)  # fmt: skip
CONFIG = VideoGANConfig(IMAGE, frames=6, harmonics=2, motion_noise=4, motion_width=8)


class Words:
    """Tells "left" and "right" apart, and nothing else."""

    def __call__(
        self, prompts: Sequence[str], styles: Sequence[str | None] | None = None, augmentations: Tensor | None = None
    ) -> Conditioning:
        return Conditioning(vector=torch.tensor([[1.0, 0.0] if each == "left" else [0.0, 1.0] for each in prompts]))

    def truncated(self, prompt: str) -> str | None:
        return None


def sliding(count: int, seed: int = 0, pictures: bool = False) -> ClipBatch:
    """A bright bar that goes around, left or right, from anywhere: every clip is a loop of 6 frames."""
    rng = torch.Generator().manual_seed(seed)
    words = tuple("left" if each else "right" for each in torch.randint(2, (count,), generator=rng).tolist())
    begins = torch.randint(8, (count,), generator=rng).tolist()
    frames = 1 if pictures else 6
    clips = torch.full((count, 4, frames, 8, 8), -1.0)
    for item, (word, begin) in enumerate(zip(words, begins, strict=True)):
        for frame in range(frames):
            across = (begin + (-1 if word == "left" else 1) * round(frame * 8 / 6)) % 8
            clips[item, :, frame, :, across] = 1.0
    loops = torch.full((count,), not pictures)
    return ClipBatch(
        clips, words, (None,) * count, torch.full((count,), 12.0), torch.full((count,), 5.0), loops,
        torch.arange(count), pictures,
    )  # fmt: skip


def built(config: VideoAdversarialConfig) -> tuple[VideoGAN, VideoAdversarial]:
    torch.manual_seed(0)
    gan = VideoGAN(CONFIG)
    return gan, VideoAdversarial(gan, Words(), config)


def gradients(gan: VideoGAN, part: str) -> list[Tensor]:
    return [each.grad for name, each in gan.named_parameters() if name.startswith(part) and each.grad is not None]


def test_the_judges_get_no_gradient_of_the_generators_loss_and_the_generator_none_of_theirs() -> None:
    gan, objective = built(VideoAdversarialConfig(penalty_share=0.0, mismatch_weight=0.0))
    for judge in (gan.of_frames, gan.of_clips):
        for parameter in judge.parameters():
            parameter.requires_grad_(False)
    objective(sliding(4), torch.Generator().manual_seed(1))["loss"].backward()
    alone = [each.clone() for each in gradients(gan, "generator.")]
    assert alone and not gradients(gan, "of_")
    gan, objective = built(VideoAdversarialConfig(penalty_share=0.0, mismatch_weight=0.0))
    objective(sliding(4), torch.Generator().manual_seed(1))["loss"].backward()
    for both, expected in zip(gradients(gan, "generator."), alone, strict=True):
        torch.testing.assert_close(both, expected)
    assert any(each.any() for each in gradients(gan, "of_frames")) and any(
        each.any() for each in gradients(gan, "of_clips")
    )


def test_pictures_meet_the_judge_of_frames_alone() -> None:
    gan, objective = built(VideoAdversarialConfig(penalty_share=1.0))
    losses = objective(sliding(4, pictures=True), torch.Generator().manual_seed(1))
    losses["loss"].backward()
    assert not gradients(gan, "of_clips") and any(each.any() for each in gradients(gan, "of_frames"))
    assert "clip/real" not in losses and "frame/real" in losses


def test_the_loss_is_the_sum_of_what_is_reported_and_the_same_for_the_same_seed() -> None:
    _, objective = built(VideoAdversarialConfig(penalty_share=1.0))
    batch = sliding(4)
    one, again = (objective(batch, torch.Generator().manual_seed(3)) for _ in range(2))
    total = one["generator"] + one["discriminator"] + one["penalty"]
    torch.testing.assert_close(one["loss"].detach(), total)
    assert all(torch.equal(one[name], again[name]) for name in one) and one["penalty"] >= 0
    assert not torch.equal(one["loss"], objective(batch, torch.Generator().manual_seed(4))["loss"])


def test_settings_out_of_range_are_refused_with_their_value() -> None:
    for change in ({"penalty_share": 1.5}, {"gamma": -1.0}, {"clip_weight": -0.5}):
        with pytest.raises(InputError, match=f"objective.{next(iter(change))} is {next(iter(change.values()))}"):
            replace(VideoAdversarialConfig(), **change)


def test_the_held_out_score_is_made_of_its_parts_and_the_same_each_time() -> None:
    batch = sliding(16)
    gan, _ = built(VideoAdversarialConfig())
    score = held_out(gan, Words(), [batch], seed=0)
    assert score["held_out"] == pytest.approx(score["held_out/error"] - score["held_out/variety"] / 2)
    assert held_out(gan, Words(), [batch], seed=0) == score


@pytest.mark.medium
def test_a_small_gan_learns_to_move_a_bar_the_way_it_is_told() -> None:
    gan, objective = built(VideoAdversarialConfig(gamma=0.5))
    before = held_out(gan, Words(), [sliding(64, seed=99)], seed=0)["held_out"]
    optimizer = torch.optim.AdamW(gan.parameters(), lr=2e-3, betas=(0.0, 0.99), weight_decay=0.0)
    rng = torch.Generator().manual_seed(0)
    for step in range(250):
        optimizer.zero_grad()
        objective(sliding(16, seed=step), rng)["loss"].backward()
        optimizer.step()
    after = held_out(gan, Words(), [sliding(64, seed=99)], seed=0)["held_out"]
    assert after < 0.8 * before, (before, after)
