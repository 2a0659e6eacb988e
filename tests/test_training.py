"""The loop: it learns, resumes bit for bit after any kind of stop, and tells what it does."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from text2x.errors import InputError
from text2x.files import load_tensors
from text2x.training import Trainer
from text2x.training_config import TrainingConfig
from text2x.training_environment import folder_alone
from text2x.training_log import read_log

CONFIG = TrainingConfig(
    steps=24,
    batch_size=16,
    learning_rate=0.01,
    warmup_steps=4,
    averages=(0.8, 0.95),
    average_every=3,
    checkpoint_seconds=3600,
    evaluate_every=8,
    sample_every=12,
    log_every=5,
)


ALWAYS = replace(CONFIG, checkpoint_seconds=0)  # a checkpoint after every step


@dataclass(frozen=True)
class ToyRecipe:
    """The least that a recipe can be."""

    name: str = "toy"
    width: int = 16
    training: TrainingConfig = CONFIG


@pytest.fixture(autouse=True)
def no_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the picture, half a second a run, where a test is not about it."""
    if "curves" not in request.node.name:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


class KilledError(Exception):
    """Stands for the end of the process."""


def toy(
    folder: Path,
    config: TrainingConfig = CONFIG,
    killed_at: int | None = None,
    loss_at: dict[int, float] | None = None,
    **options: Any,
) -> Trainer:
    """A trainer of a denoiser of points on a line, with dropout and buffers; 3 ms a step."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Dropout(0.1), nn.Linear(16, 4))

    def batch_at(step: int) -> Tensor:
        if step == killed_at:
            raise KilledError
        rng = torch.Generator().manual_seed(step)
        return torch.randn(config.batch_size, 1, generator=rng) * torch.tensor([1.0, -1.0, 2.0, 0.5])

    def objective(batch: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        noisy = batch + 0.5 * torch.randn(batch.shape, generator=rng)
        loss = (net(noisy) - batch).float().square().mean()
        if loss_at:
            loss = loss * loss_at.get(int(trainer.state.step), 1.0)
        return {"loss": loss, "loss/other": loss.detach() * 2}

    def evaluate(averaged: nn.Module) -> dict[str, float]:
        rng = torch.Generator().manual_seed(123)
        batch = torch.randn(64, 1, generator=rng) * torch.tensor([1.0, -1.0, 2.0, 0.5])
        error = float((averaged(batch) - batch).float().square().mean())
        return {"held_out": error, "held_out/t=0.5": error}

    def sample(averaged: nn.Module, step: int, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{step}.txt").write_text(f"{averaged.training} {float(averaged(torch.ones(1, 4)).sum())}")

    callbacks = {"evaluate": evaluate, "sample": sample, "recipe": ToyRecipe(training=config), **options}
    trainer = Trainer(net, objective, batch_at, config, folder, **callbacks)
    return trainer


def results(folder: Path) -> dict[str, Tensor]:
    """Every tensor of the newest checkpoint."""
    place = max((folder / "checkpoints").glob("step-*"))
    return {f"{path.name} {k}": v for path in place.glob("*.safetensors") for k, v in load_tensors(path).items()}


def assert_same_run(one: Path, other: Path) -> None:
    """The same weights, averages, optimiser states, best weights and log, but for times."""
    expected, got = results(one), results(other)
    assert expected.keys() == got.keys()
    assert [name for name, value in expected.items() if not torch.equal(value, got[name])] == []
    for best in one.glob("best-*"):
        assert best.read_bytes() == (other / best.name).read_bytes()
    assert log_of(one) == log_of(other)


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The log without what differs between two equal runs."""
    apart = {"seconds", "samples_per_second"}
    lines = [line for line in read_log(folder / "log.jsonl") if not {"begin", "end", "note"} & line.keys()]
    return [{key: value for key, value in line.items() if key not in apart} for line in lines]


def test_it_learns_and_leaves_a_folder_that_says_so(tmp_path: Path) -> None:
    outcome = toy(tmp_path, replace(CONFIG, steps=120)).fit()
    assert (outcome.step, outcome.reason, outcome.folder) == (120, "finished", tmp_path)
    lines = [line for line in log_of(tmp_path) if "loss" in line]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert outcome.losses.keys() == {"loss", "loss/other"}
    left = {each.name for each in tmp_path.iterdir() if not each.name.startswith(".")}
    best = {"best-0.8.safetensors", "best-0.95.safetensors"}
    assert left == {"averages", "checkpoints", "samples", "log.jsonl", "recipe.json"} | best
    assert json.loads((tmp_path / "recipe.json").read_text())["name"] == "toy"


