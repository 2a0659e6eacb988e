"""How many bytes torch's tensors take while something runs, on any device; what is inside of kernels is not seen."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors that are made within its block, and the most that were alive at once, `peak`."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what it has made."""
        given = {_address(each) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, Tensor) and _address(each) not in given:
                self._count(each)
        return made

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known[storage] = size
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._gone, size).atexit = False

    def _gone(self, size: int) -> None:
        self.live -= size


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def weight_bytes(networks: Iterable[object]) -> int:
    """Bytes of the parameters and buffers of those that are modules; what is shared counts once."""
    found: dict[int, int] = {}
    for network in networks:
        if isinstance(network, nn.Module):
            for each in (*network.parameters(), *network.buffers()):
                found[id(each)] = each.numel() * each.element_size()
    return sum(found.values())
