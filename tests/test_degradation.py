"""Faults of low resolutions: blur in closed form, shares, what stays as it is, and that defaults change nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from text2x.data.batches import BatchConfig, ImageBatches
from text2x.data.shapes import shapes
from text2x.degradation import blurred, degraded
from text2x.objectives import Denoising, shrink
from text2x.recipe import LowResolution, build_denoiser, build_network
from tiny_models import upsampler_recipe


def pictures(count: int = 4, size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 4, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_blur_spreads_a_point_as_a_gaussian_of_three_pixels() -> None:
    point = torch.zeros(2, 1, 7, 7)
    point[:, :, 3, 3] = 1
    made = blurred(point, torch.tensor([0.6, 1.0]))
    for place, sigma in enumerate((0.6, 1.0)):
        beside = math.exp(-1 / (2 * sigma**2))
        middle = 1 / (1 + 2 * beside)
        assert float(made[place, 0, 3, 3]) == pytest.approx(middle**2, rel=1e-5)
        assert float(made[place, 0, 3, 4]) == pytest.approx(middle**2 * beside, rel=1e-5)
        assert float(made[place].sum()) == pytest.approx(1, rel=1e-5)
        assert not made[place, 0, 3, 5]


def test_a_plain_picture_stays_as_it_is_under_blur() -> None:
    plain = torch.full((1, 4, 8, 8), 0.3)
    assert torch.allclose(blurred(plain, torch.tensor([0.6])), plain, atol=1e-6)


def test_the_share_says_how_many_pictures_are_damaged() -> None:
    x = pictures(200)
    rng = torch.Generator().manual_seed(0)
    assert torch.equal(degraded(x, 0.0, rng), x)
    changed = (degraded(x, 0.5, rng) != x).flatten(1).any(1).double().mean()
    assert 0.35 < float(changed) < 0.6  # half, of which one in 16 gets no fault
    made = degraded(x, 1.0, rng)
    assert made.abs().max() <= 1 and 0.02 < float((made - x).abs().mean()) < 0.5


def test_the_same_numbers_damage_in_the_same_way_and_odd_sizes_are_taken() -> None:
    x = pictures(8, 9)
    made = [degraded(x, 1.0, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def objective(low: LowResolution) -> Denoising:
    recipe = upsampler_recipe()
    torch.manual_seed(0)
    return Denoising(build_denoiser(recipe, build_network(recipe)), None, recipe.objective, low)


def test_an_upsampler_sees_the_blurred_picture_and_as_it_is_without() -> None:
    batch = ImageBatches(shapes(32), BatchConfig(batch_size=4, size=32, augment_probability=0.0)).batch_at(0)
    small = shrink(batch.images, 2)
    base = LowResolution(largest_noise=0.0)

    def seen(low: LowResolution) -> torch.Tensor:
        channels = objective(low).condition(batch, torch.Generator().manual_seed(0), None).channels
        assert channels is not None
        return channels[:, :4]

    def enlarged(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)

    assert torch.allclose(seen(base), enlarged(small), atol=1e-6)
    assert torch.allclose(
        seen(replace(base, blur=0.6)), enlarged(blurred(small, torch.full((4,), 0.6))), atol=1e-6
    )  # fmt: skip
    assert not torch.equal(seen(replace(base, degradation=1.0)), seen(base))
