"""Models of sound without training, small enough for tests: what they make is noise, but it obeys every law."""

from __future__ import annotations

from pathlib import Path

import torch

from text2x.audio import Audio
from text2x.audio_codecs import NeuralTokenCodec
from text2x.chroma import ChromaConfig
from text2x.config import to_dict
from text2x.data.token_batches import TokenBatchConfig
from text2x.files import file_hash, read_json, save_tensors, write_json
from text2x.networks.audio_codec import AudioCodec, AudioCodecConfig
from text2x.networks.residual_quantizer import ResidualQuantizerConfig
from text2x.networks.token_lm import TokenLM, TokenLMConfig
from text2x.recipe import WeightFile
from text2x.token_generator import TokenGenerator, TokenSampling
from text2x.token_models import (
    CODEC_FILE,
    TOKENS_FILE,
    CodecPart,
    TokenModel,
    TokenRecipe,
    build_token_generator,
)
from text2x.training_config import TrainingConfig

RATE, HOP, BOOKS, CODES = 8000, 32, 2, 16
CODEC = AudioCodecConfig(4, (4, 8), latent=8, bottleneck=ResidualQuantizerConfig(BOOKS, CODES))


def tiny_codec() -> NeuralTokenCodec:
    """A codec of random weights at 8 kHz, 250 frames a second."""
    torch.manual_seed(2)
    return NeuralTokenCodec(AudioCodec(CODEC).eval().requires_grad_(False), RATE, chunk=8)


def tone(seconds: float, hertz: float = 220.0, rate: int = RATE) -> Audio:
    """A sine."""
    return Audio(0.5 * torch.sin(torch.arange(round(seconds * rate)) * (2 * torch.pi * hertz / rate)), rate)


def write_sounds(folder: Path, kind: str = "sound", stereo: bool = False) -> Path:
    """A model folder of random weights that reads no text; one of music follows melodies."""
    torch.manual_seed(5)
    books = 2 * BOOKS if stereo else BOOKS
    music = kind == "music"
    shape = TokenLMConfig(books, CODES, 16, 2, 2, prepended_width=12 if music else 0)
    recipe = TokenRecipe(
        folder.name, "Noise of codes.", kind, shape, None, TokenBatchConfig(), TrainingConfig(),  # type: ignore[arg-type]
        CodecPart(CODEC, RATE, stereo), ChromaConfig(RATE, 1024, 256) if music else None,
        sampling=TokenSampling(0.2, 3.0, 1.0, 0, 0.0, 0.3, 0.1),
    )  # fmt: skip
    network = TokenLM(shape)
    with torch.no_grad():
        for value in network.parameters():
            value.mul_(3)
    told = {}
    for file, module in ((TOKENS_FILE, network), (CODEC_FILE, tiny_codec().network)):
        tensors = module.state_dict()  # type: ignore[attr-defined]
        save_tensors(folder / file, tensors)
        told[file] = WeightFile(file_hash(folder / file), "float32", sum(each.numel() for each in tensors.values()))
    write_json(folder / "recipe.json", to_dict(TokenModel(folder.name, "Makes noise.", "CC0-1.0", recipe, told)))
    return folder


def sounds(folder: Path, kind: str = "sound", stereo: bool = False) -> TokenGenerator:
    """The generator of such a folder."""
    write_sounds(folder, kind, stereo)
    return build_token_generator(read_json(folder / "recipe.json"), folder)
