"""The sheets of the card of `motion`: 24 trained names as clips that loop, moving and as a strip; seconds a clip.

    python benchmarks/motion_card.py [--model motion] [--out out/motion-card] [--seed 0]
    python benchmarks/motion_card.py --speed            # seconds alone
    python benchmarks/motion_card.py --memory 240       # peak memory of a clip of so many frames, one process each

The names are the first 24 trained concepts by the SHA-256 of their slug, without flags: nobody chose them. Needs the
data set (text2x data prepare animated-emoji). Writes motion-24.webp, which moves, motion-24.png with every fourth frame
of each clip, and prints the seconds that a clip of the default length takes at each size, all cores, one warm-up.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from text2x.data import load_clips
from text2x.media import Image, contact_sheet
from text2x.moving import Video
from text2x.video_generator import VideoGenerator
from text2x.video_library import load_video
from text2x.video_requests import VideoRequest

NAMES, COLUMNS, SHOWN = 24, 6, 4
SIZES = (32, 64)
REPEATS = 3


def names() -> list[str]:
    """Plain names of trained concepts in the order of their hashes."""
    clips = load_clips("animated-emoji")
    found = {}
    for index in clips.split("train"):
        item = clips.items[index]
        if item.group != "flags":
            found.setdefault(item.concept, item.captions[0])
    order = sorted(found, key=lambda concept: hashlib.sha256(concept.encode()).hexdigest())
    return [found[concept] for concept in order][:NAMES]


def save_moving(clips: list[Video], labels: list[str], path: Path) -> None:
    """All clips on one page, frame by frame; lossy, because it is only looked at."""
    pages = [
        contact_sheet([clip.pictures()[at] for clip in clips], COLUMNS, labels, scale=1).to_pil()
        for at in range(len(clips[0]))
    ]
    pages[0].save(
        path, save_all=True, append_images=pages[1:], duration=round(1000 / clips[0].rate), loop=0, quality=75
    )


def strips(clips: list[Video], labels: list[str]) -> Image:
    """A few frames of each clip in a row, two clips beside each other."""
    shown, told = [], []
    for clip, label in zip(clips, labels, strict=True):
        shown += clip.pictures()[:: max(1, len(clip) // SHOWN)][:SHOWN]
        told += [label] + [""] * (SHOWN - 1)
    return contact_sheet(shown, 2 * SHOWN, told, scale=1)


def taken(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def memory(generator: VideoGenerator, frames: int) -> None:
    """Print the peak memory of this process before and after a clip, and what the model says beforehand."""
    torch.set_num_threads(1)
    before = peak()
    request = VideoRequest("a rocket", seed=1, frames=frames, steps=2)
    told = generator.estimate(request).num_bytes / 2**20
    generator.generate(request)
    print(f"{frames} frames: {peak():.0f} MiB, of which {peak() - before:.0f} for the clip; told {told:.0f} MiB")


def peak() -> float:
    """Most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Write the sheets and print the speeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="motion")
    parser.add_argument("--out", type=Path, default=Path("out/motion-card"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", action="store_true", help="print speeds alone")
    parser.add_argument("--memory", type=int, metavar="FRAMES", help="print the memory of such a clip alone")
    asked = parser.parse_args()
    generator = load_video(asked.model)
    if asked.memory:
        return memory(generator, asked.memory)
    for size in SIZES:
        request = VideoRequest("a rocket", seed=0, size=size)
        frames = len(generator.generate(request)[0].media)
        seconds = statistics.median(taken(lambda request=request: generator.generate(request)) for _ in range(REPEATS))
        print(f"{size} px: {seconds:.2f} s for {frames} frames, {frames / seconds:.1f} frames/s")
    if asked.speed:
        return
    labels = names()
    clips = [generator.generate(VideoRequest(each, seed=asked.seed, loop=True))[0].media for each in labels]
    asked.out.mkdir(parents=True, exist_ok=True)
    save_moving(clips, labels, asked.out / "motion-24.webp")
    strips(clips, labels).save(asked.out / "motion-24.png")


if __name__ == "__main__":
    main()
