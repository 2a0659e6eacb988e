"""A UNet of pictures made one of moving pictures: its own layers see each frame, new ones mix the frames of a clip.

Make-A-Video (Singer et al. 2022): a convolution over time behind each 3 x 3 one and attention over time behind each
attention; Lumiere (Bar-Tal et al. 2024): an inflated convolution behind each block, time halved and doubled with the
size, attention over time at the bottom alone. Before training it equals the UNet of pictures, frame by frame.
Shapes: B batch, C channels, T frames, V vector width, E embedding width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.clip_conditioning import TOLD, loops_of
from text2x.conditioning import Conditioning, Prepared
from text2x.errors import InputError
from text2x.networks.unet import UNet, UNetConfig
from text2x.nn.blocks import ResidualBlock, conv3, zeroed
from text2x.nn.embeddings import in_fours
from text2x.nn.frames import Clips, InflatedConv, TimeAttention, TimeConv, TimeDownsample, TimeUpsample

IMAGE = "image."  # the beginning of the names of the parameters that are the UNet of pictures'
TOLD_WIDTH = 64  # of the layer between what is told of a clip and the time embedding


@dataclass(frozen=True)
class VideoUNetConfig:
    """Shape of a UNet over [B, C, T, H, W]: that of its UNet of pictures, and where time is mixed.

    Its vector is the one of the UNet of pictures with TOLD numbers behind it (see clip_conditioning).
    """

    image: UNetConfig
    convolution: Literal["pseudo", "inflated"] = "pseudo"  # behind each 3 x 3 one; behind each block
    attention_levels: tuple[int, ...] = (1, 2)  # with attention over time behind each block
    bottom_attention: bool = True  # and in the middle
    halved_levels: tuple[int, ...] = ()  # behind which time is halved, and doubled again on the way up (Lumiere)
    frame_channels: int = 0  # further ones of Conditioning.channels, whose weights start at zero
    head_width: int = 48  # of attention over time
    most_frames: int = 64  # that it may be asked for at once

    @property
    def in_channels(self) -> int:
        """Of x_t."""
        return self.image.in_channels

    @property
    def out_channels(self) -> int:
        """Twice in_channels: a learned variance as well."""
        return self.image.out_channels

    @property
    def extra_channels(self) -> int:
        """Of Conditioning.channels."""
        return self.image.extra_channels + self.frame_channels

    @property
    def vector_width(self) -> int:
        """V, what is told of the clip included."""
        return self.image.vector_width + TOLD

    @property
    def step(self) -> int:
        """The number of frames is a multiple of it, unless it is 1."""
        return 2 ** len(self.halved_levels)


@dataclass(frozen=True)
class VideoPrepared:
    """A condition after what does not depend on x_t or t."""

    image: Prepared
    loops: Tensor  # [B] bool


class TimeBlock(nn.Module):
    """What mixes frames at one block of the UNet of pictures."""

    def __init__(self, config: VideoUNetConfig, channels: int, attends: bool, resample: nn.Module | None) -> None:
        super().__init__()
        pseudo = config.convolution == "pseudo"
        self.first = TimeConv(channels) if pseudo else None
        self.second = TimeConv(channels) if pseudo else InflatedConv(channels)
        self.attention = TimeAttention(channels, config.head_width) if attends else None
        self.resample = resample  # of time, behind the block


class VideoUNet(nn.Module):
    """Noisy clips, time and condition to the network's prediction, of the size of x; one frame is a picture."""

    def __init__(self, config: VideoUNetConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.image = UNet(config.image)
        width = 4 * config.image.width
        self.told = nn.Sequential(nn.Linear(TOLD, TOLD_WIDTH), nn.SiLU(), zeroed(nn.Linear(TOLD_WIDTH, width)))
        patched = config.frame_channels * config.image.patch**2
        self.frame_in = zeroed(conv3(2, patched, config.image.width)) if patched else None
        self.time = nn.ModuleList(_time_blocks(config))

    def temporal_names(self) -> list[str]:
        """The names of the parameters that the UNet of pictures has not."""
        return [name for name, _ in self.named_parameters() if not name.startswith(IMAGE)]

    def load_image(self, state: Mapping[str, Tensor]) -> None:
        """Take over the weights of a UNet of pictures of the same shape."""
        self.image.load_state_dict(dict(state))

    def prepare(self, conditioning: Conditioning) -> VideoPrepared:
        """Project vector, numbers of the clip and the text's keys and values once: they do not change with t."""
        vector = conditioning.vector
        if vector is None or vector.shape[1] != self.config.vector_width:
            found = "no vector" if vector is None else f"a vector of {vector.shape[1]} numbers"
            raise ValueError(f"this network is told {self.config.vector_width} numbers, got {found}")
        told = vector[:, -TOLD:]
        words = replace(conditioning, vector=vector[:, :-TOLD] if self.config.image.vector_width else None)
        prepared = self.image.prepare(words)
        more = in_fours(self.told, told)
        vector = more if prepared.vector is None else prepared.vector + more
        return VideoPrepared(replace(prepared, vector=vector), loops_of(told))

    def forward(self, x: Tensor, t: Tensor, conditioning: Conditioning | VideoPrepared) -> Tensor:
        """[B, C, T, H, W], [B] -> [B, out_channels, T, H, W]."""
        given = self.prepare(conditioning) if isinstance(conditioning, Conditioning) else conditioning
        self._check_frames(x.shape[2])
        clips = Clips(x.shape[2], given.loops.expand(len(x)))
        hidden = self._entered(x, given.image.channels)
        walk = _Walk(self, F.silu(self.image.embedding(t, given.image.vector)), given.image, clips)
        image = self.image
        skips = [hidden]
        for level in image.down:
            for index, block in enumerate(level.blocks):  # type: ignore[arg-type]
                hidden = walk.through(block, level, index, hidden)
                skips.append(hidden)
            if level.resample is not None:
                hidden = walk.through(level.resample, level, None, hidden)  # type: ignore[arg-type]
                skips.append(hidden)
        hidden = walk.through(image.middle.blocks[0], image.middle, 0, hidden)
        hidden = walk.through(image.middle.blocks[1], image.middle, None, hidden)
        for level in image.up:
            for index, block in enumerate(level.blocks):  # type: ignore[arg-type]
                hidden = walk.through(block, level, index, torch.cat([hidden, skips.pop()], dim=1))
            if level.resample is not None:
                hidden = walk.through(level.resample, level, None, hidden)  # type: ignore[arg-type]
        made = image._unpatched(image.conv_out(F.silu(image.norm_out(hidden))))
        return made.unflatten(0, (len(x), -1)).transpose(1, 2)

    def _entered(self, x: Tensor, channels: Tensor | None) -> Tensor:
        """The first convolution of every frame, with what is known of it: [B T, C, H, W]."""
        own = self.config.image.extra_channels
        frames = x.transpose(1, 2).flatten(0, 1)
        told = None if channels is None else channels.transpose(1, 2).flatten(0, 1).to(x.dtype)
        image = self.image
        hidden = image.conv_in(image._patched(image._with_channels(frames, None if told is None else told[:, :own])))
        if self.frame_in is None or told is None:
            return hidden
        return hidden + self.frame_in(image._patched(told[:, own:]))

    def _check_frames(self, frames: int) -> None:
        step, most = self.config.step, self.config.most_frames
        if frames > most or (frames > 1 and frames % step):
            multiples = f" and multiples of {step}" if step > 1 else ""
            raise InputError(f"{frames} frames do not fit this network: take at most {most}{multiples}")


class _Walk:
    """One pass of clips through the blocks: their frames, the embedding and the text of each, the next time block."""

    def __init__(self, network: VideoUNet, embedding: Tensor, prepared: Prepared, clips: Clips) -> None:
        self.embedding, self.prepared, self.clips = embedding, prepared, clips  # embedding: [B, E], activated
        self.texts, self.times = iter(prepared.keys_values), iter(network.time)
        self.mixes = clips.frames > 1  # a single picture meets the layers of pictures alone

    def frames_of(self, rows: Tensor) -> Tensor:
        """What belongs to a clip, for each of its frames: [B, ...] -> [B T, ...]."""
        return rows[:, None].expand(-1, self.clips.frames, *rows.shape[1:]).flatten(0, 1)

    def through(self, block: nn.Module, level: nn.Module, index: int | None, x: Tensor) -> Tensor:
        """A residual block with its attention, if it has one there, frames mixed behind each."""
        time = next(self.times)
        assert isinstance(time, TimeBlock) and isinstance(block, ResidualBlock)
        embedding = self.frames_of(self.embedding)
        if self.mixes and time.first is not None:
            x = _inflated(block, time, x, embedding, self.clips)
        else:
            x = block(x, embedding)
            x = time.second(x, self.clips) if self.mixes else x
        if index is not None and index < len(level.attentions):  # type: ignore[arg-type]
            pair, mask = next(self.texts, None), self.prepared.mask
            pair = None if pair is None else (self.frames_of(pair[0]), self.frames_of(pair[1]))
            mask = None if mask is None else self.frames_of(mask)
            x = level.attentions[index](x, pair, mask)  # type: ignore[index,operator]
        if not self.mixes:
            return x
        x = x if time.attention is None else time.attention(x, self.clips)
        if time.resample is not None:
            x = time.resample(x, self.clips)
            self.clips = replace(self.clips, frames=len(x) // len(self.clips.loops))
        return x


def _inflated(block: ResidualBlock, time: TimeBlock, x: Tensor, embedding: Tensor, clips: Clips) -> Tensor:
    """A residual block with a convolution over time behind each of its own: pseudo-3D ones (Make-A-Video)."""
    assert time.first is not None
    hidden = time.first(block.conv_in(block.resample(F.silu(block.norm_in(x)))), clips)
    scale, shift = in_fours(block.modulation, embedding)[:, :, None, None].chunk(2, dim=1)
    hidden = torch.addcmul(shift, block.norm_out(hidden), 1 + scale)
    hidden = time.second(block.conv_out(block.dropout(F.silu(hidden))), clips)
    return block.skip(block.resample(x)) + hidden


def _time_blocks(config: VideoUNetConfig) -> Iterator[TimeBlock]:
    """One for each residual block of the UNet of pictures, in the order in which x meets them."""
    image = config.image
    channels = [image.width * multiplier for multiplier in image.multipliers]
    last = len(channels) - 1
    for index, width in enumerate(channels):
        for _ in range(image.blocks_per_level):
            yield TimeBlock(config, width, index in config.attention_levels, None)
        if index < last:
            halves = index in config.halved_levels
            yield TimeBlock(config, width, False, TimeDownsample(width) if halves else None)
    yield TimeBlock(config, channels[-1], config.bottom_attention, None)
    yield TimeBlock(config, channels[-1], False, None)
    for index in range(last, -1, -1):
        for _ in range(image.blocks_per_level + 1):
            yield TimeBlock(config, channels[index], index in config.attention_levels, None)
        if index > 0:
            doubles = index - 1 in config.halved_levels
            yield TimeBlock(config, channels[index], False, TimeUpsample(channels[index]) if doubles else None)


def _check(config: VideoUNetConfig) -> None:
    if config.image.dims != 2:
        raise InputError(f"image.dims is {config.image.dims}; a UNet of clips is made from one of pictures, of 2")
    last = len(config.image.multipliers) - 1
    if any(not 0 <= level < last for level in config.halved_levels):
        raise InputError(f"halved_levels is {config.halved_levels}; time is halved behind levels 0 to {last - 1}")
    if config.most_frames < 2:
        raise InputError(f"most_frames is {config.most_frames}; a clip has at least 2")
