"""Codecs of sound: samples [B, C, T] in [-1, 1] to codes [B, K, S] or latents [B, Z, S] and back, whole or in pieces.

T is S hop samples at `rate` Hz. Every item is computed on its own and in the same windows, each with what its samples
depend on around it: a batch changes nothing, and a stream has the samples of the whole bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from text2x.audio import Audio
from text2x.errors import InputError
from text2x.networks.audio_codec import AudioCodec
from text2x.networks.mel_codec import MelCodec
from text2x.signal import windows

CHUNK = 64  # frames computed at a time
FIRST_SHARE = 8  # of a chunk: the first of a stream is an eighth of it
ENCODED = 500  # frames encoded at a time


class TokenCodec(Protocol):
    """Sound to codes of several codebooks, and back."""

    @property
    def codebooks(self) -> int:
        """K."""
        ...

    @property
    def cardinality(self) -> int:
        """Codes of each codebook."""
        ...

    @property
    def rate(self) -> int:
        """Samples a second."""
        ...

    @property
    def hop(self) -> int:
        """Samples a frame."""
        ...

    @property
    def channels(self) -> int:
        """C: 1 for mono, 2 for stereo."""
        ...

    def encode(self, sound: Tensor) -> Tensor:
        """[B, C, T] -> [B, K, S] int64; S is T / hop, rounded up."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """[B, K, S] -> [B, C, S hop] in [-1, 1]."""
        ...

    def stream(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Codes [K, S] as they come -> sound [C, T]; put together those of the whole."""
        ...


class CodecNetwork(Protocol):
    """What a token codec is made of: our own network, or a published one."""

    @property
    def codebooks(self) -> int:
        """K."""
        ...

    @property
    def cardinality(self) -> int:
        """Codes of each codebook."""
        ...

    @property
    def hop(self) -> int:
        """Samples a frame."""
        ...

    @property
    def sound_channels(self) -> int:
        """C."""
        ...

    @property
    def context(self) -> int | None:
        """Frames on each side of its own that a sample depends on; None: on all of them."""
        ...

    @property
    def encoder_context(self) -> int | None:
        """Frames on each side of its own that a code depends on; None: on all of them."""
        ...

    def encode(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, K, S]."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """[B, K, S] -> [B, C, S hop]."""
        ...


@dataclass(frozen=True)
class NeuralTokenCodec:
    """A network with frozen weights as a token codec."""

    network: CodecNetwork
    rate: int
    chunk: int = CHUNK

    @property
    def codebooks(self) -> int:
        """K."""
        return self.network.codebooks

    @property
    def cardinality(self) -> int:
        """Codes of each codebook."""
        return self.network.cardinality

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.network.hop

    @property
    def channels(self) -> int:
        """C."""
        return self.network.sound_channels

    @property
    def kilobits(self) -> float:
        """Thousands of bits a second."""
        return self.codebooks * (self.cardinality - 1).bit_length() * self.rate / self.hop / 1000

    @torch.no_grad()
    def encode(self, sound: Tensor) -> Tensor:
        """[B, C, T] -> [B, K, S] int64, where the sound was."""
        check_sound(sound, self.channels)
        reach, place = self.network.encoder_context, _place(self.network)
        rows = [_encoded(self.network.encode, each.to(place), self.hop, reach) for each in sound]
        return torch.stack(rows).to(sound.device)

    def decode(self, codes: Tensor) -> Tensor:
        """[B, K, S] -> [B, C, S hop] in [-1, 1]; fewer codebooks than K: the first ones."""
        if not codes.shape[-1]:
            return torch.zeros(len(codes), self.channels, 0, device=codes.device)
        return torch.stack([torch.cat(list(self.stream([each])), dim=-1) for each in codes])

    @torch.no_grad()
    def stream(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Codes [K, S] as they come -> sound [C, T], a chunk as soon as its surroundings are there."""
        for codes, first, last in chunks(pieces, self.chunk, self.network.context):
            yield self.window(codes, first, last)

    @torch.no_grad()
    def window(self, codes: Tensor, first: int, last: int) -> Tensor:
        """The sound [C, (last - first) hop] of some frames of codes [K, S], which hold their context."""
        self._check(codes)
        sound = self.network.decode(codes[None].to(_place(self.network)))[0].clamp(-1, 1)
        return sound[:, first * self.hop : last * self.hop].to(codes.device)

    def _check(self, codes: Tensor) -> None:
        if codes.ndim != 2 or not 1 <= len(codes) <= self.codebooks:
            raise InputError(f"codes have the shape {list(codes.shape)}; this codec reads [1 to {self.codebooks}, S]")
        if not 0 <= int(codes.min()) <= int(codes.max()) < self.cardinality:
            raise InputError(
                f"codes from {int(codes.min())} to {int(codes.max())} are out of range; codes are 0 to"
                f" {self.cardinality - 1}, special ones must be taken out first"
            )


