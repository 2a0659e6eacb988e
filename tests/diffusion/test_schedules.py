import math

import pytest
import torch

from text2x.config import from_dict, to_dict
from text2x.diffusion.schedules import SCHEDULES, Betas, Cosine, Karras, Linear, Schedule, log_snr
from text2x.errors import InputError

INSIDE = torch.linspace(0.001, 0.999, 500, dtype=torch.float64)
EVERY = {**SCHEDULES, "beta-cosine": Betas("cosine"), "cosine-offset": Cosine(offset=0.008)}


@pytest.fixture(params=EVERY)
def schedule(request: pytest.FixtureRequest) -> Schedule:
    return EVERY[request.param]


def test_log_snr_falls_strictly(schedule: Schedule) -> None:
    assert (log_snr(schedule, INSIDE).diff() < 0).all()


def test_time_of_inverts_log_snr(schedule: Schedule) -> None:
    torch.testing.assert_close(schedule.time_of(log_snr(schedule, INSIDE)), INSIDE, rtol=1e-7, atol=1e-9)


def test_time_of_stays_within_zero_and_one_far_outside(schedule: Schedule) -> None:
    times = schedule.time_of(torch.tensor([200.0, -200.0], dtype=torch.float64))
    assert times.tolist() == pytest.approx([0, 1], abs=1e-6)


def test_all_but_rectified_flow_preserve_variance(schedule: Schedule) -> None:
    alpha, sigma = schedule(INSIDE)
    total = alpha + sigma if isinstance(schedule, Linear) else alpha.square() + sigma.square()
    torch.testing.assert_close(total, torch.ones_like(total))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_levels_keep_shape_and_dtype_and_are_never_negative(schedule: Schedule, dtype: torch.dtype) -> None:
    t = torch.linspace(0, 1, 12, dtype=dtype).reshape(3, 4)
    for level in schedule(t):
        assert level.shape == t.shape
        assert level.dtype == dtype
        assert (level >= 0).all()
        assert level.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_rectified_flow_and_cosine_end_in_pure_noise(name: str, dtype: torch.dtype) -> None:
    alpha, sigma = SCHEDULES[name](torch.tensor([0.0, 1.0], dtype=dtype))
    assert alpha.tolist() == [1, 0]
    assert sigma.tolist() == [0, 1]


def test_cosine_can_stop_short_of_pure_noise() -> None:
    alpha, sigma = Cosine(smallest_alpha=0.1)(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert alpha.tolist() == pytest.approx([1, math.sqrt(0.5), 0.1])
    assert sigma.tolist() == pytest.approx([0, math.sqrt(0.5), math.sqrt(0.99)])


@pytest.mark.parametrize("name", ["ddpm", "scaled-linear"])
def test_betas_put_the_cumulative_products_of_ddpm_at_k_plus_one_over_n(name: str) -> None:
    schedule = SCHEDULES[name]
    assert isinstance(schedule, Betas)
    times = torch.arange(1, 1001, dtype=torch.float64) / 1000
    alpha, sigma = schedule(times)
    products = torch.cumprod(1 - schedule.table(), 0)
    torch.testing.assert_close(alpha.square(), products, rtol=1e-12, atol=0)
    torch.testing.assert_close(sigma.square(), 1 - products, rtol=1e-10, atol=0)


def test_the_known_last_levels_of_ddpm_and_latent_diffusion() -> None:
    one = torch.ones(1, dtype=torch.float64)
    assert float(SCHEDULES["ddpm"](one)[0]) ** 2 == pytest.approx(4.0358e-5, rel=1e-4)
    assert float(SCHEDULES["scaled-linear"](one)[0]) ** 2 == pytest.approx(0.0046602, rel=1e-4)


def test_a_table_of_betas_equals_the_kind_it_was_taken_from() -> None:
    linear = Betas(num_steps=50)
    table = Betas("table", betas=tuple(linear.table().tolist()))
    for mine, other in zip(table(INSIDE), linear(INSIDE), strict=True):
        assert torch.equal(mine, other)


def test_karras_reaches_its_smallest_and_largest_level() -> None:
    alpha, sigma = Karras()(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert (sigma / alpha).tolist() == pytest.approx([0.002, 80])


@pytest.mark.parametrize("betas", [(), (0.1, 1.0), (0.0, 0.1)])
def test_a_table_without_or_with_impossible_betas_is_refused(betas: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        Betas("table", betas=betas)


def test_no_steps_are_refused() -> None:
    with pytest.raises(InputError, match="num_steps is 0"):
        Betas(num_steps=0)


def test_schedules_survive_json(schedule: Schedule) -> None:
    assert from_dict(type(schedule), to_dict(schedule)) == schedule
