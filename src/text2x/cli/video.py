"""`text2x video`: clips from words, pictures and other clips."""

from __future__ import annotations

import dataclasses
import json as json_module
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from text2x.cli import audio_output
from text2x.cli import output as out
from text2x.cli.options import Device, Json, Threads, model_names, models_folder, set_threads, taken, with_fields
from text2x.cli.terminal import ProgressLine, TerminalPreview, counted, megabytes, one_line, seconds, warn
from text2x.errors import InputError
from text2x.library import info
from text2x.text import slug
from text2x.video_library import load_video, video_model_for
from text2x.video_requests import BEGINNINGS, VideoRequest

if TYPE_CHECKING:
    from text2x.moving import Video
    from text2x.requests import Progress, Result

FORMATS = ("webp", "png", "gif", "mp4", "webm")
SHOWN_FRAMES = 4  # of a clip that are drawn beside each other in a terminal
GIVEN = (*BEGINNINGS, "last_image")  # what a clip may be called after if there is no prompt

Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="What the clip shows, in quotes.", show_default=False)]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE|DIR",
        help="A file, overwritten if it is there, numbered if there are several clips; a folder, with a slash at the "
        "end if it is new; or - for standard output. Without it out/PROMPT.webp, numbered if that name is taken.",
    ),
]  # fmt: skip
Format = Annotated[
    str | None, typer.Option(metavar="NAME", help="webp, png or webm, which keep what is transparent, gif or mp4.")
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME|DIR", autocompletion=model_names,
        help="A model of moving pictures, by its name or folder; otherwise motion.",
    ),
]  # fmt: skip
Between = Annotated[
    tuple[str, str] | None,
    typer.Option("--between", metavar="FROM TO", help="Two pictures: the clip leads from one to the other."),
]
Preview = Annotated[
    bool,
    typer.Option(
        "--preview",
        help="Show frames as they sharpen: in the terminal; without one, as NAME.preview.webp until the clip is done.",
    ),
]
NoMetadata = Annotated[
    bool, typer.Option("--no-metadata", help="Leave prompt, seed, model, version and settings out of the file.")
]


@dataclasses.dataclass(frozen=True)
class Making:
    """How clips are made and where they go."""

    between: Between = None
    output: Output = None
    format: Format = None
    preview: Preview = False
    model: Model = None
    json: Json = False
    no_metadata: NoMetadata = False
    threads: Threads = None
    device: Device = "auto"


@dataclasses.dataclass
class _Done:
    """What has been made so far, and what is on its way."""

    model: str
    files: list[str] = dataclasses.field(default_factory=list)
    results: list[Result] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    timings: dict[str, float] = dataclasses.field(default_factory=dict)
    estimate: dict[str, float] = dataclasses.field(default_factory=dict)
    latest: Progress | None = None  # of the clip that is not whole yet
    interrupted: bool = False


@with_fields(VideoRequest, shared=Making)
def video(prompt: Prompt = "", **given: Any) -> None:
    """Make clips: text2x video "a smiling face with sunglasses" -o cool.mp4

    A clip depends on the model, the settings, what it was given and its own seed alone. Ctrl-C keeps what there is.
    """
    making, fields = Making(**taken(Making, given)), taken(VideoRequest, given)
    if making.between is not None:
        for name in ("image", "last_image"):
            if name in fields:
                raise InputError(f"--between has both pictures; leave --{name.replace('_', '-')} out")
        fields |= {"image": making.between[0], "last_image": making.between[1]}
    make(VideoRequest(prompt, **fields).seeded(), making)


def make(request: VideoRequest, making: Making) -> None:
    """Make and write the clips of a request and say what was done."""
    begin = time.perf_counter()
    where = audio_output.destination(making.output, making.format, FORMATS, "webp")
    to_stream = making.output == out.STANDARD_OUTPUT
    if where.is_stream and (request.count > 1 or (making.json and to_stream)):
        raise InputError(f"{making.output} takes one clip and nothing else; give a folder or a file's name with -o")
    name = making.model or video_model_for(models_folder())
    done, line = _Done(info(name, models_folder()).name), ProgressLine(request.count, noun="clip")
    try:
        line.message(f"loading {one_line(str(name))}")
        set_threads(making.threads)
        generator = load_video(name, making.device, models_folder())
        done.timings["load"] = time.perf_counter() - begin
        line.clear()
        _foretell(generator, request, done, quiet=making.json)
        for item in range(request.count):
            assert request.seed is not None
            line.before = item
            one = dataclasses.replace(request, count=1, seed=request.seed + item)
            _make_one(generator, one, where, request.count > 1, making, line, done)
    except KeyboardInterrupt:
        done.interrupted = True
        line.clear()
        _keep(request, where, making, done)
    finally:
        line.clear()
    done.timings["total"] = time.perf_counter() - begin
    if done.results:
        _report(done, making, to_stream)
    if done.interrupted:
        raise KeyboardInterrupt


