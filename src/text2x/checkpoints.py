"""Checkpoints of a training run: folders of safetensors and state.json, written aside and renamed; the last two stay.

A run's folder: checkpoints/step-0001000/{model, optimizer, average-0.999}.safetensors and state.json, which holds the
step, the configuration and the SHA-256 of each file; averages/0.999.safetensors, the newest averages, to be used as a
model; best-0.999.safetensors, the averages with the least held-out loss.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from text2x.errors import InputError
from text2x.files import file_hash, load_tensors, read_json, save_tensors, written_aside
from text2x.nn.averaging import Averages
from text2x.optimizers import load_optimizer_state, optimizer_state
from text2x.weights import Packing, pack, put_weights

FORMAT = 1  # of a checkpoint
KEPT = 2  # checkpoints; a broken newest one leaves the one before
MODEL, OPTIMIZER = "model.safetensors", "optimizer.safetensors"

# What may change between two parts of a run: how long it is, what is written when, and how a model is asked later.
FREE = (
    *(f"training.{name}" for name in ("steps", "patience", "compile", "checkpoint_seconds")),
    *(f"training.{name}" for name in ("evaluate_every", "sample_every", "log_every")),
    *(
        f"recipe.{name}"
        for name in ("summary", "sampling", "low_resolution.sampling_noise", "objective.evaluation_times")
    ),
)


@dataclass
class State:
    """Where a run stands, beside its tensors."""

    step: int = 0  # updates done
    seconds: float = 0.0  # of training, all parts of the run together
    log_bytes: int = 0  # length of the log
    evaluated: int = 0  # step of the last evaluation
    sampled: int = 0  # step of the last sample sheet
    best: dict[str, float] = field(default_factory=dict)  # average -> least held-out loss
    without_improvement: int = 0  # evaluations
    sums: dict[str, float] = field(default_factory=dict)  # of what the next log line is the mean of
    losses: dict[str, float] = field(default_factory=dict)  # of the last step


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run: its folder, what is trained, and the configuration that they must agree with."""

    folder: Path
    module: nn.Module
    optimizers: list[Optimizer]
    averages: Averages
    config: Mapping[str, Any]  # plain JSON values

    def save(self, state: State) -> None:
        """Write a checkpoint of the present weights, then drop all but the last two."""
        parent = self.folder / "checkpoints"
        final = parent / f"step-{state.step:07d}"
        aside = parent / f".writing-{state.step:07d}"
        try:
            for left_by_a_killed_run in parent.glob(".writing-*"):
                shutil.rmtree(left_by_a_killed_run)
            aside.mkdir(parents=True)
            # Not waiting for the disk: after a power cut the hashes tell what is broken, and an older one is there.
            hashes = {name: save_tensors(aside / name, tensors, durable=False) for name, tensors in self._tensors()}
            about = {"format": FORMAT, "config": dict(self.config), "files": hashes, "state": vars(state)}
            (aside / "state.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
            if final.exists():
                shutil.rmtree(final)
            aside.replace(final)
        except OSError as error:
            raise InputError(f"cannot write the checkpoint {final}: {error.strerror}") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        self._show_averages(final)
        for old in _all(self.folder)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def load(self) -> tuple[State, list[str]] | None:
        """Restore the newest whole checkpoint; its state and what changed since, or None where there is none.

        A broken one is passed over with a warning. Another configuration raises InputError.
        """
        newest_first = _all(self.folder)[::-1]
        for place in newest_first:
            try:
                about, tensors = _read(place)
            except InputError as error:
                warnings.warn(f"the checkpoint {place.name} is broken and passed over: {error}", stacklevel=2)
                continue
            notes = compare_configs(about["config"], self.config)
            self._restore(tensors, place)
            return State(**about["state"]), notes
        if newest_first:
            raise InputError(f"no checkpoint in {self.folder} can be read; delete the folder to begin anew")
        return None

    def save_best(self, decay: float) -> None:
        """Keep the present averages of this decay as the best so far."""
        save_tensors(self.folder / f"best-{decay}.safetensors", self.averages.state(decay))

    def _tensors(self) -> Iterator[tuple[str, dict[str, Tensor]]]:
        yield MODEL, self.module.state_dict()
        yield OPTIMIZER, optimizer_state(self.module, self.optimizers)
        for decay in self.averages.values:
            yield f"average-{decay}.safetensors", self.averages.state(decay)

    def _restore(self, tensors: Mapping[str, dict[str, Tensor]], place: Path) -> None:
        put_weights(self.module, tensors[MODEL], place / MODEL)
        load_optimizer_state(self.module, self.optimizers, tensors[OPTIMIZER])
        for decay in self.averages.values:
            self.averages.load(decay, tensors[f"average-{decay}.safetensors"])

    def _show_averages(self, checkpoint: Path) -> None:
        """Link or copy the averages to where the run's folder can be used as a model."""
        for decay in self.averages.values:
            with written_aside(self.folder / "averages" / f"{decay}.safetensors", durable=False) as aside:
                aside.unlink()
                try:
                    os.link(checkpoint / f"average-{decay}.safetensors", aside)
                except OSError:  # a file system without links
                    shutil.copyfile(checkpoint / f"average-{decay}.safetensors", aside)


def _all(folder: Path) -> list[Path]:
    """Checkpoint folders, oldest first."""
    return sorted(each for each in (folder / "checkpoints").glob("step-*") if each.is_dir())


def _read(place: Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    about = read_json(place / "state.json")
    if not isinstance(about, dict) or not {"format", "config", "files", "state"} <= about.keys():
        raise InputError(f"{place / 'state.json'} is not the state of a training run")
    if about["format"] != FORMAT:
        raise InputError(f"{place} has format {about['format']}; this version of text2x reads {FORMAT}")
    return about, {name: load_tensors(place / name, sha256) for name, sha256 in about["files"].items()}


def compare_configs(saved: Any, wanted: Any, path: str = "") -> list[str]:
    """What changed of the fields that may change; any other change raises InputError naming the field.

    A field that one side does not have, as another version of the package may write it, is only told.
    """
    if not isinstance(saved, Mapping) or not isinstance(wanted, Mapping):
        if saved == wanted:
            return []
        if any(path == free or path.startswith(f"{free}.") for free in FREE):
            return [f"{path} was {saved!r} and is {wanted!r}"]
        raise InputError(
            f"the run was begun with {path} = {saved!r}, not {wanted!r}; "
            "set it back to go on, or train into another folder"
        )
    notes: list[str] = []
    for key in {**saved, **wanted}:
        place = f"{path}.{key}" if path else str(key)
        if key in saved and key in wanted:
            notes += compare_configs(saved[key], wanted[key], place)
        else:
            notes.append(f"{place} is new" if key in wanted else f"{place} is gone")
    return notes


def export(folder: Path, which: str, path: Path, packing: Packing = "float16") -> str:
    """Write averaged weights of a run for shipping and return the file's SHA-256.

    `which` is an average as in "0.999", or "best-0.999" for the one with the least held-out loss.
    """
    source = folder / f"{which}.safetensors" if which.startswith("best-") else _average(folder, which)
    tensors = load_tensors(source)
    largest = max((float(value.abs().max()) for value in tensors.values() if value.numel()), default=0.0)
    if packing != "float32" and not largest <= torch.finfo(torch.float16).max:
        raise InputError(f"{source} has a weight of {largest:g}, too large for {packing}; export it as float32")
    save_tensors(path, pack(tensors, packing))
    return file_hash(path)


def _average(folder: Path, which: str) -> Path:
    path = folder / "averages" / f"{which}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in (folder / "averages").glob("*.safetensors")))
        raise InputError(f"{folder} has no average {which!r}; it has {known or 'none: train it first'}")
    return path
