"""Options that several commands share, and those that a request's fields become."""

from __future__ import annotations

import dataclasses
import inspect
import os
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from text2x.errors import InputError

C = TypeVar("C", bound=Callable[..., Any])

Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")]
Threads = Annotated[int | None, typer.Option(metavar="N", help="CPU threads; the pictures are the same with any.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output; all else is standard error.")
]
METAVARS = {bool: None, int: "N", float: "X", str: "TEXT", tuple[float, float]: "LOW HIGH"}


def models_folder() -> Path | None:
    """The folder of the user's own models: TEXT2X_MODELS, or None for the usual one."""
    value = os.environ.get("TEXT2X_MODELS")
    return Path(value).expanduser() if value else None


def data_folder() -> Path:
    """The folder of fetched packages and prepared data: TEXT2X_CACHE, or the usual one."""
    from text2x.data import data_root

    value = os.environ.get("TEXT2X_CACHE")
    return Path(value).expanduser() if value else data_root()


def set_threads(count: int | None) -> None:
    """Let torch use this many threads; None leaves its choice."""
    if count is None:
        return
    if not 1 <= count <= 1024:
        raise InputError(f"threads is {count}; it must be from 1 to 1024")
    import torch

    torch.set_num_threads(count)


def model_names(incomplete: str) -> list[str]:
    """For shell completion."""
    from text2x.library import models

    return [info.name for info in models(models_folder()) if info.name.startswith(incomplete)]


Model = Annotated[
    str,
    typer.Option(metavar="NAME|DIR", help="A model's name or folder; see `text2x models`.", autocompletion=model_names),
]

Upsamplers = Annotated[
    list[str] | None,
    typer.Option(
        "--upsampler", metavar="NAME|DIR", autocompletion=model_names,
        help="A model or a training run whose upsamplers take the place of the model's own; may be repeated.",
    ),
]  # fmt: skip
Stages = Annotated[
    list[str] | None,
    typer.Option(
        "--stage", metavar="N=NAME|DIR",
        help="A model or a training run whose stage takes the place of stage N, 0 for the base; may be repeated.",
    ),
]  # fmt: skip


def stages_of(given: list[str] | None) -> dict[int, str]:
    """Stages by their place from "N=NAME"."""
    stages: dict[int, str] = {}
    for text in given or []:
        place, _, name = text.partition("=")
        if not (place.isdecimal() and len(place) < 3 and name):
            way = "write 0=NAME for the base, 1=NAME for the first upsampler"
            raise InputError(f"cannot read the stage {text!r}; {way}")
        if int(place) in stages:
            raise InputError(f"stage {place} is given twice, as {stages[int(place)]} and {name}; leave one out")
        stages[int(place)] = name
    return stages


def with_fields(
    *requests: type, shared: Callable[..., Any] | None = None, without: tuple[str, ...] = ()
) -> Callable[[C], C]:
    """Give a command one option for each field of the requests that has a flag, and those that `shared` takes.

    They arrive as keyword arguments; `taken` picks out the ones of one of them.
    """

    def decorate(command: C) -> C:
        added = [] if shared is None else [_keyword(each) for each in _parameters(shared)]
        for request in requests:
            added += [each for each in field_options(request).values() if each.name not in without]
        own = [each for each in _parameters(command) if each.kind is not inspect.Parameter.VAR_KEYWORD]
        command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in [*own, *added]}
        return command

    return decorate


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _keyword(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def taken(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of keyword arguments, those that are fields of a dataclass and were given: None and an empty list were not."""
    names = {each.name for each in dataclasses.fields(kind)}
    return {name: value for name, value in given.items() if name in names and value is not None and value != []}


def field_options(request: type) -> dict[str, inspect.Parameter]:
    """The request's fields as parameters of a typer command; None as a default means the model's own."""
    hints = typing.get_type_hints(request)
    parameters: dict[str, inspect.Parameter] = {}
    for field in dataclasses.fields(request):
        flags = field.metadata["flags"]
        if not flags or not flags[0].startswith("-"):
            continue  # an argument, or nothing for the command line: each command takes it in its own way
        kind, annotation, default = _option_type(hints[field.name]), hints[field.name], field.default
        if kind is list:
            annotation, default = list[str] | None, None
        elif kind in (str, Any):
            annotation = str | None
        if default is dataclasses.MISSING:
            default = inspect.Parameter.empty
        option = typer.Option(
            *flags,
            help=f"{field.metadata['help']}{_range(field)}",
            metavar=METAVARS.get(kind, "TEXT"),
            show_default=default not in (None, "", 0, inspect.Parameter.empty),
        )
        parameters[field.name] = inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[annotation, option],
        )
    return parameters


def _option_type(hint: Any) -> Any:
    """What the command line reads for a field: text where it may be several things, a list for a row of texts."""
    if hint == tuple[str, ...]:
        return list
    kinds = [each for each in (typing.get_args(hint) or (hint,)) if each is not type(None)]
    if hint in METAVARS:
        return hint
    return str if str in kinds or Any in kinds else kinds[0]


def _range(field: dataclasses.Field[Any]) -> str:
    low, high = field.metadata["minimum"], field.metadata["maximum"]
    if low is None or high >= 2**32:
        return ""
    return f" {low} to {high}."
