"""Indic-TTS of AI4Bharat (Kumar et al. 2022): folders of its published checkpoints become model folders of ours.

A language's folder is {fastpitch/{best_model.*, config.json, speakers.*}, hifigan/{best_model.*, config.json}}. The
published .pth files are read with weights_only, which runs no code, once, here; safetensors and JSON are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import file_hash, load_tensors, read_json, save_tensors, write_json
from text2x.networks.fastpitch import FastPitch, FastPitchConfig
from text2x.networks.hifigan import HiFiGAN, HiFiGANConfig, published_state
from text2x.recipe import WeightFile
from text2x.requests import shortened
from text2x.signal import INDIC_TTS_MEL, MelConfig
from text2x.speech_models import ACOUSTIC_FILE, VOCODER_FILE, FastPitchRecipe, SpeechModel, VocoderPart
from text2x.weights import put_weights

LICENCE = "MIT (code); the terms of the IIT Madras IndicTTS data apply to the weights"
ATTRIBUTION = ("Indic-TTS, AI4Bharat, arXiv 2211.09536",)
EDGE = 5  # frames that Coqui's HiFi-GAN repeats at both ends
UNUSED = ("aligner.", "energy_")  # parts that only training has
SPECIALS = ("<PAD>", "<EOS>", "<BOS>", "<BLNK>")
# What the published models and their vocoders agree on; others cannot be heard through them
EXPECTED = {"sample_rate": 22050, "fft_size": 1024, "hop_length": 256, "num_mels": 80, "signal_norm": False}


def import_indic_tts(folder: Path, target: Path, name: str | None = None, language: str | None = None) -> SpeechModel:
    """Write a model folder from a language's folder; `language` is its name's unless given.

    What is missing, of another layout or not plain tensors raises InputError; nothing is written then.
    """
    folder = Path(folder)
    language = language or folder.resolve().name
    acoustic, vocoder = folder / "fastpitch", folder / "hifigan"
    values = _settings(acoustic / "config.json")
    tensors = {
        key: value
        for key, value in read_checkpoint(_file(acoustic, "best_model")).items()
        if not key.startswith(UNUSED)
    }
    characters = characters_of(values)
    config = fastpitch_config(values, tensors, acoustic)
    if len(characters) != config.num_characters:
        raise InputError(
            f"{acoustic / 'config.json'} has {len(characters)} characters and its weights {config.num_characters}; "
            "the two files are not of one model"
        )
    put_weights(FastPitch(config), tensors, acoustic)
    speakers = _speakers(acoustic, config.num_speakers)
    mel = _mel(values, acoustic)
    of_vocoder = hifigan_config(_settings(vocoder / "config.json"), vocoder)
    sound = published_state(read_checkpoint(_file(vocoder, "best_model")))
    put_weights(HiFiGAN(of_vocoder), sound, vocoder)
    recipe = FastPitchRecipe(config, characters, language.split("-")[0].split("+")[0], speakers)
    called = name or f"indic-tts-{language}"
    weights = {file: _write(target / file, part) for file, part in ((ACOUSTIC_FILE, tensors), (VOCODER_FILE, sound))}
    model = SpeechModel(
        called,
        f"Indic-TTS, {language}: FastPitch and HiFi-GAN as published by AI4Bharat.",
        LICENCE,
        recipe,
        VocoderPart(of_vocoder, mel),
        weights,
        attribution=ATTRIBUTION,
    )
    write_json(target / "recipe.json", to_dict(model))
    return model


def _write(path: Path, tensors: Mapping[str, Tensor]) -> WeightFile:
    save_tensors(path, {key: value.float() for key, value in tensors.items()})
    return WeightFile(file_hash(path), "float32", sum(value.numel() for value in tensors.values()))


def is_indic_tts(folder: Path) -> bool:
    """Whether a folder has the published layout."""
    return (folder / "fastpitch" / "config.json").is_file() and (folder / "hifigan").is_dir()


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a published .pth: those under its key "model", or all of it."""
    if path.suffix == ".safetensors":
        return load_tensors(path)
    import torch

    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a foreign file can raise is not told beforehand
        why = shortened(str(error).splitlines()[0] if str(error) else type(error).__name__, 120)
        raise InputError(f"{path} holds more than plain tensors, or is damaged, and is not read: {why}") from error
    values = values.get("model", values) if isinstance(values, Mapping) else {}
    tensors = {str(key): value for key, value in values.items() if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f"{path} holds no weights; a published checkpoint has them under the key 'model'")
    return tensors


def _file(folder: Path, stem: str) -> Path:
    """The file of that name, safetensors before .pth."""
    for ending in ("safetensors", "pth", "pth.tar", "pt"):
        if (folder / f"{stem}.{ending}").is_file():
            return folder / f"{stem}.{ending}"
    raise InputError(f"{folder} lacks {stem}.pth; unpack the whole published archive of the language")


def _settings(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path} is no settings of a published model: an object was expected")
    return values


