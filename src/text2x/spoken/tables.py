"""The tables of words that come with the package, one JSON file a language."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any


@functools.cache
def table(name: str) -> dict[str, Any]:
    """The table of a language code; do not change it."""
    return json.loads(files("text2x.spoken").joinpath("tables", f"{name}.json").read_text("utf-8"))


def any_of(words: Iterable[str]) -> str:
    """A pattern of any of the words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


def words(text: str) -> list[str]:
    """Names that stand separated by spaces."""
    return text.split()
