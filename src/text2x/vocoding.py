"""Vocoders: log-mel frames [B, M, F] to samples [B, F hop], whole or chunk by chunk; and the recipe of a trained one.

A sample depends on `context` frames on each side of its own. Chunks are computed with that much around them, always in
the same windows, so that a stream has the samples of the whole bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from text2x.audio_adversarial import AdversarialLoss
from text2x.config import from_dict
from text2x.data.audioset import AudioBatchConfig
from text2x.errors import InputError
from text2x.files import load_tensors, read_json
from text2x.networks.audio_discriminators import AudioDiscriminatorConfig
from text2x.networks.hifigan import HiFiGAN, HiFiGANConfig
from text2x.networks.source_vocoder import SourceVocos, SourceVocosConfig
from text2x.networks.vocoder import Vocos, VocosConfig
from text2x.nn.initialization import no_initialization
from text2x.recipe import WeightFile
from text2x.signal import MelConfig, griffin_lim, invert_mel
from text2x.training_config import TrainingConfig
from text2x.weights import put_weights, unpack

CHUNK = 256  # frames computed at a time
PART = "generator."  # the beginning of the generator's names among a run's weights
FORMAT = 1  # of a vocoder's recipe.json
VocoderNetwork = Vocos | HiFiGAN | SourceVocos
VocoderNetworkConfig = VocosConfig | HiFiGANConfig | SourceVocosConfig


class Vocoder(Protocol):
    """What makes sound of log-mel frames."""

    @property
    def mel(self) -> MelConfig:
        """What it hears."""
        ...

    @property
    def context(self) -> int | None:
        """Frames that a sample depends on, on each side; None: on all of them."""
        ...

    @property
    def rate(self) -> int:
        """Hz."""
        ...

    @property
    def hop(self) -> int:
        """Samples a frame."""
        ...

    def __call__(self, mel: Tensor) -> Tensor:
        """[B, M, F] -> [B, F hop]."""
        ...

    def stream(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Frames [M, F] as they come -> samples [T]; put together those of the whole."""
        ...


