"""Which licence a file of a Debian package is under: its machine-readable copyright file (DEP 5), read by paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Paragraph:
    """Patterns of files, the short name of their licence, and who holds the rights."""

    files: tuple[str, ...]
    licence: str
    holders: str


def paragraphs(text: str) -> tuple[Paragraph, ...]:
    """The paragraphs of a copyright file that tell of files, in order."""
    made = []
    for fields in _fields(text):
        files, licence = fields.get("files", "").split(), fields.get("license", "").partition("\n")[0].strip()
        if files and licence:
            holders = ", ".join(line.strip() for line in fields.get("copyright", "").splitlines() if line.strip())
            made.append(Paragraph(tuple(files), licence, holders))
    return tuple(made)


def _fields(text: str) -> Iterator[dict[str, str]]:
    """Each paragraph by its fields' names in small letters; further lines of a field begin with white space."""
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0].isspace():
            fields[name] = fields.get(name, "") + "\n" + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def paragraph_of(path: str, found: Sequence[Paragraph]) -> Paragraph | None:
    """The paragraph that holds for a file of the source: the last that names it, as DEP 5 has it."""
    for each in reversed(found):
        if any(fnmatchcase(path, pattern.removeprefix("./")) for pattern in each.files):
            return each
    return None
