"""Runs a voice's recipe: speech, phones, networks and objective put together, figures, samples to hear, packing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from text2x.acoustics import AcousticRecipe, Speaking, Told, measure
from text2x.adversarial_speech import AdversarialSpeaking, SpeechGAN
from text2x.audio import Audio, join
from text2x.config import from_dict, to_dict
from text2x.data import dataset_folder
from text2x.data.speech_batches import SpeechBatch, SpeechBatches
from text2x.data.speechset import SPEECH_SPLITS, SpeechSet
from text2x.data.tone_speech import NAME as TONES
from text2x.data.tone_speech import tone_speech
from text2x.errors import InputError
from text2x.files import load_tensors, read_json, write_json, written_aside
from text2x.networks.acoustic import Acoustic, WaveConfig
from text2x.networks.audio_discriminators import AudioDiscriminator
from text2x.packaging import Labels, averaged, recipe_of_run, write_parts
from text2x.speech_models import (
    ACOUSTIC_FILE,
    VOCODER_FILE,
    SpeechModel,
    VocoderPart,
    acoustic_weights,
    load_acoustic,
    wave_vocoder,
)
from text2x.speech_plan import Piece
from text2x.spoken.phone_set import MARKS
from text2x.stand_ins import stand_ins
from text2x.vocoding import GriffinLim, load_vocoder
from text2x.voices import AcousticVoice, Manner
from text2x.weights import Packing

HELD_OUT_BATCHES = 4
HEARD_ITEMS = 6
STATISTICS_BATCHES = 64
FEWEST = 3  # times that a phone is heard; a rarer one is not learned and another stands in


@dataclass(frozen=True)
class SpeechRun:
    """A voice's recipe with its data; makes what a trainer needs."""

    recipe: AcousticRecipe
    speech: SpeechSet
    trainable: Acoustic | SpeechGAN
    objective: Speaking | AdversarialSpeaking
    batches: SpeechBatches
    held_out: tuple[SpeechBatch, ...]
    device: str

    def evaluate(self, trainable: nn.Module) -> dict[str, float]:
        """Errors on sentences that are not trained on, with true durations."""
        return speaking(self.recipe, acoustic_of(trainable), self.device).held_out(self.held_out)

    @torch.no_grad()
    def sample(self, trainable: nn.Module, step: int, folder: Path) -> None:
        """Write a few held-out sentences, as the voice says them, into one file to be heard."""
        acoustic = acoustic_of(trainable)
        vocoder = wave_vocoder(acoustic, self.recipe.mel) or GriffinLim(self.recipe.mel)
        recipe = self.recipe
        voice = AcousticVoice(acoustic, recipe.told)
        heard = []
        for number, index in enumerate(self.speech.split("held-out")[:HEARD_ITEMS]):
            clip = self.speech.clips[int(index)]
            piece = Piece(clip.phones, (-1,) * len(clip.phones), (), clip.language)
            manner = Manner(clip.speaker, 1.0, 0.0, recipe.sampling.steps, recipe.sampling.temperature)
            made = voice.frames(piece, manner, number, recipe.mel.hop / recipe.mel.rate)
            heard.append(Audio(vocoder(made.features)[0].cpu().numpy(), recipe.mel.rate))
        folder.mkdir(parents=True, exist_ok=True)
        join(heard, pause=0.3).save(folder / f"step-{step:07d}.wav")


def acoustic_of(trainable: nn.Module) -> Acoustic:
    """The acoustic model of what is trained."""
    made = trainable.generator if isinstance(trainable, SpeechGAN) else trainable
    assert isinstance(made, Acoustic)
    return made


def speaking(recipe: AcousticRecipe, acoustic: Acoustic, device: str) -> Speaking:
    """The losses of a recipe's acoustic model."""
    marks = [place for place, phone in enumerate(recipe.told.phones) if phone in MARKS]
    return Speaking(acoustic, recipe.objective, recipe.mel, device, marks)


def load_speech(name: str, recipe: AcousticRecipe, data_root: Path | None = None) -> SpeechSet:
    """A prepared speech set by its name or its folder, of the rate and hop of the recipe's mel."""
    if name == TONES:
        speech = tone_speech()
    else:
        folder = Path(name) if "/" in name or "\\" in name else dataset_folder(name, data_root)
        if not folder.is_dir():
            raise InputError(f"no speech set at {folder}; make it with: text2x data prepare {Path(name).name}")
        speech = SpeechSet.load(folder)
    if (speech.rate, speech.hop) != (recipe.mel.rate, recipe.mel.hop):
        raise InputError(
            f"the set {name!r} has {speech.rate} Hz in frames of {speech.hop} samples, the recipe's mel "
            f"{recipe.mel.rate} Hz and {recipe.mel.hop}; set mel.rate and mel.stft.hop, or take another set"
        )
    return speech


