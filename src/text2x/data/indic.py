"""Hindi, Telugu and Marathi as a speech set made by a synthesiser: sentences of ours, said by Debian's Festival.

These are no recordings of people: what is trained on them is distilled from a diphone synthesiser and cannot be better.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

from text2x.data.festival import VOICES, Program, fetch_festival, say
from text2x.data.phone_alignment import FRAME
from text2x.data.recordings import LeftOut, kept_sound, tightened
from text2x.data.speechset import HOP, RATE, Clip, SpeechReport, Spoken, same_words, speech_report, write_speech
from text2x.errors import InputError
from text2x.spoken import Utterance, read

SPEAKER = "nsk"
LICENCE = "GPL-2.0-or-later"
SENTENCES = 400  # of each language: about 20 minutes
MOST_SENTENCES = 5000
ABOUT = {
    "source": "Debian's Festival with the diphone voices festvox-hi-nsk, -te-nsk and -mr-nsk (DONLab, IIT Madras)",
    "label": "distilled from a synthesiser: no recordings of people; one database of diphones for all three languages",
    "licence": "GPL-2.0-or-later (the voices), Apache-2.0 (the sentences)",
    "timing": "exact: the synthesiser's own segments",
    "melody": "a rule of text2x",
}


def sentences(language: str, count: int) -> list[str]:
    """`count` different sentences of a language, always the same: those written out first, then filled templates."""
    written = json.loads(files("text2x.data").joinpath("tables", "indic_sentences.json").read_text("utf-8"))[language]
    made: dict[str, str] = {same_words(text): text for text in written["sentences"]}
    rng = random.Random(f"text2x {language}")
    templates = list(written["templates"])
    tries = 0
    while len(made) < count:
        text = _filled(templates[tries % len(templates)], written["words"], rng)
        made.setdefault(same_words(text), text)
        tries += 1
        if tries > 50 * count:
            raise InputError(f"{count} different sentences cannot be made in {language!r}; ask for fewer")
    return list(made.values())[:count]


def _filled(template: str, words: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """The template with words for its slots, none of them twice."""
    used: set[str] = set()

    def word(match: re.Match[str]) -> str:
        free = [each for each in words[match[1]] if each not in used]
        chosen = rng.choice(free)
        used.add(chosen)
        return chosen

    return re.sub(r"{(\w+)}", word, template)


def prepare_indic(
    target: Path,
    cache: Path,
    languages: Sequence[str] = tuple(VOICES),
    count: int = SENTENCES,
    packages_folder: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> SpeechReport:
    """Let the synthesiser say `count` sentences of each language and write them to `target` as a speech set.

    Festival and its voices are fetched by apt into `cache` and run from there.
    """
    for language in languages:
        if language not in VOICES:
            raise InputError(f"there is no teacher for {language!r}; its languages are {', '.join(VOICES)}")
    if not 1 <= count <= MOST_SENTENCES:
        raise InputError(f"{count} sentences are out of range; ask for 1 to {MOST_SENTENCES} of each language")
    program = fetch_festival(cache, packages_folder)
    left_out = LeftOut()
    written = write_speech(target, _clips(program, languages, count, left_out, on_progress), RATE, HOP, ABOUT)
    return speech_report(target, written, RATE, left_out.lines())


def _clips(
    program: Program,
    languages: Sequence[str],
    count: int,
    left_out: LeftOut,
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[Spoken]:
    """Languages in turn, so that a part of the set holds all of them."""
    texts = [[(language, number, text) for number, text in enumerate(sentences(language, count), 1)]
             for language in dict.fromkeys(languages)]  # fmt: skip
    rows = [each for row in zip_longest(*texts) for each in row if each is not None]
    utterances = [_utterance(text, language) for language, _, text in rows]
    for done, ((language, number, text), made) in enumerate(zip(rows, say(program, utterances), strict=True), 1):
        key = f"{language}/{number:04d}"
        if made is None:
            left_out.add(key, f"the voice could not say it: {text}")
        else:
            short, kept = tightened(made.timed, 0)
            clip = Clip(key, text, language, SPEAKER, short.symbols, short.durations, 0, LICENCE)
            pitch = kept_sound(made.pitch, kept, round(1 / FRAME))
            yield Spoken(clip, kept_sound(made.samples, kept, RATE), pitch)
        if on_progress is not None:
            on_progress(done, len(rows))


def _utterance(text: str, language: str) -> Utterance:
    """The one sentence that a text is; words of other languages keep the phones of this one."""
    found = [each for each in read(text, language).utterances if each.words]
    words = tuple(word for each in found for word in each.words)
    return replace(found[0], text=text, words=words, language=language)
