"""`text2x speech`: a text said aloud, into a file or as it is made, with the times of its words."""

from __future__ import annotations

import dataclasses
import json as json_module
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from text2x.cli import audio_output
from text2x.cli import output as out
from text2x.cli.options import Device, Json, Threads, model_names, models_folder, set_threads, taken, with_fields
from text2x.cli.terminal import ProgressLine, one_line, seconds, warn
from text2x.errors import InputError
from text2x.library import info, load_voice, voice_for
from text2x.requests import OnStep
from text2x.speech_requests import MAX_BYTES, SpeechRequest
from text2x.text import slug
from text2x.timestamps import check_format, save

if TYPE_CHECKING:
    from text2x.audio import Audio
    from text2x.speech_generator import SpeechGenerator
    from text2x.timestamps import TimedWord, Timestamps

LONGEST_TOLD = 10_000  # characters of the text that a file carries as its metadata

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT...", help="What is said, in quotes; - reads it from standard input."),
]
File = Annotated[str | None, typer.Option("--file", "-f", metavar="FILE|-", help="A file with the text, in UTF-8.")]
Ssml = Annotated[bool, typer.Option("--ssml", help="The text is SSML, as it is too if it begins with <speak>.")]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE|DIR",
        help="A file, overwritten if it is there; a folder, with a slash at the end if it is new; or - for standard "
        "output. Without it out/TEXT.wav, numbered if that name is taken.",
    ),
]  # fmt: skip
Format = Annotated[str | None, typer.Option(metavar="NAME", help="wav, flac, mp3, ogg, opus, aac or pcm (s16le).")]
Times = Annotated[
    Path | None,
    typer.Option("--timestamps", metavar="FILE", help="When each word is said: .json, .srt, .vtt or .TextGrid."),
]
Stream = Annotated[bool, typer.Option("--stream", help="Write the sound while it is made.")]
Voice = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME|DIR", autocompletion=model_names,
        help="A voice's model, by its name or folder; otherwise voice-en or voice-indic, by the text's script.",
    ),
]  # fmt: skip
Vocoder = Annotated[
    Path | None, typer.Option("--vocoder", metavar="DIR", help="The folder of another vocoder than the model's own.")
]
NoMetadata = Annotated[
    bool, typer.Option("--no-metadata", help="Leave text, seed, model, version and settings out of the file.")
]


@dataclasses.dataclass(frozen=True)
class Saying:
    """How sound is made and where it goes."""

    output: Output = None
    format: Format = None
    timestamps: Times = None
    stream: Stream = False
    model: Voice = None
    vocoder: Vocoder = None
    json: Json = False
    no_metadata: NoMetadata = False
    threads: Threads = None
    device: Device = "auto"


@with_fields(SpeechRequest, shared=Saying, without=("ssml",))
def speech(words: Words = None, file: File = None, ssml: Ssml = False, **given: Any) -> None:
    """Say a text: text2x speech "Your table is ready." -o table.wav

    The sound depends on the model, the settings, the text and the seed alone.
    """
    text = _gather(words or [], file)
    request = SpeechRequest(text, ssml=ssml, **taken(SpeechRequest, given)).seeded()
    say(request, Saying(**taken(Saying, given)))


def _gather(words: list[str], file: str | None) -> str:
    """The text of the command line, of a file or of standard input."""
    if words == [out.STANDARD_OUTPUT]:
        words, file = [], file or out.STANDARD_OUTPUT
    if words and file is not None:
        raise InputError("the text is given twice, in the command and by --file; leave one of them out")
    if words:
        return " ".join(words)
    if file is None:
        raise InputError('no text; say what is to be said, as in: text2x speech "Good morning."')
    where = "standard input" if file == out.STANDARD_OUTPUT else file
    try:
        if file == out.STANDARD_OUTPUT:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).expanduser().open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {where}: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{where} has more than {MAX_BYTES:,} bytes; cut it into parts")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where} is not UTF-8 text: byte {data[error.start]:#04x} at offset {error.start}; save it as UTF-8"
        ) from None


@dataclasses.dataclass
class _Done:
    """What has been made so far."""

    file: str = ""
    seconds: float = 0.0
    timestamps: Timestamps | None = None
    warnings: list[str] = dataclasses.field(default_factory=list)
    timings: dict[str, float] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)


