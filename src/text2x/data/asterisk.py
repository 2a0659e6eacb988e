"""Prompts of the Asterisk telephone system as a speech set: one studio voice a language at 16 kHz, with transcripts.

Debian's packages hold them; the recordings are CC-BY-SA-3.0 (Italian and Russian CC-BY-3.0), which models trained on
them must tell.
"""

from __future__ import annotations

import gzip
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from text2x.audio import Audio
from text2x.data.debian import DebianPackage, contents, fetch_debian, read_member
from text2x.data.recordings import LeftOut, Recording, spoken_clips
from text2x.data.speechset import HOP, RATE, SpeechReport, speech_report, write_speech
from text2x.errors import InputError

VERSION = "1.6.1-1"
ABOUT = {
    "source": f"Debian packages asterisk-core-sounds {VERSION}: telephone prompts, recorded in a studio",
    "licence": "CC-BY-SA-3.0 (en, es, fr), CC-BY-3.0 (it, ru)",
    "attribution": "Allison Smith (en, es), June Wallack (fr), Carlo Flora (it), Maxim Topal (ru); Digium, Inc.",
    "timing": "en: phones aligned by pocketsphinx; others: not timed",
}


@dataclass(frozen=True)
class Prompts:
    """One language: who speaks, and the packages of sound and of transcripts with their hashes."""

    language: str
    speaker: str
    folder: str
    licence: str
    sounds_sha256: str
    texts_sha256: str

    @property
    def sounds(self) -> DebianPackage:
        """The recordings as G.722."""
        return DebianPackage(f"asterisk-core-sounds-{self.language}-g722", VERSION, self.sounds_sha256)

    @property
    def texts(self) -> DebianPackage:
        """The transcripts."""
        return DebianPackage(f"asterisk-core-sounds-{self.language}", VERSION, self.texts_sha256)


PROMPTS = {
    prompts.language: prompts
    for prompts in (
        Prompts(
            "en",
            "allison",
            "en_US_f_Allison",
            "CC-BY-SA-3.0",
            "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
            "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
        ),
        Prompts(
            "es",
            "allison",
            "es_MX_f_Allison",
            "CC-BY-SA-3.0",
            "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
            "9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74",
        ),
        Prompts(
            "fr",
            "june",
            "fr_CA_f_June",
            "CC-BY-SA-3.0",
            "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
            "04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056",
        ),
        Prompts(
            "it",
            "carlo",
            "it_IT_m_Carlo",
            "CC-BY-3.0",
            "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
            "3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b",
        ),
        Prompts(
            "ru",
            "maxim",
            "ru_RU_f_IvrvoiceRU",
            "CC-BY-3.0",
            "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
            "28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab",
        ),
    )
}

# Misprints of the English transcripts, and signs that are said otherwise than they are usually read
MISPRINTS = {
    "fourtieth": "fortieth",
    "exclaimation-point": "exclamation point",
    "umute": "unmute",
    "indentified": "identified",
    "witheld": "withheld",
    "represenatives": "representatives",
    "xray": "x-ray",
    "*": "star",
    "#": "pound",
    "mail box": "mailbox",
    "touchtone": "touch tone",
    "DAHDI": "dahdee",
    "IAX2": "I A X two",
    "IAX": "I A X",
    "MGCP": "M G C P",
    "PBX": "P B X",
    "IVR": "I V R",
    "SIP": "sip",
    "Digium": "didjium",
}
NO_SPEECH = re.compile(r"[<(]")  # a beep, monkeys, silence, told in words


def transcripts(text: str, language: str) -> Iterator[tuple[str, str]]:
    """Name and text of each prompt of a transcript file that is speech; what stands in [..] is not said."""
    for line in text.removeprefix("\ufeff").splitlines():
        key, colon, said = line.partition(":")
        if not colon or line.startswith(";") or NO_SPEECH.search(said):
            continue
        said = " ".join(re.sub(r"\[[^]]*\]?", " ", said).split()).strip(". ") + _ending(said)
        if not any(sign.isalnum() for sign in said) and not set(said) & set(MISPRINTS):
            continue
        key = key.strip()
        yield key, _english(key, said) if language == "en" else said


def _ending(said: str) -> str:
    """A full stop where the sentence ends with one; three dots stand for a part of a sentence."""
    return "." if re.search(r"(?<!\.)\.\s*$", said) else ""


def _english(key: str, said: str) -> str:
    if re.fullmatch(r"letters/[a-z]", key):
        return said.strip(".").upper()
    for wrong, right in MISPRINTS.items():
        said = re.sub(rf"(?<!\w){re.escape(wrong)}(?!\w)", right, said)
    return said


def prepare_asterisk(
    target: Path,
    cache: Path,
    languages: Sequence[str] = ("en",),
    packages_folder: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> SpeechReport:
    """Write the prompts of the languages as a speech set to `target`; the packages are fetched by apt into `cache`."""
    for language in languages:
        if language not in PROMPTS:
            raise InputError(f"Asterisk has no prompts in {language!r}; its languages are {', '.join(PROMPTS)}")
    left_out = LeftOut()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        recordings: list[Recording] = []
        for language in dict.fromkeys(languages):
            recordings += _recordings(PROMPTS[language], folder, cache, packages_folder)
        clips = spoken_clips(recordings, RATE, HOP, left_out, on_progress)
        written = write_speech(target, clips, RATE, HOP, ABOUT)
    return speech_report(target, written, RATE, left_out.lines())


def _recordings(prompts: Prompts, folder: Path, cache: Path, packages: Path | None) -> Iterator[Recording]:
    """Every transcript that has a sound; the sounds are unpacked into `folder`, one language below the other."""
    with contents(fetch_debian(prompts.texts, cache, packages)) as archive:
        name = f"asterisk-core-sounds-{prompts.language}"
        packed = read_member(archive, f"usr/share/doc/{name}/core-sounds-{prompts.language}.txt.gz")
    texts = dict(transcripts(gzip.decompress(packed).decode("utf-8"), prompts.language))
    place = f"./usr/share/asterisk/sounds/{prompts.folder}/"
    with contents(fetch_debian(prompts.sounds, cache, packages)) as archive:
        for member in archive.getmembers():
            key = member.name.removeprefix(place).removesuffix(".g722")
            if member.isfile() and key in texts:
                path = folder / prompts.language / f"{key.replace('/', '_')}.g722"
                path.parent.mkdir(exist_ok=True)
                file = archive.extractfile(member)
                path.write_bytes(file.read() if file is not None else b"")
                yield Recording(
                    f"{prompts.language}/{key}",
                    texts[key],
                    prompts.language,
                    prompts.speaker,
                    prompts.licence,
                    _reader(path),
                )


def _reader(path: Path) -> Callable[[], Audio]:
    return lambda: Audio.read(path)
