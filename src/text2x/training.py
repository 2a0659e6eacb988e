"""The training loop: everything random in a step is a function of (seed, step), so a run resumes bit for bit."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from text2x.checkpoints import Checkpoints, State
from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import write_json
from text2x.nn.averaging import Averages, warmed_decay
from text2x.optimizers import build_optimizers, clip_gradients, learning_rate, set_learning_rate
from text2x.training_config import TrainingConfig
from text2x.training_environment import Ahead, can_compile, folder_alone, has_fast_bfloat16, seed_of, stop_signals
from text2x.training_log import Outcome, TrainingLog, TrainingProgress, draw_curves

Objective = Callable[[Any, torch.Generator], dict[str, Tensor]]  # batch, random numbers -> losses; "loss" is minimised
Evaluate = Callable[[nn.Module], dict[str, float]]  # module with averaged weights -> "held_out", "held_out/..."
Sample = Callable[[nn.Module, int, Path], None]  # module with averaged weights, step, folder to write a sheet into


class Trainer:
    """Trains a module, on the device where it is, into a folder; goes on from the folder's newest checkpoint.

    `objective` uses `trainable` and gets the batch of the step; `batch_at` is a pure function of the step. `recipe` is
    a config dataclass, saved as recipe.json; a run that is gone on with must have the same one.
    """

    def __init__(
        self,
        trainable: nn.Module,
        objective: Objective,
        batch_at: Callable[[int], Any],
        config: TrainingConfig,
        folder: Path,
        evaluate: Evaluate | None = None,
        sample: Sample | None = None,
        recipe: Any | None = None,
    ) -> None:
        self.trainable, self.objective, self.config, self.folder = trainable, objective, config, Path(folder)
        self.evaluate, self.sample, self.recipe = evaluate, sample, recipe
        self.device = next(trainable.parameters()).device
        self.parameters = [value for value in trainable.parameters() if value.requires_grad]
        self.optimizers = build_optimizers(trainable, config)
        self.averages = Averages(trainable, config.averages or (0.0,))  # 0: the weights as they are
        self.averaged = copy.deepcopy(trainable).eval().requires_grad_(False)
        known = {"training": to_dict(config), "recipe": {**(to_dict(recipe) if recipe else {}), "training": None}}
        self.checkpoints = Checkpoints(self.folder, trainable, self.optimizers, self.averages, known)
        self.batch_at = Ahead(batch_at) if self.device.type == "cuda" else batch_at
        self.bfloat16 = {"auto": has_fast_bfloat16(self.device), "bfloat16": True, "float32": False}[config.precision]
        self.stopping = False

    def fit(self) -> Outcome:
        """Train until the last step, an early stop, Ctrl-C or SIGTERM; the end is saved as a checkpoint."""
        with folder_alone(self.folder):
            return self._fit()

    def _fit(self) -> Outcome:
        found = self.checkpoints.load()
        self.state, notes = found or (State(), [])
        if self.recipe is not None:
            write_json(self.folder / "recipe.json", to_dict(self.recipe))
        self.log = TrainingLog(self.folder / "log.jsonl", self.state.log_bytes)
        self.progress = TrainingProgress(self.config.steps, self.state.step, self.config.batch_size)
        self.log.write(self.state.step, {"begin": self._about(), "changed": notes})
        for note in notes:
            self.progress.tell(note)
        if {"auto": can_compile(self.device), "on": True, "off": False}[self.config.compile]:
            self.trainable.compile()
        try:
            with stop_signals(self._stop):
                reason = self._loop()
            self.log.write(self.state.step, {"end": reason})
            if note := draw_curves(self.log.path, self.folder / "curves.png"):
                self.log.write(self.state.step, {"note": note})
        finally:
            self.log.close()
            self.progress.close()
        return Outcome(self.state.step, reason, dict(self.state.losses), self.folder)

    def _loop(self) -> Literal["finished", "interrupted", "early stop"]:
        saved = time.monotonic()
        while True:
            if not self.stopping:
                self._look()
            early = 0 < self.config.patience <= self.state.without_improvement
            over = early or self.stopping or self.state.step >= self.config.steps
            if over or time.monotonic() - saved >= self.config.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
            if over:
                return "early stop" if early else "interrupted" if self.state.step < self.config.steps else "finished"
            self._step()

    def _step(self) -> None:
        state, config, began = self.state, self.config, time.monotonic()
        rate = learning_rate(state.step, config)
        set_learning_rate(self.optimizers, rate)
        self.trainable.train()
        torch.manual_seed(seed_of(config.seed, state.step, "layers"))
        rng = torch.Generator().manual_seed(seed_of(config.seed, state.step, "objective"))
        with self._precision():
            losses = self.objective(self.batch_at(state.step), rng)
        losses["loss"].backward()
        norm = clip_gradients(self.parameters, config.max_grad_norm)
        values = {name: float(value.detach()) for name, value in losses.items()}
        if not math.isfinite(values["loss"]) or not math.isfinite(norm):
            raise InputError(
                f"the loss is {values['loss']} and the gradient's norm {norm} at step {state.step}; the last checkpoint"
                " is whole; lower training.learning_rate or training.max_grad_norm and begin in another folder"
            )
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        state.step += 1
        if state.step % config.average_every == 0:
            self.averages.update(state.step, config.average_every)
        state.seconds += time.monotonic() - began
        state.losses = values
        self._tell({**values, "grad_norm": norm, "seconds_a_step": time.monotonic() - began}, rate)

    def _tell(self, values: dict[str, float], rate: float) -> None:
        """A line in the log with the means since the last one, and the bar."""
        state, config = self.state, self.config
        for name, value in {"count": 1.0, **values}.items():
            state.sums[name] = state.sums.get(name, 0.0) + value
        if state.step % config.log_every == 0 or state.step == config.steps:
            count = state.sums.pop("count")
            means = {name: value / count for name, value in state.sums.items()}
            speed = config.batch_size / means.pop("seconds_a_step")
            about = {"learning_rate": rate, "samples_per_second": speed, "seconds": state.seconds}
            self.log.write(state.step, {**means, **about})
            state.sums = {}
        self.progress.advance(state.step, values["loss"])

    def _look(self) -> None:
        """Evaluate and draw samples with averaged weights where the step asks for it."""
        state, config = self.state, self.config
        if self.evaluate and _due(state.step, config.evaluate_every, config.steps) and state.evaluated < state.step:
            state.evaluated = state.step
            state.without_improvement += 1
            told: list[str] = []
            found: dict[float, dict[str, float]] = {}  # while decays warm up together, their averages are the same
            for decay in self.averages.values:
                if (warmed := warmed_decay(decay, state.step)) not in found:
                    with torch.no_grad(), self._precision():
                        found[warmed] = self.evaluate(self._average(decay))
                values = found[warmed]
                self.log.write(state.step, {"average": str(decay), **values})
                held_out = values.get("held_out", math.inf)
                if held_out < state.best.get(str(decay), math.inf):
                    state.best[str(decay)], state.without_improvement = held_out, 0
                    self.checkpoints.save_best(decay)
                told.append(f"{held_out:.4g} (average {decay})")
            self.progress.tell(f"step {state.step:,}: held-out loss {', '.join(told)}")
        if self.sample and _due(state.step, config.sample_every, config.steps) and state.sampled < state.step:
            state.sampled = state.step
            with torch.no_grad():
                self.sample(self._average(next(iter(self.averages.values))), state.step, self.folder / "samples")

    def _average(self, decay: float) -> nn.Module:
        self.averaged.load_state_dict(self.averages.state(decay))
        return self.averaged

    def _save(self) -> None:
        self.state.log_bytes = self.log.num_bytes()
        self.checkpoints.save(self.state)

    def _stop(self) -> None:
        self.stopping = True
        self.progress.tell("stopping after this step; once more stops at once, without saving")

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def _about(self) -> dict[str, Any]:
        precision = "bfloat16" if self.bfloat16 else "float32"
        return {"device": str(self.device), "precision": precision, "threads": torch.get_num_threads()}


def _due(step: int, every: int, last: int) -> bool:
    return every > 0 and step > 0 and (step % every == 0 or step == last)
