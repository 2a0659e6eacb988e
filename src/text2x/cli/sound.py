"""`text2x sound` and `text2x music`: sound and music from words, into files or as they are made."""

from __future__ import annotations

import dataclasses
import json as json_module
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from text2x.cli import audio_output
from text2x.cli import output as out
from text2x.cli.options import Device, Json, Threads, model_names, models_folder, set_threads, taken, with_fields
from text2x.cli.terminal import ProgressLine, one_line, seconds, warn
from text2x.errors import InputError
from text2x.library import info
from text2x.requests import OnStep
from text2x.sound_library import load_sound, model_for
from text2x.sound_requests import AudioRequest, MusicRequest, SoundRequest, as_settings
from text2x.text import slug

if TYPE_CHECKING:
    from text2x.audio import Audio

FILES = ("continuation", "init", "melody")  # options that name a file; told by --continue, --init, --melody

Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="What is heard, in quotes.")]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE|DIR",
        help="A file, overwritten if it is there; a folder, with a slash at the end if it is new; or - for standard "
        "output. Without it out/PROMPT.wav, numbered if that name is taken.",
    ),
]  # fmt: skip
Format = Annotated[str | None, typer.Option(metavar="NAME", help="wav, flac, mp3, ogg, opus, aac or pcm (s16le).")]
Stream = Annotated[bool, typer.Option("--stream", help="Write the sound while it is made.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME|DIR", autocompletion=model_names,
        help="A model of sound or music, by its name or folder; otherwise sounds, or music.",
    ),
]  # fmt: skip
NoMetadata = Annotated[
    bool, typer.Option("--no-metadata", help="Leave prompt, seed, model, version and settings out of the file.")
]


@dataclasses.dataclass(frozen=True)
class Making:
    """How sound is made and where it goes."""

    output: Output = None
    format: Format = None
    stream: Stream = False
    model: Model = None
    json: Json = False
    no_metadata: NoMetadata = False
    threads: Threads = None
    device: Device = "auto"


@dataclasses.dataclass
class _Done:
    """What has been made so far."""

    files: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    warnings: list[str] = dataclasses.field(default_factory=list)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    timings: dict[str, float] = dataclasses.field(default_factory=dict)


@with_fields(SoundRequest, shared=Making)
def sound(prompt: Prompt, **given: Any) -> None:
    """Make a sound: text2x sound "a wooden door slams" -o door.wav

    The sound depends on the model, the settings, the prompt and the seed alone.
    """
    make(SoundRequest(prompt, **taken(SoundRequest, given)).seeded(), "sound", Making(**taken(Making, given)))


@with_fields(MusicRequest, shared=Making)
def music(prompt: Prompt, **given: Any) -> None:
    """Make music: text2x music "calm piano in A minor" --seconds 12 -o calm.ogg

    The music depends on the model, the settings, the prompt and the seed alone.
    """
    make(MusicRequest(prompt, **taken(MusicRequest, given)).seeded(), "music", Making(**taken(Making, given)))


def make(request: AudioRequest, kind: Literal["sound", "music"], making: Making) -> None:
    """Make and write the sounds and say what was done."""
    begin = time.perf_counter()
    where = audio_output.destination(making.output, making.format)
    to_stream = making.output == out.STANDARD_OUTPUT
    if making.json and to_stream:
        raise InputError("- takes the sound and nothing else; give a file's name with -o, or leave out --json")
    if request.count > 1 and (where.is_stream or making.stream):
        what = "--stream" if making.stream else "one stream"
        raise InputError(f"count is {request.count}, and {what} takes one sound; give a file or a folder, or count 1")
    name = making.model or model_for(kind, models_folder())
    about = info(name, models_folder()).name
    line, done = ProgressLine(request.count), _Done()
    try:
        line.message(f"loading {one_line(str(name))}")
        set_threads(making.threads)
        generator = load_sound(name, kind, making.device, models_folder())
        done.timings["load"] = time.perf_counter() - begin
        line.clear()
        shown = line if line.shown else None
        (_streamed if making.stream else _whole)(
            generator, request, where, None if making.no_metadata else about, done, shown
        )
    finally:
        line.clear()
    done.timings["total"] = time.perf_counter() - begin
    if making.json:
        typer.echo(json_module.dumps(_summary(request, about, generator.rate, done)))
    else:
        _report(request, kind, about, done, to_stderr=to_stream)


