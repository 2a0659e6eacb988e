"""Prompts as strings: cleaning, file names, lists from files, and tokenisers. Pure functions, without torch.

A cleaned prompt is NFC, has single spaces and no control characters; what was taken out is said in a warning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from text2x.errors import InputError

MAX_CHARACTERS = 10_000
MAX_PROMPTS = 10_000

# Bidirectional overrides, isolates and marks, zero-width space, word joiner, byte-order mark, soft hyphen: invisible,
# and able to make a text look like another. The joiners U+200C and U+200D stay: Indic scripts and emoji need them.
_INVISIBLE = frozenset(
    "\u00ad\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
_TERMINAL_CODE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # ECMA-48, 5.4: colours and cursor movements
_LINE_SPACES = frozenset("\t\n\v\f\r\x85")
# Device names that Windows does not accept as a file name
_RESERVED = frozenset(["con", "prn", "aux", "nul", *(f"{name}{i}" for name in ("com", "lpt") for i in range(1, 10))])


@dataclass(frozen=True)
class Prompt:
    """A cleaned prompt, and a warning when something was taken out of it."""

    text: str
    warnings: tuple[str, ...] = ()


def clean_prompt(
    prompt: str | bytes,
    *,
    allow_empty: bool = False,
    max_characters: int = MAX_CHARACTERS,
    where: str = "the prompt",
) -> Prompt:
    """Normalise a prompt; binary, undecodable, too long and (unless allowed) empty ones raise InputError.

    `where` names the prompt in messages.
    """
    text = _decoded(prompt, max_characters, where)
    if len(text) > max_characters:
        raise InputError(f"{where} has {len(text):,} characters; the limit is {max_characters:,}: shorten it")
    plain = _TERMINAL_CODE.sub(" ", text)
    removed = re.findall("\x1b", text) + [character for character in plain if _is_control(character)]
    kept = "".join(character for character in plain if not _is_control(character))
    kept = " ".join(unicodedata.normalize("NFC", kept).split())
    if not kept and not allow_empty:
        what = "holds control characters only" if removed else "is empty"
        raise InputError(f'{where} {what}; say what you want, for example "a red apple"')
    return Prompt(kept, (_removed_warning(removed, where),) if removed else ())


def _decoded(prompt: str | bytes, max_characters: int, where: str) -> str:
    if isinstance(prompt, bytes):
        if len(prompt) > 4 * max_characters:  # a character is at most four bytes of UTF-8
            raise InputError(
                f"{where} has {len(prompt):,} bytes; the limit is {max_characters:,} characters: shorten it"
            )
        try:
            text = prompt.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{where} is not UTF-8 text: byte {prompt[error.start]:#04x} at offset {error.start}; save it as UTF-8"
            ) from None
    else:
        text = prompt
    if "\0" in text:
        raise InputError(f"{where} is binary: it has a NUL character at offset {text.index(chr(0))}; give plain text")
    surrogate = re.search("[\ud800-\udfff]", text)  # how Python passes on bytes that it could not decode
    if surrogate:
        raise InputError(f"{where} is not valid Unicode text at offset {surrogate.start()}; give it as UTF-8")
    return text


def _is_control(character: str) -> bool:
    if character in _LINE_SPACES:
        return False
    return character in _INVISIBLE or unicodedata.category(character) == "Cc"


def _removed_warning(removed: Sequence[str], where: str) -> str:
    names = list(dict.fromkeys(f"U+{ord(character):04X}" for character in removed))
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    plural = "" if len(removed) == 1 else "s"
    return f"removed {len(removed)} control character{plural} ({listed}) from {where}"


# File names


def slug(prompt: str, max_characters: int = 60) -> str:
    """A safe file name for a prompt, as "a-red-apple"; letters of all scripts stay, a lone symbol becomes its name.

    Never empty, never hidden, never a reserved name, at most 180 bytes of UTF-8.
    """
    text = unicodedata.normalize("NFC", prompt).lower()
    name = _hyphenated(text)
    if not name:
        symbols = (character for character in text[:8] if unicodedata.category(character)[0] == "S")
        name = _hyphenated(" ".join(unicodedata.name(symbol, "") for symbol in symbols).lower())
    name = _shortened(name, max_characters)
    if not name:
        return "untitled"
    return f"prompt-{name}" if name in _RESERVED else name


_WORD = frozenset(["Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl", "No"])  # letters, marks on them, numbers


def _hyphenated(text: str) -> str:
    """Runs of letters, digits and the marks on them, joined by hyphens; apostrophes and variant selectors vanish."""
    text = re.sub("['’\ufe00-\ufe0f]", "", text)
    kept = (character if unicodedata.category(character) in _WORD else " " for character in text)
    words = "".join(kept).split()
    return "-".join(word for word in words if any(unicodedata.category(character)[0] in "LN" for character in word))


def _shortened(name: str, max_characters: int) -> str:
    """Cut at a hyphen where one is near the end."""
    short = name[:max_characters].encode("utf-8")[:180].decode("utf-8", "ignore")
    if len(short) < len(name) and name[len(short)] != "-":
        head, hyphen, _ = short.rpartition("-")
        short = head if hyphen and len(head) >= max_characters // 2 else short
    return short.strip("-")


# Several prompts


def read_prompts(stream: BinaryIO, source: str, *, max_characters: int = MAX_CHARACTERS) -> list[Prompt]:
    """One prompt a line; blank lines and lines that begin with # are skipped, errors and warnings name the line."""
    prompts: list[Prompt] = []
    for number, line in _lines(stream, source, 4 * max_characters):  # a character is at most four bytes of UTF-8
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")  # byte-order mark
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        if len(prompts) == MAX_PROMPTS:
            raise InputError(f"{source} holds more than {MAX_PROMPTS:,} prompts; split it into several runs")
        prompts.append(clean_prompt(line, max_characters=max_characters, where=f"{source}, line {number}"))
    if not prompts:
        raise InputError(f"{source} holds no prompts; write one a line")
    return prompts


