"""Inpainted pictures against the real ones: is the hole's border visible, and how far off is what was painted.

Pictures are [N, C, H, W] in [-1, 1], premultiplied; a mask is [H, W] or [N, H, W], 1 = known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.errors import InputError
from text2x.metrics.intervals import mean, ratio_of_means
from text2x.metrics.metric import Metric, Rows

SPACE = "premultiplied pixels in [-1, 1]"


def seam(pictures: Rows, real: Rows, mask: Rows, seed: int = 0) -> Metric:
    """How steep pictures are across the hole's border, over how steep the real ones are there; 1 is no visible seam.

    Steepness is the absolute difference of two neighbouring pixels (left and right, above and below), one known and one
    not, averaged over channels and over the border; the picture's own edge is no border. Above 1: a visible seam;
    below: a blurred one. Ratio of means over pictures; bootstrap interval over pictures, both drawn together.
    """
    painted, truth, known = _checked(pictures, real, mask)
    return ratio_of_means(_steepness(painted, known), _steepness(truth, known), SPACE, seed)


def hole_error(pictures: Rows, real: Rows, mask: Rows, seed: int = 0) -> Metric:
    """Mean absolute difference in the hole, over its pixels and all channels, averaged over pictures; 0 to 2.

    A good picture may differ from the real one: this measures reconstruction, not quality.
    """
    painted, truth, known = _checked(pictures, real, mask)
    errors = np.abs(painted - truth).mean(1)  # [N, H, W]
    holes = (~known).sum((1, 2))
    return mean((errors * ~known).sum((1, 2)) / holes, SPACE, seed)


def _steepness(pictures: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean absolute difference across each picture's border, [N]."""
    total, count = np.zeros(len(pictures)), np.zeros(len(pictures))
    for axis in (1, 2):
        border = np.diff(known, axis=axis)  # True between a known and an unknown pixel
        steps = np.abs(np.diff(pictures, axis=axis + 1)).mean(1)
        total += (steps * border).sum((1, 2))
        count += border.sum((1, 2))
    return total / count


def _checked(
    pictures: Rows, real: Rows, mask: Rows
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Pictures, real pictures and masks [N, H, W], all of one shape and each with a hole and a known part."""
    painted, truth, known = (_array(each) for each in (pictures, real, mask))
    if painted.ndim != 4 or painted.shape != truth.shape or len(painted) == 0:
        raise InputError(
            f"pictures {list(painted.shape)} and real ones {list(truth.shape)} must both be [N, C, H, W] of one shape"
        )
    whole = (len(painted), *painted.shape[2:])
    if known.shape not in (whole, whole[1:]):
        raise InputError(f"the mask is {list(known.shape)}; it must be {list(whole[1:])} or {list(whole)}")
    if not np.isin(known, (0, 1)).all():
        raise InputError("the mask holds values other than 0 and 1; round it first, 1 = known")
    for name, each in (("pictures", painted), ("real pictures", truth)):
        if not np.isfinite(each).all():
            raise InputError(f"{int((~np.isfinite(each)).sum())} values of the {name} are not finite; leave them out")
    known = np.broadcast_to(known.astype(bool), whole)
    one_sided = int((known.all((1, 2)) | ~known.any((1, 2))).sum())
    if one_sided:
        raise InputError(f"{one_sided} of {len(known)} masks have no border; each needs known and unknown pixels")
    return painted, truth, known


def _array(given: Any) -> NDArray[np.float64]:
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    return np.asarray(given, dtype=np.float64)
