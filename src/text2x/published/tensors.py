"""From the names of published weights to ours: an origin for each of our tensors, and every published one used once.

Shapes: O outputs, I inputs, N heads, d head width. An origin names the published tensors that one of ours is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from text2x.errors import InputError

Make = Callable[[Sequence[Tensor]], Tensor]


def joined(parts: Sequence[Tensor]) -> Tensor:
    """One tensor as it is, several one behind the other along their outputs."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def matrix(parts: Sequence[Tensor]) -> Tensor:
    """The same of convolutions of width 1, as the weights of a linear layer: [O, I, 1, 1] -> [O, I]."""
    whole = joined(parts)
    return whole.flatten(1) if whole.ndim > 1 else whole


@dataclass(frozen=True)
class Origin:
    """The published tensors that one of ours is made of, and how."""

    names: tuple[str, ...]
    make: Make = joined


Origins = dict[str, Origin]  # our name -> where it comes from


def layer(ours: str, *theirs: str, make: Make = joined, bias: bool = True) -> Origins:
    """Origins of the weight and the bias of a layer."""
    kinds = ("weight", "bias") if bias else ("weight",)
    return {f"{ours}.{kind}": Origin(tuple(f"{each}.{kind}" for each in theirs), make) for kind in kinds}


def translated(
    module: nn.Module, tensors: Mapping[str, Tensor], origins: Mapping[str, Origin], where: Path
) -> dict[str, Tensor]:
    """The weights of a module of ours, made of published ones, in float32; it may be on torch's meta device.

    Raises InputError for a published tensor that is missing, unused or of another shape than the module's.
    """
    used = {name for origin in origins.values() for name in origin.names}
    missing = sorted(used - tensors.keys())
    unused = sorted(tensors.keys() - used)
    if missing:
        raise InputError(f"{where} lacks {_some(missing)}; its settings describe another network, or it is not whole")
    if unused:
        raise InputError(f"{where} has {_some(unused)}, which the network of its settings has not")
    own = module.state_dict()
    if own.keys() != origins.keys():
        raise ValueError(f"origins and network differ in {_some(sorted(own.keys() ^ origins.keys()))}")
    made = {}
    for name, origin in origins.items():
        shapes = ", ".join(f"{each} {list(tensors[each].shape)}" for each in origin.names)
        try:
            value = origin.make([tensors[each].float() for each in origin.names])
        except (RuntimeError, IndexError) as error:  # of shapes that cannot be joined or cut
            raise InputError(f"{where}: cannot make {name} of {shapes}: its settings say other shapes") from error
        if value.shape != own[name].shape:
            raise InputError(f"{where}: {name} is made of {shapes}; its settings say the shape {list(own[name].shape)}")
        made[name] = value.contiguous()
    return made


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