def fitted(recipe: AcousticRecipe, speech: SpeechSet) -> AcousticRecipe:
    """The recipe told of the set's phones, languages and speakers."""
    heard = Counter(phone for index in speech.split("train") for phone in speech.clips[int(index)].phones)
    told = Told(speech.phones, speech.languages, speech.speakers, stand_ins(speech.phones, heard, FEWEST))
    text = replace(
        recipe.network.text,
        num_phones=len(speech.phones),
        num_languages=len(speech.languages),
        num_speakers=len(speech.speakers),
    )
    return replace(recipe, network=replace(recipe.network, text=text, mel_bands=recipe.mel.bands), told=told)


def prepare_speech_run(recipe: AcousticRecipe, device: str = "cpu", data_root: Path | None = None) -> SpeechRun:
    """Load the data and make the networks from the recipe's seed, with the statistics of the data."""
    speech = load_speech(recipe.data_set, recipe, data_root)
    recipe = fitted(recipe, speech)
    torch.manual_seed(recipe.training.seed)
    acoustic = Acoustic(recipe.network)
    whole = SpeechBatches(speech, replace(recipe.data, join=0.0))
    measure(acoustic, first(whole.in_order(), STATISTICS_BATCHES), recipe.mel)
    held = tuple(first(SpeechBatches(speech, replace(recipe.data, split="held-out", join=0.0)).in_order(), None))
    held = held[:: max(1, len(held) // HELD_OUT_BATCHES)][:HELD_OUT_BATCHES]
    acoustic = acoustic.to(device)
    batches = SpeechBatches(speech, recipe.data)
    if not isinstance(recipe.network.decoder, WaveConfig):
        return SpeechRun(recipe, speech, acoustic, speaking(recipe, acoustic, device), batches, held, device)
    gan = SpeechGAN(acoustic, AudioDiscriminator(recipe.adversary.discriminator).to(device))
    objective = AdversarialSpeaking(gan, speaking(recipe, acoustic, device), recipe.adversary)
    return SpeechRun(recipe, speech, gan, objective, batches, held, device)


def first(batches: Iterator[SpeechBatch], most: int | None) -> Iterator[SpeechBatch]:
    """At most so many batches."""
    for number, batch in enumerate(batches):
        if number == most:
            return
        yield batch


def predict_mels(folder: Path, target: Path, device: str = "cpu", data_root: Path | None = None) -> int:
    """Write the mels of a run's whole data as its voice makes them with true durations and pitch, and count them.

    One file a clip, KEY.npy [M, F] float32: what a vocoder is sharpened on by `--set data.predicted=FOLDER`.
    """
    recipe = from_dict(AcousticRecipe, read_json(folder / "recipe.json"), where="recipe.json")
    path = folder / "averages" / f"{recipe.training.averages[0]}.safetensors"
    speech = load_speech(recipe.data_set, recipe, data_root)
    return write_mels(recipe, load_acoustic(recipe, path, device), speech, target)


@torch.inference_mode()
def write_mels(recipe: AcousticRecipe, acoustic: Acoustic, speech: SpeechSet, target: Path) -> int:
    """As `predict_mels`, with a network and its data; chance comes from each clip's number."""
    if isinstance(recipe.network.decoder, WaveConfig):
        raise InputError(
            f"{recipe.name} makes waves and no mels, and has a vocoder of its own; there is none to sharpen"
        )
    judge = speaking(recipe, acoustic, str(acoustic.mel_mean.device))
    voice, sampling, count = AcousticVoice(acoustic, recipe.told), recipe.sampling, 0
    manner = Manner("", 1.0, 0.0, sampling.steps, sampling.temperature, sampling.sampler)
    for split in SPEECH_SPLITS:
        alone = replace(recipe.data, split=split, batch_size=1, join=0.0)
        for batch in SpeechBatches(speech, alone).in_order():
            index = int(batch.items[0])
            ready = judge.prepare(batch, None)
            mel = voice.decoded(judge.frames(ready), ready.expansion.mask, manner, index)[0]
            path = target / f"{speech.clips[index].key}.npy"
            with written_aside(path, durable=False) as aside:
                np.save(aside, mel.float().cpu().numpy())
            count += 1
    return count


def ship_voice(
    folder: Path, target: Path, labels: Labels, vocoder: Path | None = None, vocoder_packing: Packing = "float16"
) -> SpeechModel:
    """Write a voice's folder from a training run and a vocoder's folder (a run or a packed one; None: Griffin-Lim)."""
    recipe = recipe_of_run(AcousticRecipe, folder)
    tensors = load_tensors(averaged(folder, recipe.training, labels.average))
    parts: dict[str, tuple[dict[str, torch.Tensor], Packing]] = {
        ACOUSTIC_FILE: (acoustic_weights(tensors), labels.packing)
    }
    part = None
    if vocoder is not None and not isinstance(recipe.network.decoder, WaveConfig):
        found = load_vocoder(vocoder)
        if found.mel != recipe.mel:
            raise InputError(f"the vocoder in {vocoder} hears other mels than {recipe.name} makes; train one with its")
        part = VocoderPart(found.network.config, found.mel)
        parts[VOCODER_FILE] = (dict(found.network.state_dict()), vocoder_packing)
    told = write_parts(target, parts)
    model = SpeechModel(*labels.titles(recipe.summary), recipe, part, told, attribution=labels.attribution)
    write_json(target / "recipe.json", to_dict(model))
    return model
