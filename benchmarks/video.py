"""Seconds a step of Stable Video Diffusion's UNet, ours against diffusers', same shape and weights, in turns.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/video.py [--width 64] [--frames 14] [--size 16] [--rounds 5]

Prints the median seconds of each and their ratio; needs the package diffusers. Differences above 1e-3 are an error.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from text2x.conditioning import Conditioning
from text2x.networks.spatiotemporal_unet import SpatioTemporalUNet
from text2x.published.stable_video import video_unet_weights

TOLERANCE = 1e-3


def timed(call: Callable[[], Tensor]) -> float:
    """Seconds that a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def main() -> None:
    """Print one line of figures."""
    from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, default in (("width", 64), ("frames", 14), ("size", 16), ("rounds", 5), ("tokens", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.manual_seed(0)
    theirs = UNetSpatioTemporalConditionModel(
        block_out_channels=tuple(asked.width * times for times in (1, 2, 4, 4)),
        num_attention_heads=tuple(max(1, asked.width * times // 64) for times in (1, 2, 4, 4)),
    ).eval()
    config, weights = video_unet_weights(json.loads(theirs.to_json_string()), theirs.state_dict(), Path("diffusers"))
    ours = SpatioTemporalUNet(config).eval()
    ours.load_state_dict(weights)
    x, first = (torch.randn(2, 4, asked.frames, asked.size, asked.size) for _ in range(2))
    context, numbers = torch.randn(2, asked.tokens, 1024), torch.tensor([[6.0, 127.0, 0.02]]).expand(2, -1)
    t = torch.full((2,), 0.5)
    given = torch.cat([x, first], 1).transpose(1, 2).contiguous()
    with torch.inference_mode():
        prepared = ours.prepare(Conditioning(context, None, numbers, first))
        calls: dict[str, Callable[[], Tensor]] = {
            "text2x": lambda: ours(x, t, prepared),
            "diffusers": lambda: theirs(given, ours.told_time(t), context, numbers).sample,
        }
        apart = float((calls["text2x"]() - calls["diffusers"]().transpose(1, 2)).abs().max())
        if apart > TOLERANCE:
            raise SystemExit(f"the outputs differ by {apart:.2g}")
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(asked.rounds):
            for name, call in calls.items():
                seconds[name].append(timed(call))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    count = sum(each.numel() for each in ours.parameters()) / 1e6
    print(
        f"{count:.0f} M parameters, 2 x {asked.frames} frames of {asked.size} x {asked.size} latents, "
        f"{torch.get_num_threads()} threads: text2x {medians['text2x']:.3f} s a step, diffusers "
        f"{medians['diffusers']:.3f} s, ratio {medians['text2x'] / medians['diffusers']:.2f}; apart {apart:.1e}"
    )


if __name__ == "__main__":
    main()
