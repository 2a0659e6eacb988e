"""Runs the recipes over codes of sound: data, codec, text and network put together, samples to hear, packing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from text2x.audio import join
from text2x.audio_codecs import NeuralTokenCodec, TokenCodec
from text2x.coding import load_audio_codec
from text2x.config import from_dict, to_dict
from text2x.data.audioset import AudioSet
from text2x.data.token_batches import TokenBatch, TokenBatches, captions_of, crop_frames, encode_clips
from text2x.errors import InputError
from text2x.files import load_tensors, read_json, save_tensors, write_json
from text2x.networks.token_lm import TokenLM
from text2x.packaging import Labels, averaged, recipe_of_run, write_beside_codec
from text2x.recipes.vocoder import load_clips
from text2x.sound_requests import MusicRequest, SoundRequest
from text2x.text_conditioner import TextConditioner
from text2x.token_generator import TokenGenerator
from text2x.token_models import (
    CODEC_FILE,
    TOKENS_FILE,
    CodecPart,
    TokenModel,
    TokenRecipe,
    codec_of_part,
    fitted,
    text_of,
)
from text2x.token_objectives import NextToken, NextTokenConfig
from text2x.tokens import delayed

HELD_OUT_BATCHES = 4
HEARD_ITEMS = 4


@dataclass(frozen=True)
class TokenRun:
    """A recipe with its data, codec and text encoder; makes what a trainer needs."""

    recipe: TokenRecipe
    clips: AudioSet
    codec: TokenCodec
    text: TextConditioner | None
    trainable: TokenLM
    objective: NextToken
    batches: TokenBatches
    held_out: tuple[TokenBatch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """The held-out loss with and without its conditions."""
        assert isinstance(trainable, TokenLM)
        told = NextToken(trainable, self.text, self.objective.pattern, NextTokenConfig(), self.device)
        return told.held_out(self.held_out)

    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write sounds of a few captions of the training part into one file to be heard."""
        assert isinstance(trainable, TokenLM)
        recipe = self.recipe
        generator = TokenGenerator(
            recipe.name, recipe.kind, trainable, self.text, self.codec, recipe.sampling, recipe.melody
        )
        captions = captions_of(self.clips, self.clips.split("train").tolist())
        captions = captions[:: max(1, len(captions) // HEARD_ITEMS)][:HEARD_ITEMS]
        ask = SoundRequest if recipe.kind == "sound" else MusicRequest
        heard = [generator.generate(ask(each or "sound", seed=at))[0].media for at, each in enumerate(captions)]
        folder.mkdir(parents=True, exist_ok=True)
        join(heard, pause=0.3).save(folder / f"step-{step:07d}.wav")


def prepare_token_run(
    recipe: TokenRecipe, device: str = "cpu", data_root: Path | None = None, folder: Path | None = None
) -> TokenRun:
    """Load codec, data and text encoder, find the codes, and make the network from the recipe's seed.

    `folder` is where the run is kept; the codec's weights and the codes that were found are kept there.
    """
    part, codec = _with_codec(recipe, device, folder)
    clips = load_clips(recipe.data_set, codec.rate, data_root)
    text = text_of(recipe)
    recipe = fitted(replace(recipe, codec=part), codec, text)
    codes = encode_clips(clips, codec, crop_frames(recipe.data, codec), folder)
    batches = TokenBatches(clips, codec, codes, recipe.data, recipe.melody)
    if text is not None:
        text.precompute(captions_of(clips, range(len(clips))))
    unseen = TokenBatches(clips, codec, codes, replace(recipe.data, split="held-out", mix=0.0), recipe.melody)
    held = tuple(unseen.batch_at(step) for step in range(HELD_OUT_BATCHES))
    torch.manual_seed(recipe.training.seed)
    trainable = TokenLM(recipe.network).to(device)
    channels = 2 if part.stereo else 1
    pattern = delayed(codec.codebooks // channels, channels)
    objective = NextToken(trainable, text, pattern, recipe.objective, device)
    return TokenRun(recipe, clips, codec, text, trainable, objective, batches, held, device)


def _with_codec(recipe: TokenRecipe, device: str, folder: Path | None) -> tuple[CodecPart, TokenCodec]:
    """What the codec is, and the codec; a run that is gone on with must be on the codec that it was begun with."""
    if not isinstance(recipe.codec, str):
        raise InputError("codec is a whole codec; give the folder of a trained one, as codec=runs/codec")
    place, own = Path(recipe.codec).expanduser(), _own_codec(folder)
    if not (place / "recipe.json").is_file():
        if own is None or folder is None:
            trained = "debug-codec" if recipe.name.startswith("debug") else "codec"
            raise InputError(f"there is no codec in {place}; train one: text2x train {trained}, or set codec=FOLDER")
        return own, codec_of_part(own, folder / CODEC_FILE, device)
    codec = load_audio_codec(place, device)
    if not isinstance(codec, NeuralTokenCodec):
        raise InputError(f"the codec in {place} makes latents and no codes; train one of codes: text2x train codec")
    assert isinstance(codec.network, nn.Module)
    part = CodecPart(codec.network.config, codec.rate)  # type: ignore[arg-type]
    if folder is None:
        return part, codec
    tensors = {name: value.cpu().contiguous() for name, value in codec.network.state_dict().items()}
    if own is None:
        save_tensors(folder / CODEC_FILE, tensors)
    else:
        kept = load_tensors(folder / CODEC_FILE)
        if own != part or any(not torch.equal(kept[name], value) for name, value in tensors.items()):
            raise InputError(
                f"the run in {folder} was begun with another codec than {place} now is; train into another folder"
            )
    return part, codec


def _own_codec(folder: Path | None) -> CodecPart | None:
    """The codec that lies in a run's folder."""
    if folder is None or not (folder / "recipe.json").is_file() or not (folder / CODEC_FILE).is_file():
        return None
    part = from_dict(TokenRecipe, read_json(folder / "recipe.json"), where="recipe.json").codec
    return part if isinstance(part, CodecPart) else None


def ship_tokens(folder: Path, target: Path, labels: Labels) -> TokenModel:
    """Write a model's folder from a training run; the codec's weights are kept as float16."""
    recipe = recipe_of_run(TokenRecipe, folder)
    network = load_tensors(averaged(folder, recipe.training, labels.average))
    told = write_beside_codec(folder, target, TOKENS_FILE, network, labels.packing)
    model = TokenModel(*labels.titles(recipe.summary), recipe, told, attribution=labels.attribution)
    write_json(target / "recipe.json", to_dict(model))
    return model
