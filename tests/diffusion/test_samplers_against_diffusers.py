"""Our samplers and diffusers' schedulers: same estimate of x_0, same levels, same noise, same result.

diffusers computes its tables in float32 and rounds the sample to it in some schedulers. The tables are replaced by
float64 ones here; the tolerance is 1e-9 where float64 then survives and 1e-5 (of values near 1) where it does not.
Step k of theirs is t = (k + 1) / N of ours.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from text2x.diffusion.mixture import Mixture
from text2x.diffusion.samplers import SAMPLERS, ddim, ddpm, euler, heun, time_grid
from text2x.diffusion.schedules import SCHEDULES, Betas, Linear
from text2x.diffusion.variance import LastVariance

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # numpy 2 on their tables

FLOAT64, FLOAT32 = 1e-9, 1e-5
BETAS = {
    "ddpm": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "scaled-linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
}
MIXTURE = Mixture()
STEPS = 20


def points() -> Tensor:
    return torch.linspace(-2, 2, 30, dtype=torch.float64).reshape(5, 2, 3)


def noise_from(seed: int) -> Callable[[Tensor], Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, generator=rng, dtype=x.dtype)


def table_of(name: str) -> Betas:
    schedule = SCHEDULES[name]
    assert isinstance(schedule, Betas)
    return schedule


def made_by(scheduler_class: str, name: str, **settings: object) -> object:
    """A diffusers scheduler with float64 tables, on `STEPS` steps."""
    scheduler = getattr(diffusers, scheduler_class)(num_train_timesteps=1000, **BETAS[name], **settings)
    betas = table_of(name).table()
    torch.testing.assert_close(scheduler.betas.double(), betas, rtol=1e-5, atol=1e-9)
    scheduler.betas, scheduler.alphas = betas, 1 - betas
    scheduler.alphas_cumprod = torch.cumprod(1 - betas, 0)
    scheduler.one = torch.ones((), dtype=torch.float64)
    scheduler.set_timesteps(STEPS)
    return scheduler


def times(scheduler: object) -> Tensor:
    """The grid a scheduler walks, and 0."""
    steps = torch.unique(scheduler.timesteps.double()).flip(0)  # type: ignore[attr-defined]
    return torch.cat([(steps + 1) / 1000, torch.zeros(1, dtype=torch.float64)])


def epsilon(name: str, x: Tensor, step: Tensor) -> Tensor:
    """The noise of the mixture's estimate, at a training step."""
    schedule = table_of(name)
    t = ((step.double() + 1) / 1000).expand(len(x))
    alpha, sigma = (value[:, None, None] for value in schedule(t))
    return (x - alpha * MIXTURE.denoise(schedule)(x, t)) / sigma


def with_exact_sigmas(scheduler: object, name: str) -> None:
    """sigma / alpha of each step in float64; Heun's are doubled, but for the first and the last."""
    alpha, sigma = table_of(name)((scheduler.timesteps.double() + 1) / 1000)  # type: ignore[attr-defined]
    levels = torch.cat([sigma / alpha, torch.zeros(1, dtype=torch.float64)])
    if type(scheduler).__name__.startswith("Heun"):
        levels = torch.cat([levels[:1], levels[1:-1:2].repeat_interleave(2), levels[-1:]])
    torch.testing.assert_close(scheduler.sigmas.double(), levels, rtol=1e-5, atol=1e-7)  # type: ignore[attr-defined]
    scheduler.sigmas = levels  # type: ignore[attr-defined]


def walk(scheduler: object, name: str, x: Tensor, **settings: object) -> Tensor:
    """Their loop over x / alpha, the coordinate of their Euler and Heun schedulers."""
    alpha = table_of(name)(times(scheduler)[:1])[0]
    x = x / alpha
    for step in scheduler.timesteps:  # type: ignore[attr-defined]
        scaled = scheduler.scale_model_input(x, step)  # type: ignore[attr-defined]
        x = scheduler.step(epsilon(name, scaled, step), step, x, **settings).prev_sample  # type: ignore[attr-defined]
    return x


@pytest.mark.parametrize("name", BETAS)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_equals_diffusers(name: str, eta: float) -> None:
    scheduler = made_by("DDIMScheduler", name, clip_sample=False, timestep_spacing="trailing")
    x, draw = points(), noise_from(0)
    for step in scheduler.timesteps:  # type: ignore[attr-defined]
        noise = draw(x) if eta > 0 else None
        result = scheduler.step(epsilon(name, x, step), step, x, eta=eta, variance_noise=noise)  # type: ignore[attr-defined]
        x = result.prev_sample
    schedule = table_of(name)
    made = ddim(MIXTURE.denoise(schedule), points(), time_grid(STEPS), schedule, noise_from(0), eta=eta)
    torch.testing.assert_close(made, x, rtol=FLOAT64, atol=FLOAT64)


