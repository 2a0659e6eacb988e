"""Every clip of a set of sounds after a codec, one after the other, found once and kept for the next time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from text2x.data.audioset import AudioSet
from text2x.files import load_tensors, save_tensors


def frames_of_clips(
    clips: AudioSet, hop: int, least: int, encode: Callable[[Tensor], Tensor], path: Path | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Frames [K, N] of all clips, each followed by silence up to `least` frames, and where each begins [clips + 1].

    `encode` takes samples [T] to frames [K, S]. What `path` holds is taken as it is; otherwise it is written there.
    """
    if path is not None and path.is_file():
        kept = load_tensors(path)
        return kept["frames"].numpy(), kept["starts"].numpy()
    parts = []
    for index in range(len(clips)):
        samples = torch.from_numpy(clips.samples(index))
        count = max(least, -(-len(samples) // hop))
        parts.append(encode(torch.nn.functional.pad(samples, (0, count * hop - len(samples)))).cpu())
    starts = torch.tensor([0, *(part.shape[1] for part in parts)]).cumsum(0)
    frames = torch.cat(parts, dim=1)
    if path is not None:
        save_tensors(path, {"frames": frames.contiguous(), "starts": starts})
    return frames.numpy(), starts.numpy()


def fingerprint(about: str, network: object) -> str:
    """Twelve digits that change with what is told and with the weights of a network, if it is one."""
    told = hashlib.sha256(about.encode())
    if isinstance(network, nn.Module):
        for value in network.state_dict().values():
            told.update(value.detach().cpu().contiguous().numpy().tobytes())
    return told.hexdigest()[:12]
