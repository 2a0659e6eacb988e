"""What recipe.json of a voice says, and the generator built from it with the weights beside it.

A voice's folder is {recipe.json, acoustic.safetensors, vocoder.safetensors}; without a vocoder of its own, sound is
found by Griffin-Lim. The folder of a training run is a voice too: `vocoder.json` in it names a vocoder's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from text2x.acoustics import AcousticRecipe, SpeechSampling
from text2x.config import from_dict
from text2x.errors import InputError
from text2x.files import load_tensors, read_json
from text2x.networks.acoustic import Acoustic, WaveDecoder
from text2x.networks.fastpitch import FastPitch, FastPitchConfig
from text2x.nn.initialization import no_initialization
from text2x.recipe import FORMAT, WeightFile
from text2x.signal import MelConfig
from text2x.speech_generator import SpeechGenerator
from text2x.vocoding import GriffinLim, NeuralVocoder, Vocoder, VocoderNetworkConfig, load_vocoder, neural_vocoder
from text2x.voices import AcousticVoice, FastPitchVoice, Voice
from text2x.weights import put_weights, unpack

ACOUSTIC_FILE, VOCODER_FILE = "acoustic.safetensors", "vocoder.safetensors"
VOCODER_LINK = "vocoder.json"  # in a training run's folder: {"folder": ...}
PART = "generator."  # the beginning of the acoustic model's names among the weights of an adversarial run


@dataclass(frozen=True)
class FastPitchRecipe:
    """A published FastPitch: its sizes, its characters in the order of their ids, its one language, its speakers."""

    network: FastPitchConfig
    characters: tuple[str, ...]
    language: str
    speakers: tuple[str, ...]


@dataclass(frozen=True)
class VocoderPart:
    """The vocoder that lies beside an acoustic model."""

    network: VocoderNetworkConfig
    mel: MelConfig


@dataclass(frozen=True)
class SpeechModel:
    """A voice: what recipe.json in its folder says."""

    name: str
    summary: str
    licence: str
    acoustic: AcousticRecipe | FastPitchRecipe
    vocoder: VocoderPart | None = None
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    format: int = FORMAT
    attribution: tuple[str, ...] = ()


def is_speech(values: Mapping[str, Any]) -> bool:
    """Whether a recipe.json is of a voice, packed or a training run's."""
    return values.get("type") in (SpeechModel.__name__, AcousticRecipe.__name__)


def speech_model(values: Mapping[str, Any]) -> SpeechModel:
    """The model that a recipe.json describes: of a model folder, or of a training run."""
    if values.get("type") == SpeechModel.__name__:
        return from_dict(SpeechModel, values, where="recipe.json")
    recipe = from_dict(AcousticRecipe, values, where="recipe.json")
    return SpeechModel(recipe.name, recipe.summary, "unknown", recipe)


def build_speech_generator(
    values: Mapping[str, Any], folder: Path, device: str = "cpu", vocoder: Path | None = None
) -> SpeechGenerator:
    """The generator of a voice's folder, or of a training run's; `vocoder` is the folder of another vocoder."""
    model = speech_model(values)
    packed = values.get("type") == SpeechModel.__name__
    recipe = model.acoustic
    if isinstance(recipe, FastPitchRecipe):
        network = load_fastpitch(recipe, folder / ACOUSTIC_FILE, device)
        voice: Voice = FastPitchVoice(network, recipe.characters, recipe.language, recipe.speakers)
        mel, own, sampling = None, None, SpeechSampling()
    else:
        path = folder / (ACOUSTIC_FILE if packed else f"averages/{recipe.training.averages[0]}.safetensors")
        acoustic = load_acoustic(recipe, path, device)
        voice = AcousticVoice(acoustic, recipe.told)
        mel, sampling = recipe.mel, recipe.sampling
        own = wave_vocoder(acoustic, recipe.mel)
    if vocoder is None and not packed and (folder / VOCODER_LINK).is_file():
        vocoder = Path(str(read_json(folder / VOCODER_LINK)["folder"]))
    found = own or _vocoder(model, folder, device, vocoder, mel)
    return SpeechGenerator(model.name, voice, found, sampling)


def _vocoder(model: SpeechModel, folder: Path, device: str, other: Path | None, mel: MelConfig | None) -> Vocoder:
    """The vocoder beside the acoustic model or in another folder, or Griffin-Lim, checked against its mels."""
    if other is not None:
        found: Vocoder = load_vocoder(other, device)
    elif model.vocoder is not None:
        found = neural_vocoder(model.vocoder.network, model.vocoder.mel, folder / VOCODER_FILE, device)
    else:
        assert mel is not None
        found = GriffinLim(mel)
    if mel is not None and found.mel != mel:
        raise InputError(
            f"the vocoder in {other or folder} hears mels of {found.mel.rate} Hz, hop {found.mel.hop} and "
            f"{found.mel.bands} bands; {model.name} makes {mel.rate}, {mel.hop}, {mel.bands}: train one with the same"
        )
    return found


def wave_vocoder(acoustic: Acoustic, mel: MelConfig) -> NeuralVocoder | None:
    """The vocoder within an acoustic model whose decoder makes waves."""
    decoder = acoustic.decoder
    return NeuralVocoder(decoder.vocoder, mel) if isinstance(decoder, WaveDecoder) else None


def acoustic_weights(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The acoustic model's part of a run's weights, without the names of an adversarial run."""
    if any(name.startswith(PART) for name in tensors):
        return {name.removeprefix(PART): each for name, each in tensors.items() if name.startswith(PART)}
    return dict(tensors)


def load_acoustic(recipe: AcousticRecipe, path: Path, device: str = "cpu") -> Acoustic:
    """The recipe's network with the weights in a file."""
    with no_initialization():
        network = Acoustic(recipe.network)
    put_weights(network, acoustic_weights(unpack(load_tensors(path))), path)
    return network.eval().requires_grad_(False).to(device)


def load_fastpitch(recipe: FastPitchRecipe, path: Path, device: str = "cpu") -> FastPitch:
    """A published network with the weights in a file."""
    with no_initialization():
        network = FastPitch(recipe.network)
    put_weights(network, unpack(load_tensors(path)), path)
    return network.eval().requires_grad_(False).to(device)