def _foretell(generator: Any, request: VideoRequest, done: _Done, quiet: bool) -> None:
    """Say before the work how long it takes and how much memory, as the model expects it."""
    found = generator.estimate(request)
    done.estimate = {"seconds": round(found.seconds, 3), "bytes": found.num_bytes}
    if not quiet:
        typer.echo(f"about {seconds(found.seconds)} and {megabytes(found.num_bytes)} of memory", err=True)


def _make_one(
    generator: Any,
    request: VideoRequest,
    where: out.Destination,
    many: bool,
    making: Making,
    line: ProgressLine,
    done: _Done,
) -> None:
    """One clip, and its file."""
    path = out.preview(where, _called(request)).with_suffix(".webp") if making.preview else None
    terminal = TerminalPreview() if line.shown else None

    def tell(progress: Progress) -> None:
        done.latest = progress
        if path is not None:
            clip: Any = progress.estimate()[0]
            if terminal is None:
                out.write(path, clip.encode("webp"))
            else:
                terminal(_strip(clip))
        line(progress)

    try:
        result = generator.generate(request, tell)[0]
    finally:
        if path is not None:
            path.unlink(missing_ok=True)
    done.latest = None
    _write(result, request, where, many, making, done)


def _keep(request: VideoRequest, where: out.Destination, making: Making, done: _Done) -> None:
    """Write the clip that was on its way, as it would be if sampling ended now."""
    from text2x.requests import Result

    if done.latest is None or request.seed is None:
        return
    progress, done.latest = done.latest, None
    clip: Any = progress.estimate()[0]
    place = f"{progress.stage}, step {progress.step} of {progress.steps}"
    warning = f"the clip was not done ({place}): the file holds the estimate by then"
    result = Result(clip, request.seed + len(done.results), (warning,), {}, {"interrupted": place})
    _write(result, request, where, request.count > 1, making, done)


def _write(
    result: Result, request: VideoRequest, where: out.Destination, many: bool, making: Making, done: _Done
) -> None:
    from text2x.video_files import losses

    about = None if making.no_metadata else _metadata(result, request, done.model)
    data = result.media.encode(where.format, about)
    if where.is_stream:
        done.files.append(out.write_stream(where, data))
    else:
        path = out.place(where, _called(request), many, data, set(done.files))
        out.write(path, data)
        done.files.append(str(path))
    done.results.append(result)
    for warning in (*result.warnings, *losses(result.media, where.format)):
        if warning not in done.warnings:
            done.warnings.append(warning)
    for part, value in result.timings.items():
        done.timings[part] = done.timings.get(part, 0.0) + value


def _called(request: VideoRequest) -> str:
    """What a file is called: after the prompt, or after what the clip was made of."""
    given = next((str(getattr(request, name)) for name in GIVEN if getattr(request, name) is not None), "clip")
    return slug(request.prompt or Path(given).stem)


def _metadata(result: Result, request: VideoRequest, model: str) -> dict[str, Any]:
    """What the file says of itself: with it the same clip can be asked for again."""
    from text2x import __version__

    asked = {each.name: getattr(request, each.name) for each in dataclasses.fields(request) if each.name != "count"}
    values = {**asked, **result.settings, "seed": result.seed, "model": model, "version": __version__}
    return {name: value for name, value in values.items() if value not in (None, "", ())}


def _strip(clip: Video) -> Any:
    """A few frames of a clip beside each other, as a picture."""
    import numpy as np

    from text2x.media import Image

    places = np.linspace(0, len(clip) - 1, min(SHOWN_FRAMES, len(clip))).round().astype(int)
    return Image(np.concatenate([clip.frames[place] for place in places], axis=2))


def _report(done: _Done, making: Making, to_stderr: bool) -> None:
    """What a person or a program wants to know: where the clips are, their seeds, how long it took, what was lost."""
    clip: Video = done.results[0].media
    seeds = [result.seed for result in done.results]
    if making.json:
        told = {
            "files": done.files,
            "seed": seeds[0],
            "seeds": seeds,
            "model": done.model,
            "frames": len(clip),
            "fps": clip.rate,
            "size": [clip.width, clip.height],
            "settings": dict(done.results[0].settings),
            "estimate": done.estimate,
            "timings": {name: round(value, 4) for name, value in done.timings.items()},
            "warnings": done.warnings,
        }
        typer.echo(json_module.dumps(told))
        return
    for warning in done.warnings:
        warn(warning)
    for file, seed in zip(done.files, seeds, strict=True):
        typer.echo(f"{one_line(file)}  seed {seed}", err=to_stderr)
    size = f"{counted(len(clip), 'frame')} of {clip.width} x {clip.height} pixels, {clip.seconds:.2f} s"
    loading = f"{seconds(done.timings['total'])}, {seconds(done.timings['load'])} of it loading"
    typer.echo(f"{counted(len(done.files), 'clip')} of {size}, by {done.model} in {loading}", err=to_stderr)
