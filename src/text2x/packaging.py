"""What all kinds of packed models share: what a folder says of itself, whose averaged weights it holds, and how small.

A run's folder has recipe.json, averages/ and, as best-*.safetensors, the averages that did best on held-out data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

import torch
from torch import Tensor

from text2x.config import from_dict
from text2x.errors import InputError
from text2x.files import file_hash, load_tensors, read_json, save_tensors
from text2x.latents import CODEC_FILE
from text2x.recipe import WeightFile
from text2x.training_config import TrainingConfig
from text2x.weights import Packing, pack, unpack

R = TypeVar("R")


@dataclass(frozen=True)
class Labels:
    """What a packed model is called, under what terms it may be used, and how its weights are taken from the run."""

    name: str
    licence: str = "unknown"
    summary: str | None = None  # None: the recipe's
    attribution: tuple[str, ...] = ()
    average: str | None = None  # as "0.999", or "best-0.999" for the best on held-out data; None: the recipe's first
    packing: Packing = "int8"
    codec: str | None = None  # a model beside, whose codec is taken instead of a copy

    def titles(self, summary: str) -> tuple[str, str, str]:
        """Name, summary and licence, which every model begins with; `summary` is the recipe's."""
        return self.name, self.summary or summary, self.licence


def recipe_of_run(kind: type[R], folder: Path) -> R:
    """The recipe of a training run, of a kind that is known; InputError where there is none."""
    path = folder / "recipe.json"
    if not path.is_file():
        raise InputError(f"{folder} is not the folder of a training run: recipe.json is missing")
    return from_dict(kind, read_json(path), where="recipe.json")


def averaged(folder: Path, training: TrainingConfig, average: str | None) -> Path:
    """The file of a run's averaged weights, as "0.999" or "best-0.999"; None: the first of its recipe."""
    name = average or str(training.averages[0])
    return (folder if name.startswith("best-") else folder / "averages") / f"{name}.safetensors"


def averaged_part(
    folder: Path, training: TrainingConfig, average: str | None, part: str, keep: bool = False
) -> dict[str, Tensor]:
    """Of a run's averaged weights those whose names begin with `part`, which is left away unless it is kept."""
    tensors = load_tensors(averaged(folder, training, average))
    own = {name: each for name, each in tensors.items() if name.startswith(part)}
    return own if keep else {name.removeprefix(part): each for name, each in own.items()}


def write_parts(target: Path, parts: Mapping[str, tuple[Mapping[str, Tensor], Packing]]) -> dict[str, WeightFile]:
    """Write tensors packed into files by their names, and say what recipe.json tells of each."""
    told = {}
    for file, (tensors, packing) in parts.items():
        save_tensors(target / file, pack(tensors, packing))
        told[file] = WeightFile(file_hash(target / file), packing, sum(each.numel() for each in tensors.values()))
    return told


def write_beside_codec(
    folder: Path, target: Path, file: str, tensors: Mapping[str, Tensor], packing: Packing, codec: Packing = "float16"
) -> dict[str, WeightFile]:
    """Write tensors packed into a file, and beside it the run's codec: as float16, since its faults would be heard."""
    return write_parts(target, {file: (tensors, packing), CODEC_FILE: (load_tensors(folder / CODEC_FILE), codec)})


def shared_codec(folder: Path, target: Path, name: str) -> str:
    """The hash of the codec of the model `name` beside `target`; InputError unless it is the run's own, packed."""
    other = target.resolve().parent / name
    if "/" in name or "\\" in name or not (other / CODEC_FILE).is_file():
        raise InputError(f"there is no {CODEC_FILE} in {other}; --codec names a packed model beside {target}")
    mine, theirs = unpack(load_tensors(folder / CODEC_FILE)), load_tensors(other / CODEC_FILE)
    kinds = {each.dtype for each in theirs.values()}
    packing: Packing = "int8" if torch.int8 in kinds else "float32" if torch.float32 in kinds else "float16"
    packed = pack(mine, packing)
    if packed.keys() != theirs.keys() or any(not torch.equal(packed[key], theirs[key]) for key in packed):
        raise InputError(f"{other / CODEC_FILE} is another codec than {folder / CODEC_FILE}; train on that one")
    return file_hash(other / CODEC_FILE)


def packed_as(name: str) -> Packing:
    """A packing by its name; another one raises InputError."""
    for known in get_args(Packing):
        if name == known:
            return known
    raise InputError(f"unknown packing {name!r}; weights are kept as {', '.join(get_args(Packing))}")
