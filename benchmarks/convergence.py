"""How fast each sampler converges, against data whose flow is known exactly: prints the tables of docs/samplers.md.

python benchmarks/convergence.py
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from text2x.diffusion.mixture import Mixture
from text2x.diffusion.samplers import SAMPLERS, STOCHASTIC, time_grid
from text2x.diffusion.schedules import SCHEDULES, Linear, NoiseSchedule

CALLS = (10, 20, 40, 80)
GRIDS = (("linear", "uniform"), ("linear", "karras"), ("ddpm", "uniform"), ("ddpm", "karras"), ("ddpm", "log_snr"))


def levels_of(schedule: NoiseSchedule, t: Tensor) -> tuple[float, float]:
    """(alpha, sigma) at one time; t = 0 is clean data."""
    alpha, sigma = schedule(t)
    return (float(alpha), float(sigma)) if t > 0 else (1.0, 0.0)


def flow_error(name: str, schedule: NoiseSchedule, ts: Tensor) -> float:
    """Mean distance between where the sampler and where the exact flow takes 41 points, in units of x_0."""
    mixture = Mixture()
    start, end = levels_of(schedule, ts[0]), levels_of(schedule, ts[-1])
    points = torch.linspace(-2, 2, 41, dtype=torch.float64).unsqueeze(1)
    points = points * math.sqrt(start[0] ** 2 * mixture.variance + start[1] ** 2) + start[0] * mixture.mean
    made = SAMPLERS[name](mixture.denoise(schedule), points, ts, schedule)
    return float((made - mixture.transport(points, start, end)).abs().mean())


def variance_error(name: str, schedule: NoiseSchedule, ts: Tensor, std: float = 0.5) -> float:
    """Relative error of the variance that a stochastic sampler gives N(0, std^2) data, computed exactly.

    The sampler is linear on such data, so its result is a sum of its inputs times fixed coefficients. Row 0 starts from
    1 and the others from 0; the k-th draw is 1 in row k and 0 elsewhere: what comes out are the coefficients.
    """
    rows = len(ts)
    level = levels_of(schedule, ts[0])
    x = torch.zeros(rows, 1, dtype=torch.float64)
    x[0] = math.sqrt(level[0] ** 2 * std**2 + level[1] ** 2)
    draws = iter(torch.eye(rows, dtype=torch.float64)[1:].unsqueeze(-1))
    made = SAMPLERS[name](Mixture((1.0,), (0.0,), (std,)).denoise(schedule), x, ts, schedule, lambda _: next(draws))
    alpha, sigma = levels_of(schedule, ts[-1])
    truth = alpha**2 * std**2 + sigma**2
    return abs(float(made.square().sum()) / truth - 1)


def measured_order(error: Callable[[Tensor], float], high: float = 20.0, low: float = 0.05) -> float:
    """The order inside: steps even in log(sigma / alpha) between two noise levels, 160 against 320 of them."""
    schedule = Linear()
    errors = []
    for steps in (160, 320):
        levels = torch.exp(torch.linspace(math.log(high), math.log(low), steps + 1, dtype=torch.float64))
        errors.append(error(schedule.time_of(-2 * levels.log())))
    return math.log2(errors[0] / errors[1])


def order_of(name: str) -> float:
    """The measured order of one sampler; for a stochastic one, of the variance of its result."""
    measure = variance_error if name in STOCHASTIC else flow_error
    return measured_order(lambda ts: measure(name, Linear(), ts))


def steps_for(name: str, calls: int) -> int:
    """The steps that `calls` estimates of x_0 pay for: Heun makes two a step and one in the last."""
    return (calls + 1) // 2 if name == "heun" else calls


def rows(calls: tuple[int, ...] = CALLS) -> list[list[str]]:
    """One row a sampler and grid: sampler, schedule, grid, and the error for each number of calls."""
    table = []
    for name in SAMPLERS:
        measure = variance_error if name in STOCHASTIC else flow_error
        for schedule_name, grid in GRIDS:
            schedule = SCHEDULES[schedule_name]
            grids = [time_grid(steps_for(name, n), kind=grid, schedule=schedule) for n in calls]  # type: ignore[arg-type]
            errors = [measure(name, schedule, ts) for ts in grids]
            table.append([name, schedule_name, grid, *(f"{error:.1e}" for error in errors)])
    return table


def markdown(header: list[str], body: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Print the orders, then the errors."""
    torch.set_num_threads(1)
    print(markdown(["sampler", "order"], [[name, f"{order_of(name):.2f}"] for name in SAMPLERS]))
    print()
    print(markdown(["sampler", "schedule", "grid", *(f"{n} calls" for n in CALLS)], rows()))


if __name__ == "__main__":
    main()