@dataclass(frozen=True)
class StereoTokenCodec:
    """A mono codec used for left and right: codebooks L0, R0, L1, R1, ... (Copet et al. 2023, MusicGen, App. D)."""

    mono: NeuralTokenCodec

    def __post_init__(self) -> None:
        if self.mono.channels != 1:
            raise InputError(f"a codec of {self.mono.channels} channels cannot be used for each side; give a mono one")

    @property
    def codebooks(self) -> int:
        """Twice those of the mono codec."""
        return 2 * self.mono.codebooks

    @property
    def cardinality(self) -> int:
        """Codes of each codebook."""
        return self.mono.cardinality

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.mono.rate

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.mono.hop

    @property
    def channels(self) -> int:
        """2."""
        return 2

    def encode(self, sound: Tensor) -> Tensor:
        """[B, 2, T] -> [B, 2 K, S]."""
        check_sound(sound, 2)
        sides = [self.mono.encode(sound[:, side : side + 1]) for side in range(2)]  # [B, K, S] each
        return torch.stack(sides, dim=2).flatten(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        """[B, 2 K, S] -> [B, 2, S hop]."""
        return torch.cat([self.mono.decode(_side(codes, side)) for side in range(2)], dim=1)

    def stream(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Codes [2 K, S] as they come -> sound [2, T]."""
        for codes, first, last in chunks(pieces, self.mono.chunk, self.mono.network.context):
            whole = [self.mono.window(_side(codes[None], side)[0], first, last) for side in range(2)]
            yield torch.cat(whole)


@dataclass(frozen=True)
class AudioLatentCodec:
    """A network with a Gaussian bottleneck, or mel frames, as a codec of latents of about unit variance: means alone.

    Latents are (mean - shift) * scale, one shift and scale a channel (Rombach et al. 2022, App. G).
    """

    network: AudioCodec | MelCodec
    rate: int
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    chunk: int = CHUNK
    channels: int = 1

    @property
    def hop(self) -> int:
        """Samples a latent."""
        return self.network.hop

    @property
    def latent_channels(self) -> int:
        """Z."""
        return self.network.config.channels

    @torch.no_grad()
    def encode(self, sound: Tensor) -> Tensor:
        """[B, 1, T] -> [B, Z, S]."""
        check_sound(sound, 1)
        place, reach = _place(self.network), self.network.encoder_context
        rows = [_encoded(lambda x: self.network.moments(x)[0], each.to(place), self.hop, reach) for each in sound]
        shift, scale = self._moments(place)
        return ((torch.stack(rows) - shift) * scale).to(sound.device)

    def decode(self, latents: Tensor, clip: bool = True) -> Tensor:
        """[B, Z, S] -> [B, 1, S hop], in [-1, 1] if clipped."""
        if not latents.shape[-1]:
            return latents.new_zeros(len(latents), 1, 0)
        return torch.stack([torch.cat(list(self.stream([each], clip)), dim=-1) for each in latents])

    @torch.no_grad()
    def stream(self, pieces: Iterable[Tensor], clip: bool = True) -> Iterator[Tensor]:
        """Latents [Z, S] as they come -> sound [1, T]."""
        place = _place(self.network)
        shift, scale = self._moments(place)
        for latents, first, last in chunks(pieces, self.chunk, self.network.context):
            sound = self.network.decoded(latents[None].to(place) / scale + shift)[0]
            sound = sound.clamp(-1, 1) if clip else sound
            yield sound[:, first * self.hop : last * self.hop].to(latents.device)

    def _moments(self, device: torch.device) -> tuple[Tensor, Tensor]:
        rows = torch.tensor([self.shift, self.scale], dtype=torch.float32, device=device)
        return rows[0][:, None], rows[1][:, None]


# Sound of any kind


def encode_audio(codec: TokenCodec | AudioLatentCodec, audio: Audio) -> Tensor:
    """Any sound, brought to the codec's rate and channels -> codes [K, S] or latents [Z, S]."""
    if audio.channels not in (1, codec.channels):
        audio = audio.to_mono()
    sound = audio.with_channels(codec.channels).resample(codec.rate)
    return codec.encode(sound.tensor()[None])[0]


def decode_audio(codec: TokenCodec | AudioLatentCodec, codes: Tensor, seconds: float | None = None) -> Audio:
    """Codes [K, S] or latents [Z, S] -> sound; `seconds` cuts off what filled the last frame."""
    if not codes.shape[-1]:
        raise InputError("there are no codes to make sound of; give at least one frame")
    samples = codec.decode(codes[None])[0]
    frames = samples.shape[-1] if seconds is None else max(1, round(seconds * codec.rate))
    return Audio(samples[:, :frames].cpu().numpy(), codec.rate)


def encode_circular(codec: AudioLatentCodec, sound: Tensor) -> Tensor:
    """A loop [B, 1, S hop], whose last sample leads into the first -> latents [B, Z, S] that loop likewise."""
    check_sound(sound, codec.channels)
    if sound.shape[-1] % codec.hop:
        raise InputError(f"a loop has {sound.shape[-1]} samples; it must be a multiple of {codec.hop}")
    reach = codec.network.encoder_context
    latents = codec.encode(_wrapped(sound, reach * codec.hop))
    return latents[..., reach : reach + sound.shape[-1] // codec.hop]


def decode_circular(codec: AudioLatentCodec, latents: Tensor, clip: bool = True) -> Tensor:
    """Latents [B, Z, S], the last of which leads into the first -> a loop [B, 1, S hop]; rolled ones give it rolled."""
    reach = codec.network.context
    sound = codec.decode(_wrapped(latents, reach), clip)
    return sound[..., reach * codec.hop : (reach + latents.shape[-1]) * codec.hop]


def _wrapped(x: Tensor, reach: int) -> Tensor:
    """[*, S] with `reach` more on both sides, from the other end; more than once around where S is shorter."""
    return x[..., torch.arange(-reach, x.shape[-1] + reach, device=x.device) % x.shape[-1]]


def check_sound(sound: Tensor, channels: int) -> None:
    """Raise InputError unless it is [B, C, T] of so many channels and of at least one sample."""
    if sound.ndim != 3 or sound.shape[1] != channels or not sound.shape[2]:
        raise InputError(
            f"the sound has the shape {list(sound.shape)}; this codec reads [B, {channels}, T] with T at least 1"
        )


# Windows


def chunks(pieces: Iterable[Tensor], size: int, context: int | None) -> Iterator[tuple[Tensor, int, int]]:
    """Frames [*, S] as they come -> windows of up to `size` frames with their context, and which of them are wanted.

    The first one is small, so that a stream begins soon, and each is twice the one before it up to `size`. They lie on
    the same places however the frames come. None: one window, when all are there.
    """
    if context is None:
        every = list(pieces)
        if every and sum(each.shape[-1] for each in every):
            whole = torch.cat(every, dim=-1)
            yield whole, 0, whole.shape[-1]
        return
    held: Tensor | None = None  # the frames that are still needed
    first, begin = 0, 0  # the frame to be made next, and the first one held
    wanted = max(1, size // FIRST_SHARE)
    for piece in pieces:
        held = piece if held is None else torch.cat([held, piece], dim=-1)
        while begin + held.shape[-1] >= first + wanted + context:
            yield _window(held, first - begin, first - begin + wanted, context)
            first, wanted = first + wanted, min(size, 2 * wanted)
            dropped = max(0, first - context - begin)
            held, begin = held[..., dropped:], begin + dropped
    while held is not None and first < begin + held.shape[-1]:
        last = min(first + wanted, begin + held.shape[-1])
        yield _window(held, first - begin, last - begin, context)
        first, wanted = last, min(size, 2 * wanted)


def _window(held: Tensor, first: int, last: int, context: int) -> tuple[Tensor, int, int]:
    start, end = max(0, first - context), min(held.shape[-1], last + context)
    return held[..., start:end], first - start, last - start


def _encoded(encode: Callable[[Tensor], Tensor], sound: Tensor, hop: int, context: int | None) -> Tensor:
    """One sound [C, T] -> [K, S], window by window."""
    frames = -(-sound.shape[-1] // hop)
    if context is None:
        return encode(sound[None])[0]
    parts = []
    for part in windows(frames, ENCODED, context):
        made = encode(sound[None, :, part.start * hop : part.end * hop])[0]
        parts.append(made[:, part.first - part.start : part.last - part.start])
    return torch.cat(parts, dim=-1)


@torch.no_grad()
def _side(codes: Tensor, side: int) -> Tensor:
    """[B, 2 K, S] -> [B, K, S] of the left (0) or the right (1)."""
    if codes.shape[1] % 2:
        raise InputError(f"codes of {codes.shape[1]} codebooks are not stereo; they come in pairs of left and right")
    return codes[:, side::2]


def _place(network: object) -> torch.device:
    assert isinstance(network, nn.Module)
    return next(network.parameters()).device
