"""A teacher for India's languages: Debian's Festival with the diphone voices NSK, driven phone by phone.

What is said, how it is stressed and its melody come from here; sound and exact times of the phones from Festival. The
three voices share one database of diphones; they differ in the lengths of phones.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from text2x.alignment import rounded
from text2x.audio import Audio
from text2x.data.debian import DebianPackage, fetch_debian, fetch_programs, unpack
from text2x.data.phone_alignment import FRAME, Timed
from text2x.errors import InputError
from text2x.spoken.phone_set import SILENCE, is_silence
from text2x.spoken.script import Utterance

TIMEOUT = 300  # seconds for CHUNK sentences
CHUNK = 25  # sentences of one run of the program
STRETCH = 1.25  # of the voices' own lengths; 1.4, their default, is slow
BASE, FALL = 128.0, 24.0  # Hz at the beginning of a sentence, and how much lower its end is: a man's voice

VOICES = {"hi": "hindi", "te": "telugu", "mr": "marathi"}
PACKAGES = (
    DebianPackage("festvox-hi-nsk", "0.1-11", "7d3d822f115fb318e3264cbbe769bfed477150a5f7afa82c80760de92793be55"),
    DebianPackage("festvox-te-nsk", "0.3.3-6", "d52ff0038abf134d648046e3479f78e548728621c39649e615c48a8ae41b44b8"),
    DebianPackage("festvox-mr-nsk", "0.1-11", "2e686ab0ef1cb5e273aa9f81751266a29e897a9533df4dc91882abc9c0495ab1"),
    DebianPackage("festival-hi", "0.1-11", "27c569572a05fb5e97438aeb0a54b17523d97cd0a73ad7cdbd7d6d319e4c4a94"),
    DebianPackage("festival-te", "0.3.3-6", "13a3a6a489e32d8c0acf9ecf02ce95c2c9956260d105bd1ba7e86b81f9b32de3"),
    DebianPackage("festival-mr", "0.1-11", "891943fd17df745cc55b1b7d9f3f8bbd704d3e7124dfb405d0b8bd27682336ac"),
)

# IPA to the phones of the database, which was made for Tamil; sounds that it lacks as its voices' own rules have them
VOWELS = {
    "a": "a", "aː": "aa", "i": "ih", "iː": "iy", "u": "uh", "uː": "uw", "e": "eh", "eː": "ee", "ai": "ay", "o": "oh",
    "oː": "oo", "au": "aw", "æ": "ay", "ɔ": "oo",
}  # fmt: skip
CONSONANTS = {
    "k": "k", "kʰ": "kh", "ɡ": "g", "ɡʱ": "g h", "ŋ": "n", "tʃ": "ch", "tʃʰ": "ch h", "dʒ": "j", "dʒʱ": "j h", "ɲ": "n",
    "ʈ": "T", "ʈʰ": "T h", "ɖ": "D", "ɖʱ": "D h", "ɳ": "N", "t": "th", "tʰ": "tth", "d": "dh", "dʱ": "ddh", "n": "n",
    "p": "p", "pʰ": "f", "b": "b", "bʱ": "bh", "m": "m", "j": "y", "r": "r", "l": "l", "ʋ": "v", "ʃ": "sh", "ʂ": "sh",
    "s": "s", "ɦ": "h", "ɭ": "L", "ɻ": "L", "ɽ": "D", "ɽʱ": "D h", "q": "k", "x": "kh", "ɣ": "g", "z": "j", "f": "f",
    "ʒ": "j",
}  # fmt: skip
VOICELESS = frozenset(["k", "kʰ", "tʃ", "tʃʰ", "ʈ", "ʈʰ", "t", "tʰ", "p", "pʰ", "q", "x", "f", "s", "ʃ", "ʂ"])
VOICE_VOWELS = frozenset(VOWELS.values())
PLAIN = {"kh": "k", "bh": "b", "tth": "th", "ddh": "dh", "L": "l", "N": "n"}  # what is said where a diphone is missing
GROUP = "usr/share/festival/voices/hindi/hindi_NSK_diphone/group/NSKlpc.group"

Spelled = list[list[list[str]]]  # words, phones of ours, phones of the voice


@dataclass(frozen=True)
class Program:
    """Festival, unpacked below `root`."""

    root: Path

    def run(self, script: str) -> str:
        """Run a script in Festival's language; returns what it said of faults. Nothing of the machine's own is read."""
        share = self.root / "usr" / "share" / "festival"
        libraries = [path for path in (self.root / "usr" / "lib").glob("*-linux-gnu*") if path.is_dir()]
        paths = [str(path) for each in libraries for path in (each, each / "pulseaudio")]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "say.scm"
            file.write_text(script, encoding="utf-8")
            command = [str(self.root / "usr/bin/festival"), "-b", "--datadir", str(share), "--libdir", str(share)]
            environment = {"LD_LIBRARY_PATH": ":".join(paths), "HOME": folder, "PATH": "/usr/bin:/bin"}
            try:
                done = subprocess.run(
                    [*command, str(file)], env=environment, capture_output=True, timeout=TIMEOUT, check=False
                )
            except subprocess.TimeoutExpired:
                return "it took too long"
            except OSError as error:
                raise InputError(f"Festival does not run here: {error.strerror}; prepare the set on Debian") from None
        return done.stderr.decode("utf-8", "replace")

    def diphones(self) -> frozenset[str]:
        """The pairs of phones that the voices have, such as "k-aa"."""
        with (self.root / GROUP).open("rb") as file:
            head = [file.readline().split() for _ in range(12)]
            count = next(int(row[1]) for row in head if row[:1] == [b"NumEntries"])
            rows = [row for row in head if len(row) == 4]
            rows += [file.readline().split() for _ in range(count - len(rows))]
        return frozenset(row[0].decode("ascii") for row in rows if row)


def fetch_festival(cache: Path, packages: Path | None = None) -> Program:
    """Festival and its voices out of `cache`, unpacked there; apt fetches what is missing, nothing is installed."""
    root = cache / "programs" / "festival"
    voices = [fetch_debian(package, cache, packages) for package in PACKAGES]
    if not (root / "usr/bin/festival").is_file():
        unpack([*fetch_programs(["festival"], cache), *voices], root)
    program = Program(root)
    said = program.run("(voice_hindi_NSK_diphone)")
    if "error" in said.lower():
        raise InputError(f"Festival does not run here ({said.strip().splitlines()[0]}); prepare the set on Debian")
    return program


def voice_phones(phone: str) -> list[str]:
    """A phone of PHONES as the voices' own, one or two; a nasal vowel is followed by a short n there."""
    if phone.endswith("~"):
        return [VOWELS[phone.rstrip("~")], "n"]
    return (VOWELS.get(phone) or CONSONANTS[phone]).split()


