"""`text2x evaluate`: how good a model is, beside real pictures, retrieval, the mean picture and noise."""

from __future__ import annotations

import json as json_module
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from text2x.cli.options import Device, Json, Threads, data_folder, model_names, models_folder, set_threads
from text2x.cli.terminal import BarLine, counted, seconds
from text2x.errors import InputError
from text2x.library import ModelInfo, info, load, resolve_device

FOLDER = Path("out")
MOST_LEFT_OUT = 10  # reasons that are shown one by one
PLAIN_SECONDS = 10.0  # between lines where standard error is no terminal

Name = Annotated[str, typer.Argument(metavar="MODEL", autocompletion=model_names, help="A model's name or folder.")]
Data = Annotated[
    str | None,
    typer.Option(metavar="NAME|DIR", help="A prepared data set, or shapes, moving-shapes or tones."),
]
Prompts = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=10_000, help="Prompts of each part of the data; 100, clips 25, sounds 60."),
]
Seeds = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=100, help="Pictures of each prompt; 3, clips 2, sounds 1."),
]
JudgeFolder = Annotated[
    Path | None, typer.Option("--judge", metavar="DIR", help="The judge of text agreement instead of the shipped one.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where the report goes; otherwise out/MODEL-DATA.")
]
Size = Annotated[int | None, typer.Option(metavar="N", min=8, max=1024, help="Side in pixels; otherwise the model's.")]
Fast = Annotated[
    bool, typer.Option("--fast", help="Draw in bfloat16: faster where the processor is, a little coarser.")
]
NoBench = Annotated[bool, typer.Option("--no-bench", help="Leave out the bench of 200 fixed prompts.")]


def evaluate(
    model: Name,
    data: Data = None,
    prompts: Prompts = None,
    seeds: Seeds = None,
    judge: JudgeFolder = None,
    output: Output = None,
    size: Size = None,
    fast: Fast = False,
    no_bench: NoBench = False,
    json: Json = False,
    threads: Threads = None,
    device: Device = "auto",
) -> None:
    """Measure a model: text2x evaluate emoji --data emoji

    Seen concepts, unseen concepts and unseen pairs of concept and style apart, each figure with its interval and beside
    real pictures, retrieval, the mean picture, noise and chance. Of clips also how they move, beside frozen, shuffled
    and reversed ones, how they go on from a first frame, and how they loop. Of sounds whether a classifier hears what
    was asked for; of music tempo, key and notes against the scores. Every model is asked the same.
    """
    begin = time.perf_counter()
    found = info(model, models_folder())
    data = data or _usual_data(found)
    folder = output or FOLDER / f"{found.name}-{Path(data).name}"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file and no folder; give another place with -o")
    set_threads(threads)
    place = resolve_device(device)
    asked = Evaluated(found.name, data, prompts, seeds, judge, size, fast, not no_bench, place)
    progress = Lines()
    try:
        measure = {"video": _of_clips, "sound": _of_sounds, "music": _of_sounds}.get(found.kind, _of_pictures)
        report, write, count = measure(model, asked, progress)
    finally:
        progress.clear()
    options = {"--data": data, "--prompts": prompts, "--seeds": seeds, "--judge": judge, "--size": size}
    flags = [str(part) for flag, value in options.items() if value is not None for part in (flag, value)]
    flags += [*(["--fast"] if fast else []), *(["--no-bench"] if no_bench else [])]
    paths = write(report, folder, shlex.join(["text2x", "evaluate", model, *flags]))
    if json:
        typer.echo(
            json_module.dumps({"folder": str(folder), "files": [str(path) for path in paths], **report.to_json()})
        )
        return
    from text2x.evaluating.report import grouped

    left_out = list(grouped(report.left_out))
    for each in left_out[:MOST_LEFT_OUT]:
        typer.echo(f"left out: {each}", err=True)
    if len(left_out) > MOST_LEFT_OUT:
        typer.echo(f"left out: {len(left_out) - MOST_LEFT_OUT} more, see the report", err=True)
    for path in paths:
        typer.echo(path)
    typer.echo(f"{count} by {found.name} on {data} in {seconds(time.perf_counter() - begin)}")


