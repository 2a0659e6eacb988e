"""A recipe: the configs of network, conditioner, schedule, data and training that make one model; saved as JSON.

A model is a list of stages, each a recipe and its weights: a base that reads the prompt, then upsamplers. Guides are
networks that steer or judge a model and make no pictures themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from text2x.codecs import LatentCodecConfig
from text2x.config import from_dict, to_dict
from text2x.data.batches import BatchConfig
from text2x.diffusion.denoiser import Denoiser, TimeDistribution
from text2x.diffusion.parameterizations import PARAMETERIZATIONS
from text2x.diffusion.samplers import GridKind
from text2x.diffusion.schedules import Betas, Cosine, Karras, Linear
from text2x.networks.classifier import Classifier, ClassifierConfig
from text2x.networks.clip import CLIP, CLIPConfig
from text2x.networks.cross_unet import CrossUNet, CrossUNetConfig
from text2x.networks.dit import DiT, DiTConfig
from text2x.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from text2x.networks.unet import UNet, UNetConfig
from text2x.priors import PriorRecipe
from text2x.text_conditioner import (
    HubTextConfig,
    MiniLMConfig,
    TextConditioner,
    TrainableTextConditioner,
    TrainableTextConfig,
    build_conditioner,
)
from text2x.training_config import TrainingConfig

FORMAT = 1  # of a model's recipe.json


@dataclass(frozen=True)
class DenoisingConfig:
    """How the denoising loss is taken."""

    times: TimeDistribution = TimeDistribution()
    weighting: Literal["uniform", "velocity", "min_snr"] = "uniform"
    mask_probability: float = 0.0  # share of batches in which a part of each picture is known
    placed_probability: float = 0.0  # share of those whose pictures are shrunk and lie anywhere on an empty canvas
    evaluation_times: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)  # noise levels of the held-out loss


@dataclass(frozen=True)
class LowResolution:
    """The picture that an upsampler starts from: smaller, and corrupted in training so that small faults are forgiven.

    Noise of level s is added as sqrt(1 - s^2) x + s noise, s uniform in [0, largest_noise]; the network is told s
    (Saharia et al. 2022, Imagen, Sec. 2.4: noise conditioning augmentation).
    """

    factor: int = 2
    largest_noise: float = 0.4  # 0: none is added, and a stage that reads prompts is not told s
    sampling_noise: float = 0.1  # s when sampling
    quantized: bool = False  # rounded to 8 bits first (Nichol et al. 2021, GLIDE, their code)
    repeats: bool = True  # as a model's last stage, as often as the size that is asked for needs it
    blur: float = 0.0  # in training: sigma of a Gaussian of 3 x 3 pixels; 0.6 in DALL-E 2's first; 0: none
    degradation: float = 0.0  # in training: share of pictures with further faults (degradation.py; DALL-E 2's second)


@dataclass(frozen=True)
class ImageEmbedding:
    """The CLIP whose embedding of the picture a network is told beside the words, and how often it is not (DALL-E 2).

    The network's config says how wide it is: it comes last in the vector.
    """

    clip: str  # a folder: of its training run, or of guides
    drop: float = 0.1  # share of pictures in training whose embedding is zeros (Ramesh et al. 2022, Sec. 2.1)


@dataclass(frozen=True)
class SamplingConfig:
    """What is used where a request leaves it open."""

    sampler: str = "dpmpp_2m"
    steps: int = 25
    guidance: float = 3.0
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    shift: float = 1.0
    grid: GridKind = "uniform"  # "log_snr" suits schedules made of betas
    style: str | None = None
    threshold: float | None = None  # of dynamic thresholding, 0.995 for Imagen's 99.5th percentile; None: a clamp
    temperature: float = 1.0  # of the first noise (Nichol et al. 2021, GLIDE, their code: 0.997 for the upsampler)


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a stage, but its weights."""

    name: str
    summary: str
    size: int  # pixels a side that it is trained at
    network: UNetConfig | DiTConfig | EfficientUNetConfig | CrossUNetConfig
    conditioner: MiniLMConfig | HubTextConfig | TrainableTextConfig | None
    data: BatchConfig
    training: TrainingConfig
    schedule: Linear | Cosine | Betas | Karras = Linear()
    parameterization: Literal["epsilon", "x_0", "v", "velocity"] = "x_0"
    objective: DenoisingConfig = DenoisingConfig()
    sampling: SamplingConfig = SamplingConfig()
    low_resolution: LowResolution | None = None
    data_set: str = "emoji"
    codec: str | LatentCodecConfig | None = None  # None: pixels; a trained autoencoder's folder, or what was read of it
    vocabulary: int = 0  # of a text encoder that is trained: bytes and merges learned from the captions; 0: as it says
    image_embedding: ImageEmbedding | None = None


