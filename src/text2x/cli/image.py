"""`text2x image`: pictures from words."""

from __future__ import annotations

import contextlib
import dataclasses
import json as json_module
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from text2x.cli import output as out
from text2x.cli.options import (
    Device,
    Json,
    Model,
    Stages,
    Threads,
    Upsamplers,
    models_folder,
    set_threads,
    stages_of,
    taken,
    with_fields,
)
from text2x.cli.terminal import ProgressLine, TerminalPreview, counted, one_line, seconds, warn
from text2x.cli.walking import Rate, Walk, walk
from text2x.edits import described
from text2x.errors import InputError
from text2x.library import info, load
from text2x.requests import ImageRequest, Progress
from text2x.text import Prompt, read_prompt_file, read_prompts, slug

if TYPE_CHECKING:
    from text2x.requests import Generator, Result

TOGETHER = 16  # pictures of a prompt that are made before the first of them is written

Prompts = Annotated[
    list[str] | None,
    typer.Argument(metavar="PROMPT...", help="What the picture shows, in quotes; unquoted words make one prompt."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE|DIR",
        help="A file, overwritten if it is there, numbered if there are several pictures; a folder, with a slash at "
        "the end if it is new; or - for standard output. Without it out/PROMPT.png, numbered if that name is taken.",
    ),
]  # fmt: skip
PromptFile = Annotated[
    str | None, typer.Option("--prompts", metavar="FILE|-", help="More prompts, one a line; - is standard input.")
]
Format = Annotated[str | None, typer.Option(metavar="png|webp|jpg", help="Instead of the name's; jpg lies on white.")]
Grid = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write a contact sheet of all pictures.")]
Preview = Annotated[
    bool,
    typer.Option(
        "--preview",
        help="Show the picture as it sharpens: in the terminal; without one, as NAME.preview.png until it is done.",
    ),
]
NoMetadata = Annotated[
    bool, typer.Option("--no-metadata", help="Leave prompt, seed, model, version and settings out of the files.")
]


@dataclasses.dataclass
class _Done:
    """What has been made so far, in order."""

    model: str
    warnings: list[str]  # each once
    files: list[str] = dataclasses.field(default_factory=list)
    results: list[Result] = dataclasses.field(default_factory=list)
    prompts: list[str] = dataclasses.field(default_factory=list)  # one a result
    timings: dict[str, float] = dataclasses.field(default_factory=dict)  # seconds

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the seconds of what is inside."""
        begin = time.perf_counter()
        yield
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - begin

    def add(self, result: Result, prompt: str, file: str) -> None:
        """Count in one picture."""
        self.files.append(file)
        self.results.append(result)
        self.prompts.append(prompt)
        self.warnings += [each for each in result.warnings if each not in self.warnings]
        for name, value in result.timings.items():
            self.timings[name] = self.timings.get(name, 0.0) + value


@dataclasses.dataclass(frozen=True)
class Making:
    """How pictures are made and where they go: the options that every command for pictures has."""

    output: Output = None
    model: Model = "emoji"
    upsampler: Upsamplers = None
    stage: Stages = None
    format: Format = None
    grid: Grid = None
    preview: Preview = False
    json: Json = False
    no_metadata: NoMetadata = False
    threads: Threads = None
    device: Device = "auto"


@with_fields(ImageRequest, shared=Making)
def image(
    prompts: Prompts = None, prompt_file: PromptFile = None, frames: Walk = None, rate: Rate = 12.0, **given: Any
) -> None:
    """Make pictures from words: text2x image "a red apple" -n 4

    Each picture depends on the model, the settings and its own seed alone: ask for that seed to get it again.
    """
    requests, warnings = _requests(_gather(prompts or [], prompt_file), taken(ImageRequest, given))
    if frames is not None:
        if given.get("upsampler") or given.get("stage"):
            raise InputError("a walk is for GANs, which have no stages: leave --upsampler and --stage out")
        return walk(requests, warnings, Making(**taken(Making, given)), frames, rate)
    make(requests, warnings, Making(**taken(Making, given)))


def make(requests: list[ImageRequest], warnings: list[str], making: Making, name: str | None = None) -> None:
    """Make and write the pictures of the requests and say what was done; `name` stands in for a prompt's in files."""
    begin = time.perf_counter()
    done = _Done(info(making.model, models_folder()).name, warnings)
    where, sheet = out.destination(making.output, making.format), out.sheet_destination(making.grid)
    count = sum(request.count for request in requests)
    to_stream = making.output == out.STANDARD_OUTPUT
    if where.is_stream and (count > 1 or (making.json and to_stream)):
        raise InputError(f"{making.output} takes one picture and nothing else; give a folder or a file's name with -o")
    line = ProgressLine(count)
    try:
        generator = _load(making, line, done)
        for request in requests:
            called = name or slug(request.prompt)
            shown_at = out.preview(where, called) if making.preview else None
            for part in _parts(request):
                line.before = len(done.files)
                for result in _generate(generator, part, line, shown_at, done):
                    about = None if making.no_metadata else _metadata(result, request, done.model)
                    data = result.media.encode(where.format, about)
                    done.add(result, request.prompt, _write(where, called, count > 1, data, done))
    finally:
        line.clear()
    if sheet is not None:
        _write_sheet(sheet, requests, making.no_metadata, done)
    done.timings["total"] = time.perf_counter() - begin
    if making.json:
        typer.echo(json_module.dumps(_summary(done, making.grid)))
    else:
        _report(done, making.grid, to_stderr=to_stream)


