"""Does an upsampler of pictures flicker less on clips if all frames have the same noise? Warp error and flicker.

Held-out clips are made small by area and large again by the upsampler of a model, 16 frames each; real clips of the
large size and bilinear enlargement are beside them. Prints means over clips with N, and one to the other.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from text2x.cascades import Cascade, passes, upsample
from text2x.data import load_clips
from text2x.data.clip_batches import ClipBatchConfig, ClipBatches
from text2x.library import load
from text2x.metrics.motion import measured
from text2x.moving import Video
from text2x.settings import Run, Settings

WORDS = Settings("", "", 4, "dpmpp_2m", "1", (0.0, 1.0), None, 64)


def enlarged(cascade: Cascade, frames: torch.Tensor, same: bool, seed: int) -> torch.Tensor:
    """[T, 4, s, s] by the first upsampler, each frame with the clip's noise or with its own."""
    seeds = tuple(seed if same else 1000 * seed + place for place in range(len(frames)))
    return upsample(frames, 1, replace(cascade, seeds=seeds))


def main() -> None:
    """Read the arguments, and print a line a way of enlarging."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--data", default="animated-emoji")
    parser.add_argument("--clips", type=int, default=24)
    given = parser.parse_args()
    generator = load(Path(given.model) if "/" in given.model else given.model, "cpu")
    stages = generator.stages  # type: ignore[attr-defined]
    size = next(iter(passes(stages))).size
    config = ClipBatchConfig(batch_size=given.clips, size=size, split="unseen-concepts", mirror=False, strides=(1,))
    batch = ClipBatches(load_clips(given.data), config).batch_at(0)
    cascade = Cascade(stages, given.model, Run(WORDS, lambda name, steps: None), (0,), torch.device("cpu"))
    made: dict[str, list[np.ndarray]] = {"real": [], "bilinear": [], "same noise": [], "own noise": []}
    for seed, clip in enumerate(batch.videos.transpose(1, 2)):  # [T, 4, S, S]
        small = F.interpolate(clip, scale_factor=0.5, mode="area")
        made["real"].append(clip.numpy())
        made["bilinear"].append(F.interpolate(small, scale_factor=2.0, mode="bilinear").numpy())
        with torch.inference_mode():
            for name in ("same noise", "own noise"):
                made[name].append(enlarged(cascade, small, name == "same noise", seed).numpy())
    for name, clips in made.items():
        found = measured([Video(np.clip(each, -1, 1), 12.0) for each in clips])
        warp, flicker = (float(np.mean([getattr(each, part) for each in found])) for part in ("warp", "flicker"))
        error = float(np.mean([np.abs(each - real).mean() for each, real in zip(clips, made["real"], strict=True)]))
        print(f"{name:<10}  warp error {warp:.4f}  flicker {flicker:.4f}  from the real {error:.4f}  N {len(clips)}")


if __name__ == "__main__":
    main()