@dataclass(frozen=True)
class NeuralVocoder:
    """A trained network as a vocoder. Every item is computed on its own: a batch changes nothing."""

    network: VocoderNetwork
    mel: MelConfig
    chunk: int = CHUNK

    @property
    def rate(self) -> int:
        """Hz."""
        return self.mel.rate

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.mel.hop

    @property
    def context(self) -> int:
        """Frames on each side of its own that a sample depends on."""
        return self.network.config.context

    @torch.no_grad()
    def __call__(self, mel: Tensor) -> Tensor:
        """[B, M, F] -> [B, F hop]."""
        if not mel.shape[-1]:
            return mel.new_zeros(len(mel), 0)
        return torch.stack([torch.cat(list(self.stream([item]))) for item in mel])

    @torch.no_grad()
    def stream(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Frames [M, F] as they come -> samples [T], each chunk as soon as its surroundings are there."""
        held: Tensor | None = None  # the frames that are still needed
        first, begin, phase = 0, 0, 0.0  # the frame to be made next, the first one held, the source's phase there
        for piece in pieces:
            held = piece if held is None else torch.cat([held, piece], dim=-1)
            while begin + held.shape[-1] >= first + self.chunk + self.context:
                made, phase = self._made(held, first - begin, first - begin + self.chunk, first, phase)
                yield made
                first += self.chunk
                dropped = max(0, first - self.context - begin)
                held, begin = held[:, dropped:], begin + dropped
        while held is not None and first < begin + held.shape[-1]:
            last = min(first + self.chunk, begin + held.shape[-1])
            made, phase = self._made(held, first - begin, last - begin, first, phase)
            yield made
            first = last

    def _made(self, mel: Tensor, first: int, last: int, frame: int, phase: float) -> tuple[Tensor, float]:
        """The samples of frames first to last of [M, F], computed with their surroundings; the phase after them.

        `frame` is the place of the first in the whole; it and the phase matter where there is a source.
        """
        start, end = max(0, first - self.context), min(mel.shape[-1], last + self.context)
        place = next(self.network.parameters())
        around = mel[None, :, start:end].to(place)
        if isinstance(self.network, SourceVocos):
            made, phase = self.network.piece(around, (first - start, last - start), frame, phase)
            return made.to(mel.device), phase
        samples = self.network(around)[0]
        return samples[(first - start) * self.hop : (last - start) * self.hop].to(mel.device), phase


@dataclass(frozen=True)
class GriffinLim:
    """A vocoder without weights: the mel is inverted, phases are found by iteration (Griffin and Lim 1984)."""

    mel: MelConfig = MelConfig()
    iterations: int = 60
    context: None = None

    @property
    def rate(self) -> int:
        """Hz."""
        return self.mel.rate

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.mel.hop

    @torch.no_grad()
    def __call__(self, mel: Tensor) -> Tensor:
        """[B, M, F] -> [B, F hop]; with centred frames the last hop is silent."""
        if not mel.shape[-1]:
            return mel.new_zeros(len(mel), 0)
        made = []
        for item in mel:
            samples = griffin_lim(invert_mel(item[None], self.mel), self.mel.stft, self.iterations)[0]
            made.append(nn.functional.pad(samples, (0, item.shape[-1] * self.hop - len(samples))))
        return torch.stack(made)

    def stream(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Waits for the last frame: every sample depends on all of them."""
        every = list(pieces)
        if every:
            yield self(torch.cat(every, dim=-1)[None])[0]


# Recipes


@dataclass(frozen=True)
class VocoderObjectiveConfig:
    """Weights of the losses. Before `adversarial_from` the spectra alone count; then the discriminators join.

    Mel 45 and feature matching 2 are HiFi-GAN's (Eq. 7) and Vocos's.
    """

    mel: float = 45.0
    spectral: float = 1.0  # of the multi-resolution STFT loss, before the discriminators join
    matching: float = 2.0
    adversarial: float = 1.0
    pitch: float = 1.0  # of a network that finds the pitch for its source
    loss: AdversarialLoss = "hinge"
    adversarial_from: int = 20_000  # step

    def __post_init__(self) -> None:
        for name in ("mel", "spectral", "matching", "adversarial", "pitch", "adversarial_from"):
            if not getattr(self, name) >= 0:
                raise InputError(f"objective.{name} is {getattr(self, name)}; it must be at least 0")


@dataclass(frozen=True)
class VocoderRecipe:
    """Everything that makes a vocoder but its weights. `data_set` is of sounds or of speech, at the mel's rate."""

    name: str
    summary: str
    mel: MelConfig
    network: VocoderNetworkConfig
    discriminator: AudioDiscriminatorConfig
    data: AudioBatchConfig
    training: TrainingConfig
    objective: VocoderObjectiveConfig = VocoderObjectiveConfig()
    data_set: str = "asterisk"

    def __post_init__(self) -> None:
        network, mel = self.network, self.mel
        if (network.hop, network.bands) != (mel.hop, mel.bands):
            raise InputError(
                f"network has {network.bands} bands, hop {network.hop}, mel {mel.bands} and {mel.hop}; set both alike"
            )


@dataclass(frozen=True)
class VocoderModel:
    """A trained vocoder: what recipe.json in its folder says."""

    name: str
    summary: str
    licence: str
    mel: MelConfig
    network: VocoderNetworkConfig
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    file: str = "vocoder.safetensors"
    format: int = FORMAT
    attribution: tuple[str, ...] = ()


def is_vocoder(values: Mapping[str, Any]) -> bool:
    """Whether a recipe.json is of a vocoder, packed or a training run's."""
    return values.get("type") in (VocoderRecipe.__name__, VocoderModel.__name__)


def build_vocoder_network(config: VocoderNetworkConfig) -> VocoderNetwork:
    """The network with fresh weights, from torch's current random state."""
    if isinstance(config, SourceVocosConfig):
        return SourceVocos(config)
    return Vocos(config) if isinstance(config, VocosConfig) else HiFiGAN(config)


def load_vocoder(folder: Path, device: str = "cpu") -> NeuralVocoder:
    """The vocoder of a folder: a packed one, or that of a training run with its first average."""
    values = read_json(folder / "recipe.json")
    if not isinstance(values, Mapping) or not is_vocoder(values):
        raise InputError(f"{folder} is no vocoder: recipe.json is of another kind; train one: text2x train vocoder")
    if values["type"] == VocoderModel.__name__:
        model = from_dict(VocoderModel, values, where="recipe.json")
        about = model.weights.get(model.file)
        path = folder / model.file
        return neural_vocoder(model.network, model.mel, path, device, about.sha256 if about else None)
    recipe = from_dict(VocoderRecipe, values, where="recipe.json")
    path = folder / "averages" / f"{recipe.training.averages[0]}.safetensors"
    return neural_vocoder(recipe.network, recipe.mel, path, device)


def neural_vocoder(
    config: VocoderNetworkConfig, mel: MelConfig, path: Path, device: str = "cpu", sha256: str | None = None
) -> NeuralVocoder:
    """A vocoder with the weights in a file: the network's alone, or a training run's with its discriminators."""
    tensors = unpack(load_tensors(path, sha256))
    if any(name.startswith(PART) for name in tensors):
        tensors = {name.removeprefix(PART): each for name, each in tensors.items() if name.startswith(PART)}
    with no_initialization():
        network = build_vocoder_network(config)
    put_weights(network, tensors, path)
    return NeuralVocoder(network.eval().requires_grad_(False).to(device), mel)
