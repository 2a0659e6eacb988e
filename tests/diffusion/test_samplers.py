import math
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Literal

import pytest
import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoiser
from text2x.diffusion.mixture import Mixture
from text2x.diffusion.parameterizations import PARAMETERIZATIONS
from text2x.diffusion.samplers import (
    SAMPLERS,
    STOCHASTIC,
    Step,
    ddim,
    ddpm,
    dpmpp_2m_sde,
    euler,
    euler_ancestral,
    heun,
    time_grid,
)
from text2x.diffusion.schedules import SCHEDULES, Linear, NoiseSchedule, expand, log_snr
from text2x.diffusion.variance import LastVariance
from text2x.errors import InputError

DETERMINISTIC = sorted(set(SAMPLERS) - STOCHASTIC)
MIXTURE = Mixture()
LINEAR = Linear()


def noise_from(seed: int) -> Callable[[Tensor], Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, generator=rng, dtype=x.dtype)


def no_noise(x: Tensor) -> Tensor:
    raise AssertionError("a deterministic sampler drew noise")


def level(schedule: NoiseSchedule, t: float) -> tuple[float, float]:
    alpha, sigma = schedule(torch.tensor(t, dtype=torch.float64))
    return float(alpha), float(sigma)


# Orders


def flow_error(name: str, ts: Tensor) -> float:
    """Mean distance to the exact flow of the mixture, from 41 points."""
    start, end = (level(LINEAR, float(t)) for t in (ts[0], ts[-1]))
    points = torch.linspace(-1.5, 1.5, 41, dtype=torch.float64).unsqueeze(1)
    made = SAMPLERS[name](MIXTURE.denoise(LINEAR), points, ts, LINEAR)
    return float((made - MIXTURE.transport(points, start, end)).abs().mean())


def variance_error(name: str, ts: Tensor) -> float:
    """Relative error of the variance on N(0, 1/4) data, exactly: row k of x carries the coefficient of draw k."""
    schedule, rows = LINEAR, len(ts)
    alpha, sigma = level(schedule, float(ts[0]))
    x = torch.zeros(rows, 1, dtype=torch.float64)
    x[0] = math.sqrt(alpha**2 / 4 + sigma**2)
    draws = iter(torch.eye(rows, dtype=torch.float64)[1:].unsqueeze(-1))
    denoise = Mixture((1.0,), (0.0,), (0.5,)).denoise(schedule)
    made = SAMPLERS[name](denoise, x, ts, schedule, lambda _: next(draws))
    alpha, sigma = level(schedule, float(ts[-1]))
    return abs(float(made.square().sum()) / (alpha**2 / 4 + sigma**2) - 1)


def order(error: Callable[[Tensor], float], high: float, low: float) -> float:
    """Between two noise levels, in steps even in their logarithm, 80 against 160."""
    errors = []
    for steps in (80, 160):
        levels = torch.exp(torch.linspace(math.log(high), math.log(low), steps + 1, dtype=torch.float64))
        errors.append(error(LINEAR.time_of(-2 * levels.log())))
    return math.log2(errors[0] / errors[1])