def spelled(utterance: Utterance, diphones: frozenset[str]) -> Spelled:
    """An utterance in the voices' phones; one that has no diphone with its neighbour is said without aspiration."""
    words = [[voice_phones(phone) for phone in word.phones] for word in utterance.words]
    row: list[tuple[list[str], int] | None] = [None]  # None: a pause
    for word, phones in zip(utterance.words, words, strict=True):
        row += [(own, place) for own in phones for place in range(len(own))]
        row += [None] if word.mark else []
    for first, second in zip(row, row[1:], strict=False):
        a, b = ("pau" if each is None else each[0][each[1]] for each in (first, second))
        if f"{a}-{b}" in diphones:
            continue
        for place, said in ((first, a), (second, b)):
            if place is not None and said in PLAIN:
                place[0][place[1]] = PLAIN[said]
                break
    return words


def syllables(phones: Sequence[str]) -> list[list[str]]:
    """The voices' phones of a word by syllables: one consonant begins each, those before it close the one before."""
    vowels = [place for place, phone in enumerate(phones) if phone in VOICE_VOWELS]
    starts = [0]
    for before, here in zip(vowels, vowels[1:], strict=False):
        starts.append(here if here - before == 1 else here - 1)
    return [list(phones[a:b]) for a, b in zip(starts, [*starts[1:], len(phones)], strict=True)]


