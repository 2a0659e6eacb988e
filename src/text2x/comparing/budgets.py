"""Budgets: training seconds or multiply-adds, the same for each method, and how many steps they allow.

A system of several networks divides its budget among their trainings. Seconds are those of training steps in their own
process, one training after another. Multiply-adds are counted in the forward and backward pass of the steps (half of
PyTorch's floating-point operations), frozen text encoders left out.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from torch.utils.flop_counter import FlopCounterMode

from text2x.adversarial import GANRecipe
from text2x.autoencoding import AutoencoderRecipe
from text2x.coding import CodecRecipe
from text2x.comparing.claims import Makes
from text2x.errors import InputError
from text2x.priors import PriorRecipe
from text2x.recipe import GuideRecipe, Recipe
from text2x.recipes.codec import CodecRun
from text2x.recipes.dalle2_running import PriorRun
from text2x.recipes.gan import GANRun
from text2x.recipes.guide_running import GuideRun
from text2x.recipes.latent_running import AutoencoderRun
from text2x.recipes.running import Run, prepared_run, recipe_for
from text2x.recipes.sound_flow_running import SoundFlowRun
from text2x.recipes.sound_gan import SoundGANRun
from text2x.recipes.token_running import TokenRun
from text2x.recipes.video_gan import VideoGANRun
from text2x.recipes.video_running import VideoRun
from text2x.recipes.vocoder import VocoderRun
from text2x.sound_adversarial import SoundGANRecipe
from text2x.sound_diffusion import SoundDiffusionRecipe
from text2x.token_models import TokenRecipe
from text2x.training import Trainer
from text2x.training_config import TrainingConfig
from text2x.training_environment import seed_of
from text2x.video_adversarial import VideoGANRecipe
from text2x.video_recipe import VideoRecipe
from text2x.vocoding import VocoderRecipe

SoundRecipe = CodecRecipe | VocoderRecipe | TokenRecipe | SoundDiffusionRecipe | SoundGANRecipe
LateRecipe = AutoencoderRecipe | CodecRecipe | VocoderRecipe
PictureRecipe = Recipe | GANRecipe | GuideRecipe | AutoencoderRecipe | PriorRecipe
AnyRecipe = PictureRecipe | VideoRecipe | VideoGANRecipe | SoundRecipe
SoundRun = CodecRun | VocoderRun | TokenRun | SoundFlowRun | SoundGANRun
AnyRun = Run | GANRun | GuideRun | AutoencoderRun | PriorRun | VideoRun | VideoGANRun | SoundRun
# What learns from the data of a comparison, and what else is trained for it, on data of its own.
READERS: Mapping[Makes, tuple[type, ...]] = {
    "pictures": (Recipe, GANRecipe, GuideRecipe, AutoencoderRecipe, PriorRecipe),
    "clips": (VideoRecipe, VideoGANRecipe),
    "sounds": (CodecRecipe, VocoderRecipe, TokenRecipe, SoundDiffusionRecipe, SoundGANRecipe),
}
LATE = (AutoencoderRecipe, CodecRecipe, VocoderRecipe)  # whose discriminators begin after a share of the steps
BESIDE: Mapping[Makes, tuple[type, ...]] = {"clips": (AutoencoderRecipe,)}

TIMED_STEPS = 8  # of which the median is taken, the first ones left out
WARMING_STEPS = 2
COUNTED_STEPS = 8  # where steps differ: a GAN's penalty comes in a share of them, and some batches are pictures
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Budget:
    """What each method's training may use: seconds or multiply-adds, one of both."""

    seconds: float | None = None
    operations: float | None = None

    def part(self, share: float) -> Budget:
        """This share of it."""
        seconds, operations = (None if each is None else each * share for each in (self.seconds, self.operations))
        return Budget(seconds, operations)

    def __str__(self) -> str:
        if self.operations is not None:
            return f"{self.operations:.3g} multiply-adds"
        seconds = self.seconds or 0
        return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"


@dataclass(frozen=True)
class Cost:
    """What a step of a training costs."""

    operations: float  # multiply-adds
    seconds: float
    parameters: int


def budget_of(time: str | None = None, operations: float | None = None) -> Budget:
    """A budget as it is written: a time as 20m, 90s or 1.5h, or multiply-adds as 3e13; one of both."""
    if (time is None) == (operations is None):
        raise InputError("give one budget: --budget 20m, or --operations 3e13")
    if operations is not None:
        if not 0 < operations < float("inf"):
            raise InputError(f"operations is {operations:g}; it must be above 0, as 3e13")
        return Budget(operations=operations)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", (time or "").strip())
    if found is None or not float(found[1]):
        raise InputError(f"cannot read the budget {time!r}; write it as 20m, 90s or 1.5h")
    return Budget(seconds=float(found[1]) * UNITS[found[2]])


def prepared(recipe: AnyRecipe, device: str, data_root: Path | None, folder: Path | None = None) -> AnyRun:
    """Data, text and networks of a recipe; the weights of its codec, if it has one, go into the folder."""
    return cast(AnyRun, prepared_run(recipe, device, data_root, folder))


def recipe_of(name: str, settings: tuple[str, ...], data: str, makes: Makes = "pictures") -> AnyRecipe:
    """A recipe with settings, on the data of the comparison, that neither evaluates nor draws while it trains.

    What is trained for clips on pictures, as an autoencoder, keeps its own data.
    """
    recipe = recipe_for(name, settings)
    if isinstance(recipe, READERS[makes]):
        recipe = replace(recipe, data_set=data)
    elif not isinstance(recipe, BESIDE.get(makes, ())):
        raise InputError(f"the recipe {name!r} makes no {makes}, so it cannot be compared; name another")
    return with_training(cast(AnyRecipe, recipe), evaluate_every=0, sample_every=0, patience=0)


