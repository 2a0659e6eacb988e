"""Voices: networks that turn a piece of speech into what a vocoder reads, and say how many frames each symbol lasts.

A piece goes through alone, so that its bits depend on nothing but itself; its noise comes from one CPU generator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.acoustics import SCHEDULE, Told, flow_denoiser
from text2x.diffusion.samplers import SAMPLERS, time_grid
from text2x.errors import InputError
from text2x.networks.acoustic import Acoustic, FlowDecoder, ParallelDecoder, Phones, WaveDecoder, durations_of
from text2x.networks.acoustic_blocks import Expansion
from text2x.networks.fastpitch import FastPitch
from text2x.speech_plan import Piece
from text2x.spoken.phone_set import MARKS
from text2x.spoken.script import Sounds, Utterance, graphemes, sounds

ROWS = 4  # phones and frames are filled up to a multiple: the bits of other matrix products depend on threads
CONTRAST_BANDS = 9  # that a band is compared with, itself in the middle
SEMITONE = math.log(2) / 12  # in the natural logarithm of a frequency
# Mean F0 over its deviation: published FastPitch models keep neither; about 200 Hz and 50 Hz of a reading voice
MEAN_OVER_DEVIATION = 4.0


@dataclass(frozen=True)
class Manner:
    """How it is said: a request with the model's defaults filled in."""

    speaker: str
    speed: float = 1.0
    semitones: float = 0.0
    steps: int = 8
    temperature: float = 0.667
    sampler: str = "euler"
    contrast: float = 0.0


@dataclass(frozen=True)
class Frames:
    """A piece as its vocoder reads it."""

    features: Tensor  # [1, C, T]
    durations: tuple[int, ...]  # frames of each symbol, T together


class Voice(Protocol):
    """What makes frames of a piece."""

    speakers: tuple[str, ...]
    languages: tuple[str, ...]
    uses: tuple[str, ...]  # which of a request's "steps" and "temperature" change anything

    def spell(self, utterance: Utterance) -> Sounds:
        """The symbols that it is told of an utterance."""
        ...

    def frames(self, piece: Piece, manner: Manner, seed: int, frame: float) -> Frames:
        """The piece said in that manner; a frame lasts `frame` seconds."""
        ...


def held(durations: Tensor, piece: Piece, frame: float) -> Tensor:
    """Durations [1, L] with the pauses that the piece asks for, in whole frames, at least 1."""
    for place, seconds in piece.held.items():
        durations[:, place] = max(1, round(seconds / frame))
    return durations


def numbered(symbols: Sequence[str], ids: Mapping[str, int], stand_ins: Mapping[str, str], who: str) -> Tensor:
    """Ids [1, L] of symbols; one that the voice never learned raises InputError."""
    found = []
    for symbol in symbols:
        place = ids.get(stand_ins.get(symbol, symbol))
        if place is None:
            raise InputError(f"{who} never learned the sound {symbol!r}; give --language, or take another model")
        found.append(place)
    return torch.tensor([found])