def _usual_data(found: ModelInfo) -> str:
    """What a model of clips or of sound was trained on; emoji for any other."""
    recipe = found.recipe.get("recipe") or found.recipe
    usual = {"video": "animated-emoji", "sound": "sounds", "music": "music"}.get(found.kind)
    return "emoji" if usual is None else str(recipe.get("data_set", usual))


@dataclass(frozen=True)
class Evaluated:
    """What was asked of the command; None stands for what the kind of model has by default."""

    name: str
    data: str
    prompts: int | None
    seeds: int | None
    judge: Path | None
    size: int | None
    fast: bool
    bench: bool
    device: str


def _of_pictures(model: str, asked: Evaluated, tell: Lines) -> tuple[Any, Callable[..., list[Path]], str]:
    """The report of a model of pictures, what writes it, and how much was drawn."""
    from text2x import evaluating

    images = evaluating.data_set(asked.data, data_folder())
    subject = evaluating.subject_of(asked.name, load(model, asked.device, models_folder()), images)
    usual = evaluating.EvaluationPlan()
    prompts, seeds = asked.prompts or usual.prompts, asked.seeds or usual.seeds
    plan = evaluating.EvaluationPlan(prompts, seeds, asked.size, asked.fast, asked.bench)
    evaluating.size_of(subject, images, plan)  # before anything that takes long
    instruments = evaluating.instruments_of(images, asked.judge, asked.device)
    report = evaluating.evaluate_model(subject, images, instruments, plan, tell)
    return report, evaluating.write_report, counted(len(report.pictures), "picture")


def _of_clips(model: str, asked: Evaluated, tell: Lines) -> tuple[Any, Callable[..., list[Path]], str]:
    """The same of a model of moving pictures; there is no bench of clips."""
    from text2x import evaluating

    generator = load(model, asked.device, models_folder())
    size = evaluating.clip_subject(asked.name, generator, wanted=asked.size).size
    clips = evaluating.clip_set(asked.data, data_folder(), size)
    subject = evaluating.clip_subject(asked.name, generator, clips)
    usual = evaluating.ClipPlan()
    prompts, seeds = asked.prompts or usual.prompts, asked.seeds or usual.seeds
    plan = evaluating.ClipPlan(prompts, seeds, min(usual.given, prompts), asked.size, asked.fast)
    evaluating.clip_size(subject, clips, plan)  # before anything that takes long
    instruments = evaluating.clip_instruments(clips, asked.judge, asked.device)
    report = evaluating.evaluate_clips(subject, clips, instruments, plan, tell)
    return report, evaluating.write_clip_report, counted(len(report.clips), "clip")


def _of_sounds(model: str, asked: Evaluated, tell: Lines) -> tuple[Any, Callable[..., list[Path]], str]:
    """The same of a model of sound or music, which has neither a size nor a judge of pictures."""
    from text2x import evaluating

    for option, given in (("--judge", asked.judge), ("--size", asked.size)):
        if given is not None:
            raise InputError(f"{asked.name} makes sound, of which {option} {given} says nothing; leave it out")
    subject = evaluating.sound_subject(asked.name, load(model, asked.device, models_folder()))
    clips = evaluating.sound_set(asked.data, data_folder(), subject.rate)
    instruments = evaluating.sound_instruments(clips, evaluating.sound_folder(asked.data, data_folder()), tell=tell)
    usual = evaluating.SoundPlan()
    plan = evaluating.SoundPlan(asked.prompts or usual.prompts, asked.seeds or usual.seeds, fast=asked.fast)
    report = evaluating.evaluate_sounds(subject, clips, instruments, plan, tell)
    return report, evaluating.write_sound_report, counted(len(report.sounds), "sound")


class Lines:
    """One progress line after another, each for one kind of work; where there is no terminal, a line now and then."""

    def __init__(self) -> None:
        self.line: BarLine | None = None
        self.told = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` parts of the work are ready."""
        if self.line is None or self.line.what != what:
            self.clear()
            self.line = BarLine(what)
        self.line(done, total)
        if not self.line.shown and time.monotonic() - self.told >= PLAIN_SECONDS:
            self.told = time.monotonic()
            typer.echo(f"{what} {done:,}/{total:,}", err=True)

    def clear(self) -> None:
        """Leave an empty line."""
        if self.line is not None:
            self.line.clear()
