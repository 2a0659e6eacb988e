"""How well is a voice understood, how natural does a network find it, and how fast is it? Beside people and espeak-ng.

    python benchmarks/speech.py                              # voice-en: intelligibility and naturalness
    python benchmarks/speech.py --model runs/voice --vocoder runs/vocoder
    python benchmarks/speech.py --model runs/voice-gan --alone   # its own rows, without recordings, espeak-ng and noise
    python benchmarks/speech.py --speed                      # seconds and memory
    python benchmarks/speech.py --teacher                    # voice-indic against the synthesiser that it learned from

Sentences: the recordings of the data set that were not trained on, and the first 30 of the Harvard sentences (IEEE
1969, lists 1 to 3), which share no sentence with the training. pocketsphinx, which hears them, also aligned the
training data, so that its errors are below those of a stranger; DNSMOS is a network's opinion, not a listener's.
espeak-ng is asked where the program is installed. Floor: noise says nothing.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

import text2x
from text2x.audio import Audio
from text2x.audio_files import read
from text2x.data import dataset_folder
from text2x.data.speechset import SpeechSet
from text2x.library import load_voice
from text2x.metrics.dnsmos import dnsmos
from text2x.metrics.metric import Metric
from text2x.metrics.recognition import identification, recogniser
from text2x.metrics.speech import against_reference, recognition, words_of
from text2x.signal import mel_spectrogram
from text2x.speech_generator import SpeechGenerator
from text2x.vocoding import Vocoder

HARVARD = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It's easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck.",
    "The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us.",
    "A large size in stockings is hard to sell.",
    "The boy was there when the sun rose.",
    "A rod is used to catch pink salmon.",
    "The source of the huge river is the clear spring.",
    "Kick the ball straight and follow through.",
    "Help the woman get back to her feet.",
    "A pot of tea helps to pass the evening.",
    "Smoky fires lack flame and heat.",
    "The soft cushion broke the man's fall.",
    "The salt breeze came across from the sea.",
    "The girl at the booth sold fifty bonds.",
    "The small pup gnawed a hole in the sock.",
    "The fish twisted and turned on the bent hook.",
    "Press the pants and sew a button on the vest.",
    "The swan dive was far short of perfect.",
    "The beauty of the view stunned the young boy.",
    "Two blue fish swam in the tank.",
    "Her purse was full of useless trash.",
    "The colt reared and threw the tall rider.",
    "It snowed, rained, and hailed the same morning.",
    "Read verse out loud for pleasure.",
)
SHORTEST = 1.5  # seconds: DNSMOS repeats what is shorter until it says little about the voice
SEED = 0
LONG = " ".join(HARVARD)
Say = Callable[[str], Audio]


def held_out(data: str, limit: int | None) -> list[tuple[str, Audio]]:
    """Text and recording of clips that were not trained on; texts that are said alike once."""
    clips = SpeechSet.load(dataset_folder(data))
    found: dict[tuple[str, ...], tuple[str, Audio]] = {}
    for place in clips.split("held-out"):
        clip = clips.clips[int(place)]
        sound = Audio(clips.samples_of(int(place)).astype(np.float32)[None] / 32768, clips.rate)
        found.setdefault(words_of(clip.text), (clip.text, sound))
    return list(found.values())[:limit]


def said_by(voice: SpeechGenerator) -> Say:
    """A function that says a text by a voice of ours."""

    def say(text: str) -> Audio:
        sound = voice.generate(text2x.SpeechRequest(text, seed=SEED))[0].media
        assert isinstance(sound, Audio)
        return sound

    return say


def said_by_espeak(text: str) -> Audio:
    """The same by espeak-ng's usual English voice."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        subprocess.run(["espeak-ng", "-v", "en-us", "-w", str(path), text], check=True)
        return read(path)


def noise(text: str) -> Audio:
    """A second and a half of noise."""
    return Audio(np.random.default_rng(len(text)).normal(0, 0.1, (1, 24_000)).astype(np.float32), 16_000)


def row(name: str, sentences: str, sounds: Sequence[Audio], texts: Sequence[str]) -> str:
    """One line of the table."""
    heard = recognition(sounds, texts, recogniser())
    told = identification(sounds, texts, range(len(texts)))["identified"]
    opinion = dnsmos([each for each in sounds if each.seconds >= SHORTEST])
    cells = [
        name,
        sentences,
        figure(heard["wer"]),
        figure(heard["cer"]),
        f"{round(told.value * told.n)} of {told.n}",
        f"{figure(opinion['overall'], 2)}, N {opinion['overall'].n}",
        *(f"{opinion[part].value:.2f}" for part in ("signal", "background", "p808")),
    ]
    return f"| {' | '.join(cells)} |"


def figure(value: Metric, digits: int = 3) -> str:
    """As "0.123 (0.100 to 0.150)"."""
    return f"{value.value:.{digits}f} ({value.low:.{digits}f} to {value.high:.{digits}f})"