def melody(words: Sequence[int], marks: Sequence[str]) -> list[tuple[float, float, float]]:
    """Pitch in Hz at the beginning, middle and end of each syllable; `words` are syllable counts, `marks` what follows.

    It declines through the sentence, and rises through each word, low on the first syllable and high on the last (Khan
    2014, in Jun's Prosodic Typology II, of Bengali); it falls at a full stop and rises at a question or a comma. The
    rule is ours, and a student of this teacher learns no more than it.
    """
    total, at = sum(words), 0
    made: list[tuple[float, float, float]] = []
    for count, mark in zip(words, marks, strict=True):
        for number in range(count):
            base = BASE - FALL * at / max(1, total - 1) + (8 if marks[-1] == "!" else 0)
            share = [(number + part) / count for part in (0.0, 0.5, 1.0)]
            rise = [-6 + 16 * each for each in share]
            if mark in (".", "!") and number == count - 1:
                rise = [rise[0], -4.0, -18.0]
            elif mark == "?" and number == count - 1:
                rise = [rise[0], 14.0, 48.0]
            elif mark == "," and number == count - 1:
                rise = [rise[0], rise[1] + 4, rise[2] + 14]
            made.append((base + rise[0], base + rise[1], base + rise[2]))
            at += 1
    return made


def stretches(words: Sequence[int], marks: Sequence[str]) -> list[float]:
    """How much longer than usual each word is: short words and those before a pause are, long words are not."""
    short = [1.12 - 0.04 * min(count, 5) for count in words]
    return [each * (1.16 if mark else 1.0) for each, mark in zip(short, marks, strict=True)]


def letters_of(number: int) -> str:
    """A name of letters alone: the voices read no figures."""
    name = ""
    while True:
        number, rest = divmod(number, 26)
        name = chr(ord("a") + rest) + name
        if not number:
            return f"w{name}"


@dataclass(frozen=True)
class Said:
    """What the voice made of an utterance: when each symbol is said, the sound [T] at 16 kHz, the pitch of frames."""

    timed: Timed
    samples: NDArray[np.floating]
    pitch: NDArray[np.floating]  # [F] Hz, 0 without voice


def say(program: Program, utterances: Sequence[Utterance]) -> Iterator[Said | None]:
    """Each utterance as the voice says it, None where it cannot."""
    diphones = program.diphones()
    for start in range(0, len(utterances), CHUNK):
        part = [(each, spelled(each, diphones)) for each in utterances[start : start + CHUNK]]
        with tempfile.TemporaryDirectory() as folder:
            for language in dict.fromkeys(utterance.language for utterance, _ in part):
                chosen = [n for n, (utterance, _) in enumerate(part) if utterance.language == language]
                program.run(script_of([part[n] for n in chosen], chosen, language, Path(folder)))
                for n in chosen:  # one sentence that ends the program must not take the others with it
                    if not (Path(folder) / f"{n}.wav").is_file():
                        program.run(script_of([part[n]], [n], language, Path(folder)))
            for n, (utterance, words) in enumerate(part):
                yield _read(Path(folder) / f"{n}", utterance, words)


def script_of(
    utterances: Sequence[tuple[Utterance, Spelled]], names: Sequence[int], language: str, folder: Path
) -> str:
    """A program of Festival's: words as entries of its lexicon, sentences as texts of them with their melody."""
    lines = [
        f"(voice_{VOICES[language]}_NSK_diphone)",
        "(set! token_to_words (lambda (token name) (item.set_feat token 'dur_stretch (car lengths))"
        " (if (cdr lengths) (set! lengths (cdr lengths))) (list name)))",
        "(define (targets utt syl) (let ((p (car pitches)) (a (item.feat syl 'syllable_start))"
        " (b (item.feat syl 'syllable_end))) (set! pitches (cdr pitches))"
        " (list (list a (car p)) (list (/ (+ a b) 2) (cadr p)) (list b (car (cddr p))))))",
        "(set! int_general_params (list (list 'targ_func targets)))",
        "(Parameter.set 'Int_Method 'General)",
        "(Parameter.set 'Int_Target_Method 'General)",
        f"(Parameter.set 'Duration_Stretch {STRETCH})",
        "(define (say words name l p) (set! lengths l) (set! pitches p)"
        " (let ((u (utt.synth (eval (list 'Utterance 'Text words)))))"
        ' (utt.save.segs u (string-append name ".segs")) (utt.save.wave u (string-append name ".wav") \'riff)))',
    ]
    entries: dict[tuple[str, ...], str] = {}
    sentences: list[str] = []
    for name, (utterance, words) in zip(names, utterances, strict=True):
        said: list[str] = []
        counts: list[int] = []
        for word, own in zip(utterance.words, words, strict=True):
            phones = tuple(each for phone in own for each in phone)
            parts = syllables(phones)
            entry = entries.setdefault(phones, letters_of(len(entries)))
            said.append(entry + word.mark)
            counts.append(len(parts))
        pitches = melody(counts, [word.mark for word in utterance.words])
        listed = " ".join("(" + " ".join(f"{hz:.1f}" for hz in each) + ")" for each in pitches)
        lengths = " ".join(f"{each:.3f}" for each in stretches(counts, [word.mark for word in utterance.words]))
        sentences.append(f'(say "{" ".join(said)}" "{folder / str(name)}" \'({lengths}) \'({listed}))')
    for phones, entry in entries.items():
        spelled = " ".join(f"(({' '.join(each)}) 0)" for each in syllables(phones))
        lines.append(f'(lex.add.entry \'("{entry}" content ({spelled})))')
    return "\n".join([*lines, *sentences]) + "\n"


