"""Laws of every method: what is known is kept, items are on their own, noise and cost are what they say."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations, product

import pytest
import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.inpainting import FRESH, METHODS, Known, keep, langevin, repaint, start_from
from text2x.diffusion.mixture import Mixture
from text2x.diffusion.samplers import SAMPLERS, STOCHASTIC, Sampler, Step, time_grid
from text2x.diffusion.schedules import SCHEDULES, Linear, NoiseSchedule
from text2x.diffusion.steps import NoiseLike, OnStep
from text2x.errors import InputError

LINEAR = Linear()
MIXTURE = Mixture()
FREE = sorted(set(METHODS) - FRESH)  # those that draw no noise of their own


def noise_from(*seeds: int) -> NoiseLike:
    """One generator an item; with one seed, one for all."""
    rngs = [torch.Generator().manual_seed(seed) for seed in seeds]

    def noise_like(x: Tensor) -> Tensor:
        if len(rngs) == 1:
            return torch.randn(x.shape, generator=rngs[0], dtype=x.dtype)
        return torch.stack([torch.randn(x.shape[1:], generator=rng, dtype=x.dtype) for rng in rngs])

    return noise_like


def no_noise(x: Tensor) -> Tensor:
    raise AssertionError("noise was drawn")


def run(
    method: str,
    sampler: str,
    known: Known,
    denoise: Denoise | None = None,
    schedule: NoiseSchedule = LINEAR,
    steps: int = 6,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """A whole walk from the run's noise."""
    ts = time_grid(steps)
    x = known.noise * float(schedule(ts[:1])[1])
    chosen = METHODS[method](SAMPLERS[sampler], known)
    return chosen(denoise or MIXTURE.denoise(schedule), x, ts, schedule, noise_like or noise_from(9), on_step)


def example(mask: Tensor | float | None = None, *shape: int) -> Known:
    """A random image of 3 items, and a mask with holes, known pixels and soft ones."""
    shape = shape or (3, 2, 8)
    draw = noise_from(0)
    image = draw(torch.empty(shape)).clamp(-1, 1)
    if mask is None:
        mask = torch.tensor([0.0, 1.0, 1.0, 0.25, 0.75, 0.0, 1.0, 0.0])
    return Known(image, torch.as_tensor(mask).expand(shape[0], 1, *shape[2:]), draw(image))


# Laws


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("method", METHODS)
def test_known_pixels_are_returned_bit_for_bit_on_every_schedule(method: str, sampler: str) -> None:
    known = example()
    held = known.held.expand_as(known.image)
    for schedule, steps in product(SCHEDULES.values(), (1, 5)):
        made = run(method, sampler, known, schedule=schedule, steps=steps)
        assert torch.equal(made[held], known.image[held])
        assert made.isfinite().all()
        assert (made != known.image)[(known.mask == 0).expand_as(made)].all()


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpmpp_2m"])
@pytest.mark.parametrize("method", METHODS)
def test_a_full_mask_returns_the_image(method: str, sampler: str) -> None:
    known = example(1.0)
    assert torch.equal(run(method, sampler, known), known.image)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("method", FREE)
def test_an_empty_mask_is_plain_sampling_bit_for_bit(method: str, sampler: str) -> None:
    known = example(0.0)
    plain = SAMPLERS[sampler](MIXTURE.denoise(LINEAR), known.noise, time_grid(6), LINEAR, noise_from(9))
    assert torch.equal(run(method, sampler, known), plain)


@pytest.mark.parametrize("method", sorted(FRESH))
def test_an_empty_mask_leaves_the_data_their_mean_and_variance(method: str) -> None:
    known = example(0.0, 2000, 1, 1)
    made = run(method, "ddpm", known, steps=60)
    assert float(made.mean()) == pytest.approx(MIXTURE.mean, abs=0.05)
    assert float(made.var()) == pytest.approx(MIXTURE.variance, rel=0.1)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"differential"}))
def test_a_soft_pixel_is_a_blend_of_what_is_sampled_and_the_image(method: str) -> None:
    known = example()
    made = run(method, "ddim", known, lambda x_t, t: torch.full_like(x_t, 0.5))
    torch.testing.assert_close(made, torch.lerp(torch.full_like(made, 0.5), known.image, known.mask))


@pytest.mark.parametrize("schedule_name", SCHEDULES)
def test_a_change_of_one_value_is_image_to_image_from_there(schedule_name: str) -> None:
    schedule, ts = SCHEDULES[schedule_name], time_grid(8)
    known = example(0.5, 3, 2, 8)
    known = Known(known.image.double(), known.mask.double(), known.noise.double())
    start = start_from(known.image, known.noise, schedule, 0.5)
    expected = SAMPLERS["ddim"](MIXTURE.denoise(schedule), start, ts[4:], schedule)
    made = run("differential", "ddim", known, schedule=schedule, steps=8)
    torch.testing.assert_close(made, expected)