def read_prompt_file(path: Path, *, max_characters: int = MAX_CHARACTERS) -> list[Prompt]:
    """The prompts of a UTF-8 text file, one a line."""
    try:
        with path.open("rb") as stream:
            return read_prompts(stream, str(path), max_characters=max_characters)
    except OSError as error:
        raise InputError(f"cannot read the prompts in {str(path)!r}: {error.strerror or error}") from None


def _lines(stream: BinaryIO, source: str, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Line numbers and lines; an endless line is refused after `max_bytes`."""
    number = 0
    while line := stream.readline(max_bytes + 1):
        number += 1
        if len(line) > max_bytes:
            raise InputError(f"{source}, line {number} has more than {max_bytes:,} bytes; shorten it")
        yield number, line


# Tokenisers


class Tokenizer(Protocol):
    """Text to token ids; pad, begin and end are ids of the vocabulary."""

    @property
    def pad(self) -> int: ...  # noqa: D102
    @property
    def begin(self) -> int: ...  # noqa: D102
    @property
    def end(self) -> int: ...  # noqa: D102
    @property
    def vocabulary(self) -> int:
        """The number of ids."""
        ...

    def encode(self, prompt: str) -> tuple[list[int], list[int]]:
        """Ids without marks, and for each the index of the first character that it stands for."""
        ...


@dataclass(frozen=True)
class ByteTokenizer:
    """The bytes of UTF-8 after three marks: 259 ids, every text is known."""

    pad: int = 0
    begin: int = 1
    end: int = 2

    @property
    def vocabulary(self) -> int:
        """256 bytes and three marks."""
        return 259

    def encode(self, prompt: str) -> tuple[list[int], list[int]]:
        """Ids without marks, and for each the index of its character."""
        pairs = [(byte + 3, i) for i, character in enumerate(prompt) for byte in character.encode("utf-8")]
        return [token for token, _ in pairs], [i for _, i in pairs]


@dataclass(frozen=True)
class BPETokenizer:
    """Byte-level byte-pair encoding of lower-case text (Sennrich et al. 2016); every text is known.

    The merges are all there is to it: ids are the marks, 256 byte symbols, then one token a merge, in order.
    """

    merges: tuple[str, ...]  # each "left right"
    pad: int = 0
    begin: int = 1
    end: int = 2

    @property
    def vocabulary(self) -> int:
        """Marks, bytes and merges."""
        return self._tokenizer.get_vocab_size()

    def encode(self, prompt: str) -> tuple[list[int], list[int]]:
        """Ids without marks, and for each the index of its first character."""
        encoding = self._tokenizer.encode(prompt, add_special_tokens=False)
        return encoding.ids, [begin for begin, _ in encoding.offsets]

    def save(self, path: Path) -> None:
        """Write the file that the tokenizers library reads."""
        self._tokenizer.save(str(path))

    @classmethod
    def load(cls, path: Path) -> BPETokenizer:
        """Read what `save` wrote."""
        import json

        try:
            merges = json.loads(path.read_text("utf-8"))["model"]["merges"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"cannot read the tokeniser {str(path)!r}: {error}") from error
        return cls(tuple(" ".join(merge) if isinstance(merge, list) else merge for merge in merges))

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer, models

        pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in self.merges)]
        tokens = [*_MARKS, *_byte_symbols(), *(left + right for left, right in pairs)]
        vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
        return _with_byte_level(Tokenizer(models.BPE(vocab=vocabulary, merges=pairs)))


_MARKS = ("[pad]", "[begin]", "[end]")


def _byte_symbols() -> list[str]:
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _with_byte_level(tokenizer: Any) -> Any:
    from tokenizers import normalizers, pre_tokenizers

    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


def train_bpe(captions: Iterable[str], vocabulary: int = 2048) -> BPETokenizer:
    """Learn merges from captions; the result has at most `vocabulary` ids."""
    import json

    from tokenizers import Tokenizer, models, trainers

    smallest = len(_MARKS) + 256
    if vocabulary < smallest:
        raise InputError(f"the vocabulary is {vocabulary}; it takes at least {smallest} for the marks and the bytes")
    tokenizer = _with_byte_level(Tokenizer(models.BPE()))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_MARKS),
        initial_alphabet=_byte_symbols(),
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator(captions, trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return BPETokenizer(tuple(" ".join(merge) for merge in merges))


@dataclass(frozen=True)
class Fitted:
    """A prompt as exactly `length` ids: begin, tokens, end, padding."""

    ids: list[int]
    num_tokens: int  # with begin and end
    dropped: str | None  # the end of the prompt that did not fit


def fit_tokens(tokenizer: Tokenizer, prompt: str, length: int) -> Fitted:
    """Cut or pad to `length` ids; a character is kept whole or not at all."""
    ids, starts = tokenizer.encode(prompt)
    kept, dropped = min(len(ids), length - 2), None
    if kept < len(ids):
        while kept and starts[kept] == starts[kept - 1]:
            kept -= 1
        dropped = prompt[starts[kept] :]
    marked = [tokenizer.begin, *ids[:kept], tokenizer.end]
    return Fitted(marked + [tokenizer.pad] * (length - len(marked)), len(marked), dropped)