def _read(path: Path, utterance: Utterance, words: Spelled) -> Said | None:
    """What Festival wrote, its segments joined to our symbols; None if it is not what was asked for."""
    sound, segments = path.with_suffix(".wav"), path.with_suffix(".segs")
    if not sound.is_file() or not segments.is_file():
        return None
    rows = [re.split(r"\s+", line.strip()) for line in segments.read_text("utf-8").splitlines()]
    pairs = [(row[2], float(row[0])) for row in rows if len(row) == 3]
    audio = Audio.read(sound)
    joined = _join(pairs, utterance, words)
    if joined is None:
        return None
    symbols, ends, places = joined
    frames = audio.frames // round(audio.rate * FRAME)
    timed = Timed(tuple(symbols), tuple(rounded(ends, FRAME, frames)), tuple(places), 0.0)
    sound = audio.samples[0, : frames * round(audio.rate * FRAME)]
    return Said(timed, sound, _pitch(timed, pairs, utterance, words))


def _pitch(
    timed: Timed, pairs: Sequence[tuple[str, float]], utterance: Utterance, words: Spelled
) -> NDArray[np.floating]:
    """[F] the melody that was asked for, where our phones have voice."""
    parts = [syllables([each for phone in own for each in phone]) for own in words]
    pitches = melody([len(each) for each in parts], [word.mark for word in utterance.words])
    spoken = [(start, end) for (_, start), (name, end) in zip(pairs, pairs[1:], strict=False) if name != "pau"]
    times: list[float] = []
    at = 0
    for syllable in (each for word in parts for each in word):
        begin, end = spoken[at][0], spoken[at + len(syllable) - 1][1]
        times += [begin, (begin + end) / 2, end]
        at += len(syllable)
    frames = (np.arange(sum(timed.durations)) + 0.5) * FRAME
    track = np.interp(frames, times, [hz for each in pitches for hz in each])
    voiced = [not is_silence(symbol) and symbol not in VOICELESS for symbol in timed.symbols]
    return np.where(np.repeat(voiced, timed.durations), track, 0.0)


def _join(
    pairs: Sequence[tuple[str, float]], utterance: Utterance, words: Spelled
) -> tuple[list[str], list[float], list[int]] | None:
    """Symbols, the seconds at which each ends, and their words."""
    rest = list(pairs)
    if not rest or rest.pop(0)[0] != "pau":
        return None
    symbols, ends, places = [SILENCE], [pairs[0][1]], [-1]
    for number, (word, spelled_word) in enumerate(zip(utterance.words, words, strict=True)):
        for phone, own in zip(word.phones, spelled_word, strict=True):
            if [name for name, _ in rest[: len(own)]] != own:
                return None
            ends.append(rest[len(own) - 1][1])
            del rest[: len(own)]
            symbols.append(phone)
            places.append(number)
        paused = bool(rest) and rest[0][0] == "pau"
        if paused or word.mark:
            ends.append(rest.pop(0)[1] if paused else ends[-1])
            symbols.append(word.mark or SILENCE)
            places.append(number)
    return (symbols, ends, places) if not rest and is_silence(symbols[-1]) else None
