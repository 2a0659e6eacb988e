"""Recipes of sound and music by diffusion on latents of a codec, and what recipe.json of one says.

A latent is a frame of a codec with a Gaussian bottleneck, scaled to unit variance: x is [B, Z, S]. The network is a
transformer over frames in one dimension, which attends to the words of a frozen encoder (after Evans et al. 2024,
Stable Audio). A model's folder is {recipe.json, network.safetensors, codec.safetensors}; that of a training run has
averages/ instead of the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from text2x.audio_codecs import AudioLatentCodec
from text2x.coding import read_network
from text2x.conditioning import Conditioning, Prepared
from text2x.config import from_dict
from text2x.data.latent_batches import LatentBatchConfig
from text2x.diffusion.denoiser import Denoiser, TimeDistribution
from text2x.diffusion.parameterizations import PARAMETERIZATIONS
from text2x.diffusion.samplers import GridKind
from text2x.diffusion.schedules import Cosine, Linear
from text2x.errors import InputError
from text2x.networks.audio_codec import AudioCodec, AudioCodecConfig
from text2x.networks.dit import DiT, DiTConfig
from text2x.networks.mel_codec import MelCodec, MelCodecConfig
from text2x.nn.initialization import no_initialization
from text2x.recipe import FORMAT, WeightFile
from text2x.sound_places import PLACES, places
from text2x.text_conditioner import HubTextConfig, MiniLMConfig, TextConditioner, build_conditioner
from text2x.training_config import TrainingConfig
from text2x.weights import load_weights

NETWORK_FILE, CODEC_FILE = "network.safetensors", "codec.safetensors"
WAVES = (1, 2, 4, 8)  # half turns over the longest sound, of what tells the seconds
TOLD = 2 + 2 * len(WAVES)  # numbers that the network is told beside the words
TOLD_SIZE = 4.0  # of these numbers, beside a sentence of length about 20: at 1 a short training overlooks them


@dataclass(frozen=True)
class LatentPart:
    """The codec whose latents are made: (mean - shift) * scale, one of each a channel."""

    network: AudioCodecConfig | MelCodecConfig
    rate: int  # Hz
    shift: tuple[float, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True)
class SoundDenoisingConfig:
    """How the denoising loss is taken: `drop` of the captions are left out, `known` of the batches have known parts."""

    times: TimeDistribution = TimeDistribution("logit_normal")
    weighting: Literal["uniform", "velocity", "min_snr"] = "uniform"
    drop: float = 0.15
    known: float = 0.25  # 0: the network is never told of known frames, and has no channels for them
    evaluation_times: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)

    def __post_init__(self) -> None:
        for name in ("drop", "known"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"objective.{name} is {getattr(self, name)}; it must be from 0 to 1")


@dataclass(frozen=True)
class SoundSampling:
    """What is used where a request leaves it open. `overlap` is the share of a window that the next one hears too."""

    seconds: float = 4.0
    guidance: float = 3.0
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    sampler: str = "dpmpp_2m"
    steps: int = 25
    shift: float = 1.0
    grid: GridKind = "uniform"
    strength: float = 0.6  # of what is made from a sound
    overlap: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= 0.75 or self.seconds <= 0 or not 0 < self.strength <= 1:
            raise InputError(
                f"sampling has seconds {self.seconds}, overlap {self.overlap} and strength {self.strength}; above 0,"
                " above 0 up to 0.75, and above 0 up to 1"
            )


@dataclass(frozen=True)
class SoundDiffusionRecipe:
    """Everything that makes a model but its weights; what codec and text decide of the network is filled in by them."""

    name: str
    summary: str
    kind: Literal["sound", "music"]
    network: DiTConfig
    conditioner: MiniLMConfig | HubTextConfig
    data: LatentBatchConfig
    training: TrainingConfig
    codec: str | LatentPart = "runs/codec-kl"  # the folder of a trained codec of latents, or what was read of it
    schedule: Linear | Cosine = Linear()
    parameterization: Literal["epsilon", "x_0", "v", "velocity"] = "velocity"
    objective: SoundDenoisingConfig = SoundDenoisingConfig()
    sampling: SoundSampling = SoundSampling()
    data_set: str = "sounds"
    places: bool = False  # whether the network is told where in its sound each frame lies (`sound_places`)


@dataclass(frozen=True)
class SoundDiffusionModel:
    """A trained model: what recipe.json in its folder says."""

    name: str
    summary: str
    licence: str
    recipe: SoundDiffusionRecipe
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    format: int = FORMAT
    attribution: tuple[str, ...] = ()
    codec: str | None = None  # a model beside, whose codec is this one's too; None: it is in this folder
    codec_sha256: str | None = None  # of that file


def is_sound_diffusion(values: Mapping[str, Any]) -> bool:
    """Whether a recipe.json is of a model of sound by diffusion, packed or a training run's."""
    return values.get("type") in (SoundDiffusionRecipe.__name__, SoundDiffusionModel.__name__)


def sound_diffusion_model(values: Mapping[str, Any]) -> SoundDiffusionModel:
    """The model that a recipe.json describes: of a model folder, or of a training run."""
    if values.get("type") == SoundDiffusionModel.__name__:
        return from_dict(SoundDiffusionModel, values, where="recipe.json")
    recipe = from_dict(SoundDiffusionRecipe, values, where="recipe.json")
    return SoundDiffusionModel(recipe.name, recipe.summary, "unknown", recipe)


