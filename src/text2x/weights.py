"""Small weights: float16, or int8 with a float16 scale an output channel; float32 again when they are read.

A matrix or kernel `name` [O, ...] kept in int8 has beside it `name.scale` [O]: weight = int8 * scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from text2x.errors import InputError
from text2x.files import load_tensors

SCALE = ".scale"
Packing = Literal["float32", "float16", "int8"]


def pack(state: Mapping[str, Tensor], packing: Packing) -> dict[str, Tensor]:
    """The tensors as they are saved; "int8" keeps vectors and single numbers in float16."""
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        value = value.detach().float().cpu().contiguous()
        if packing == "int8" and value.ndim >= 2:
            largest = value.flatten(1).abs().amax(1)
            scale = (largest / 127).clamp_min(2.0**-24).half()  # the smallest positive float16
            rows = scale.float().reshape(-1, *[1] * (value.ndim - 1))
            packed[name] = (value / rows).round().clamp(-127, 127).to(torch.int8)
            packed[name + SCALE] = scale
        else:
            packed[name] = value if packing == "float32" else value.half()
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """float32 tensors from what `pack` made."""
    state: dict[str, Tensor] = {}
    for name, value in packed.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in packed:
            continue
        if value.dtype == torch.int8:
            scale = packed[name + SCALE].float()
            state[name] = value.float() * scale.reshape(-1, *[1] * (value.ndim - 1))
        else:
            state[name] = value.float()
    return state


def load_weights(module: nn.Module, path: Path, sha256: str | None = None) -> None:
    """Give a module the weights in a file, packed or plain; a missing, foreign or misshapen one raises InputError."""
    put_weights(module, unpack(load_tensors(path, sha256)), path)


def put_weights(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy tensors into a module of the same names and shapes; `path` is where they came from, for the message."""
    own = module.state_dict()
    missing = [name for name in own if name not in tensors]
    foreign = [name for name in tensors if name not in own]
    if missing:
        raise InputError(f"{path} lacks {_some(missing)}; it is not of this network")
    if foreign:
        raise InputError(f"{path} has {_some(foreign)}, which this network has not")
    for name, value in own.items():
        if tensors[name].shape != value.shape:
            shapes = f"{list(tensors[name].shape)}, this network's is {list(value.shape)}"
            raise InputError(f"{path}: {name} has the shape {shapes}")
    module.load_state_dict(dict(tensors))


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