@dataclass(frozen=True)
class ClassificationConfig:
    """How a classifier of noised pictures learns: cross entropy of classes and of groups."""

    times: TimeDistribution = TimeDistribution()
    label_smoothing: float = 0.1
    group_weight: float = 0.25  # of the groups' cross entropy beside that of the classes
    evaluation_times: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class ContrastiveConfig:
    """How pictures and texts are brought together: symmetric InfoNCE (Radford et al. 2021), noised or clean."""

    times: TimeDistribution | None = TimeDistribution()  # None: clean pictures
    cutout: float = 0.0  # share of pictures of which a square is taken away (DeVries and Taylor 2017)
    candidates: int = 100  # of R-precision: the true text and 99 others
    evaluation_times: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)  # clean pictures: one level, 0


GuideKind = Literal["classifier", "clip", "judge", "encoder"]


@dataclass(frozen=True)
class GuideRecipe:
    """Everything that makes a guide but its weights; noised pictures are on `schedule`.

    A `classifier` and a `clip` steer sampling; a `judge` looks at clean pictures and must never steer what it judges;
    an `encoder` is a CLIP of clean pictures whose embeddings priors and decoders speak (DALL-E 2).
    """

    name: str
    summary: str
    kind: GuideKind
    size: int  # pixels a side that it looks at
    network: ClassifierConfig | CLIPConfig
    conditioner: MiniLMConfig
    data: BatchConfig
    training: TrainingConfig
    objective: ClassificationConfig | ContrastiveConfig
    schedule: Linear = Linear()
    classes: tuple[str, ...] = ()  # names, of a classifier
    groups: tuple[str, ...] = ()
    data_set: str = "emoji"


@dataclass(frozen=True)
class WeightFile:
    """A weight file of a model folder; the hash is checked when it is read."""

    sha256: str
    dtype: str  # "float16", "int8" with scales, "float32"
    parameters: int


@dataclass(frozen=True)
class Stage:
    """A recipe and the name of its weight file in the model's folder."""

    recipe: Recipe
    weights: str
    codec: str | None = None  # the weight file of the recipe's codec


@dataclass(frozen=True)
class PriorPart:
    """A prior's recipe and the name of its weight file in the model's folder."""

    recipe: PriorRecipe
    weights: str


@dataclass(frozen=True)
class Model:
    """A trained model: what recipe.json in its folder says."""

    name: str
    summary: str
    licence: str
    stages: tuple[Stage, ...]
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    size: int = 64  # pixels a side, when the request leaves it open
    format: int = FORMAT
    attribution: tuple[str, ...] = ()  # one line a source whose licence asks for it
    guides: Mapping[str, str] = field(default_factory=dict)  # "classifier", "clip", "auto" -> a folder beside
    upsampler: str | None = None  # a folder beside whose upsamplers follow the model's own stages
    clip: Guide | str | None = None  # whose embeddings the base is told: in this folder, or a folder beside
    prior: PriorPart | str | None = None  # from words to such an embedding: in this folder, or of a folder beside


