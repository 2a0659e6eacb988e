"""A recipe of moving pictures, and a trained model of them: what recipe.json in its folder says.

A model that grew out of a model of pictures names it as its base, with its hash: the weight file then holds only what
the base has not, or has otherwise. Guidance scale w is null + w (cond - null); 1 = off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from text2x.codecs import LatentCodecConfig
from text2x.config import from_dict
from text2x.data.clip_batches import ClipBatchConfig
from text2x.diffusion.denoiser import TimeDistribution
from text2x.diffusion.samplers import GridKind
from text2x.diffusion.schedules import Betas, Cosine, Karras, Linear
from text2x.errors import InputError
from text2x.networks.video_dit import VideoDiT, VideoDiTConfig
from text2x.networks.video_unet import VideoUNet, VideoUNetConfig
from text2x.recipe import FORMAT, LowResolution, WeightFile
from text2x.text_conditioner import MiniLMConfig
from text2x.training_config import TrainingConfig

Trained = Literal["temporal", "adapted", "all"]
ADAPTED = ("norm", "bias", "modulation", "embedding", "conv_in.", "conv_out.")  # see `trained_names`


@dataclass(frozen=True)
class VideoDenoisingConfig:
    """How the denoising loss of clips is taken.

    `known` are shares of batches in which some frames are known (see video_objectives.KNOWN); the rest is unknown.
    `shared_noise` is the share of the noise's variance that all frames of a clip have in common (Ge et al. 2023, PYoCo,
    Eq. 4 with alpha^2 / (1 + alpha^2) for it). With `first_frame` the network is told the first frame beside each one,
    noised by up to `first_noise`, and no masks (Blattmann et al. 2023, Stable Video Diffusion, Sec. 4.2).
    """

    times: TimeDistribution = TimeDistribution()
    weighting: Literal["uniform", "velocity", "min_snr"] = "uniform"
    known: tuple[tuple[str, float], ...] = (
        ("first", 0.12),
        ("last", 0.04),
        ("ends", 0.08),
        ("begin", 0.08),
        ("end", 0.04),
        ("every", 0.06),
        ("region", 0.06),
    )
    shared_noise: float = 0.0
    told_drop: float = 0.1  # share of clips whose rate is not told, and of those whose motion is not
    first_frame: bool = False
    first_noise: float = 0.1
    evaluation_times: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class VideoSampling:
    """What is used where a request leaves it open."""

    sampler: str = "dpmpp_2m"
    steps: int = 16
    guidance: float = 3.0
    last_guidance: float | None = None  # of the last frame, if it rises or falls evenly from the first one's
    shift: float = 1.0
    grid: GridKind = "uniform"
    frames: int = 16
    rate: float = 12.0  # frames/s
    motion: float | None = 5.0
    windows: Literal["after", "merged"] = "after"  # a longer clip: window after window, or all at once, their means


@dataclass(frozen=True)
class VideoRecipe:
    """Everything that makes a model of moving pictures, but its weights."""

    name: str
    summary: str
    size: int  # pixels a side that it is trained at
    network: VideoUNetConfig | VideoDiTConfig
    conditioner: MiniLMConfig
    data: ClipBatchConfig
    training: TrainingConfig
    schedule: Linear | Cosine | Betas | Karras = Linear()
    parameterization: Literal["epsilon", "x_0", "v", "velocity"] = "x_0"
    objective: VideoDenoisingConfig = VideoDenoisingConfig()
    sampling: VideoSampling = VideoSampling()
    data_set: str = "animated-emoji"
    image_set: str = "emoji"  # of the batches that are single pictures (data.image_share)
    base: str | None = None  # the model of pictures whose weights it begins with, and whose upsamplers it uses
    trained: Trained = "all"  # which parameters are trained
    codec: str | LatentCodecConfig | None = None  # None: pixels; a trained autoencoder's folder, or what was read of it


@dataclass(frozen=True)
class VideoUpsamplerRecipe:
    """Everything that makes an upsampler of clips, but its weights: one of pictures whose frames are mixed.

    It reads no words. Its network begins with the first upsampler of its base, a model of pictures, where there is one.
    """

    name: str
    summary: str
    size: int  # pixels a side of what it makes when it is trained
    network: VideoUNetConfig
    data: ClipBatchConfig
    training: TrainingConfig
    low_resolution: LowResolution = LowResolution()
    schedule: Linear | Cosine | Betas | Karras = Linear()
    parameterization: Literal["epsilon", "x_0", "v", "velocity"] = "x_0"
    objective: VideoDenoisingConfig = VideoDenoisingConfig(known=(), shared_noise=1.0)
    sampling: VideoSampling = VideoSampling(steps=4, guidance=1.0)
    data_set: str = "animated-emoji"
    base: str | None = None
    trained: Trained = "temporal"


@dataclass(frozen=True)
class VideoModel:
    """A trained model of moving pictures."""

    name: str
    summary: str
    licence: str
    recipe: VideoRecipe
    file: str = "video.safetensors"
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    size: int = 64  # pixels a side, when the request leaves it open
    format: int = FORMAT
    attribution: tuple[str, ...] = ()
    base: str | None = None  # a model of pictures beside, or among the shipped ones
    base_sha256: str | None = None  # of the file with the weights of its first stage
    codec_file: str | None = None
    clip_upsampler: VideoUpsamplerRecipe | None = None  # it takes the place of the base's first upsampler
    clip_upsampler_file: str = "upsampler.safetensors"


def is_video(values: Mapping[str, Any]) -> bool:
    """Whether a recipe.json is that of a model of moving pictures, packed or a training run's."""
    return values.get("type") in ("VideoModel", "VideoRecipe")


def video_model(values: Mapping[str, Any]) -> VideoModel:
    """The model that a recipe.json describes; that of a training run has its weights in averages/."""
    if values.get("type") == "VideoModel":
        return from_dict(VideoModel, values, where="recipe.json")
    recipe = from_dict(VideoRecipe, values, where="recipe.json")
    file = f"averages/{recipe.training.averages[0]}.safetensors"
    codec = None if recipe.codec is None else "codec.safetensors"
    return VideoModel(
        recipe.name, recipe.summary, "unknown", recipe, file, size=recipe.size, base=recipe.base, codec_file=codec
    )


def build_video_network(recipe: VideoRecipe) -> VideoUNet | VideoDiT:
    """The network with fresh weights, from torch's current random state."""
    return VideoDiT(recipe.network) if isinstance(recipe.network, VideoDiTConfig) else VideoUNet(recipe.network)


def trained_names(network: nn.Module, trained: Trained) -> set[str]:
    """The names of the parameters that are trained.

    "temporal" are those that the network of pictures has not; "adapted" adds its norms, biases, modulations, embeddings
    and its first and last convolution, which suffice for another style of drawing. A network that grew out of none of
    pictures raises InputError for both.
    """
    names = [name for name, _ in network.named_parameters()]
    if trained == "all":
        return set(names)
    if not isinstance(network, VideoUNet):
        raise InputError(f"trained is {trained!r}; a {type(network).__name__} holds no UNet of pictures: take 'all'")
    temporal = set(network.temporal_names())
    if trained == "temporal":
        return temporal
    return temporal | {name for name in names if any(part in name for part in ADAPTED)}