@pytest.mark.medium
def test_curves_are_drawn_at_the_end(tmp_path: Path) -> None:
    toy(tmp_path, replace(CONFIG, steps=10)).fit()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_that_dies_at_any_step_goes_on_bit_for_bit(tmp_path: Path, optimizer: Any, precision: Any) -> None:
    config = replace(ALWAYS, optimizer=optimizer, precision=precision)
    toy(tmp_path / "whole", replace(config, checkpoint_seconds=3600)).fit()
    for killed_at in (0, 8, 17):
        with pytest.raises(KilledError):
            toy(tmp_path / "parts", config, killed_at=killed_at).fit()
    toy(tmp_path / "parts", config).fit()
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_steps_after_the_last_checkpoint_are_done_again_the_same_way(tmp_path: Path) -> None:
    toy(tmp_path / "whole").fit()
    with pytest.raises(KilledError):
        toy(tmp_path / "parts", ALWAYS, killed_at=6).fit()
    with pytest.raises(KilledError):
        toy(tmp_path / "parts", killed_at=20).fit()
    assert any(line["step"] == 20 for line in read_log(tmp_path / "parts" / "log.jsonl"))
    toy(tmp_path / "parts").fit()
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_what_is_looked_at_on_the_way_does_not_change_the_weights(tmp_path: Path) -> None:
    toy(tmp_path / "looked").fit()
    toy(tmp_path / "alone", evaluate=None, sample=None).fit()
    looked, alone = results(tmp_path / "looked"), results(tmp_path / "alone")
    assert all(torch.equal(value, alone[name]) for name, value in looked.items())


def test_evaluation_and_samples_use_averaged_weights_out_of_training(tmp_path: Path) -> None:
    toy(tmp_path).fit()
    assert sorted(each.name for each in (tmp_path / "samples").iterdir()) == ["12.txt", "24.txt"]
    training, total = (tmp_path / "samples" / "24.txt").read_text().split()
    assert training == "False"
    averaged = toy(tmp_path / "other").trainable.eval()
    averaged.load_state_dict(load_tensors(tmp_path / "averages" / "0.8.safetensors"))
    assert float(total) == pytest.approx(float(averaged(torch.ones(1, 4)).sum().detach()), rel=1e-5)
    evaluated = [(line["step"], line["average"]) for line in log_of(tmp_path) if "average" in line]
    assert evaluated == [(step, average) for step in (8, 16, 24) for average in ("0.8", "0.95")]


def test_a_finished_run_is_finished_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    constant = replace(CONFIG, decay="constant", sample_every=0)
    toy(tmp_path / "parts", constant).fit()
    again = toy(tmp_path / "parts", constant).fit()
    assert (again.step, again.reason) == (24, "finished")
    longer = replace(constant, steps=40)
    assert toy(tmp_path / "parts", longer).fit().step == 40
    changes = [line["changed"] for line in read_log(tmp_path / "parts" / "log.jsonl") if "begin" in line]
    assert changes == [[], [], ["training.steps was 24 and is 40"]]
    toy(tmp_path / "whole", longer).fit()
    parts, whole = results(tmp_path / "parts"), results(tmp_path / "whole")
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_another_configuration_or_recipe_is_refused_by_name(tmp_path: Path) -> None:
    toy(tmp_path).fit()
    with pytest.raises(InputError, match=r"training\.batch_size = 16, not 8"):
        toy(tmp_path, replace(CONFIG, batch_size=8)).fit()
    with pytest.raises(InputError, match=r"recipe\.width = 16, not 17"):
        toy(tmp_path, recipe=ToyRecipe(width=17)).fit()


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_and_spares_the_checkpoint(tmp_path: Path, factor: float) -> None:
    with pytest.raises(InputError, match=r"the loss is (nan|inf) .* at step 7"):
        toy(tmp_path, ALWAYS, loss_at={7: factor}).fit()
    assert max((tmp_path / "checkpoints").iterdir()).name == "step-0000007"
    assert all(value.isfinite().all() for value in results(tmp_path).values())


def test_it_stops_early_when_the_held_out_loss_no_longer_improves(tmp_path: Path) -> None:
    held_out = iter([5.0, 4.0, 4.0, 4.0, 1.0])
    config = replace(CONFIG, evaluate_every=4, patience=2, steps=100)
    outcome = toy(tmp_path, config, evaluate=lambda net: {"held_out": next(held_out)}).fit()
    assert (outcome.reason, outcome.step) == ("early stop", 16)
    assert toy(tmp_path, config).fit().reason == "early stop"


def test_a_held_out_loss_that_is_no_number_is_no_improvement(tmp_path: Path) -> None:
    toy(tmp_path, evaluate=lambda net: {"held_out": float("nan")}).fit()
    assert list(tmp_path.glob("best-*")) == []
    assert [line["held_out"] for line in log_of(tmp_path) if "held_out" in line] == [None] * 6


