"""The bench: 200 prompts about things that icons show, 25 of each of eight kinds of difficulty, the same for all."""

from __future__ import annotations

from dataclasses import dataclass

from text2x.data.tables import load_table


@dataclass(frozen=True)
class BenchPrompt:
    """A prompt, what it means in plain English (for a judge that reads English), and what must not be seen, if any."""

    category: str
    prompt: str
    means: str
    absent: str = ""


def bench() -> tuple[BenchPrompt, ...]:
    """Colour, count, style, combination, negation, rare words, synonyms, another language; in a fixed order."""
    return tuple(
        BenchPrompt(category, each["prompt"], each.get("means", each["prompt"]), each.get("absent", ""))
        for category, prompts in load_table("bench.json").items()
        for each in prompts
    )
