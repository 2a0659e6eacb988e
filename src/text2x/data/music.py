"""Music that is made here: pieces composed by rule, rendered with a General MIDI SoundFont, their scores kept.

`scores.jsonl` beside the sounds holds the notes of every clip, by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from text2x.audio import Audio
from text2x.data.audioset import Clip, save_audio_set
from text2x.data.composing import captions_of, compose, instruments_of
from text2x.data.rendering import SECONDS, SOUNDFONTS, program, render, soundfont
from text2x.data.scores import Score, from_line, to_line
from text2x.data.sound_clips import PEAK, RATE, SoundReport, sound_report
from text2x.errors import InputError
from text2x.requests import unknown

SCORES = "scores.jsonl"
ITEMS, LENGTH = 600, 8.0  # pieces and seconds of each
MOST = 100_000  # pieces


def prepare_music(
    target: Path,
    cache: Path,
    items: int = ITEMS,
    seconds: float = LENGTH,
    seed: int = 0,
    styles: tuple[str, ...] | list[str] = ("fluid",),
    packages_folder: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> SoundReport:
    """Compose and render `items` pieces of `seconds` and write them to `target`, with their scores.

    Piece i depends on the seed, i, the length and the SoundFont (`styles`: fluid or timgm), which apt fetches into
    `cache`.
    """
    if not 1 <= items <= MOST or seed < 0 or not SECONDS[0] <= seconds <= SECONDS[1]:
        raise InputError(
            f"{items} pieces of {seconds:g} s with seed {seed} are out of range; 1 to {MOST:,} pieces of"
            f" {SECONDS[0]:g} to {SECONDS[1]:g} s, a seed of 0 or more"
        )
    for name in styles:
        if name not in SOUNDFONTS:
            raise unknown("SoundFont", name, SOUNDFONTS)
    if len(styles) != 1:
        raise InputError(f"{len(styles)} SoundFonts for one set; choose one of {', '.join(SOUNDFONTS)}")
    program()
    font = soundfont(styles[0], cache, packages_folder)
    scores = [compose(seed, index, seconds) for index in range(items)]
    chosen = SOUNDFONTS[styles[0]]
    source = f"composed by rule, {chosen.package.name} {chosen.package.version}"
    about = {"source": source, "licence": f"SoundFont: {chosen.licence}; the pieces are nobody's"}
    left_out: list[str] = []

    def sounds() -> Iterator[tuple[Clip, Audio]]:
        for number, (score, sound) in enumerate(zip(scores, render(scores, font, RATE), strict=True)):
            if sound.peak() < -60:
                left_out.append(f"{score.key}: silent; the SoundFont lacks {', '.join(instruments_of(score))}")
            else:
                yield clip_of(score, chosen.licence, source), sound.normalised(peak=PEAK)
            if on_progress is not None:
                on_progress(number + 1, items)

    lines = "\n".join(map(to_line, scores)) + "\n"
    written = save_audio_set(target, target.name, RATE, sounds(), about, {SCORES: lines})
    return sound_report(target, written, left_out)


def clip_of(score: Score, licence: str, about: str) -> Clip:
    """What a set keeps of a piece: captions, its first instrument as the label, a group of its own."""
    captions = captions_of(score)
    return Clip(
        key=score.key,
        start=0,
        frames=1,
        group=score.key,
        text=captions[0],
        licence=licence,
        about=about,
        label=instruments_of(score)[0],
        captions=tuple(dict.fromkeys(captions[1:])),
    )


def read_scores(folder: Path) -> dict[str, Score]:
    """The scores of a prepared set by the keys of its clips; a set without them raises InputError."""
    try:
        lines = (folder / SCORES).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{folder} holds no scores ({type(error).__name__}); prepare it: text2x data prepare music"
        ) from None
    return {score.key: score for score in map(from_line, lines)}
