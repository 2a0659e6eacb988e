"""`text2x image ... --walk`: an animation on the way from picture to picture, by a GAN."""

from __future__ import annotations

import dataclasses
import json as json_module
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from text2x.cli import output as out
from text2x.cli.options import models_folder, set_threads
from text2x.cli.terminal import counted, one_line, seconds, warn
from text2x.errors import InputError
from text2x.library import info, load
from text2x.requests import ImageRequest
from text2x.text import slug

if TYPE_CHECKING:
    from text2x.cli.image import Making
    from text2x.gan_generator import GANGenerator
    from text2x.moving import Video

FORMATS = ("webp", "png", "gif")

Walk = Annotated[
    int | None,
    typer.Option(
        "--walk", metavar="FRAMES", min=2, max=1000,
        help="Write an animation of so many frames that goes through all the pictures and back: by a GAN only.",
    ),
]  # fmt: skip
Rate = Annotated[float, typer.Option("--fps", metavar="FPS", min=0.1, max=240, help="Frames a second of a walk.")]


def walk(requests: list[ImageRequest], warnings: list[str], making: Making, frames: int, rate: float) -> None:
    """Make and write the animation, and say what was done."""
    from text2x.moving import Video

    begin = time.perf_counter()
    name = info(making.model, models_folder()).name
    path, format = _place(making, requests)
    stations = _stations(requests)
    set_threads(making.threads)
    generator = _able(load(making.model, making.device, models_folder()), name)
    loading = time.perf_counter() - begin
    pictures = generator.tour(stations, frames)
    warnings = list(dict.fromkeys([*warnings, *generator.warnings(requests[0]), *_colours(format)]))
    video = Video.of(pictures, rate)
    about = None if making.no_metadata else _metadata(generator, stations, video, name)
    if path.name == out.STANDARD_OUTPUT:
        out.write_stream(out.Destination(path.parent, path.name, "", format), video.encode(format, about))
    else:
        out.write(path, video.encode(format, about))
    _write_sheet(making, video, about)
    timings = {"load": loading, "total": time.perf_counter() - begin}
    seeds = [each.seed for each in stations]
    if making.json:
        told = {"files": [str(path)], "seed": seeds[0], "seeds": seeds, "model": name, "frames": frames, "fps": rate}
        typer.echo(json_module.dumps({**told, "timings": timings, "warnings": warnings}))
        return
    to_stderr = path.name == out.STANDARD_OUTPUT
    for warning in warnings:
        warn(warning)
    typer.echo(f"{one_line(str(path))}  seeds {', '.join(str(seed) for seed in seeds)}", err=to_stderr)
    size = f"{counted(frames, 'frame')} of {video.width} x {video.height} pixels, {video.seconds:g} s"
    typer.echo(f"{size}, by {name} in {seconds(timings['total'])}, {seconds(loading)} of it loading", err=to_stderr)


def _stations(requests: list[ImageRequest]) -> list[ImageRequest]:
    """One request a picture; a single picture gets a second one, of the next seed."""
    stations = [
        dataclasses.replace(request, seed=(request.seed or 0) + item, count=1)
        for request in requests
        for item in range(request.count)
    ]
    if len(stations) == 1:
        stations.append(dataclasses.replace(stations[0], seed=(stations[0].seed or 0) + 1))
    return stations


def _able(generator: Any, name: str) -> GANGenerator:
    from text2x.gan_generator import GANGenerator

    if not isinstance(generator, GANGenerator):
        raise InputError(f"the model {name} cannot walk: --walk is for GANs; `text2x train gan` makes one")
    return generator


def _place(making: Making, requests: list[ImageRequest]) -> tuple[Path, str]:
    """Where the animation goes, and its format."""
    if making.preview:
        raise InputError("a walk has no preview: leave --preview or --walk out")
    wanted = None if making.format is None else making.format.lower().removeprefix(".")
    given = making.output
    if given == out.STANDARD_OUTPUT:
        if making.json:
            raise InputError("standard output takes the animation or --json, not both; give a file's name with -o")
        return Path(given), _checked(wanted or "webp")
    if given is None or given.endswith("/") or Path(given).is_dir():
        format = _checked(wanted or "webp")
        folder = out.destination(given, None).folder
        where = out.Destination(folder, None, f".{format}", format)
        names = out.candidates(where, slug(f"{requests[0].prompt} walk"), many=False)
        return next(each for each in names if not each.exists()), format
    path = Path(given).expanduser()
    path = path if path.suffix else path.with_name(f"{path.name}.{wanted or 'webp'}")
    format = _checked(path.suffix.lower().removeprefix("."))
    if wanted is not None and wanted != format:
        raise InputError(f"the name {given} and --format {making.format} disagree; leave one of them out")
    out.destination(f"{path.parent}/x.png", None)  # the folder is there and can be written to
    return path, format


def _checked(format: str) -> str:
    if format not in FORMATS:
        raise InputError(f"an animation cannot be written as {format!r}; give {', '.join(FORMATS)}")
    return format


def _colours(format: str) -> list[str]:
    return ["a GIF has 255 colours a frame and hard edges; webp and png keep all"] if format == "gif" else []


def _metadata(generator: GANGenerator, stations: list[ImageRequest], video: Video, model: str) -> Mapping[str, Any]:
    from text2x import __version__

    settings = generator.settings(stations[0])
    return {
        "prompt": " | ".join(dict.fromkeys(each.prompt for each in stations)),
        "seed": stations[0].seed,
        "walk": [[each.prompt, each.seed] for each in stations],
        "frames": len(video),
        "fps": video.rate,
        **{name: value for name, value in settings.as_dict().items() if name != "prompt"},
        "model": model,
        "version": __version__,
    }


def _write_sheet(making: Making, video: Video, about: Mapping[str, Any] | None) -> None:
    from text2x.media import contact_sheet

    where = out.sheet_destination(making.grid)
    if where is not None:
        out.write(out.named(where), contact_sheet(video.pictures()).encode(where.format, about))