ORDERS = {
    "ddim": 1,
    "euler": 1,
    "heun": 2,
    "dpmpp_2m": 2,
    "unipc": 3,
    "ddpm": 1,
    "euler_ancestral": 1,
    "dpmpp_2m_sde": 2,
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_measured_order_of_convergence_is_that_of_the_method(name: str) -> None:
    error = partial(variance_error if name in STOCHASTIC else flow_error, name)
    assert order(error, high=10.0, low=0.1) == pytest.approx(ORDERS[name], abs=0.15)


@pytest.mark.parametrize(
    ("name", "kind"), [("euler", "uniform"), ("heun", "uniform"), ("dpmpp_2m", "log_snr"), ("unipc", "log_snr")]
)
def test_the_order_holds_all_the_way_from_pure_noise_to_data(name: str, kind: Literal["uniform", "log_snr"]) -> None:
    errors = [flow_error(name, time_grid(steps, kind=kind, schedule=LINEAR)) for steps in (40, 80)]
    assert math.log2(errors[0] / errors[1]) > ORDERS[name] - 0.2


def test_heun_is_second_order_in_the_step_out_of_pure_noise() -> None:
    errors = [flow_error("heun", torch.tensor([1.0, 1 - step], dtype=torch.float64)) for step in (0.1, 0.05)]
    assert math.log2(errors[0] / errors[1]) > 2.7  # an error of one step, so one more than the order


def test_heun_does_not_jump_between_pure_noise_and_nearly_pure_noise() -> None:
    x = torch.linspace(-1.5, 1.5, 9, dtype=torch.float64).unsqueeze(1)
    grids = [torch.cat([torch.tensor([start], dtype=torch.float64), time_grid(10)[1:]]) for start in (1.0, 1 - 1e-6)]
    made = [heun(MIXTURE.denoise(LINEAR), x, ts, LINEAR) for ts in grids]
    torch.testing.assert_close(made[0], made[1], rtol=1e-4, atol=1e-4)


# Endpoints: every schedule, parameterisation and sampler


class Oracle:
    """The network whose estimate of x_0 is the mixture's own."""

    def __init__(self, schedule: NoiseSchedule, parameterization: str) -> None:
        self.schedule, self.parameterization = schedule, PARAMETERIZATIONS[parameterization]

    def prepare(self, conditioning: None) -> None:
        return conditioning

    def __call__(self, x: Tensor, t: Tensor, conditioning: None) -> Tensor:
        alpha, sigma = (expand(value, x) for value in self.schedule(t))
        x_0 = MIXTURE.denoise(self.schedule)(x, t)
        noise = (x - alpha * x_0) / sigma
        return self.parameterization.target(x_0, noise, alpha, sigma)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("parameterization", PARAMETERIZATIONS)
@pytest.mark.parametrize("schedule_name", SCHEDULES)
def test_every_schedule_parameterization_and_sampler_ends_near_the_data(
    schedule_name: str, parameterization: str, name: str
) -> None:
    schedule = SCHEDULES[schedule_name]
    denoise = Denoiser(Oracle(schedule, parameterization), schedule, PARAMETERIZATIONS[parameterization]).denoise(None)
    ts = time_grid(40, kind="log_snr", schedule=schedule)
    noise_like = noise_from(0) if name in STOCHASTIC else no_noise
    start, sigma = level(schedule, 1.0)
    if name in STOCHASTIC:  # 2048 draws; the first-order ones are 20 % too narrow after 40 steps
        x = noise_from(1)(torch.empty(2048, 1, dtype=torch.float64)) * sigma
        x = x + start * MIXTURE.sample((2048, 1), torch.Generator().manual_seed(2))
        made = SAMPLERS[name](denoise, x, ts, schedule, noise_like)
        assert float(made.mean()) == pytest.approx(MIXTURE.mean, abs=0.05)
        assert float(made.var()) == pytest.approx(MIXTURE.variance, rel=0.25)
    else:
        x = torch.linspace(-1.5, 1.5, 9, dtype=torch.float64).unsqueeze(1)
        made = SAMPLERS[name](denoise, x, ts, schedule, noise_like)
        exact = MIXTURE.transport(x, (start, sigma), (1.0, 0.0))
        assert float((made - exact).abs().mean()) < (0.05 if ORDERS[name] == 1 else 0.03)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("parameterization", ["velocity", "x_0"])
def test_float32_is_finite_from_pure_noise(name: str, parameterization: str) -> None:
    x = noise_from(0)(torch.empty(64, 2, dtype=torch.float32))
    denoise = Denoiser(Oracle(LINEAR, parameterization), LINEAR, PARAMETERIZATIONS[parameterization]).denoise(None)
    made = SAMPLERS[name](denoise, x, time_grid(8), LINEAR, noise_from(1))
    assert made.dtype == torch.float32
    assert made.abs().max() < 3


@pytest.mark.parametrize("name", sorted(STOCHASTIC))
def test_moments_of_stochastic_samplers_match_within_sampling_error(name: str) -> None:
    x = noise_from(0)(torch.empty(10_000, 1, dtype=torch.float64))
    steps = 60 if name == "dpmpp_2m_sde" else 150
    made = SAMPLERS[name](MIXTURE.denoise(LINEAR), x, time_grid(steps), LINEAR, noise_from(1))
    share = float((made < -0.2).double().mean())  # of the first component: the second ends 3.5 deviations above
    assert float(made.mean()) == pytest.approx(MIXTURE.mean, abs=0.02)
    assert float(made.std()) == pytest.approx(math.sqrt(MIXTURE.variance), rel=0.04)
    assert share == pytest.approx(float(MIXTURE.below(torch.tensor(-0.2), 1.0, 0.0)), abs=0.02)


# Laws of the loop


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("schedule_name", SCHEDULES)
def test_the_result_is_the_last_estimate_of_x_0(name: str, schedule_name: str) -> None:
    schedule, seen = SCHEDULES[schedule_name], list[Step]()
    x = torch.linspace(-1, 1, 6).reshape(2, 3)
    made = SAMPLERS[name](MIXTURE.denoise(schedule), x, time_grid(5), schedule, noise_from(0), seen.append)
    assert torch.equal(made, seen[-1].x_0)
    assert [step.index for step in seen] == [0, 1, 2, 3, 4]
    assert [step.t for step in seen] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    assert torch.equal(seen[0].x_t, x)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_changes_neither_its_input_nor_what_denoise_returned(name: str) -> None:
    x, given = torch.linspace(-1, 1, 6).reshape(2, 3), list[tuple[Tensor, Tensor]]()

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        x_0 = MIXTURE.denoise(LINEAR)(x_t, t)
        given.append((x_0, x_0.clone()))
        return x_0

    before = x.clone()
    SAMPLERS[name](denoise, x, time_grid(5), LINEAR, noise_from(0))
    assert torch.equal(x, before)
    assert all(torch.equal(value, copy) for value, copy in given)


@pytest.mark.parametrize("name", SAMPLERS)
def test_items_do_not_depend_on_their_batch(name: str) -> None:
    x = noise_from(0)(torch.empty(3, 4, 8))
    draws = noise_from(1)(torch.empty(10, 3, 4, 8))

    def run(rows: slice) -> Tensor:
        left = iter(draws)
        return SAMPLERS[name](MIXTURE.denoise(LINEAR), x[rows], time_grid(6), LINEAR, lambda _: next(left)[rows])

    assert torch.equal(run(slice(0, 3))[1:2], run(slice(1, 2)))


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_step_returns_the_first_estimate(name: str) -> None:
    x = torch.linspace(-1, 1, 3).unsqueeze(1)
    made = SAMPLERS[name](MIXTURE.denoise(LINEAR), x, time_grid(1), LINEAR, noise_from(0))
    assert torch.equal(made, MIXTURE.denoise(LINEAR)(x, torch.ones(3)))


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_deterministic_samplers_draw_no_noise(name: str) -> None:
    x = torch.zeros(2, 1)
    assert SAMPLERS[name](MIXTURE.denoise(LINEAR), x, time_grid(4), LINEAR, no_noise).isfinite().all()


@pytest.mark.parametrize("name", sorted(STOCHASTIC))
def test_stochastic_samplers_without_noise_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} draws noise"):
        SAMPLERS[name](MIXTURE.denoise(LINEAR), torch.zeros(2, 1), time_grid(4), LINEAR)


