"""Scores made to sound by FluidSynth and a General MIDI SoundFont, several in one run, each cut out again."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from text2x.audio import Audio
from text2x.data.debian import DebianPackage, contents, fetch_debian, read_member
from text2x.data.scores import Score, midi_bytes
from text2x.errors import InputError

INSTALL = "apt-get install fluidsynth"
RENDERED = 48_000  # Hz: FluidSynth does not filter, so lower rates alias
TOGETHER = 20  # scores in one run, which reads the SoundFont once
GAP = 2.0  # seconds between them, for the reverberation
FADE = 0.05  # seconds at the end of each
TIMEOUT = 600  # seconds of one run
SECONDS = (0.5, 60.0)


@dataclass(frozen=True)
class SoundFont:
    """A package with a SoundFont, where it lies in it, and its licence."""

    package: DebianPackage
    member: str
    licence: str


FLUID = SoundFont(
    DebianPackage("fluid-soundfont-gm", "3.1-5.3", "6f531493ac4e4d9772fd96b2488ea1790af81c196135fbdd25997da0781fc60e"),
    "usr/share/sounds/sf2/FluidR3_GM.sf2",
    "MIT",
)
TIM = SoundFont(
    DebianPackage("timgm6mb-soundfont", "1.3-5", "034abdfb296d9353433513dad5dbdcab46425ee6008fc02fe7039b46e75edc54"),
    "usr/share/sounds/sf2/TimGM6mb.sf2",
    "GPL-2",
)
SOUNDFONTS = {"fluid": FLUID, "timgm": TIM}


def soundfont(name: str, cache: Path, packages: Path | None = None) -> Path:
    """The file of a SoundFont in `cache`, taken out of its package, which apt fetches where it is missing."""
    font = SOUNDFONTS[name]
    path = cache / "soundfonts" / f"{font.package.sha256[:12]}-{Path(font.member).name}"
    if not path.is_file():
        with contents(fetch_debian(font.package, cache, packages)) as archive:
            data = read_member(archive, font.member)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        aside.write_bytes(data)
        aside.replace(path)
    return path


def program() -> str:
    """FluidSynth's program; where there is none InputError names the command that brings it."""
    found = shutil.which("fluidsynth")
    if found is None:
        raise InputError(f"FluidSynth is needed to make scores sound and was not found; install it with: {INSTALL}")
    return found


def render(scores: Sequence[Score], font: Path, rate: int) -> Iterator[Audio]:
    """Each score as mono sound at `rate`, as long as the score is.

    Which scores share a run depends on their order alone, so the first n of a list sound the same however long it is.
    """
    fluidsynth = program()
    for first in range(0, len(scores), TOGETHER):
        part = scores[first : first + TOGETHER]
        begins, at = [], 0.0
        for score in part:
            begins.append(at)
            at += score.seconds + GAP
        whole = _rendered(fluidsynth, font, midi_bytes(list(zip(begins, part, strict=True)), at))
        for begin, score in zip(begins, part, strict=True):
            yield whole.cut(begin, begin + score.seconds).to_mono().resample(rate).fade(0, FADE)


def _rendered(fluidsynth: str, font: Path, midi: bytes) -> Audio:
    """One run; its own settings only, not those of the machine."""
    with tempfile.TemporaryDirectory() as folder:
        score, sound, nothing = (Path(folder) / name for name in ("score.mid", "sound.wav", "none"))
        score.write_bytes(midi)
        nothing.write_text("", encoding="utf-8")
        settings = {"synth.cpu-cores": "1", "synth.gain": "0.5", "synth.chorus.active": "0", "synth.reverb.active": "1"}
        command = [fluidsynth, "-q", "-n", "-i", "-f", str(nothing), "-T", "wav", "-O", "float", "-r", str(RENDERED)]
        command += [each for name, value in settings.items() for each in ("-o", f"{name}={value}")]
        command += ["-F", str(sound), str(font), str(score)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            raise InputError(
                f"FluidSynth took more than {TIMEOUT} s for {TOGETHER} pieces; make shorter ones"
            ) from None
        except OSError as error:
            raise InputError(f"FluidSynth does not run here: {error.strerror}; {INSTALL}") from None
        if done.returncode != 0 or not sound.is_file():
            said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
            raise InputError(f"FluidSynth made no sound of {font.name} ({said[-1]}); try another SoundFont")
        return Audio.read(sound)