class AcousticVoice:
    """A voice of our own networks, told phones."""

    def __init__(self, acoustic: Acoustic, told: Told) -> None:
        self.acoustic, self.told = acoustic, told
        self.speakers, self.languages = told.speakers, told.languages
        kinds: dict[type, tuple[str, ...]] = {FlowDecoder: ("steps", "temperature"), WaveDecoder: ("temperature",)}
        self.uses = kinds.get(type(acoustic.decoder), ())
        self.ids = {phone: place for place, phone in enumerate(told.phones)}

    def spell(self, utterance: Utterance) -> Sounds:
        """Phones."""
        return sounds(utterance)

    def frames(self, piece: Piece, manner: Manner, seed: int, frame: float) -> Frames:
        """Log-mels, or states where the decoder has a vocoder of its own; see `Voice`."""
        acoustic = self.acoustic
        device, count = acoustic.mel_mean.device, len(piece.symbols)
        missing = -count % ROWS
        ids = numbered(piece.symbols, self.ids, self.told.stand_ins, "this voice").to(device)
        ids, mask = F.pad(ids, (0, missing)), F.pad(torch.ones(1, 1, count, device=device), (0, missing))
        language = torch.tensor([self.languages.index(piece.language)], device=device)
        speaker = torch.tensor([self.speakers.index(manner.speaker)], device=device)
        states = acoustic.text(Phones(ids, mask, language, speaker))
        logarithms, pitch, voiced = acoustic.text.foretell(states, mask)
        speeds = torch.tensor([piece.rates()], dtype=torch.float64, device=device) * manner.speed
        least = torch.tensor([[int(symbol not in MARKS) for symbol in piece.symbols]], device=device)
        durations = F.pad(held(durations_of(logarithms[:, :count], speeds, least), piece, frame), (0, missing))
        higher = (torch.tensor([piece.semitones()], device=device) + manner.semitones) * SEMITONE
        expansion = Expansion(durations, ROWS)
        pitch = pitch + F.pad(higher / acoustic.pitch_range[1], (0, missing))
        x = acoustic.text.frames(states, pitch, (voiced > 0).float(), expansion)
        features = self.decoded(x, expansion.mask, manner, seed)[..., : int(durations.sum())]
        return Frames(features, tuple(durations[0, :count].tolist()))

    def decoded(self, x: Tensor, mask: Tensor, manner: Manner, seed: int) -> Tensor:
        """What the vocoder reads of frames' states [1, D, T]; noise comes from `seed`."""
        acoustic, decoder = self.acoustic, self.acoustic.decoder
        rng = torch.Generator().manual_seed(seed)

        def noise_like(like: Tensor) -> Tensor:
            return torch.randn(like.shape, generator=rng).to(like.device)

        if isinstance(decoder, WaveDecoder):
            noise = noise_like(x.new_empty(1, decoder.noise_width, x.shape[2]))
            return decoder(x, noise * manner.temperature, mask)
        if isinstance(decoder, ParallelDecoder):
            return sharpened(acoustic.log_mel(decoder(x, mask)), manner.contrast)
        condition = decoder.condition(x, mask)
        denoise = flow_denoiser(decoder).denoise(condition)
        start = noise_like(condition.mean) * manner.temperature
        ts = time_grid(manner.steps)
        made = SAMPLERS[manner.sampler](denoise, start, ts, SCHEDULE, noise_like=noise_like)
        return acoustic.log_mel(made)


def sharpened(mel: Tensor, contrast: float) -> Tensor:
    """Log-mels [B, M, T] with what stands out of its neighbouring bands made to stand out more, by a share of it.

    A mel that is the mean of all ways to say something has flatter peaks than any of them; this is the old remedy, a
    postfilter of formants (as in Yoshimura et al. 2001), frame by frame.
    """
    if contrast == 0:
        return mel
    reach = CONTRAST_BANDS // 2
    rows = mel.transpose(1, 2).flatten(0, 1)[:, None]  # [B T, 1, M]
    smooth = F.avg_pool1d(F.pad(rows, (reach, reach), mode="replicate"), CONTRAST_BANDS, 1)
    return mel + contrast * (mel - smooth[:, 0].unflatten(0, (len(mel), -1)).transpose(1, 2))


class FastPitchVoice:
    """A published FastPitch, told characters."""

    uses: tuple[str, ...] = ()

    def __init__(self, network: FastPitch, characters: Sequence[str], language: str, speakers: tuple[str, ...]) -> None:
        self.network, self.languages, self.speakers = network, (language,), speakers
        self.ids = {character: place for place, character in enumerate(characters)}

    def spell(self, utterance: Utterance) -> Sounds:
        """Characters in lower case, without those that it was not trained on, as the original drops them."""
        given = graphemes(utterance)
        pairs = [(each.lower(), word) for each, word in zip(given.symbols, given.words, strict=True)]
        kept = [(each, word) for each, word in pairs if each in self.ids]
        return Sounds(tuple(each for each, _ in kept), tuple(word for _, word in kept))

    def frames(self, piece: Piece, manner: Manner, seed: int, frame: float) -> Frames:
        """Log-mels; see `Voice`."""
        network, device = self.network, self.network.emb.weight.device
        characters = numbered(piece.symbols, self.ids, {}, "this voice").to(device)
        speaker = torch.tensor([self.speakers.index(manner.speaker)], device=device)
        states = network.states(characters, speaker)
        scale = 1 / (torch.tensor([piece.rates()], device=device) * manner.speed)
        durations = held(network.durations(states, scale), piece, frame)
        higher = torch.tensor([[piece.semitones()]], device=device) + manner.semitones
        ratio = (higher * SEMITONE).exp()  # F0 times this, in units of its deviation
        pitch = network.pitch(states) * ratio + (ratio - 1) * MEAN_OVER_DEVIATION
        return Frames(network.mel(states, pitch, durations), tuple(durations[0].tolist()))
