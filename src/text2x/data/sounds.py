"""Named sounds of Debian packages as a captioned set: instruments, animals, machines, nature, games, at 16 kHz.

Captions come from the files' names by a table; each clip keeps the licence that its package's copyright file tells.
"""

from __future__ import annotations

import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from text2x.data.audioset import Clip, save_audio_set
from text2x.data.copyrights import Paragraph, paragraph_of, paragraphs
from text2x.data.debian import DebianPackage, contents, fetch_debian, read_member
from text2x.data.sound_captions import group_of, told_of
from text2x.data.sound_clips import RATE, Found, SoundReport, gathered, reader, sound_report
from text2x.errors import InputError
from text2x.requests import unknown

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".mp3")


@dataclass(frozen=True)
class Source:
    """A package, where its sounds lie, and where the same files lie in its source, which the copyright file names.

    `licence` is of all its sounds where the copyright file is not machine-readable. Names that `skipped` is found in
    are no sounds of things: spoken descriptions, letters, single cycles of waves, jingles.
    """

    package: DebianPackage
    place: str  # below usr/share/
    in_source: str = ""
    licence: str = ""
    holders: str = ""
    skipped: str = ""


SOURCES = {
    "sonic-pi": Source(
        DebianPackage(
            "sonic-pi-samples",
            "3.2.2~repack-8",
            "25f2312d2fae005e6ad0f4726b8ed3084e776006a5a132083506e960224ac79d",
        ),
        "sonic-pi/samples/",
        "etc/samples/",
    ),
    "freedesktop": Source(
        DebianPackage(
            "sound-theme-freedesktop",
            "0.8-2",
            "135cc4893ba590d428577bc3bf42df756a165c05a2a43f84311ad7db779a70ea",
        ),
        "sounds/freedesktop/stereo/",
        "stereo/",
    ),
    "tuxpaint": Source(
        DebianPackage(
            "tuxpaint-stamps-default",
            "2022.06.04-1",
            "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
        ),
        "tuxpaint/stamps/",
        "stamps/",
        skipped=r"_desc|_[a-z]{2,3}(_[A-Z]{2})?(@\w+)?$|^symbols/(alphabets|math)|hanukkah|christmas|^town/",
    ),
    "scratch": Source(
        DebianPackage(
            "scratch",
            "1.4.0.6~dfsg1-6.1",
            "36c582eb93110f64f06c4e685c41e933ccba2fa68db12f79b10bfe840b21fc10",
        ),
        "scratch/Media/Sounds/",
        "Media/Sounds/",
    ),
    "lmms": Source(
        DebianPackage(
            "lmms-common",
            "1.2.2+dfsg1-6",
            "7d9aa55dd05f11edc57104203ee1c350e3e41f8936ab3741da2bb1158fd46c37",
        ),
        "lmms/samples/",
        "data/samples/",
        skipped=r"^(waveforms|shapes)/|undefined",
    ),
    "minetest": Source(
        DebianPackage(
            "minetest-data",
            "5.6.1+dfsg+~1.9.0mt8+dfsg-2",
            "91371dd2bd51cfcd4fa60c138667989a47047dfe1a47f7523b9ad1782d397585",
        ),
        "games/minetest/games/minetest_game/mods/",
        "mtg/mods/",
    ),
    "wesnoth": Source(
        DebianPackage(
            "wesnoth-1.16-data",
            "1:1.16.9-1",
            "1012b964bd412a6770685e3324ae3b61e176caff7846192d1ee63d55cd621e26",
        ),
        "games/wesnoth/1.16/",
        licence="GPL-2+",
        holders="the authors of Battle for Wesnoth",
        skipped=r"music/|chat-|gamestart",
    ),
    "lincity": Source(
        DebianPackage(
            "lincity-ng-data",
            "2.9~git20150314-5",
            "8f5e85bd42879abdc7099b035d7a3d7468eceb6b93b52a12270c28f3f3c792f9",
        ),
        "games/lincity-ng/sounds/",
        "data/sounds/",
    ),
    "sound-icons": Source(
        DebianPackage(
            "sound-icons",
            "0.1-8",
            "cbb7defa9cab0c86c9151e72c6c8a99a0ed21d244bc4c7cffdde7a0e4d9fa5b3",
        ),
        "sounds/sound-icons/",
        skipped="prompt|gummy|cockchafer",
    ),
}
ABOUT = {
    "source": "Debian packages of games, instruments and desktops; each clip names its own",
    "licence": "of each clip its own; share-alike ones are among them",
}


