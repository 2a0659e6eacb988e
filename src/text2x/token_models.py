"""Recipes of language models over codes of sound, what recipe.json of one says, and the generator built from it.

A model's folder is {recipe.json, tokens.safetensors, codec.safetensors}; that of a training run has averages/ instead
of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from text2x.audio_codecs import NeuralTokenCodec, StereoTokenCodec, TokenCodec
from text2x.chroma import CLASSES, ChromaConfig
from text2x.coding import AnyCodecConfig, read_network
from text2x.config import from_dict
from text2x.data.token_batches import TokenBatchConfig
from text2x.errors import InputError
from text2x.networks.token_lm import TokenLM, TokenLMConfig
from text2x.nn.initialization import no_initialization
from text2x.recipe import FORMAT, WeightFile
from text2x.text_conditioner import HubTextConfig, MiniLMConfig, TextConditioner, build_conditioner
from text2x.token_generator import TokenGenerator, TokenSampling
from text2x.token_objectives import NextTokenConfig
from text2x.training_config import TrainingConfig
from text2x.weights import load_weights

TOKENS_FILE, CODEC_FILE = "tokens.safetensors", "codec.safetensors"
CHUNK = 16  # frames that are heard at a time: 0.3 s of fifty a second


@dataclass(frozen=True)
class CodecPart:
    """The codec whose codes are spoken: a mono one is used for each side of stereo sound."""

    network: AnyCodecConfig
    rate: int  # Hz
    stereo: bool = False


@dataclass(frozen=True)
class TokenRecipe:
    """Everything that makes a language model of codes but its weights; what the codec decides is filled in by it."""

    name: str
    summary: str
    kind: Literal["sound", "music"]
    network: TokenLMConfig
    conditioner: MiniLMConfig | HubTextConfig | None
    data: TokenBatchConfig
    training: TrainingConfig
    codec: str | CodecPart = "runs/codec"  # the folder of a trained codec of codes, or what was read of it
    melody: ChromaConfig | None = None
    objective: NextTokenConfig = NextTokenConfig()
    sampling: TokenSampling = TokenSampling()
    data_set: str = "sounds"


@dataclass(frozen=True)
class TokenModel:
    """A trained model: what recipe.json in its folder says."""

    name: str
    summary: str
    licence: str
    recipe: TokenRecipe
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    format: int = FORMAT
    attribution: tuple[str, ...] = ()


def token_model(values: Mapping[str, Any]) -> TokenModel:
    """The model that a recipe.json describes: of a model folder, or of a training run."""
    if values.get("type") == TokenModel.__name__:
        return from_dict(TokenModel, values, where="recipe.json")
    recipe = from_dict(TokenRecipe, values, where="recipe.json")
    return TokenModel(recipe.name, recipe.summary, "unknown", recipe)


def codec_of_part(part: CodecPart, path: Path, device: str = "cpu") -> TokenCodec:
    """The codec with the weights in a file."""
    network = read_network(part.network, path)
    codec = NeuralTokenCodec(network.to(device), part.rate, CHUNK)  # type: ignore[arg-type]
    return StereoTokenCodec(codec) if part.stereo else codec


def fitted(recipe: TokenRecipe, codec: TokenCodec, text: TextConditioner | None) -> TokenRecipe:
    """The recipe whose network speaks the codec's codes and hears what the text encoder and the melody give."""
    network = replace(
        recipe.network,
        codebooks=codec.codebooks,
        codes=codec.cardinality,
        context_width=0 if text is None else text.context_width,
        prepended_width=0 if recipe.melody is None else CLASSES,
    )
    return replace(recipe, network=network)


def text_of(recipe: TokenRecipe, folder: Path | None = None) -> TextConditioner | None:
    """The frozen text encoder; one that lies inside the model's folder is read there, so that it may be moved."""
    config = recipe.conditioner
    if isinstance(config, HubTextConfig) and folder is not None and (folder / config.repository).is_dir():
        config = replace(config, repository=str(folder / config.repository))
    return None if config is None else build_conditioner(config)


def build_token_generator(values: Mapping[str, Any], folder: Path, device: str = "cpu") -> TokenGenerator:
    """The generator of a model's folder, or of a training run's."""
    model = token_model(values)
    recipe = model.recipe
    if not isinstance(recipe.codec, CodecPart):
        raise InputError(f"recipe.json names the codec {recipe.codec!r} and not what it is; train the model again")
    packed = values.get("type") == TokenModel.__name__
    path = folder / (TOKENS_FILE if packed else f"averages/{recipe.training.averages[0]}.safetensors")
    with no_initialization():
        network = TokenLM(recipe.network)
    load_weights(network, path)
    codec = codec_of_part(recipe.codec, folder / CODEC_FILE, device)
    network = network.eval().requires_grad_(False).to(device)
    return TokenGenerator(
        model.name, recipe.kind, network, text_of(recipe, folder), codec, recipe.sampling, recipe.melody
    )