@pytest.mark.parametrize("name", BETAS)
@pytest.mark.parametrize("variance", ["small", "large", "learned"])
def test_ddpm_equals_diffusers(name: str, variance: str) -> None:
    kinds = {"small": "fixed_small", "large": "fixed_large", "learned": "learned_range"}
    scheduler = made_by("DDPMScheduler", name, variance_type=kinds[variance], clip_sample=False)
    schedule, x, rng = table_of(name), points(), torch.Generator().manual_seed(0)
    for step in scheduler.timesteps:  # type: ignore[attr-defined]
        output = epsilon(name, x, step)
        if variance == "learned":
            output = torch.cat([output, x.sin()], 1)
        x = scheduler.step(output, step, x, generator=rng).prev_sample  # type: ignore[attr-defined]

    last = LastVariance()

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        last(x_t.sin())
        return MIXTURE.denoise(schedule)(x_t, t)

    chosen = last if variance == "learned" else variance
    made = ddpm(denoise, points(), times(scheduler), schedule, noise_from(0), variance=chosen)  # type: ignore[arg-type]
    torch.testing.assert_close(made, x, rtol=FLOAT64, atol=FLOAT64)


@pytest.mark.parametrize("name", BETAS)
def test_euler_equals_diffusers(name: str) -> None:
    scheduler = made_by("EulerDiscreteScheduler", name, timestep_spacing="trailing")
    with_exact_sigmas(scheduler, name)
    schedule = table_of(name)
    made = euler(MIXTURE.denoise(schedule), points(), time_grid(STEPS), schedule)
    torch.testing.assert_close(made, walk(scheduler, name, points()).double(), rtol=FLOAT32, atol=FLOAT32)


@pytest.mark.parametrize("name", BETAS)
def test_heun_equals_diffusers(name: str) -> None:
    scheduler = made_by("HeunDiscreteScheduler", name, timestep_spacing="trailing")
    with_exact_sigmas(scheduler, name)
    schedule = table_of(name)
    made = heun(MIXTURE.denoise(schedule), points(), time_grid(STEPS), schedule)
    torch.testing.assert_close(made, walk(scheduler, name, points()), rtol=FLOAT64, atol=FLOAT64)


MULTISTEP = {
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_type": "midpoint"}, FLOAT32),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, FLOAT32),
    "unipc": ("UniPCMultistepScheduler", {"solver_type": "bh2"}, FLOAT64),
}


@pytest.mark.parametrize("name", BETAS)
@pytest.mark.parametrize("sampler", MULTISTEP)
def test_multistep_samplers_equal_diffusers(sampler: str, name: str) -> None:
    scheduler_class, settings, tolerance = MULTISTEP[sampler]
    scheduler = made_by(scheduler_class, name, solver_order=2, timestep_spacing="trailing", **settings)
    with_exact_sigmas(scheduler, name)
    x, draw = points(), noise_from(0)
    for step in scheduler.timesteps:  # type: ignore[attr-defined]
        more = {"variance_noise": draw(x)} if sampler == "dpmpp_2m_sde" else {}
        x = scheduler.step(epsilon(name, x.double(), step), step, x, **more).prev_sample  # type: ignore[attr-defined]
    schedule = table_of(name)
    made = SAMPLERS[sampler](MIXTURE.denoise(schedule), points(), time_grid(STEPS), schedule, noise_from(0))
    torch.testing.assert_close(made, x.double(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_rectified_flow_and_its_shift_equal_diffusers(shift: float) -> None:
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    grid = time_grid(STEPS, shift)
    scheduler.set_timesteps(sigmas=time_grid(STEPS)[:-1].tolist())
    torch.testing.assert_close(scheduler.sigmas.double(), grid, rtol=0, atol=1e-6)
    x, denoise = points(), MIXTURE.denoise(Linear())
    for step, t in zip(scheduler.timesteps, grid[:-1], strict=True):
        x = x.double()
        velocity = (x - denoise(x, t.expand(len(x)))) / t
        x = scheduler.step(velocity, step, x).prev_sample
    made = euler(denoise, points(), grid, Linear())
    torch.testing.assert_close(made, x.double(), rtol=FLOAT32, atol=FLOAT32)