def test_a_pixel_is_free_from_the_time_that_its_change_says() -> None:
    known, steps = example(torch.tensor([1.0, 0.85, 0.65, 0.45, 0.25, 0.05, 0.0, 1.0])), list[Step]()
    run("differential", "ddim", known, steps=10, on_step=steps.append)
    for step in steps:
        free = step.t <= 1 - known.mask + 1e-6
        assert torch.equal((step.x_0 != known.image).any(1, keepdim=True), free)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun", "dpmpp_2m_sde"])
@pytest.mark.parametrize("method", METHODS)
def test_items_do_not_depend_on_their_batch_but_on_their_own_noise(method: str, sampler: str) -> None:
    known = example()
    alone = Known(known.image[1:2], known.mask[1:2], known.noise[1:2])
    together = run(method, sampler, known, noise_like=noise_from(4, 5, 6))
    assert torch.equal(together[1:2], run(method, sampler, alone, noise_like=noise_from(5)))
    if method in FRESH or sampler in STOCHASTIC:
        assert not torch.equal(together[1:2], run(method, sampler, alone, noise_like=noise_from(7)))


@pytest.mark.parametrize("method", FREE)
def test_with_a_deterministic_sampler_no_noise_is_drawn(method: str) -> None:
    known = example()
    assert torch.equal(run(method, "dpmpp_2m", known, noise_like=no_noise), run(method, "dpmpp_2m", known))


def test_the_network_sees_the_known_part_on_its_way_from_the_noise_of_the_run() -> None:
    known, seen = example(), list[tuple[Tensor, Tensor]]()

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        seen.append((x_t, t))
        return torch.zeros_like(x_t)

    held = known.held.expand_as(known.image)
    run("keep", "ddpm", known, denoise)
    for x_t, t in seen:
        level = t[0].item()
        torch.testing.assert_close(x_t[held], ((1 - level) * known.image + level * known.noise)[held])


def test_each_walk_of_repaint_sees_the_known_part_in_noise_of_its_own_and_one_walk_in_one() -> None:
    known, noises = example(), list[Tensor]()
    held = known.held.expand_as(known.image)

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        level = t[0].item()
        noises.append(((x_t - (1 - level) * known.image) / level)[held])
        return torch.zeros_like(x_t)

    repaint(SAMPLERS["heun"], known, jump=2, resample=2)(denoise, known.noise, time_grid(4), LINEAR, noise_from(0))
    calls = [noises[:4], noises[4:7], noises[7:]]  # Heun estimates twice a step, but once in the step to data
    for walk in calls:
        assert len(walk) >= 3
        for noise in walk:
            torch.testing.assert_close(noise, walk[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(calls[0][0], known.noise[held])
    assert all((first[0] - second[0]).abs().mean() > 0.5 for first, second in combinations(calls, 2))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(2, 1, 16), (2, 4, 4, 4), (1, 3, 2, 4, 4)], ids=str)
def test_sound_pictures_and_video_are_all_the_same(shape: tuple[int, ...], method: str) -> None:
    mask = torch.zeros(shape[2:])
    mask[..., ::2] = 1
    known = example(mask, *shape)
    made = run(method, "dpmpp_2m", known)
    assert torch.equal(made[..., ::2], known.image[..., ::2])
    assert (made != known.image)[..., 1::2].all()


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_stays_half_precision(method: str) -> None:
    known = example()
    x, ts, dtypes = known.noise.bfloat16(), time_grid(4), set[torch.dtype]()

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        dtypes.add(x_t.dtype)
        return x_t * 0.5

    made = METHODS[method](SAMPLERS["ddim"], known)(denoise, x, ts, LINEAR, noise_from(0))
    assert made.dtype == torch.bfloat16
    assert dtypes == {torch.bfloat16}
    held = known.held.expand_as(made)
    assert torch.equal(made[held], known.image.bfloat16()[held])


@pytest.mark.parametrize("method", METHODS)
def test_neither_the_input_nor_what_denoise_returned_is_changed(method: str) -> None:
    known, given = example(), list[tuple[Tensor, Tensor]]()
    before = [value.clone() for value in (known.image, known.mask, known.noise)]

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        x_0 = MIXTURE.denoise(LINEAR)(x_t, t)
        given.append((x_0, x_0.clone()))
        return x_0

    run(method, "ddpm", known, denoise)
    assert all(map(torch.equal, before, (known.image, known.mask, known.noise)))
    assert all(torch.equal(value, copy) for value, copy in given)