def told_numbers(seconds: Tensor, longest: float, loop: bool) -> Tensor:
    """[B] seconds of sound, of at most `longest`, and whether it is a loop -> [B, TOLD]."""
    share = (seconds.float() / longest).clamp(0, 1)
    angle = share[:, None] * torch.tensor(WAVES) * math.pi
    columns = [share[:, None], torch.full_like(share, float(loop))[:, None], angle.cos(), angle.sin()]
    return TOLD_SIZE * torch.cat(columns, dim=1)


def told_frames(
    recipe: SoundDiffusionRecipe, known: Tensor | None, around: tuple[Tensor, Tensor] | None, frames: int
) -> Tensor | None:
    """What is told of each of so many frames, [B, extra channels, S]; None where all of it is 0.

    `known` [B, Z + 1, S] holds the known frames and their mask; `around` the seconds of sound before the first frame
    and from there to the sound's end, [B] each, or nothing in a loop.
    """
    if not recipe.places or (around is None and known is None):
        return known
    assert isinstance(recipe.codec, LatentPart)
    if around is None:
        assert known is not None
        return torch.cat([known, known.new_zeros(len(known), PLACES, frames)], dim=1)
    placed = places(*around, frames, recipe.codec.network.hop / recipe.codec.rate)
    if known is None:
        known = placed.new_zeros(len(placed), recipe.network.extra_channels - PLACES, frames)
    return torch.cat([known, placed.to(known.device)], dim=1)


@dataclass(frozen=True)
class OnCircle:
    """A network whose last frame leads into the first."""

    network: DiT

    def prepare(self, conditioning: Conditioning) -> Prepared:
        """What does not change from step to step."""
        return self.network.prepare(conditioning)

    def __call__(self, x: Tensor, t: Tensor, conditioning: Conditioning | Prepared) -> Tensor:
        """[B, Z, S], [B] -> [B, Z, S]; rolled x gives it rolled."""
        return self.network(x, t, conditioning, circular=True)


def denoiser_of(recipe: SoundDiffusionRecipe, network: DiT, loop: bool = False) -> Denoiser:
    """The network as an estimate of latents; with `loop` of those of a loop."""
    part = OnCircle(network) if loop else network
    return Denoiser(part, recipe.schedule, PARAMETERIZATIONS[recipe.parameterization])


def fitted(recipe: SoundDiffusionRecipe, codec: AudioLatentCodec, text: TextConditioner) -> SoundDiffusionRecipe:
    """The recipe whose network makes the codec's latents and is told what the text encoder gives."""
    channels = codec.latent_channels
    network = replace(
        recipe.network,
        dims=1,
        in_channels=channels,
        out_channels=channels,
        extra_channels=(channels + 1) * (recipe.objective.known > 0) + PLACES * recipe.places,
        context_width=text.context_width,
        vector_width=text.vector_size + TOLD,
    )
    if network.patch != 1 or network.positions != "rope":
        raise InputError(
            f"network has patch {network.patch} and positions {network.positions!r}; a frame of sound is one patch, and"
            " loops need 'rope': leave both as they are"
        )
    return replace(recipe, network=network)


def codec_of_part(part: LatentPart, path: Path, device: str = "cpu", sha256: str | None = None) -> AudioLatentCodec:
    """The codec with the weights in a file, which must have the hash if one is given."""
    network = read_network(part.network, path, sha256)
    assert isinstance(network, AudioCodec | MelCodec)
    return AudioLatentCodec(network.to(device), part.rate, part.shift, part.scale)


def text_of(recipe: SoundDiffusionRecipe, folder: Path | None = None) -> TextConditioner:
    """The frozen text encoder; one that lies inside the model's folder is read there, so that it may be moved."""
    config = recipe.conditioner
    if isinstance(config, HubTextConfig) and folder is not None and (folder / config.repository).is_dir():
        config = replace(config, repository=str(folder / config.repository))
    text = build_conditioner(config)
    assert isinstance(text, TextConditioner)
    return text


@dataclass(frozen=True)
class SoundParts:
    """What a generator is made of."""

    model: SoundDiffusionModel
    network: DiT
    text: TextConditioner
    codec: AudioLatentCodec


def read_parts(
    values: Mapping[str, Any], folder: Path, device: str = "cpu", find: Callable[[str], Path] | None = None
) -> SoundParts:
    """The parts of a model's folder, or of a training run's; `find` gives the folder of a model that lends its codec.

    Without it that lies beside.
    """
    model = sound_diffusion_model(values)
    recipe = model.recipe
    if not isinstance(recipe.codec, LatentPart):
        raise InputError(f"recipe.json names the codec {recipe.codec!r} and not what it is; train the model again")
    packed = values.get("type") == SoundDiffusionModel.__name__
    path = folder / (NETWORK_FILE if packed else f"averages/{recipe.training.averages[0]}.safetensors")
    with no_initialization():
        network = DiT(recipe.network)
    load_weights(network, path)
    network = network.eval().requires_grad_(False).to(device)
    lender = folder if model.codec is None else (find or (lambda name: folder.parent / name))(model.codec)
    codec = codec_of_part(recipe.codec, lender / CODEC_FILE, device, model.codec_sha256)
    return SoundParts(model, network, text_of(recipe, folder), codec)