def with_training(recipe: AnyRecipe, **changes: Any) -> AnyRecipe:
    """The recipe with other settings of its training."""
    return replace(recipe, training=replace(recipe.training, **changes))


def cost_of(recipe: AnyRecipe, device: str, data_root: Path | None) -> Cost:
    """Measure a step: its operations by counting, its seconds by doing a few in a folder that is thrown away.

    Of an autoencoder, a codec or a vocoder, whose discriminator begins late, the mean over steps without and with it.
    """
    if not isinstance(recipe, LATE) or not _adversarial(recipe):
        return _cost(recipe, device, data_root)
    alone = min(1.0, recipe.objective.adversarial_from / recipe.training.steps)
    begins = (recipe.training.steps, 0)
    both = [_begins(recipe, each) for each in begins]
    before, after = (_cost(each, device, data_root) for each in both)
    operations = alone * before.operations + (1 - alone) * after.operations
    return Cost(operations, alone * before.seconds + (1 - alone) * after.seconds, after.parameters)


def _adversarial(recipe: LateRecipe) -> bool:
    """Whether a discriminator has any weight."""
    if isinstance(recipe, AutoencoderRecipe):
        return recipe.objective.adversarial_weight > 0
    return recipe.objective.adversarial > 0 or recipe.objective.matching > 0


def _begins(recipe: LateRecipe, step: int) -> LateRecipe:
    """The recipe with a discriminator from that step on."""
    objective: Any = replace(cast(Any, recipe.objective), adversarial_from=step)
    return replace(recipe, objective=objective)


def _cost(recipe: AnyRecipe, device: str, data_root: Path | None) -> Cost:
    run = prepared(with_training(recipe, steps=WARMING_STEPS + TIMED_STEPS), device, data_root)
    operations = _operations(run)
    told: list[float] = []

    def batch_at(step: int) -> Any:
        told.append(trainer.state.seconds)
        return run.batches.batch_at(step)

    with TemporaryDirectory() as folder:
        trainer = Trainer(run.trainable, run.objective, batch_at, run.recipe.training, Path(folder))
        trainer.fit()
    told.append(trainer.state.seconds)
    taken = [after - before for before, after in zip(told[WARMING_STEPS:], told[WARMING_STEPS + 1 :], strict=False)]
    parameters = sum(each.numel() for each in run.trainable.parameters())
    seconds = statistics.mean(taken) if _mixed(run) else statistics.median(taken)
    return Cost(operations, seconds, parameters)


def _mixed(run: AnyRun) -> bool:
    """Whether batches are of several kinds, clips and pictures: the cost of a step is then the mean over some."""
    return isinstance(run, VideoRun) and (run.recipe.data.image_share > 0 or bool(run.recipe.data.buckets))


def _operations(run: AnyRun) -> float:
    """Multiply-adds of a step, the mean over some; texts are encoded before they are counted."""
    seed, objective = run.recipe.training.seed, cast(Any, run.objective)
    found = []
    several = _mixed(run) or isinstance(run, (GANRun, VideoGANRun, SoundGANRun))
    for step in range(COUNTED_STEPS if several else 1):
        batch = run.batches.batch_at(step)
        for counts in (False, True) if step == 0 else (True,):
            rng = torch.Generator().manual_seed(seed_of(seed, step, "objective"))
            counter = FlopCounterMode(display=False)
            with counter:
                objective(batch, rng)["loss"].backward()
            run.trainable.zero_grad(set_to_none=True)
            if counts:
                found.append(counter.get_total_flops() / 2)
    return statistics.mean(found)


def steps_for(budget: Budget, cost: Cost) -> int:
    """How many steps the budget allows; none raises InputError."""
    share = (budget.seconds or 0) / cost.seconds if budget.operations is None else budget.operations / cost.operations
    if share < 1:
        one = f"{cost.seconds:.3g} s" if budget.operations is None else f"{cost.operations:.3g} multiply-adds"
        raise InputError(f"the budget of {budget} is less than one step, which takes {one}; give more")
    return int(share)


def fitted_to(recipe: AnyRecipe, steps: int) -> AnyRecipe:
    """The recipe with so many steps, its warm-up at most a tenth of them, averages that such a training can fill.

    The discriminator of an autoencoder, a codec or a vocoder begins after the same share of the steps.
    """
    training: TrainingConfig = recipe.training
    if isinstance(recipe, LATE):
        recipe = _begins(recipe, round(steps * recipe.objective.adversarial_from / training.steps))
    every = max(1, min(training.average_every, steps // 20))
    return with_training(recipe, steps=steps, warmup_steps=min(training.warmup_steps, steps // 10), average_every=every)


Reached = Callable[[int, float], bool]  # steps done, training seconds


def advance(run: AnyRun, folder: Path, reached: Reached) -> tuple[int, float]:
    """Train on in the folder until `reached`, or the last step; Ctrl-C saves and raises KeyboardInterrupt."""
    stopped = False

    def batch_at(step: int) -> Any:
        nonlocal stopped
        if reached(trainer.state.step + 1, trainer.state.seconds):
            stopped = trainer.stopping = True  # after this step
        return run.batches.batch_at(step)

    trainer = Trainer(run.trainable, run.objective, batch_at, run.recipe.training, folder, recipe=run.recipe)
    outcome = trainer.fit()
    if outcome.reason == "interrupted" and not stopped:
        raise KeyboardInterrupt
    return trainer.state.step, trainer.state.seconds
