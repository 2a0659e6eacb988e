"""Short captions of clips as longer ones, by templates: what is seen, how it moves, if it repeats, how it is drawn.

Sora's report (OpenAI 2024) trains on long descriptions and makes long ones of short prompts. Here sentences are built
from what is known of a clip: nothing is made up, and a wording depends on the caption and a seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from text2x.data.captions import join_words, with_article

KNOWN_MOTION = 10.0  # of the scale on which motion is told: 0 the stillest of the training clips, 10 the liveliest
SHORT, LONG = 1.0, 4.0  # seconds: below the first a clip is called brief, above the second long

OPENINGS = (
    "{named}.",
    "An animation of {named}.",
    "A moving picture of {named}.",
    "The clip shows {named}.",
    "{named}, animated.",
    "In the middle of the frame there is {named}.",
)
MOTIONS: tuple[tuple[float, tuple[str, ...]], ...] = (  # up to this motion
    (2.0, ("It hardly moves.", "The movement is very small and slow.", "Almost everything stays still.")),
    (4.0, ("It moves gently.", "The motion is calm.", "It stirs slowly and softly.")),
    (6.5, ("It moves at a steady pace.", "The motion is clear and even.", "It is in constant motion.")),
    (8.5, ("It moves quickly.", "The motion is lively.", "It is full of movement.")),
    (
        KNOWN_MOTION,
        ("It moves wildly and fast.", "The motion is large and very quick.", "It never rests for a moment."),
    ),
)
LOOPS = ("The end joins the beginning without a jump.", "It repeats endlessly.", "The movement is a seamless loop.")
ENDS = ("It happens once.", "The movement ends somewhere else than it began.")
BRIEF, LASTING = (
    ("It lasts only a moment.", "The clip is very short."),
    ("It takes its time.", "The clip is a long one."),
)
COLOURS = ("The colours are {colours}.", "It is mostly {colours}.", "{colours} stand out.")
STYLES = ("It is drawn in the style {style}.", "The drawing is {style}.", "Style: {style}.")


@dataclass(frozen=True)
class Seen:
    """What is known of a clip beside its caption; None and () are not spoken of."""

    motion: float | None = None  # 0 to 10
    loops: bool | None = None
    seconds: float | None = None
    colours: tuple[str, ...] = ()
    style: str | None = None


def recaption(caption: str, seed: int, seen: Seen | None = None, sentences: int | None = None) -> str:
    """A longer caption: the given words, then up to `sentences` (None: as many as drawn) about what is known.

    An empty caption, which stands for one that was dropped, stays empty. The caption's words are kept as they are.
    """
    if not caption.strip():
        return caption
    rng = random.Random(f"{seed}/{caption}")

    named = _named(caption.rstrip(". "))
    parts = list(_facts(seen or Seen(), rng))
    rng.shuffle(parts)
    count = rng.randint(1, len(parts)) if sentences is None and parts else len(parts[:sentences])
    whole = [rng.choice(OPENINGS).format(named=named), *parts[:count]]
    return " ".join(part[:1].upper() + part[1:] for part in whole)


def recaptioned(
    captions: Sequence[str], seed: int, seen: Sequence[Seen] | None = None, share: float = 0.5
) -> tuple[str, ...]:
    """Captions of a batch, a `share` of them made longer; which ones depends on the seed alone."""
    known = seen or [Seen()] * len(captions)
    rng = random.Random(f"{seed}/share")
    return tuple(
        recaption(caption, seed, each) if rng.random() < share else caption
        for caption, each in zip(captions, known, strict=True)
    )


def _named(caption: str) -> str:
    """With "a" or "an", if it has no such word yet."""
    first = caption.split()[0].lower()
    return caption if first in ("a", "an", "the", "two", "three", "some") else with_article(caption)


def _facts(seen: Seen, rng: random.Random) -> Sequence[str]:
    """A sentence about each thing that is known, in a wording that is drawn."""
    found = []
    if seen.motion is not None:
        place = min(max(seen.motion, 0.0), KNOWN_MOTION)
        found.append(rng.choice(next(wordings for most, wordings in MOTIONS if place <= most)))
    if seen.loops is not None:
        found.append(rng.choice(LOOPS if seen.loops else ENDS))
    if seen.seconds is not None and not SHORT <= seen.seconds <= LONG:
        found.append(rng.choice(BRIEF if seen.seconds < SHORT else LASTING))
    if seen.colours:
        found.append(rng.choice(COLOURS).format(colours=join_words(seen.colours)))
    if seen.style:
        found.append(rng.choice(STYLES).format(style=seen.style))
    return found
