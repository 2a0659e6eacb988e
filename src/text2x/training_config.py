"""How a recipe is trained: steps, optimiser, averages, precision, intervals. Plain values; nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from text2x.errors import InputError


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a training run.

    The learning rate rises for `warmup_steps`, then falls along `decay` to `final_learning_rate` times its peak.
    `rates` are shares of it for parts of what is trained: ("discriminator.", 2.0) doubles the rate of every parameter
    whose name begins so; the first entry that fits counts. `averages` are the decays, a step, of exponentially averaged
    weights; they are updated every `average_every` steps.
    """

    steps: int = 10_000
    batch_size: int = 64
    seed: int = 0
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 1e-3
    rates: tuple[tuple[str, float], ...] = ()  # beginning of a parameter's name, share of learning_rate
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01  # on matrices and kernels; never on biases, gains and embeddings
    warmup_steps: int = 500
    decay: Literal["cosine", "linear", "constant"] = "cosine"
    final_learning_rate: float = 0.0  # as a share of learning_rate
    max_grad_norm: float = 1.0
    averages: tuple[float, ...] = (0.999, 0.9998)
    average_every: int = 8
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where the processor is fast at it
    compile: Literal["auto", "on", "off"] = "auto"  # auto: on a GPU only
    checkpoint_seconds: float = 180
    evaluate_every: int = 500  # steps; 0: never
    sample_every: int = 1000  # steps; 0: never
    log_every: int = 50  # steps
    patience: int = 0  # evaluations without improvement before stopping; 0: never stops early

    def __post_init__(self) -> None:
        at_least = {
            **dict.fromkeys(["steps", "batch_size", "average_every", "log_every"], 1),
            **dict.fromkeys(["seed", "warmup_steps", "evaluate_every", "sample_every", "patience"], 0),
            **dict.fromkeys(["learning_rate", "weight_decay", "final_learning_rate", "checkpoint_seconds"], 0),
        }
        for name, least in at_least.items():
            if not getattr(self, name) >= least:
                raise InputError(f"training.{name} is {getattr(self, name)}; it must be at least {least}")
        if not self.max_grad_norm > 0:
            raise InputError(f"training.max_grad_norm is {self.max_grad_norm}; it must be above 0 (inf: no clipping)")
        for name in ("betas", "averages"):
            if not all(0 <= value < 1 for value in getattr(self, name)):
                raise InputError(f"training.{name} is {getattr(self, name)}; each must be from 0 to below 1")
        for name, share in self.rates:
            if not 0 <= share < float("inf"):
                raise InputError(f"training.rates gives {name!r} the share {share}; it must be at least 0 and finite")
        if len(set(self.averages)) < len(self.averages):
            raise InputError(f"training.averages is {self.averages}; each decay must be given once")