@pytest.mark.parametrize("name", sorted(STOCHASTIC))
def test_the_step_to_data_draws_no_noise(name: str) -> None:
    draws = 0

    def noise_like(x: Tensor) -> Tensor:
        nonlocal draws
        draws += 1
        return torch.zeros_like(x)

    SAMPLERS[name](MIXTURE.denoise(LINEAR), torch.zeros(2, 1), time_grid(7), LINEAR, noise_like)
    assert draws == 6


def test_noise_is_drawn_in_the_dtype_of_x_in_half_precision() -> None:
    times = list[torch.dtype]()

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        times.append(t.dtype)
        return x_t * 0.5

    made = euler(denoise, torch.ones(2, 1, dtype=torch.bfloat16), time_grid(4), LINEAR)
    assert made.dtype == torch.bfloat16
    assert set(times) == {torch.float32}


@pytest.mark.parametrize("schedule_name", SCHEDULES)
def test_euler_equals_ddim_and_on_rectified_flow_the_step_along_the_velocity(schedule_name: str) -> None:
    schedule, ts = SCHEDULES[schedule_name], time_grid(6)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64).unsqueeze(1)
    made = euler(MIXTURE.denoise(schedule), x, ts, schedule)
    assert torch.equal(made, ddim(MIXTURE.denoise(schedule), x, ts, schedule))
    if isinstance(schedule, Linear):
        for t, following in zip(ts[:-1].tolist(), ts[1:].tolist(), strict=True):
            x_0 = MIXTURE.denoise(schedule)(x, torch.full((5,), t, dtype=torch.float64))
            x = x + (following - t) * (x - x_0) / t
        torch.testing.assert_close(made, x)


@pytest.mark.parametrize("schedule_name", SCHEDULES)
def test_ddpm_equals_euler_ancestral_and_ddim_with_eta_1(schedule_name: str) -> None:
    schedule, ts = SCHEDULES[schedule_name], time_grid(6)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64).unsqueeze(1)
    made = [
        sampler(MIXTURE.denoise(schedule), x, ts, schedule, noise_from(3))
        for sampler in (ddpm, euler_ancestral, partial(ddim, eta=1.0))
    ]
    torch.testing.assert_close(made[0], made[1])
    assert torch.equal(made[1], made[2])


