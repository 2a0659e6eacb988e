"""`text2x data`: data sets to train on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from text2x.cli.options import data_folder
from text2x.cli.terminal import BarLine, counted, seconds, warn
from text2x.errors import InputError
from text2x.requests import unknown

if TYPE_CHECKING:
    from text2x.data.clipset import ClipReport
    from text2x.data.imageset import Report
    from text2x.data.sound_clips import SoundReport
    from text2x.data.speechset import SpeechReport

app = typer.Typer(help="List the data sets, or prepare one to train on.", invoke_without_command=True)
MOST_LEFT_OUT = 20  # pictures that are named one by one
FOLDER = "folder"  # what a user's own folder of pictures is called in place of a data set's name
VIDEO_FOLDER = "video-folder"  # and what one of moving pictures is called
SPEECH_FOLDER = "speech-folder"  # and what one of recordings is called
AUDIO_FOLDER = "audio-folder"  # and one of any sounds
FOLDERS = {FOLDER: "pictures", VIDEO_FOLDER: "videos", SPEECH_FOLDER: "recordings", AUDIO_FOLDER: "sounds"}


@app.callback()
def data(context: typer.Context) -> None:
    """List the data sets: what they are, and where those that are prepared lie."""
    if context.invoked_subcommand is not None:
        return
    from text2x.data import DATASETS, dataset_folder

    root = data_folder()
    own = sorted(path.parent.name for path in root.glob("*/index.json")) if root.is_dir() else []
    names = [*DATASETS, *(name for name in own if name not in DATASETS)]
    width = max(len(name) for name in names)
    for name in names:
        folder = dataset_folder(name, root)
        state = str(folder) if name in own else f"not prepared; make it with: text2x data prepare {name}"
        what = DATASETS[name].description if name in DATASETS else _own_kind(folder)
        typer.echo(f"{name.ljust(width)}  {what}\n{' ' * width}  {state}")


def _own_kind(folder: Path) -> str:
    """What a set that the user made holds."""
    spoken = (folder / "audio.i16").is_file()
    if (folder / "frames.npy").is_file():
        return "your own moving pictures"
    if (folder / "samples.npy").is_file():
        return "your own sounds"
    return "your own recordings" if spoken else "your own pictures"


Packages = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Take the packages from here instead of fetching them.")
]
Rate = Annotated[
    int | None, typer.Option(metavar="HZ", help="For speech-folder and audio-folder: samples a second; 16000.")
]
Style = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Only this style, source of sounds, or SoundFont; may be repeated."),
]
Fit = Annotated[
    str | None, typer.Option(metavar="pad|crop", help="For a folder: how pictures become square; pad otherwise.")
]
Language = Annotated[
    list[str] | None,
    typer.Option(metavar="CODE", help="For speech: as en or hi; asterisk and indic take several."),
]
Items = Annotated[int | None, typer.Option(metavar="N", help="For music: how many pieces; 600.")]
Length = Annotated[float | None, typer.Option("--seconds", metavar="N", help="For music: how long a piece is; 8.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="For music: the seed of the pieces; 0.")]
Speaker = Annotated[
    str | None, typer.Option(metavar="NAME", help="For speech-folder: who speaks where no table says it.")
]


@app.command()
def prepare(
    source: Annotated[
        str, typer.Argument(metavar="NAME|folder", help="A data set's name; folder, or video-, speech-, audio-folder.")
    ],
    pictures: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="For a folder: where the files and their texts are.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the result is called; otherwise as the source.")
    ] = None,
    size: Annotated[int | None, typer.Option(metavar="N", help="Side of the stored pictures in pixels.")] = None,
    fit: Fit = None,
    style: Style = None,
    packages: Packages = None,
    fps: Annotated[float | None, typer.Option(metavar="N", help="For clips: frames a second, at most; 12.")] = None,
    frames: Annotated[int | None, typer.Option(metavar="N", help="For clips: frames of each, at most; 48.")] = None,
    skin_tones: Annotated[bool, typer.Option("--skin-tones", help="For animated-emoji: every skin tone too.")] = False,
    language: Language = None,
    count: Annotated[int | None, typer.Option(metavar="N", help="For indic: sentences of each language; 400.")] = None,
    rate: Rate = None,
    speaker: Speaker = None,
    items: Items = None,
    length: Length = None,
    seed: Seed = None,
) -> None:
    """Prepare a data set: text2x data prepare emoji, or text2x data prepare folder DIR --name NAME

    Captions of a folder are NAME.txt beside NAME.png, or a table (CSV or JSON lines) of file names and captions;
    video-folder is the same for moving pictures, audio-folder for sounds. Texts of a speech-folder are NAME.txt beside
    NAME.wav, a table, or metadata.csv as LJSpeech has it.
    """
    from text2x.data import DATASETS, dataset_folder, package_cache

    if source not in FOLDERS and source not in DATASETS:
        raise unknown("data set", source, [*DATASETS, *FOLDERS])
    is_folder, root = source in FOLDERS, data_folder()
    options = {
        "--size": ("size", size), "--fit": ("fit", fit), "--style": ("styles", style),
        "--packages": ("packages_folder", packages), "--fps": ("rate", fps), "--frames": ("frames", frames),
        "--skin-tones": ("skin_tones", skin_tones or None), "DIR": ("pictures", pictures),
        "--language": ("languages", language or None), "--count": ("count", count), "--rate": ("sample_rate", rate),
        "--speaker": ("speaker", speaker), "--items": ("items", items), "--seconds": ("seconds", length),
        "--seed": ("seed", seed),
    }  # fmt: skip
    given = _chosen(source, options)
    if is_folder and given.pop("pictures", None) is None:
        raise InputError(f"say where the {FOLDERS[source]} are: text2x data prepare {source} DIR --name NAME")
    done = {"asterisk": "aligning", "indic": "speaking", "sounds": "reading", "music": "playing"}
    begin, line = time.perf_counter(), BarLine("reading" if is_folder else done.get(source, "drawing"))
    try:
        if pictures is not None:
            target = dataset_folder(name or pictures.resolve().name, root)
            report = _of_folder(source)(pictures, target, on_progress=line, **given)
        else:
            target = dataset_folder(name or source, root)
            report = DATASETS[source].prepare(target, package_cache(root), on_progress=line, **given)
    finally:
        line.clear()
    _print_report(report, time.perf_counter() - begin)


def _chosen(source: str, options: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """What was given, by the names that functions know it by; what the source has no use for raises InputError."""
    from text2x.data import CLIPS_TAKE, DATASETS

    own = {FOLDER: ("size", "fit", "pictures"), VIDEO_FOLDER: (*CLIPS_TAKE, "fit", "pictures")}
    own[SPEECH_FOLDER] = ("languages", "sample_rate", "speaker", "pictures")
    own[AUDIO_FOLDER] = ("sample_rate", "pictures")
    takes = own[source] if source in own else DATASETS[source].takes
    given = {flag: pair for flag, pair in options.items() if pair[1] is not None}
    for flag, (name, _) in given.items():
        if name not in takes:
            raise InputError(f"{flag} means nothing for {source}; leave it out")
    return dict(given.values())


def _of_folder(source: str) -> Callable[..., Any]:
    if source == FOLDER:
        from text2x.data.folder import prepare_folder

        return prepare_folder
    if source == SPEECH_FOLDER:
        from text2x.data.speech_folder import prepare_speech_folder

        return prepare_speech_folder
    if source == AUDIO_FOLDER:
        from text2x.data.audio_folder import prepare_audio_folder

        return prepare_audio_folder
    from text2x.data.video_folder import prepare_video_folder

    return prepare_video_folder


def _print_report(report: Report | ClipReport | SpeechReport | SoundReport, took: float) -> None:
    """Where the set is, how much there is, and what could not be used."""
    from text2x.data.clipset import ClipReport
    from text2x.data.sound_clips import SoundReport
    from text2x.data.speechset import SpeechReport

    left_out = [f"left out {each}" for each in report.unreadable]
    more = [f"left out {len(left_out) - MOST_LEFT_OUT:,} more"] if len(left_out) > MOST_LEFT_OUT else []
    for warning in (*report.warnings, *left_out[:MOST_LEFT_OUT], *more):
        warn(warning)
    typer.echo(report.folder)
    concepts = "" if isinstance(report, SpeechReport | SoundReport) else counted(report.concepts, "concept")
    if isinstance(report, SoundReport):
        much = f"{report.seconds / 60:.1f} minutes in {counted(report.clips, 'clip')}, {report.held_out:,} held out,"
        much += f" {counted(report.captions, 'caption')}, {counted(len(report.labels), 'label')}"
        many = ", ".join(f"{name} {count:,}" for name, count in report.licences.items())
        typer.echo(f"clips by licence: {many}")
    elif isinstance(report, SpeechReport):
        much = f"{report.seconds / 60:.1f} minutes in {counted(report.clips, 'clip')} of {', '.join(report.languages)}"
        much += f" by {counted(len(report.speakers), 'speaker')}, {report.aligned:,} with timed phones"
    elif isinstance(report, ClipReport):
        much = f"{counted(report.clips, 'clip')} of {concepts}, {counted(report.frames, 'frame')}"
        much += f"; {report.still:,} stand still"
    else:
        much = f"{counted(report.images, 'picture')} of {concepts} in {counted(len(report.styles), 'style')}"
    typer.echo(f"{much}, {len(left_out):,} left out, in {seconds(took)}")