def characters_of(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The characters in the order of their ids, padding first, as Coqui's classes put them together.

    VitsCharacters: padding, punctuation, letters, blank. Others: padding, end, begin, blank, letters, punctuation.
    """
    about = values.get("characters") or {}
    letters = str(about.get("characters") or "") + str(about.get("phonemes") or "")
    marks = str(about.get("punctuations") or "")
    pad, eos, bos, blank = (
        about.get(key, special) for key, special in zip(("pad", "eos", "bos", "blank"), SPECIALS, strict=True)
    )
    if str(about.get("characters_class", "")).endswith("VitsCharacters"):
        return (pad or SPECIALS[0], *marks, *letters, SPECIALS[3])
    if about.get("is_unique"):
        letters = "".join(set(letters))
    if about.get("is_sorted", True):
        letters = "".join(sorted(letters))
    return (*(each for each in (pad, eos, bos, blank) if each), *letters, *marks)


def fastpitch_config(values: Mapping[str, Any], tensors: Mapping[str, Tensor], where: Path) -> FastPitchConfig:
    """The network's sizes, from the settings and the shapes of its weights."""
    arguments = {**values, **(values.get("model_args") or {})}
    for key, wanted in (("encoder_type", "fftransformer"), ("decoder_type", "fftransformer"), ("use_energy", False)):
        if arguments.get(key, wanted) != wanted:
            raise InputError(f"{where} has {key} {arguments[key]!r}; only {wanted!r} is read, as Indic-TTS has it")
    if arguments.get("use_d_vector_file"):
        raise InputError(f"{where} is told speakers by vectors of another model, which is not read")
    encoder, decoder = (arguments.get(f"{part}_params") or {} for part in ("encoder", "decoder"))
    try:
        speakers = len(tensors["emb_g.weight"]) if "emb_g.weight" in tensors else 0
        return FastPitchConfig(
            num_characters=len(tensors["emb.weight"]),
            num_speakers=speakers,
            mel_bands=len(tensors["decoder.decoder.postnet.weight"]),
            hidden=tensors["emb.weight"].shape[1],
            feed_forward=int(encoder.get("hidden_channels_ffn", 1024)),
            encoder_layers=int(encoder.get("num_layers", 6)),
            decoder_layers=int(decoder.get("num_layers", 6)),
            heads=int(encoder.get("num_heads", 1)),
            predictor_hidden=len(tensors["duration_predictor.conv_1.weight"]),
            predictor_kernel=tensors["duration_predictor.conv_1.weight"].shape[2],
            pitch_kernel=tensors["pitch_emb.weight"].shape[2],
        )
    except KeyError as error:
        raise InputError(f"{where} has no weights called {error.args[0]}; it is no FastPitch of Indic-TTS") from None


def hifigan_config(values: Mapping[str, Any], where: Path) -> HiFiGANConfig:
    """HiFi-GAN's sizes from its settings."""
    given = values.get("generator_model_params") or {}
    if values.get("generator_model", "hifigan_generator") != "hifigan_generator":
        raise InputError(f"{where} is a {values['generator_model']!r}; only hifigan_generator is read")
    dilations = given.get("resblock_dilation_sizes", [[1, 3, 5]] * 3)
    base = HiFiGANConfig()
    made = replace(
        base,
        bands=int((values.get("audio") or {}).get("num_mels", base.bands)),
        width=int(given.get("upsample_initial_channel", base.width)),
        rates=tuple(given.get("upsample_factors", base.rates)),
        kernels=tuple(given.get("upsample_kernel_sizes", base.kernels)),
        block="2" if str(given.get("resblock_type", "1")) == "2" else "1",
        block_kernels=tuple(given.get("resblock_kernel_sizes", base.block_kernels)),
        block_dilations=tuple(tuple(each) for each in dilations),
        edge=int(given.get("inference_padding", EDGE)),
    )
    return made


def _mel(values: Mapping[str, Any], where: Path) -> MelConfig:
    """The mel spectrogram of the settings, if it is the published one."""
    audio = values.get("audio") or {}
    for key, wanted in EXPECTED.items():
        if audio.get(key, wanted) != wanted:
            raise InputError(f"{where} has audio.{key} {audio[key]!r}; Indic-TTS has {wanted!r}, others are not read")
    return INDIC_TTS_MEL


def _speakers(folder: Path, count: int) -> tuple[str, ...]:
    """Names of the speakers in the order of their ids."""
    found: Mapping[str, Any] = {}
    for file in ("speakers.json", "speakers.pth"):
        path = folder / file
        if path.is_file():
            found = _settings(path) if path.suffix == ".json" else _plain(path)
            break
    named = {int(place): str(name) for name, place in found.items() if isinstance(place, int)}
    if count and found and sorted(named) != list(range(count)):
        raise InputError(f"{folder} names {len(named)} speakers and its weights have {count}; copy the files again")
    return tuple(named.get(place, f"speaker-{place}") for place in range(count)) or ("default",)


def _plain(path: Path) -> Mapping[str, Any]:
    import torch

    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path} is not a plain table of speakers and is not read") from error
    return values if isinstance(values, Mapping) else {}
