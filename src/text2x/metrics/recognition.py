"""What pocketsphinx hears: any English sentence, or which of a closed set. A weak recogniser that needs no network.

It also aligns the training data, so only ratios to natural speech mean something; say so beside each figure.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from text2x.audio import Audio
from text2x.data.phone_alignment import readings
from text2x.errors import InputError
from text2x.metrics.intervals import rate
from text2x.metrics.metric import Metric, exact, same_length
from text2x.spoken import Utterance, read, without_stress

RATE = 16_000  # Hz, of its acoustic model
PAD = 0.2  # seconds of near silence on both sides: the model expects some
SPACE = "pocketsphinx en-us"
INSTALL = "pip install 'text2x[eval]'"


def recogniser() -> Callable[[Audio], str]:
    """A function that hears English with the language model that comes with the package."""
    decoder = _decoder()(cmn="batch", loglevel="FATAL")  # batch: not led by what was heard before
    return lambda sound: _hear(decoder, sound)


def closed_set(sentences: Sequence[str]) -> Callable[[Audio], int | None]:
    """A function that tells which of the sentences is said, None if none; each may be said once in the set only."""
    if len(sentences) < 2:
        raise InputError(f"{len(sentences)} sentences are no choice; give at least 2")
    utterances = [[each for each in read(text).utterances if each.words] for text in sentences]
    names: dict[tuple[tuple[str, ...], ...], str] = {}
    spelled = [" ".join(_name(names, each) for each in group) for group in utterances]
    if len(set(spelled)) < len(spelled):
        raise InputError("two of the sentences sound alike; each must be there once")
    with tempfile.TemporaryDirectory() as folder:
        dictionary = Path(folder) / "words.dict"
        lines = [
            f"{name if not number else f'{name}({number + 1})'} {' '.join(map(without_stress, phones))}"
            for said, name in names.items()
            for number, phones in enumerate(said)
        ]
        dictionary.write_text("\n".join(lines) + "\n", encoding="ascii")
        decoder = _decoder()(dict=str(dictionary), lm=None, cmn="batch", loglevel="FATAL")
    grammar = "#JSGF V1.0;\ngrammar set;\npublic <said> = " + " | ".join(f"({each})" for each in spelled) + ";\n"
    decoder.add_jsgf_string("set", grammar)
    decoder.activate_search("set")
    places = {each: place for place, each in enumerate(spelled)}
    return lambda sound: places.get(_hear(decoder, sound))


def identification(sounds: Sequence[Audio], sentences: Sequence[str], wanted: Sequence[int]) -> dict[str, Metric]:
    """How many sounds are taken for the sentence that they should say ("identified"), and what chance would give."""
    same_length({"sounds": sounds, "sentences wanted": wanted})
    tell = closed_set(sentences)
    hits = [float(tell(sound) == place) for sound, place in zip(sounds, wanted, strict=True)]
    space = f"{SPACE}, 1 of {len(sentences)}"
    return {"identified": rate(hits, space), "chance": exact(1 / len(sentences), len(sounds), space)}


def _name(names: dict[tuple[tuple[str, ...], ...], str], utterance: Utterance) -> str:
    """The words of a sentence as entries of a dictionary of their own."""
    said = [readings(word.spoken, word.phones) for word in utterance.words]
    return " ".join(names.setdefault(each, f"w{len(names)}") for each in said)


def _hear(decoder: Any, sound: Audio) -> str:
    samples = sound.to_mono().resample(RATE).to_int16()[0]
    noise = np.random.default_rng(0).integers(-3, 4, (2, round(PAD * RATE))).astype(np.int16)
    try:
        decoder.start_utt()
        decoder.process_raw(np.concatenate([noise[0], samples, noise[1]]).tobytes(), full_utt=True)
        decoder.end_utt()
    except RuntimeError:
        return ""
    found = decoder.hyp()
    return found.hypstr if found is not None else ""


def _decoder() -> Any:
    try:
        from pocketsphinx import Decoder
    except ImportError:
        raise InputError(f"pocketsphinx is needed to recognise speech and is not installed; {INSTALL}") from None
    return Decoder
