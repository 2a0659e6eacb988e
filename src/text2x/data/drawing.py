"""From SVG or PIL picture to stored pixels: uint8 [4, size, size], alpha premultiplied before any averaging."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from text2x.data.tables import load_table
from text2x.errors import InputError

RENDER = 256  # smallest side that a drawing is rendered at before it is averaged down


def draw_svg(body: str, view: tuple[float, float, float, float], size: int, flip: bool = False) -> NDArray[np.uint8]:
    """Draw an SVG body with view box (left, top, width, height), centred on a transparent square."""
    try:
        import resvg_py
    except ImportError:
        raise InputError("drawing SVG needs the package resvg-py; install text2x[data]") from None
    left, top, width, height = view
    side = max(width, height)
    box = f"{left - (side - width) / 2} {top - (side - height) / 2} {side} {side}"
    if flip:
        body = f'<g transform="translate({2 * left + width} 0) scale(-1 1)">{body}</g>'
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    scale = max(2, -(-RENDER // size))
    svg = f'<svg {namespaces} viewBox="{box}" width="{size * scale}" height="{size * scale}">{body}</svg>'
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))
    with Image.open(io.BytesIO(png)) as picture:
        pixels = premultiply(picture)
    return to_uint8(area_mean(pixels, size))


def premultiply(picture: Image.Image) -> NDArray[np.float32]:
    """A picture of any mode as float32 [4, H, W] in [0, 1], colours multiplied by alpha."""
    straight = np.divide(np.asarray(picture.convert("RGBA")), 255, dtype=np.float32)  # [H, W, 4]
    straight = straight.transpose(2, 0, 1).copy()
    straight[:3] *= straight[3:]
    return straight


def area_mean(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Resize [..., H, W] to [..., size, size]; each new pixel is the mean over the area that it covers."""
    rows = _area_weights(pixels.shape[-2], size)  # [size, H]
    columns = _area_weights(pixels.shape[-1], size)  # [size, W]
    return np.matmul(np.matmul(rows, pixels), columns.T)


def shrink(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Pictures [N, C, S, S] at another side, by area; whole ratios are summed in integers, which is faster."""
    before = images.shape[-1]
    ratio, rest = divmod(before, size)
    if rest:
        return to_uint8(area_mean(np.divide(images, 255, dtype=np.float32), size))
    count, channels = images.shape[:2]
    rows = images.reshape(count, channels, size, ratio, before).sum(3, dtype=np.uint32)
    total = functools.reduce(np.add, (rows[..., offset::ratio] for offset in range(ratio)))
    return ((total + ratio * ratio // 2) // (ratio * ratio)).astype(np.uint8)


@functools.lru_cache(maxsize=16)
def _area_weights(before: int, after: int) -> NDArray[np.float32]:
    """Row i holds how much of each old pixel lies in new pixel i; rows sum to one."""
    edges = np.arange(after + 1) * (before / after)
    old = np.arange(before)
    low = np.maximum(edges[:-1, None], old[None])
    high = np.minimum(edges[1:, None], old[None] + 1)
    return (np.clip(high - low, 0, None) * (after / before)).astype(np.float32)


def to_uint8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[0, 1] to 0..255, rounded to nearest."""
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def main_colours(image: NDArray[np.uint8], most: int = 3, least: float = 0.12) -> tuple[str, ...]:
    """Names of the colours that cover at least the share `least` of the opaque area, the largest first."""
    pixels = area_mean(np.divide(image, 255, dtype=np.float32), 32).reshape(4, -1)  # [4, 1024]
    weight = pixels[3]
    if weight.sum() < 1:
        return ()
    seen = weight > 0.5
    straight = pixels[:3, seen] / weight[seen]
    names, anchors = _colour_anchors()
    distance = ((_to_lab(straight.T)[:, None] - anchors[None]) ** 2).sum(-1)  # [P, anchors]
    nearest = distance.argmin(1)
    shares: dict[str, float] = {}
    for index, amount in zip(nearest, weight[seen], strict=True):
        shares[names[index]] = shares.get(names[index], 0.0) + float(amount)
    total = sum(shares.values())
    ranked = sorted(shares, key=lambda name: (-shares[name], name))
    return tuple(name for name in ranked if shares[name] >= least * total)[:most]


@functools.cache
def _colour_anchors() -> tuple[tuple[str, ...], NDArray[np.float64]]:
    table: dict[str, list[str]] = load_table("colours.json")
    pairs = [(name, code) for name, codes in table.items() for code in codes]
    rgb = np.array([[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)] for _, code in pairs])
    return tuple(name for name, _ in pairs), _to_lab(rgb)


def _to_lab(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """sRGB [N, 3] in [0, 1] to CIE L*a*b* with the D65 white point (IEC 61966-2-1, CIE 15)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
