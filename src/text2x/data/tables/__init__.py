"""Small tables that ship with the package: colour words, words with odd articles, kinds of things, old icon names."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any


@functools.cache
def load_table(name: str) -> Any:
    """The table of that file name; callers share it and leave it unchanged."""
    return json.loads((resources.files(__name__) / name).read_text(encoding="utf-8"))