def say(request: SpeechRequest, saying: Saying) -> None:
    """Make and write the sound and say what was done."""
    begin = time.perf_counter()
    where = audio_output.destination(saying.output, saying.format)
    if saying.timestamps is not None:
        check_format(saying.timestamps)
    to_stream = saying.output == out.STANDARD_OUTPUT
    if saying.json and to_stream:
        raise InputError("- takes the sound and nothing else; give a file's name with -o, or leave out --json")
    name = saying.model or voice_for(request.text, request.language, models_folder())
    about = info(name, models_folder()).name
    line, done = ProgressLine(1), _Done()
    try:
        line.message(f"loading {one_line(str(name))}")
        set_threads(saying.threads)
        generator = load_voice(name, saying.device, models_folder(), saying.vocoder)
        done.timings["load"] = time.perf_counter() - begin
        line.clear()
        make = _streamed if saying.stream else _whole
        make(generator, request, where, None if saying.no_metadata else about, done, line if line.shown else None)
    finally:
        line.clear()
    if saying.timestamps is not None and done.timestamps is not None:
        save(done.timestamps, saying.timestamps)
    done.timings["total"] = time.perf_counter() - begin
    if saying.json:
        typer.echo(json_module.dumps(_summary(request, saying, about, generator.rate, done)))
    else:
        _report(request, saying, about, done, to_stderr=to_stream)


def _whole(
    generator: SpeechGenerator,
    request: SpeechRequest,
    where: out.Destination,
    model: str | None,
    done: _Done,
    on_step: OnStep | None,
) -> None:
    """All of the sound, then the file."""
    result = generator.generate(request, on_step)[0]
    metadata = None if model is None else _metadata(request, dict(result.settings), model)
    data = result.media.encode(where.format, metadata)
    if where.is_stream:
        done.file = out.write_stream(where, data)
    else:
        path = out.place(where, slug(request.text), False, data, set())
        out.write(path, data)
        done.file = str(path)
    done.seconds, done.timestamps = result.media.seconds, result.timestamps
    done.warnings, done.settings = list(result.warnings), dict(result.settings)
    done.timings |= result.timings


def _streamed(
    generator: SpeechGenerator,
    request: SpeechRequest,
    where: out.Destination,
    model: str | None,
    done: _Done,
    on_step: OnStep | None,
) -> None:
    """The sound as it is made, in little memory; a file appears when it is whole."""
    from text2x.audio_files import save_stream, stream

    plan = generator.plan(request)
    done.settings = {**plan.settings.as_dict(), "model": generator.name}
    metadata = None if model is None else _metadata(request, done.settings, model)

    words: list[TimedWord] = []

    def parts() -> Iterator[Audio]:
        for chunk in generator.spoken(plan, on_step):
            done.seconds += chunk.audio.seconds
            words.extend(chunk.words)
            yield chunk.audio

    if where.is_stream:
        done.file = audio_output.write_pieces(where, stream(parts(), where.format, metadata))
    else:
        path = audio_output.free_path(where, slug(request.text))
        save_stream(parts(), path, metadata)
        done.file = str(path)
    done.timestamps = generator.timestamps(request, words, done.seconds)
    done.warnings = plan.warnings
    done.timings |= plan.timings


def _metadata(request: SpeechRequest, settings: dict[str, Any], model: str) -> dict[str, Any]:
    """What the file says of itself: with it the same sound can be asked for again."""
    from text2x import __version__

    told = request.text[:LONGEST_TOLD]
    values = {"prompt": told, **settings, "seed": request.seed, "model": model, "version": __version__}
    if len(told) < len(request.text):
        values["prompt_characters"] = len(request.text)
    if request.ssml:
        values["ssml"] = True
    return values


def _summary(request: SpeechRequest, saying: Saying, model: str, rate: int, done: _Done) -> dict[str, Any]:
    """The one object of --json."""
    values: dict[str, Any] = {
        "files": [done.file],
        "seed": request.seed,
        "model": model,
        "seconds": round(done.seconds, 6),
        "rate": rate,
        "settings": done.settings,
        "timings": {name: round(value, 4) for name, value in done.timings.items()},
        "warnings": done.warnings,
    }
    return values if saying.timestamps is None else {**values, "timestamps": str(saying.timestamps)}


def _report(request: SpeechRequest, saying: Saying, model: str, done: _Done, to_stderr: bool) -> None:
    """What a person wants to know: where the sound is, its seed, how long it took, what went otherwise."""
    for warning in done.warnings:
        warn(warning)
    typer.echo(f"{one_line(done.file)}  seed {request.seed}", err=to_stderr)
    if saying.timestamps is not None:
        typer.echo(one_line(str(saying.timestamps)), err=to_stderr)
    loading = f"{seconds(done.timings['total'])}, {seconds(done.timings['load'])} of it loading"
    typer.echo(f"{seconds(done.seconds)} of speech by {model} in {loading}", err=to_stderr)