def _gather(arguments: list[str], prompt_file: str | None) -> list[Prompt]:
    """The prompts of the command line, then those of the file; unquoted words are one prompt."""
    if len(arguments) > 1 and not any(" " in each.strip() for each in arguments):
        arguments = [" ".join(arguments)]
    prompts = [Prompt(each) for each in arguments]
    if prompt_file == out.STANDARD_OUTPUT:
        prompts += read_prompts(sys.stdin.buffer, "standard input")
    elif prompt_file is not None:
        prompts += read_prompt_file(Path(prompt_file))
    if not prompts:
        raise InputError('no prompt; say what the picture shows, as in: text2x image "a red apple"')
    return prompts


def _requests(prompts: list[Prompt], given: Mapping[str, Any]) -> tuple[list[ImageRequest], list[str]]:
    """One request a prompt, and warnings; if no seed is given one is drawn for all, so that the prompts compare."""
    requests: list[ImageRequest] = []
    warnings: list[str] = []
    for prompt in prompts:
        request, more = ImageRequest(prompt=prompt.text, **given).cleaned()
        requests.append(request.seeded() if not requests else dataclasses.replace(request, seed=requests[0].seed))
        warnings += [*prompt.warnings, *more]
    return requests, list(dict.fromkeys(warnings))


def _parts(request: ImageRequest) -> Iterator[ImageRequest]:
    """The request in pieces of which each is written before the next is made; the pictures are the same."""
    assert request.seed is not None
    for start in range(0, request.count, TOGETHER):
        count = min(TOGETHER, request.count - start)
        yield dataclasses.replace(request, count=count, seed=request.seed + start)


def _load(making: Making, line: ProgressLine, done: _Done) -> Generator:
    line.message(f"loading {one_line(making.model)}")
    with done.timed("load"):
        set_threads(making.threads)
        swaps = (making.upsampler or (), stages_of(making.stage))
        generator = load(making.model, making.device, models_folder(), *swaps)
    line.clear()
    return generator


def _generate(
    generator: Generator, request: ImageRequest, line: ProgressLine, preview_path: Path | None, done: _Done
) -> list[Result]:
    """The request's results, with the estimates shown on the way if a preview is wanted."""
    if preview_path is None:
        with done.timed("generate"):
            return generator.generate(request, line if line.shown else None)
    terminal = TerminalPreview() if line.shown else None

    def show(progress: Progress) -> None:
        estimate = progress.estimate()[0]
        if terminal is None:
            out.write(preview_path, estimate.encode("png"))
        else:
            terminal(estimate)
        line(progress)

    try:
        with done.timed("generate"):
            return generator.generate(request, show)
    finally:
        preview_path.unlink(missing_ok=True)


def _metadata(result: Result, request: ImageRequest, model: str) -> dict[str, Any]:
    """What the file says of itself: with it the same picture can be asked for again."""
    from text2x import __version__

    fields = [each.name for each in dataclasses.fields(request) if each.name not in ("count", "edit")]
    asked = {name: getattr(request, name) for name in fields}
    values = {
        **asked,
        **described(request.edit),
        **result.settings,
        "seed": result.seed,
        "model": model,
        "version": __version__,
    }
    return {name: value for name, value in values.items() if value not in (None, "", ())}


def _write(where: out.Destination, name: str, many: bool, data: bytes, done: _Done) -> str:
    with done.timed("write"):
        if where.is_stream:
            return out.write_stream(where, data)
        path = out.place(where, name, many, data, set(done.files))
        out.write(path, data)
        return str(path)


def _write_sheet(where: out.Destination, requests: list[ImageRequest], no_metadata: bool, done: _Done) -> None:
    """One row a prompt where there are several, else about square; below each picture what tells it from the others."""
    from text2x import __version__
    from text2x.media import contact_sheet

    with done.timed("write"):
        several = len(requests) > 1
        columns = requests[0].count if several and requests[0].count > 1 else None
        labels = done.prompts if several else [f"seed {result.seed}" for result in done.results]
        sheet = contact_sheet([result.media for result in done.results], columns, labels)
        prompts = " | ".join(request.prompt for request in requests)
        seeds = [result.seed for result in done.results]
        about = {"prompt": prompts, "seed": seeds[0], "seeds": seeds, "model": done.model, "version": __version__}
        out.write(out.named(where), sheet.encode(where.format, None if no_metadata else about))


def _summary(done: _Done, grid: Path | None) -> dict[str, Any]:
    """The one object of --json."""
    seeds = [result.seed for result in done.results]
    timings = {name: round(value, 4) for name, value in done.timings.items()}
    values = {"files": done.files, "seed": seeds[0], "seeds": seeds, "model": done.model, "timings": timings}
    classes = [result.settings["class"] for result in done.results if "class" in result.settings]
    chosen = {"classes": classes} if classes else {}
    return {**values, "warnings": done.warnings, **chosen, **({} if grid is None else {"grid": str(grid)})}


def _report(done: _Done, grid: Path | None, to_stderr: bool) -> None:
    """What a person wants to know: where the pictures are, their seeds, how long it took, what went otherwise."""
    for warning in done.warnings:
        warn(warning)
    for file, result in zip(done.files, done.results, strict=True):
        chosen = f"  class {result.settings['class']}" if "class" in result.settings else ""  # classifier guidance
        typer.echo(f"{one_line(file)}  seed {result.seed}{chosen}", err=to_stderr)
    if grid is not None:
        typer.echo(one_line(str(grid)), err=to_stderr)
    media = done.results[0].media
    size = f"{media.width} x {media.height} pixels"
    loading = f"{seconds(done.timings['total'])}, {seconds(done.timings['load'])} of it loading"
    typer.echo(f"{counted(len(done.files), 'picture')} of {size} by {done.model} in {loading}", err=to_stderr)
