"""Diffusion transformer over spacetime patches of clips of any size, shape and duration (OpenAI 2024, Sora's report).

The blocks of networks/dit.py in three dimensions; what is added: the numbers told of a clip, known frames as channels
whose weights start at zero, time that goes in a circle where a clip loops, and clips of other sizes in one pass.
Shapes: B clips, C channels, T frames, S patches of a clip, N of all clips, D width, L text tokens, d head width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import scaled_dot_product_attention

from text2x.clip_conditioning import TOLD, loops_of
from text2x.conditioning import Conditioning, Prepared
from text2x.errors import InputError
from text2x.networks.dit import DiT, DiTConfig
from text2x.nn.attention import Attention, KeysValues, Rotate
from text2x.nn.blocks import zeroed
from text2x.nn.embeddings import in_fours
from text2x.nn.patches import from_patches, to_patches
from text2x.nn.rotary import angles, positions, rotation
from text2x.nn.transformer import TransformerBlock, modulate

TOLD_WIDTH = 64  # of the layer between what is told of a clip and the time embedding
ROWS = 4  # patches of a clip in a packed pass are a multiple of it: matrix products sum 1 to 3 left over otherwise


@dataclass(frozen=True)
class VideoDiTConfig:
    """Shape of a diffusion transformer over [B, C, T, H, W]: a DiT of dims 3 with rope, and what is told of a clip.

    Its vector is the transformer's with TOLD numbers behind it (see clip_conditioning).
    """

    transformer: DiTConfig
    frame_channels: int = 0  # of Conditioning.channels: known frames and their mask; their weights start at zero
    most_frames: int = 64  # that it may be asked for at once

    @property
    def in_channels(self) -> int:
        """Of x_t."""
        return self.transformer.in_channels

    @property
    def out_channels(self) -> int:
        """Twice in_channels: a learned variance as well."""
        return self.transformer.out_channels

    @property
    def extra_channels(self) -> int:
        """Of Conditioning.channels."""
        return self.frame_channels

    @property
    def vector_width(self) -> int:
        """V, what is told of the clip included."""
        return self.transformer.vector_width + TOLD

    @property
    def step(self) -> int:
        """The number of frames is a multiple of it, unless it is 1."""
        return self.transformer.time_patch

    @property
    def width(self) -> int:
        """D."""
        return self.transformer.width

    @property
    def patch(self) -> int:
        """Pixels along a side of a patch."""
        return self.transformer.patch


@dataclass(frozen=True)
class VideoDiTPrepared:
    """A condition after what does not depend on x_t or t."""

    words: Prepared
    loops: Tensor  # [B] bool: the first frame follows the last


class VideoDiT(nn.Module):
    """Noisy clips, time and condition to the network's prediction, of the size of x; a fresh one returns zero.

    A picture is a clip of one frame. `forward` takes clips of one size, `packed` clips of any sizes in one pass.
    """

    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.transformer = DiT(config.transformer)
        width = config.transformer.width
        self.told = nn.Sequential(nn.Linear(TOLD, TOLD_WIDTH), nn.SiLU(), zeroed(nn.Linear(TOLD_WIDTH, width)))
        values = config.frame_channels * math.prod(config.transformer.patches)
        self.frame_in = zeroed(nn.Linear(values, width, bias=False)) if values else None

    def prepare(self, conditioning: Conditioning) -> VideoDiTPrepared:
        """Project vector, numbers of the clip and the text's keys and values once: they do not change with t."""
        vector = conditioning.vector
        if vector is None or vector.shape[1] != self.config.vector_width:
            found = "no vector" if vector is None else f"a vector of {vector.shape[1]} numbers"
            raise ValueError(f"this network is told {self.config.vector_width} numbers, got {found}")
        told = vector[:, -TOLD:]
        words = replace(conditioning, vector=vector[:, :-TOLD] if self.config.transformer.vector_width else None)
        prepared = self.transformer.prepare(words)
        more = in_fours(self.told, told)
        vector = more if prepared.vector is None else prepared.vector + more
        return VideoDiTPrepared(replace(prepared, vector=vector), loops_of(told))

    def forward(self, x: Tensor, t: Tensor, conditioning: Conditioning | VideoDiTPrepared) -> Tensor:
        """[B, C, T, H, W], [B] -> [B, out_channels, T, H, W]."""
        given = self.prepare(conditioning) if isinstance(conditioning, Conditioning) else conditioning
        shown = _repeated(x, self.config.step)
        hidden = self._entered(shown, given.words.channels)
        counts = self._counts(shown.shape[2:])
        loops = given.loops.expand(len(x))
        rotate = _turned(counts, loops, self._head_width)
        embedding = F.silu(self.transformer.embedding(t, given.words.vector))  # [B, D]
        texts = given.words.keys_values or (None,) * len(self.transformer.blocks)
        for block, text in zip(self.transformer.blocks, texts, strict=True):
            hidden = block(hidden, embedding, text, given.words.mask, rotate)
        hidden = self.transformer._normalized(hidden, embedding)
        made = from_patches(self.transformer.patch_out(hidden), self.config.transformer.patches, shown.shape[2:])
        return _shown_once(made, x.shape[2])

    def packed(
        self,
        clips: Sequence[Tensor],  # B of [C, T, H, W], each of its own size
        t: Tensor,  # [B]
        conditioning: Conditioning | VideoDiTPrepared,  # of all clips; its channels are not used
        channels: Sequence[Tensor | None] | None = None,  # B of [frame_channels, T, H, W]
    ) -> list[Tensor]:
        """What `forward` gives for each clip, [out_channels, T, H, W], in one pass over the patches of all of them.

        Patches lie one clip behind the other (Dehghani et al. 2023, NaViT, Sec. 2.1), and each attends to its own clip
        and its own text alone: on a CPU a clip's bytes do not depend on the others where D is a multiple of 32;
        elsewhere the modulation of a single clip is rounded otherwise.
        """
        given = self.prepare(conditioning) if isinstance(conditioning, Conditioning) else conditioning
        channels = channels or [None] * len(clips)
        loops = given.loops.expand(len(clips))
        pieces, turns, sizes = [], [], []
        for place, (clip, more) in enumerate(zip(clips, channels, strict=True)):
            x = _repeated(clip[None], self.config.step)
            hidden = self._entered(x, None if more is None else more[None])
            angle = _angles(self._counts(x.shape[2:]), loops[place : place + 1], self._head_width)[0]
            filled = -hidden.shape[1] % ROWS
            pieces.append(F.pad(hidden[0], (0, 0, 0, filled)))
            turns.append(F.pad(angle, (0, 0, 0, filled)))
            sizes.append((x.shape[2:], hidden.shape[1]))
        pack = _Pack(tuple(len(piece) for piece in pieces), tuple(count for _, count in sizes))
        hidden = self._through(torch.cat(pieces)[None], t, given.words, pack, rotation(torch.cat(turns)))
        made = []
        for rows, (size, _), clip in zip(pack.own(hidden, dim=1), sizes, clips, strict=True):
            whole = from_patches(rows, self.config.transformer.patches, size)
            made.append(_shown_once(whole, clip.shape[1])[0])
        return made

    def _through(self, hidden: Tensor, t: Tensor, words: Prepared, pack: _Pack, rotate: Rotate) -> Tensor:
        """The blocks over packed patches, [1, N, D] -> [1, N, values of a patch]."""
        network = self.transformer
        embedding = F.silu(network.embedding(t, words.vector))  # [B, D]
        texts = words.keys_values or (None,) * len(network.blocks)
        for block, text in zip(network.blocks, texts, strict=True):
            assert isinstance(block, TransformerBlock)
            hidden = _packed_block(block, hidden, embedding, text, words.mask, rotate, pack)
        assert network.modulation is not None
        shift, scale = pack.spread(in_fours(network.modulation, embedding)).chunk(2, dim=-1)
        return network.patch_out(modulate(hidden, shift, scale))

    @property
    def _head_width(self) -> int:
        return self.config.transformer.width // self.config.transformer.num_heads

    def _entered(self, x: Tensor, channels: Tensor | None) -> Tensor:
        """Patches of the clips, with what is known of them: [B, S, D]."""
        patches = self.config.transformer.patches
        frames, step = x.shape[2], self.config.step
        if frames > self.config.most_frames or frames % step:
            multiples = f" and multiples of {step}" if step > 1 else ""
            raise InputError(
                f"{frames} frames do not fit this network: take at most {self.config.most_frames}{multiples}"
            )
        if any(size % patch for size, patch in zip(x.shape[3:], patches[1:], strict=True)):
            raise InputError(f"size {tuple(x.shape[3:])} does not fit patches of {patches[1]}: take multiples")
        hidden = self.transformer.patch_in(to_patches(x, patches))
        if self.frame_in is None or channels is None:
            return hidden
        return hidden + self.frame_in(to_patches(_repeated(channels.to(x.dtype), step), patches))

    def _counts(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Patches along each axis."""
        return tuple(size // patch for size, patch in zip(sizes, self.config.transformer.patches, strict=True))


# Positions


def _turned(counts: Sequence[int], loops: Tensor, head_width: int) -> Rotate:
    """Turn queries and keys [B, heads, S, d] by the place of their patch."""
    if not bool(loops.any()):  # then all clips turn alike
        return rotation(_angles(counts, loops[:1], head_width)[0])
    angle = _angles(counts, loops, head_width)
    cos = angle.cos().repeat(1, 1, 2)[:, None]  # [B, 1, S, d]
    sin = torch.cat([-angle.sin(), angle.sin()], dim=2)[:, None]

    def rotate(x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=-1)
        return torch.addcmul(x * cos.to(x.dtype), torch.cat([second, first], dim=-1), sin.to(x.dtype))

    return rotate


def _angles(counts: Sequence[int], loops: Tensor, head_width: int) -> Tensor:
    """Angle of each pair of channels at each patch, [B, S, d / 2]; in a loop time turns by whole harmonics of it.

    A product of query and key then depends on the distance around the circle (Su et al. 2021, at other frequencies).
    """
    angle = angles(positions(counts, loops.device), head_width)  # [S, d / 2]
    turned = head_width // 2 // 3  # pairs of time, the first axis
    if not bool(loops.any()):
        return angle.expand(len(loops), -1, -1)
    circle = 2 * math.pi / counts[0]
    steps = angles(torch.tensor([[1.0, 0.0, 0.0]], device=loops.device), head_width)[0, :turned]  # angles of a step
    harmonics = (steps / circle).round().clamp(1, max(1, counts[0] // 2))  # none stands still: all tell frames apart
    frame = positions(counts, loops.device)[:, :1]
    looping = torch.cat([frame * (harmonics * circle), angle[:, turned:]], dim=1)
    return torch.where(loops[:, None, None], looping, angle)


# Clips of several sizes in one pass


@dataclass(frozen=True)
class _Pack:
    """How the patches of several clips lie behind each other: rows of each, and how many of them are its own."""

    rows: tuple[int, ...]
    counts: tuple[int, ...]

    def own(self, x: Tensor, dim: int) -> list[Tensor]:
        """The patches of each clip along an axis, what fills up its rows left out."""
        parts = x.split(self.rows, dim=dim)
        return [part.narrow(dim, 0, count) for part, count in zip(parts, self.counts, strict=True)]

    def spread(self, rows: Tensor) -> Tensor:
        """A row a clip for each of its patches: [B, W] -> [1, N, W]."""
        return rows.repeat_interleave(torch.tensor(self.rows, device=rows.device), dim=0)[None]


def _packed_block(
    block: TransformerBlock,
    x: Tensor,  # [1, N, D]
    embedding: Tensor,  # [B, D], activated
    text: KeysValues | None,
    mask: Tensor | None,
    rotate: Rotate,
    pack: _Pack,
) -> Tensor:
    """A modulated block over packed patches."""
    assert block.modulation is not None
    modulation = pack.spread(in_fours(block.modulation, embedding))
    shift, scale, gate, shift_2, scale_2, gate_2 = modulation.chunk(6, dim=-1)
    x = torch.addcmul(x, gate, _self_attention(block.attention, modulate(x, shift, scale), rotate, pack))
    if block.cross is not None and block.norm_cross is not None and text is not None:
        x = x + _text_attention(block.cross, block.norm_cross(x), text, mask, pack)
    return torch.addcmul(x, gate_2, block.feed_forward(modulate(x, shift_2, scale_2)))


def _self_attention(attention: Attention, x: Tensor, rotate: Rotate, pack: _Pack) -> Tensor:
    """Attention of each clip's patches over themselves: [1, N, D] -> [1, N, D]."""
    assert attention.key_value is not None
    query = rotate(attention._split(attention.query(x), attention.query_scale))
    key, value = attention.key_value(x).chunk(2, dim=-1)
    key, value = rotate(attention._split(key, attention.key_scale)), attention._split(value)
    own = zip(*(pack.own(each, dim=2) for each in (query, key, value)), strict=True)
    return _joined(attention, [scaled_dot_product_attention(*each) for each in own], pack)


def _text_attention(attention: Attention, x: Tensor, text: KeysValues, mask: Tensor | None, pack: _Pack) -> Tensor:
    """Attention of each clip's patches over the clip's own text: [1, N, D] -> [1, N, D]."""
    query = attention._split(attention.query(x), attention.query_scale)
    parts = []
    for place, one in enumerate(pack.own(query, dim=2)):
        key, value = (each[place : place + 1].to(one.dtype) for each in text)
        seen = None if mask is None else mask[place, None, None, None]
        parts.append(scaled_dot_product_attention(one, key, value, seen))
    return _joined(attention, parts, pack)


def _joined(attention: Attention, parts: Sequence[Tensor], pack: _Pack) -> Tensor:
    """Heads of the clips, each [1, heads, S, d], behind each other and through the last layer: [1, N, D]."""
    filled = [F.pad(part, (0, 0, 0, rows - part.shape[2])) for part, rows in zip(parts, pack.rows, strict=True)]
    return attention.out(torch.cat(filled, dim=2).transpose(1, 2).flatten(2))


# One frame


def _repeated(x: Tensor, step: int) -> Tensor:
    """A picture as a clip of as many frames as a patch has: [B, C, 1, H, W] -> [B, C, step, H, W]."""
    return x if x.shape[2] > 1 or step == 1 else x.expand(-1, -1, step, -1, -1)


def _shown_once(made: Tensor, frames: int) -> Tensor:
    """Of a picture's repeated frame the mean; clips as they are."""
    return made if made.shape[2] == frames else made.mean(2, keepdim=True)


def _check(config: VideoDiTConfig) -> None:
    inner = config.transformer
    wanted = {"dims": 3, "modulation": "adaln_zero", "positions": "rope", "extra_channels": 0}
    for name, value in wanted.items():
        if getattr(inner, name) != value:
            raise InputError(f"transformer.{name} is {getattr(inner, name)!r}; a video DiT has {value!r}")
    if inner.text == "joint":  # queries are turned by their place, and text has none: shifts would change it
        raise InputError("transformer.text_attention is 'joint'; a video DiT has 'cross'")
    if config.most_frames < 1:
        raise InputError(f"most_frames is {config.most_frames}; a clip has at least 1")