def _whole(
    generator: Any,
    request: AudioRequest,
    where: out.Destination,
    model: str | None,
    done: _Done,
    on_step: OnStep | None,
) -> None:
    """All of each sound, then its file."""
    used: set[str] = set()
    for result in generator.generate(request, on_step):
        done.settings = dict(result.settings)
        metadata = None if model is None else _metadata(request, done.settings, result.seed, model)
        data = result.media.encode(where.format, metadata)
        if where.is_stream:
            done.files.append(out.write_stream(where, data))
        else:
            path = out.place(where, slug(request.prompt), request.count > 1, data, used)
            out.write(path, data)
            used.add(str(path))
            done.files.append(str(path))
        done.seconds += result.media.seconds
        done.warnings += [each for each in result.warnings if each not in done.warnings]
        for part, value in result.timings.items():
            done.timings[part] = done.timings.get(part, 0.0) + value


def _streamed(
    generator: Any,
    request: AudioRequest,
    where: out.Destination,
    model: str | None,
    done: _Done,
    on_step: OnStep | None,
) -> None:
    """The sound as it is made; a file appears when it is whole."""
    from text2x.audio import Audio
    from text2x.audio_files import save_stream, stream

    if not hasattr(generator, "sound"):
        raise InputError(f"{generator.name} makes sound as a whole; leave --stream out")
    plan = generator.plan(request)
    done.settings, done.warnings = dict(plan.settings), list(plan.warnings)
    assert request.seed is not None
    metadata = None if model is None else _metadata(request, done.settings, request.seed, model)

    def parts() -> Iterator[Audio]:
        begin = time.perf_counter()
        for samples in generator.sound(plan, 0, on_step):
            done.timings.setdefault("first", time.perf_counter() - begin)
            audio = Audio(samples, generator.rate)
            done.seconds += audio.seconds
            yield audio

    if where.is_stream:
        done.files.append(audio_output.write_pieces(where, stream(parts(), where.format, metadata)))
    else:
        path = audio_output.free_path(where, slug(request.prompt))
        save_stream(parts(), path, metadata)
        done.files.append(str(path))


def _metadata(request: AudioRequest, settings: dict[str, Any], seed: int, model: str) -> dict[str, Any]:
    """What the file says of itself: with it the same sound can be asked for again."""
    from text2x import __version__

    files = as_settings(request, FILES)
    return {"prompt": request.prompt, **settings, **files, "seed": seed, "model": model, "version": __version__}


def _summary(request: AudioRequest, model: str, rate: int, done: _Done) -> dict[str, Any]:
    """The one object of --json."""
    return {
        "files": done.files,
        "seed": request.seed,
        "model": model,
        "seconds": round(done.seconds, 6),
        "rate": rate,
        "settings": done.settings,
        "timings": {name: round(value, 4) for name, value in done.timings.items()},
        "warnings": done.warnings,
    }


def _report(request: AudioRequest, kind: str, model: str, done: _Done, to_stderr: bool) -> None:
    """What a person wants to know: where the sounds are, their seeds, how long it took, what went otherwise."""
    for warning in done.warnings:
        warn(warning)
    assert request.seed is not None
    for item, file in enumerate(done.files):
        typer.echo(f"{one_line(file)}  seed {request.seed + item}", err=to_stderr)
    loading = f"{seconds(done.timings['total'])}, {seconds(done.timings['load'])} of it loading"
    typer.echo(f"{seconds(done.seconds)} of {kind} by {model} in {loading}", err=to_stderr)
