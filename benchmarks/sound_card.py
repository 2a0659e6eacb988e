"""The sheet of the card of `sounds` or `music`: what was asked for beside the clip of that caption; seconds of work.

    python benchmarks/sound_card.py --model sounds [--out out/sounds-card] [--seed 0]
    python benchmarks/sound_card.py --model music
    python benchmarks/sound_card.py --model sounds --speed   # seconds of work a second of sound alone

The captions are the first 16 of trained clips by the SHA-256 of their keys, one of each label: nobody chose them. Needs
the set that the model was trained on. Writes MODEL.png with spectrograms, each beside that of the real clip, and all
that was made as WAV files; prints the real-time factor, all cores, the median of three after one warm-up.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import time
from pathlib import Path

from text2x.audio import Audio
from text2x.data.audioset import AudioSet
from text2x.evaluating import sound_set
from text2x.evaluating.sound_report import spectrogram
from text2x.library import info
from text2x.media import contact_sheet
from text2x.sound_diffusion_generator import SoundDiffusionGenerator
from text2x.sound_library import load_sound
from text2x.sound_requests import MusicRequest, SoundRequest

CAPTIONS, COLUMNS = 16, 8
SHORTEST, REPEATS = 0.5, 3


def chosen(clips: AudioSet) -> list[int]:
    """Indexes of trained clips in the order of the hashes of their keys, one of each label first."""
    order = sorted(clips.split("train").tolist(), key=lambda at: hashlib.sha256(clips.keys[at].encode()).hexdigest())
    firsts = list({clips.clips[at].label: at for at in reversed(order)}.values())
    firsts.sort(key=order.index)
    return [*firsts, *(at for at in order if at not in firsts)][:CAPTIONS]


def made(model: SoundDiffusionGenerator, prompt: str, seed: int, seconds: float) -> Audio:
    """One sound with the model's defaults."""
    ask = SoundRequest if model.kind == "sound" else MusicRequest
    sound = model.generate(ask(prompt, seed=seed, seconds=seconds))[0].media
    assert isinstance(sound, Audio)
    return sound


def factor(model: SoundDiffusionGenerator) -> float:
    """Seconds of work a second of sound."""
    seconds, taken = model.recipe.sampling.seconds, []
    for repeat in range(REPEATS + 1):
        begin = time.perf_counter()
        made(model, "footsteps on gravel", repeat, seconds)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:]) / seconds


def main() -> None:
    """Draw the sheet, or time the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sounds")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    about = info(arguments.model)
    kind = "music" if about.kind == "music" else "sound"
    model = load_sound(arguments.model, kind, "cpu")
    if arguments.speed:
        print(f"{about.name}: {factor(model):.2f} s of work a second of sound")
        return
    clips = sound_set(model.recipe.data_set, None, model.rate)
    longest, folder = model.recipe.data.seconds, arguments.out or Path("out") / f"{about.name}-card"
    tiles, labels = [], []
    for at in chosen(clips):
        real, prompt = clips.audio(at), clips.clips[at].text
        sound = made(model, prompt, arguments.seed, min(max(real.seconds, SHORTEST), longest))
        sound.save(folder / f"{prompt.replace(' ', '-').replace(',', '')}.wav")
        tiles += [spectrogram(sound, longest), spectrogram(real.cut(0, longest), longest)]
        labels += [prompt, "real"]
    contact_sheet(tiles, COLUMNS, labels, scale=1).save(folder / f"{about.name}.png")
    print(folder / f"{about.name}.png")


if __name__ == "__main__":
    main()