@dataclass(frozen=True)
class Guide:
    """A guide's recipe and the name of its weight file in the guides' folder."""

    recipe: GuideRecipe
    weights: str


@dataclass(frozen=True)
class Guides:
    """Trained guides: what recipe.json in their folder says."""

    name: str
    summary: str
    licence: str
    guides: tuple[Guide, ...]
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    format: int = FORMAT
    attribution: tuple[str, ...] = ()


def model_from_dict(values: Mapping[str, Any]) -> Model:
    """The model that a recipe.json describes; a recipe alone, as a training run saves it, is not one."""
    return from_dict(Model, values, where="recipe.json")


def recipe_from_dict(values: Mapping[str, Any]) -> Recipe:
    """The recipe that a training run saved."""
    return from_dict(Recipe, values, where="recipe.json")


def guides_from_dict(values: Mapping[str, Any]) -> Guides:
    """The guides that a recipe.json describes."""
    return from_dict(Guides, values, where="recipe.json")


def trained_from_dict(values: Mapping[str, Any]) -> Recipe | GuideRecipe | PriorRecipe:
    """The recipe that a training run of any kind saved, told apart by its "type"."""
    if isinstance(values, Mapping) and values.get("type") == PriorRecipe.__name__:
        return from_dict(PriorRecipe, values, where="recipe.json")
    guide = isinstance(values, Mapping) and values.get("type") == GuideRecipe.__name__
    return from_dict(GuideRecipe, values, where="recipe.json") if guide else recipe_from_dict(values)


def recipe_to_dict(value: Recipe | Model | GuideRecipe | Guides) -> dict[str, Any]:
    """Plain JSON values."""
    return to_dict(value)


class NetworkAndText(nn.Module):
    """What is trained where the text encoder learns with the network."""

    def __init__(self, network: UNet | DiT | EfficientUNet | CrossUNet, text: TrainableTextConditioner) -> None:
        super().__init__()
        self.network, self.text = network, text


Text = TextConditioner | TrainableTextConditioner | None


def image_embedding_width(recipe: Recipe) -> int:
    """How many last numbers of the vector are the embedding of a picture; 0 for a network that is told none."""
    return recipe.network.image_embedding if isinstance(recipe.network, UNetConfig) else 0


def build_network(recipe: Recipe) -> UNet | DiT | EfficientUNet | CrossUNet:
    """The network with fresh weights, from torch's current random state."""
    if isinstance(recipe.network, EfficientUNetConfig):
        return EfficientUNet(recipe.network)
    if isinstance(recipe.network, CrossUNetConfig):
        return CrossUNet(recipe.network)
    return UNet(recipe.network) if isinstance(recipe.network, UNetConfig) else DiT(recipe.network)


def build_guide(recipe: GuideRecipe) -> Classifier | CLIP:
    """The guide's network with fresh weights, from torch's current random state."""
    return Classifier(recipe.network) if isinstance(recipe.network, ClassifierConfig) else CLIP(recipe.network)


def build_denoiser(recipe: Recipe, network: Any) -> Denoiser:
    """The network read as an estimate of x_0."""
    return Denoiser(network, recipe.schedule, PARAMETERIZATIONS[recipe.parameterization])


def build_text(recipe: Recipe) -> Text:
    """The text encoder, or None for a stage that reads no prompt."""
    return None if recipe.conditioner is None else build_conditioner(recipe.conditioner)


def trainable_of(network: UNet | DiT | EfficientUNet | CrossUNet, text: Text) -> nn.Module:
    """All that is trained: the network alone, or with a text encoder that learns."""
    return NetworkAndText(network, text) if isinstance(text, TrainableTextConditioner) else network


def parts_of(trainable: nn.Module, text: Text) -> tuple[Any, Text]:
    """Network and text encoder of what is trained; `text` is the frozen one that is not part of it."""
    return (trainable.network, trainable.text) if isinstance(trainable, NetworkAndText) else (trainable, text)
