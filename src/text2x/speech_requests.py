"""What can be asked of a voice: the fields of a SpeechRequest, with their help, flags and ranges. Loads no torch.

None means "as the model likes it". A text is one piece of speech: it depends on (model, request, seed) alone, and each
of its sentences has a seed of its own.
"""

from __future__ import annotations

import dataclasses
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from text2x.config import from_dict
from text2x.errors import InputError
from text2x.request_fields import LINE_SPACES, check_name, check_number, request_field, shortened, unknown

MAX_SEED = 2**63 - 1  # what a torch.Generator takes
MAX_BYTES = 1 << 20  # of a text, in UTF-8: about 20 hours of speech
SLOWEST, FASTEST = 0.25, 4.0
MOST_SEMITONES = 12.0


@dataclass(frozen=True)
class SpeechRequest:
    """Speech from a text."""

    text: str = request_field(help="What is said.", flags=("TEXT",))
    voice: str | None = request_field(
        None, help="One of the model's voices; `text2x models show NAME` lists them.", flags=("--voice",)
    )
    language: str | None = request_field(
        None, help="The text's language, as en or hi; otherwise told by its script.", flags=("--language",)
    )
    speed: float | None = request_field(
        None, help="How fast: 2 is twice as fast.", flags=("--speed",), minimum=SLOWEST, maximum=FASTEST
    )
    pitch: float | None = request_field(
        None, help="Semitones higher, or lower if below 0.", flags=("--pitch",), minimum=-MOST_SEMITONES,
        maximum=MOST_SEMITONES,
    )  # fmt: skip
    seed: int | None = request_field(
        None, help="Drawn and printed if not given.", flags=("--seed",), minimum=0, maximum=MAX_SEED
    )
    steps: int | None = request_field(
        None, help="Sampling steps of a voice made by flow matching: more is slower and finer.", flags=("--steps",),
        minimum=1, maximum=1000,
    )  # fmt: skip
    temperature: float | None = request_field(
        None, help="How lively: 0 is the same for every seed, 1 is as varied as what was learned from.",
        flags=("--temperature",), minimum=0, maximum=2,
    )  # fmt: skip
    ssml: bool = request_field(
        False, help="The text is SSML: break, prosody, say-as, phoneme, sub, p and s.", flags=("--ssml",)
    )

    def __post_init__(self) -> None:
        self._check_text()
        for name in ("seed", "steps"):
            check_number(self, name, whole=True)
        for name in ("speed", "pitch", "temperature"):
            check_number(self, name, whole=False)
        for name in ("voice", "language"):
            check_name(self, name)
        if not isinstance(self.ssml, bool):
            raise InputError(f"ssml is {shortened(repr(self.ssml))}; it must be true or false")

    def _check_text(self) -> None:
        if not isinstance(self.text, str):
            raise InputError(f"the text is {shortened(repr(self.text))}; it must be text")
        try:
            size = len(self.text.encode())
        except UnicodeEncodeError as error:
            raise InputError(
                f"the text holds a lone surrogate at character {error.start}; save it as UTF-8 and read it again"
            ) from None
        if size > MAX_BYTES:
            raise InputError(f"the text has {size:,} bytes; at most {MAX_BYTES:,} are read at once: cut it into parts")
        if not self.text.strip():
            raise InputError('the text is empty; say what is to be said, as in: text2x speech "Good morning."')
        control = next(
            (each for each in self.text if unicodedata.category(each) == "Cc" and each not in LINE_SPACES), None
        )
        if control is not None:
            raise InputError(f"the text holds the control character U+{ord(control):04X}: remove it")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SpeechRequest:
        """The request written as plain values, as JSON gives them; an unknown field raises InputError."""
        names = [each.name for each in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise unknown("field", name, names)
        return from_dict(cls, values, where="request")

    def seeded(self) -> SpeechRequest:
        """The same request with a seed: its own, or one drawn below 2**32."""
        return self if self.seed is not None else dataclasses.replace(self, seed=secrets.randbelow(2**32))
