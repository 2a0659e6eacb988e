"""Folders as diffusers writes them: settings, weights in safetensors, and a scheduler's betas. Pickles are refused.

t is [B] in [0, 1]: step k of N is t = (k + 1) / N.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, Literal

import torch
from torch import Tensor

from text2x.diffusion.schedules import Betas
from text2x.errors import InputError
from text2x.files import load_tensors, read_json
from text2x.published.settings import NUM_STEPS

WEIGHTS = ("diffusion_pytorch_model", "model")  # of a network, of a text encoder
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack")
LAST_ALPHA = 2.0**-12  # of a schedule whose last step is noise alone; alpha^2 is 2^-24 in diffusers

Predicted = Literal["epsilon", "x_0", "v"]
PREDICTIONS: dict[str, Predicted] = {"epsilon": "epsilon", "sample": "x_0", "v_prediction": "v"}
CURVES: dict[str, Literal["linear", "scaled_linear", "cosine"]] = {
    "linear": "linear",
    "scaled_linear": "scaled_linear",
    "squaredcos_cap_v2": "cosine",
}


def read_settings(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """The object in a folder's settings."""
    values = read_json(folder / name)
    if not isinstance(values, dict):
        raise InputError(f"{folder / name} holds no settings: an object was expected, got {type(values).__name__}")
    return values


def weight_files(folder: Path) -> list[Path]:
    """The safetensors that hold a network's weights: one file, several named by an index, or the only variant."""
    indexes = sorted(folder.glob("*.safetensors.index*.json"))
    for stem in WEIGHTS:
        if (folder / f"{stem}.safetensors").is_file():
            return [folder / f"{stem}.safetensors"]
    if indexes:
        return _of_index(indexes[0])
    others = sorted(folder.glob("*.safetensors"))
    if len(others) == 1:
        return others
    if others:
        names = ", ".join(path.name for path in others)
        raise InputError(f"{folder} has several weight files, {names}; leave the one that is wanted")
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES) if folder.is_dir() else []
    if pickles:
        raise InputError(
            f"{folder / pickles[0]} is a pickle, which can run code when it is read; get the same as .safetensors"
        )
    raise InputError(f"{folder} has no weights: {WEIGHTS[0]}.safetensors is missing")


def _of_index(index: Path) -> list[Path]:
    names = read_settings(index.parent, index.name).get("weight_map")
    if not isinstance(names, Mapping) or not names:
        raise InputError(f"{index} names no weight files")
    files = sorted({str(name) for name in names.values()})
    for name in files:
        if PurePath(name).name != name or not name.endswith(".safetensors"):
            raise InputError(f"{index} names the weights {name!r}; only .safetensors files beside it count")
    return [index.parent / name for name in files]


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a network's folder."""
    return {name: value for file in weight_files(folder) for name, value in load_tensors(file).items()}


def schedule_of(values: Mapping[str, Any]) -> Betas:
    """The betas that a scheduler's settings describe."""
    kind = str(values.get("_class_name", "scheduler"))
    steps = values.get("num_train_timesteps", NUM_STEPS)
    given, curve = values.get("trained_betas"), values.get("beta_schedule", "linear")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError(f"num_train_timesteps of this {kind} is {steps!r}; it must be a whole number of at least 1")
    if "Flow" in kind or values.get("use_flow_sigmas"):
        raise InputError(f"{kind} is of rectified flow, and the networks that are read here are not")
    if given is not None:
        plain = isinstance(given, list | tuple) and all(isinstance(each, int | float) for each in given)
        if not plain or len(given) != steps:
            raise InputError(f"trained_betas of this {kind} must be {steps} numbers, as many as num_train_timesteps")
        schedule = Betas("table", steps, betas=tuple(float(each) for each in given))
    elif curve in CURVES:
        first, last = (values.get(name, default) for name, default in (("beta_start", 1e-4), ("beta_end", 0.02)))
        schedule = Betas(CURVES[curve], steps, float(first), float(last))
    else:
        raise InputError(f"beta_schedule of this {kind} is {curve!r}; text2x has {', '.join(CURVES)}")
    return _down_to_noise(schedule) if values.get("rescale_betas_zero_snr") else schedule


def _down_to_noise(schedule: Betas) -> Betas:
    """The same with alpha shifted and scaled so that the last step is noise alone, all but 2^-24 (Lin et al. 2024)."""
    alpha = (schedule.log_alpha_squared()[1:] / 2).exp()  # [N]
    alpha = (alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])
    squares = torch.cat([alpha.new_ones(1), alpha[:-1].square(), alpha.new_tensor([LAST_ALPHA**2])])
    return Betas("table", schedule.num_steps, betas=tuple((1 - squares[1:] / squares[:-1]).tolist()))


def prediction_of(values: Mapping[str, Any]) -> Predicted:
    """What a network predicts by its scheduler's settings."""
    given = values.get("prediction_type", "epsilon")
    if given not in PREDICTIONS:
        raise InputError(f"prediction_type is {given!r}; text2x has {', '.join(PREDICTIONS)}")
    return PREDICTIONS[given]