# Steps and their cost


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
@pytest.mark.parametrize("method", METHODS)
def test_each_step_is_told_once_and_the_last_is_the_result(method: str, sampler: str) -> None:
    steps = list[Step]()
    made = run(method, sampler, example(), on_step=steps.append)
    assert [step.index for step in steps] == list(range(6))
    assert [step.t for step in steps] == pytest.approx([1 - i / 6 for i in range(6)])
    assert torch.equal(steps[-1].x_0, made)


@pytest.mark.parametrize(
    ("method", "calls"),
    [
        (METHODS["keep"], 16),
        (METHODS["differential"], 16),
        (repaint, 16 + 3 * 15),
        (partial(repaint, jump=4, resample=3), 16 + 2 * 12),
        (partial(repaint, jump=5, resample=2), 16 + 11),
        (partial(repaint, resample=1), 16),
        (langevin, 16 + 5 * 15),
        (partial(langevin, steps=2), 16 + 2 * 15),
    ],
)
def test_a_method_costs_what_it_says(method: Callable[[Sampler, Known], Sampler], calls: int) -> None:
    known, made = example(), 0

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        nonlocal made
        made += 1
        return torch.zeros_like(x_t)

    method(SAMPLERS["ddim"], known)(denoise, known.noise, time_grid(16), LINEAR, noise_from(0))
    assert made == calls


# Mistakes


@pytest.mark.parametrize("method", sorted(FRESH))
def test_methods_that_draw_noise_are_refused_without_it(method: str) -> None:
    known = example()
    with pytest.raises(ValueError, match=f"{method} draws noise"):
        METHODS[method](SAMPLERS["ddim"], known)(MIXTURE.denoise(LINEAR), known.noise, time_grid(4), LINEAR)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("mask", torch.ones(3, 2, 8), r"mask has shape \[3, 2, 8\]"),
        ("mask", torch.ones(1, 1, 8), r"mask has shape \[1, 1, 8\]"),
        ("mask", torch.ones(3, 1, 9), r"mask has shape \[3, 1, 9\]"),
        ("mask", torch.full((3, 1, 8), 1.5), "values of 1.5 to 1.5"),
        ("mask", torch.full((3, 1, 8), -0.5), r"they must lie in \[0, 1\]"),
        ("mask", torch.full((3, 1, 8), math.nan), "values of nan"),
        ("image", torch.full((3, 2, 8), math.nan), "not finite"),
        ("image", torch.full((3, 2, 8), math.inf), "not finite"),
        ("noise", torch.zeros(3, 2, 7), r"noise has shape \[3, 2, 7\]"),
    ],
)
def test_what_cannot_be_known_is_refused(part: str, value: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(example(), **{part: value})


@pytest.mark.parametrize("method", METHODS)
def test_an_image_of_another_shape_than_what_is_sampled_is_refused(method: str) -> None:
    sampler = METHODS[method](SAMPLERS["ddim"], example())
    with pytest.raises(InputError, match=r"sampled \[1, 2, 8\]"):
        sampler(MIXTURE.denoise(LINEAR), torch.zeros(1, 2, 8), time_grid(4), LINEAR, noise_from(0))


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (repaint, {"jump": 0}, "jump is 0"),
        (repaint, {"resample": 0}, "resample is 0"),
        (langevin, {"steps": 0}, "level are 0"),
        (langevin, {"step_size": 0.0}, "step size is 0"),
        (langevin, {"step_size": 1.5}, "step size is 1.5"),
        (langevin, {"step_size": math.nan}, "step size is nan"),
        (langevin, {"strength": -1.0}, "strength is -1"),
        (langevin, {"strength": math.inf}, "strength is inf"),
    ],
)
def test_impossible_settings_are_refused(
    method: Callable[..., Sampler], settings: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        method(SAMPLERS["ddim"], example(), **settings)


def test_an_impossible_start_is_refused() -> None:
    image = torch.zeros(1, 1, 4)
    for t in (-0.1, 1.5, math.nan):
        with pytest.raises(InputError, match=f"start is {t}"):
            start_from(image, image, LINEAR, t)
    with pytest.raises(InputError, match="make them equal"):
        start_from(image, torch.zeros(1, 1, 5), LINEAR, 0.5)


def test_a_start_at_0_is_the_image_itself_and_at_1_the_noise() -> None:
    known = example()
    assert torch.equal(start_from(known.image, known.noise, SCHEDULES["karras"], 0.0), known.image)
    assert torch.equal(start_from(known.image, known.noise, LINEAR, 1.0), known.noise)


def test_keep_is_a_function_from_denoise_to_denoise() -> None:
    known, t = example(), torch.tensor([0.2, 0.5, 0.9])
    kept = keep(MIXTURE.denoise(LINEAR), LINEAR, known)(known.noise, t)
    held = known.held.expand_as(kept)
    assert torch.equal(kept[held], known.image[held])
    free = (known.mask == 0).expand_as(kept)
    assert torch.equal(kept[free], MIXTURE.denoise(LINEAR)(known.noise, t)[free])
