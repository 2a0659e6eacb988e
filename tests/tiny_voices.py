"""Voices without training, small enough for tests: what they say is noise, but it obeys every law of speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from text2x.acoustics import AcousticRecipe, Told
from text2x.config import to_dict
from text2x.files import file_hash, read_json, save_tensors, write_json
from text2x.networks.acoustic import Acoustic
from text2x.networks.vocoder import Vocos, VocosConfig
from text2x.recipe import WeightFile
from text2x.recipes.speech import debug_voice, debug_voice_flow, debug_voice_gan
from text2x.signal import STFTConfig
from text2x.speech_generator import SpeechGenerator
from text2x.speech_models import ACOUSTIC_FILE, VOCODER_FILE, SpeechModel, VocoderPart, build_speech_generator
from text2x.spoken import PHONES

RECIPES = {"parallel": debug_voice, "flow": debug_voice_flow, "gan": debug_voice_gan}
TOLD = Told(PHONES, ("en", "hi"), ("low", "high"), {"ZH": "SH"})


def recipe(kind: str) -> AcousticRecipe:
    """The debug recipe of a kind, told of two languages and two voices."""
    made = RECIPES[kind]()
    text = replace(made.network.text, num_phones=len(PHONES), num_languages=2, num_speakers=2)
    return replace(made, network=replace(made.network, text=text), told=TOLD)


def write_voice(folder: Path, kind: str = "parallel", vocoder: bool = True) -> Path:
    """A model folder of random weights, in which phones last about 60 ms."""
    torch.manual_seed(5)
    made = recipe(kind)
    acoustic = Acoustic(made.network)
    acoustic.mel_mean.fill_(-3.0)
    torch.nn.init.constant_(acoustic.text.duration.out.bias, 1.9)
    torch.nn.init.normal_(acoustic.text.duration.out.weight, std=0.05)
    if kind == "flow":
        torch.nn.init.normal_(acoustic.decoder.network.out.weight, std=0.3)  # type: ignore[union-attr]
    weights = {ACOUSTIC_FILE: acoustic.state_dict()}
    part = None
    if vocoder and kind != "gan":
        hop = made.mel.hop
        part = VocoderPart(VocosConfig(48, 16, 2, 5, 2, STFTConfig(256, 256, hop)), made.mel)
        weights[VOCODER_FILE] = Vocos(part.network).state_dict()  # type: ignore[arg-type]
    told = {}
    for file, tensors in weights.items():
        save_tensors(folder / file, tensors)
        told[file] = WeightFile(file_hash(folder / file), "float32", sum(each.numel() for each in tensors.values()))
    model = SpeechModel(folder.name, "A voice of noise. It says nothing.", "CC0-1.0", made, part, told)
    write_json(folder / "recipe.json", to_dict(model))
    return folder


def voice(folder: Path, kind: str = "parallel", vocoder: bool = True) -> SpeechGenerator:
    """The generator of such a folder."""
    write_voice(folder, kind, vocoder)
    return build_speech_generator(read_json(folder / "recipe.json"), folder)