def prepare_sounds(
    target: Path,
    cache: Path,
    styles: Sequence[str] = (),
    packages_folder: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> SoundReport:
    """Write the sounds of all sources, or of those in `styles`, to `target`; apt fetches packages into `cache`."""
    for name in styles:
        if name not in SOURCES:
            raise unknown("source of sounds", name, SOURCES)
    chosen = [name for name in SOURCES if not styles or name in styles]
    with tempfile.TemporaryDirectory() as folder:
        found: list[Found] = []
        unnamed: list[str] = []
        unlicensed: list[str] = []
        for name in chosen:
            path = fetch_debian(SOURCES[name].package, cache, packages_folder)
            found += _found(name, Path(folder), path, unnamed, unlicensed)
        sounds, left_out, warnings = gathered(found, RATE, on_progress)
    if not sounds:
        raise InputError(f"no usable sound in {', '.join(chosen)}; choose other sources")
    if unnamed:
        named = ", ".join(unnamed[:3]) + ", …" * (len(unnamed) > 3)
        warnings.append(f"{len(unnamed):,} sounds have no caption in the table and were left out ({named})")
    written = save_audio_set(target, target.name, RATE, sounds, ABOUT)
    return sound_report(target, written, [*unlicensed, *left_out], warnings)


def _found(name: str, folder: Path, path: Path, unnamed: list[str], unlicensed: list[str]) -> Iterator[Found]:
    """The sounds of one package that the table names, unpacked into `folder`."""
    source = SOURCES[name]
    place = f"./usr/share/{source.place}"
    with contents(path) as archive:
        known = _paragraphs(source, archive)
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            below = PurePosixPath(member.name.removeprefix(place))
            if not member.isfile() or not member.name.startswith(place) or below.suffix.lower() not in SUFFIXES:
                continue
            title = below.with_suffix("").as_posix()
            if source.skipped and re.search(source.skipped, title):
                continue
            told = told_of(name, _short(title))
            if told is None:
                unnamed.append(f"{name}/{title}")
                continue
            file = archive.extractfile(member)
            kept = folder / f"{name}-{title.replace('/', '-')}{below.suffix.lower()}"
            kept.write_bytes(file.read() if file is not None else b"")
            rights = _rights(source, known, below.as_posix())
            if rights is None:
                unlicensed.append(f"{name}/{title}: {source.package.name} states no licence for it")
                continue
            licence, holders = rights
            clip = Clip(
                key=f"{name}/{title}",
                start=0,
                frames=1,
                group=group_of(name, _short(title)),
                text=told.captions[0],
                licence=licence,
                about=f"{source.package.name} {source.package.version}, {holders}".strip(", "),
                label=told.label,
                captions=told.captions[1:],
            )
            yield Found(clip, reader(kept))


def _short(title: str) -> str:
    """A name from the folder of sounds on: what lies above it tells nothing."""
    return re.sub(r"^.*(?:^|/)sounds/", "", title)


def _paragraphs(source: Source, archive: tarfile.TarFile) -> tuple[Paragraph, ...]:
    if source.licence:
        return ()
    file = f"usr/share/doc/{source.package.name}/copyright"
    return paragraphs(read_member(archive, file).decode("utf-8", "replace"))


def _rights(source: Source, known: Sequence[Paragraph], below: str) -> tuple[str, str] | None:
    """Licence and holders of a sound, None for one that no paragraph names."""
    if source.licence:
        return source.licence, source.holders
    found = paragraph_of(source.in_source + below, known)
    return None if found is None else (found.licence, found.holders)