def test_averages_that_are_still_the_same_are_evaluated_once(tmp_path: Path) -> None:
    calls: list[float] = []

    def evaluate(averaged: nn.Module) -> dict[str, float]:
        calls.append(float(averaged[0].weight.sum()))
        return {"held_out": calls[-1]}

    config = replace(CONFIG, averages=(0.5, 0.95, 0.99), evaluate_every=3)
    toy(tmp_path, config, evaluate=evaluate).fit()
    # (1 + n) / (10 + n) reaches 0.5 after step 8; the averages differ from the update after that
    assert [line["held_out"] for line in log_of(tmp_path) if line["step"] == 6 and "average" in line] == [
        pytest.approx(calls[1], rel=1e-5)
    ] * 3
    assert len(calls) == 2 + 6 * 2
    apart = [load_tensors(path)["0.weight"] for path in sorted((tmp_path / "averages").iterdir())]
    assert not torch.equal(apart[0], apart[1])
    assert torch.equal(apart[1], apart[2])


def test_weights_can_be_the_start_of_another_run(tmp_path: Path) -> None:
    toy(tmp_path / "first").fit()
    second = toy(tmp_path / "second", replace(CONFIG, steps=1, learning_rate=0.0, averages=()))
    second.trainable.load_state_dict(load_tensors(tmp_path / "first" / "averages" / "0.8.safetensors"))
    before = second.trainable[0].weight.detach().clone()
    second.fit()
    assert torch.equal(second.trainable[0].weight, before)
    assert [each.name for each in (tmp_path / "second" / "averages").iterdir()] == ["0.0.safetensors"]


def test_only_the_rate_of_the_step_counts_for_the_optimiser(tmp_path: Path) -> None:
    toy(tmp_path, replace(CONFIG, log_every=1)).fit()
    rates = [line["learning_rate"] for line in log_of(tmp_path) if "learning_rate" in line]
    assert rates[:5] == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01])
    assert rates[-1] < 0.001


def test_log_lines_are_means_over_their_steps(tmp_path: Path) -> None:
    toy(tmp_path / "one", replace(CONFIG, log_every=1)).fit()
    toy(tmp_path / "five").fit()
    single = [line["loss"] for line in log_of(tmp_path / "one") if "loss" in line]
    means = [line for line in log_of(tmp_path / "five") if "loss" in line]
    assert [line["step"] for line in means] == [5, 10, 15, 20, 24]
    assert means[0]["loss"] == pytest.approx(sum(single[:5]) / 5, rel=1e-4)
    assert means[-1]["loss"] == pytest.approx(sum(single[20:]) / 4, rel=1e-4)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: signal.Signals
) -> None:
    def interrupting(averaged: nn.Module, step: int, folder: Path) -> None:
        if step == 12 and not (tmp_path / "once").exists():
            (tmp_path / "once").touch()
            os.kill(os.getpid(), kind)

    outcome = toy(tmp_path / "parts", sample=interrupting).fit()
    assert str(outcome) == "stopped at step 12; the same command goes on from here"
    assert "stopping after this step" in capsys.readouterr().err
    toy(tmp_path / "parts", sample=interrupting).fit()
    toy(tmp_path / "whole", sample=interrupting).fit()
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path({tests!r})))
from test_training import ALWAYS, replace, toy
sys.modules["matplotlib.figure"] = None
toy(Path({folder!r}), replace(ALWAYS, steps=10**6, decay="constant", precision={precision!r})).fit()
"""


def start(folder: Path, precision: str) -> subprocess.Popen[bytes]:
    """Train in another process."""
    code = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(folder), precision=precision)
    return subprocess.Popen([sys.executable, "-c", code])


def wait_for_step(folder: Path, step: int) -> None:
    """Until a checkpoint of that step or a later one is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            if any(int(each.name[5:]) >= step for each in (folder / "checkpoints").glob("step-*")):
                return
        time.sleep(0.002)
    raise AssertionError("no checkpoint within a minute")


@pytest.mark.medium
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_process_killed_at_any_moment_goes_on_bit_for_bit(tmp_path: Path, precision: Any) -> None:
    process = start(tmp_path / "parts", precision)
    wait_for_step(tmp_path / "parts", 10)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    newest = max((tmp_path / "parts" / "checkpoints").glob("step-*")).name
    config = replace(CONFIG, steps=int(newest[5:]) + 10, decay="constant", precision=precision)
    assert toy(tmp_path / "parts", config).fit().reason == "finished"
    toy(tmp_path / "whole", config).fit()
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    with folder_alone(tmp_path), pytest.raises(InputError, match="another training is at work"):
        toy(tmp_path).fit()
    assert toy(tmp_path).fit().reason == "finished"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write to the folder .*file"):
        toy(tmp_path / "file").fit()


def test_a_terminal_shows_loss_speed_and_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    toy(tmp_path).fit()
    shown = terminal.getvalue()
    assert "24/24" in shown
    assert "samples/s" in shown
    assert "held-out loss" in shown


@pytest.mark.parametrize(
    "fields",
    [{"steps": 0}, {"averages": (1.0,)}, {"averages": (0.9, 0.9)}, {"betas": (0.9, 1.5)}, {"max_grad_norm": 0.0}],
)
def test_settings_out_of_range_are_named(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"training.{next(iter(fields))} is "):
        TrainingConfig(**fields)