def table(voice: SpeechGenerator, data: str, limit: int | None, alone: bool = False) -> None:
    """How well it is understood and what DNSMOS says."""
    recorded = held_out(data, limit)
    texts = [text for text, _ in recorded]
    print(
        "| who | sentences | word errors | character errors | identified | DNSMOS overall | signal | backgr. | P.808 |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    if not alone:
        print(row("recording", "held out", [sound for _, sound in recorded], texts), flush=True)
        copies = [copied(voice.vocoder, sound) for _, sound in recorded]
        print(row("recording through our vocoder", "held out", copies, texts), flush=True)
    speakers: dict[str, Say] = {voice.name: said_by(voice)}
    if shutil.which("espeak-ng") and not alone:
        speakers["espeak-ng"] = said_by_espeak
    for name, say in speakers.items():
        for where, said in (("held out", texts), ("Harvard", HARVARD[:limit])):
            print(row(name, where, [say(text) for text in said], said), flush=True)
    if alone:
        return
    floor = recognition([noise(text) for text in HARVARD], HARVARD, recogniser())["wer"]
    print(f"| noise | Harvard | {figure(floor)} | | | | | | |")


@torch.no_grad()
def copied(vocoder: Vocoder, sound: Audio) -> Audio:
    """A recording's mel frames made audible again."""
    frames = mel_spectrogram(sound.resample(vocoder.rate).tensor(), vocoder.mel)
    return Audio(vocoder(frames).numpy(), vocoder.rate)


def speed(model: str, vocoder: Path | None, repeats: int) -> None:
    """Seconds and memory, on one thread."""
    torch.set_num_threads(1)
    voice = load_voice(model, "cpu", vocoder=vocoder)
    say = said_by(voice)
    say("Ready.")
    busy, wall, sound = [], [], 0.0
    for _ in range(repeats):
        begin, clock = time.process_time(), time.perf_counter()
        sound = say(LONG).seconds
        busy.append((time.process_time() - begin) / sound)
        wall.append((time.perf_counter() - clock) / sound)
    first = []
    for _ in range(repeats):
        clock = time.perf_counter()
        next(iter(voice.generate_stream(text2x.SpeechRequest(LONG, seed=SEED))))
        first.append(1000 * (time.perf_counter() - clock))
    print("| what | median | lowest to highest | goal |\n|---|---|---|---|")
    print(f"| seconds of one core a second of speech, {sound:.0f} s of it | {spread(busy, 4)} | 0.03 |")
    print(f"| the same by the clock | {spread(wall, 4)} | 0.03 |")
    print(f"| first sound of a long text, ms after loading | {spread(first, 0)} | 150 |")
    whole = [process(model, vocoder) for _ in range(repeats)]
    print(f"| whole process for one sentence, s | {spread([each[0] for each in whole], 2)} | 3 |")
    print(f"| the same, CPU s | {spread([each[1] for each in whole], 2)} | |")
    print(f"| its peak memory, MB | {spread([each[2] for each in whole], 0)} | 600 |")


def spread(values: Sequence[float], digits: int) -> str:
    """As "median | lowest to highest"."""
    return f"{statistics.median(values):.{digits}f} | {min(values):.{digits}f} to {max(values):.{digits}f}"


# Runs in a process of its own: the peak of a process's children is that of the largest one that it ever had.
CHILD = """
import json, resource, subprocess, sys, time
clock = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([time.perf_counter() - clock, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def process(model: str, vocoder: Path | None) -> tuple[float, float, float]:
    """Seconds, CPU seconds and MB of `text2x speech` for one sentence."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "text2x", "speech", "Your table is ready at half past seven."]
        command += ["--model", model, "-o", str(Path(folder) / "a.wav"), "--threads", "1"]
        command += ["--vocoder", str(vocoder)] if vocoder else []
        made = subprocess.run([sys.executable, "-c", CHILD, *command], check=True, capture_output=True, text=True)
        seconds, busy, memory = json.loads(made.stdout)
        return seconds, busy, memory


def teacher(voice: SpeechGenerator, data: str, limit: int | None) -> None:
    """Distance to the synthesiser that it learned from, on sentences that it was not trained on: circular."""
    clips = SpeechSet.load(dataset_folder(data))
    parts: dict[str, list[int]] = {}
    for place in clips.split("held-out"):
        parts.setdefault(clips.clips[int(place)].language, []).append(int(place))
    print(
        "| language | sentences | mel-cepstral distance, dB | pitch, semitones | voicing | length over the teacher's |"
    )
    print("|---|---|---|---|---|---|")
    for language, places in parts.items():
        chosen = places[:limit]
        references = [Audio(clips.samples_of(each).astype(np.float32)[None] / 32768, clips.rate) for each in chosen]
        made = [said_in(voice, clips.clips[each].text, language) for each in chosen]
        found: Mapping[str, Metric] = against_reference(made, references)
        cells = [figure(found[name], 2) if name in found else "" for name in ("mcd", "pitch", "voicing", "longer")]
        print(f"| {language} | {len(chosen)} | {' | '.join(cells)} |", flush=True)


def said_in(voice: SpeechGenerator, text: str, language: str) -> Audio:
    """A text in a language by a voice."""
    sound = voice.generate(text2x.SpeechRequest(text, language=language, seed=SEED))[0].media
    assert isinstance(sound, Audio)
    return sound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a voice; otherwise voice-en, or voice-indic with --teacher")
    parser.add_argument("--vocoder", type=Path, help="the folder of another vocoder")
    parser.add_argument("--data", help="otherwise asterisk, or indic with --teacher")
    parser.add_argument("--limit", type=int, help="sentences of each kind")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--teacher", action="store_true")
    parser.add_argument("--alone", action="store_true", help="the rows of the voice alone")
    given = parser.parse_args()
    model = given.model or ("voice-indic" if given.teacher else "voice-en")
    if given.speed:
        return speed(model, given.vocoder, given.repeats)
    voice = load_voice(model, "cpu", vocoder=given.vocoder)
    if given.teacher:
        return teacher(voice, given.data or "indic", given.limit)
    return table(voice, given.data or "asterisk", given.limit, given.alone)


if __name__ == "__main__":
    main()