def test_eta_0_makes_the_stochastic_solvers_deterministic() -> None:
    x, ts = torch.linspace(-1, 1, 5, dtype=torch.float64).unsqueeze(1), time_grid(6)
    denoise = MIXTURE.denoise(LINEAR)
    plain = SAMPLERS["dpmpp_2m"](denoise, x, ts, LINEAR)
    torch.testing.assert_close(dpmpp_2m_sde(denoise, x, ts, LINEAR, eta=0.0), plain)
    assert torch.equal(euler_ancestral(denoise, x, ts, LINEAR, eta=0.0), euler(denoise, x, ts, LINEAR))


@pytest.mark.parametrize("eta", [-0.1, 1.5, math.nan])
def test_an_impossible_eta_is_refused(eta: float) -> None:
    with pytest.raises(InputError, match="eta is"):
        ddim(MIXTURE.denoise(LINEAR), torch.zeros(1, 1), time_grid(3), LINEAR, noise_from(0), eta=eta)


@pytest.mark.parametrize(("v", "name"), [(-1.0, "small"), (1.0, "large")])
def test_a_learned_variance_at_its_bounds_is_small_and_large(v: float, name: str) -> None:
    x, ts = torch.linspace(-1, 1, 5, dtype=torch.float64).unsqueeze(1), time_grid(6)
    learned = LastVariance(torch.full_like(x, v))
    made = ddpm(MIXTURE.denoise(LINEAR), x, ts, LINEAR, noise_from(0), variance=learned)
    fixed = ddpm(MIXTURE.denoise(LINEAR), x, ts, LINEAR, noise_from(0), variance=name)  # type: ignore[arg-type]
    torch.testing.assert_close(made, fixed)


def test_a_learned_variance_that_never_arrived_is_refused() -> None:
    with pytest.raises(ValueError, match="no learned variance arrived"):
        ddpm(MIXTURE.denoise(LINEAR), torch.zeros(1, 1), time_grid(3), LINEAR, noise_from(0), variance=LastVariance())


@pytest.mark.parametrize("ts", [[1.0], [0.5, 0.5, 0.0], [0.0, 1.0], [1.2, 0.0], [1.0, -0.1], [[1.0, 0.0]]])
def test_times_that_do_not_fall_within_one_and_zero_are_refused(ts: list[float]) -> None:
    with pytest.raises(ValueError, match="strictly falling"):
        euler(MIXTURE.denoise(LINEAR), torch.zeros(1, 1), torch.tensor(ts), LINEAR)


# Time grids


def test_a_uniform_grid_is_even() -> None:
    assert time_grid(4).tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert time_grid(4).dtype == torch.float64


def test_a_shift_moves_times_towards_noise_and_leaves_the_ends() -> None:
    assert time_grid(4, shift=3.0).tolist() == pytest.approx([1, 0.9, 0.75, 0.5, 0])


def test_a_grid_can_start_below_pure_noise() -> None:
    assert time_grid(4, start=0.5).tolist() == pytest.approx([0.5, 0.375, 0.25, 0.125, 0])


@pytest.mark.parametrize("kind", ["uniform", "karras", "log_snr"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_grid_falls_strictly_from_its_start_to_0(name: str, kind: str) -> None:
    for steps, start, shift in product((1, 2, 7, 100), (1.0, 0.6, 0.01, 0.0005), (0.5, 1.0, 3.0)):
        ts = time_grid(steps, shift, kind, SCHEDULES[name], start)  # type: ignore[arg-type]
        assert ts.shape == (steps + 1,)
        assert ts[0] == start
        assert ts[-1] == 0
        assert (ts.diff() < 0).all()


def test_a_log_snr_grid_is_even_in_log_snr() -> None:
    steps = log_snr(LINEAR, time_grid(12, kind="log_snr", schedule=LINEAR)[1:-1]).diff()
    torch.testing.assert_close(steps, steps[:1].expand_as(steps))


def test_a_karras_grid_has_the_levels_of_the_paper() -> None:
    ts = time_grid(5, kind="karras", schedule=SCHEDULES["karras"])
    alpha, sigma = SCHEDULES["karras"](ts[:-1])
    expected = [(80 ** (1 / 7) + i / 4 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(5)]
    assert (sigma / alpha).tolist() == pytest.approx(expected, rel=0.03)  # the smallest is that of t = 0.001, not 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 5, "shift": 0.0}, "shift is 0"),
        ({"steps": 5, "start": 1.5}, "start is 1.5"),
        ({"steps": 5, "kind": "karras"}, "needs the noise schedule"),
        ({"steps": 5, "kind": "square", "schedule": LINEAR}, "unknown time grid 'square'"),
    ],
)
def test_an_impossible_grid_is_refused_with_its_value(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        time_grid(**settings)  # type: ignore[arg-type]
