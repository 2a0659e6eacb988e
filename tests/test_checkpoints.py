"""Checkpoints come back bit for bit, broken ones are passed over, what does not fit is told."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from text2x.checkpoints import Checkpoints, State, compare_configs, export
from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import load_tensors, save_tensors
from text2x.nn.averaging import Averages
from text2x.optimizers import build_optimizers
from text2x.training_config import TrainingConfig
from text2x.weights import load_weights, pack

CONFIG = {"training": to_dict(TrainingConfig())}


@dataclass
class Parts:
    """A small module in training and its checkpoints."""

    module: nn.Module
    checkpoints: Checkpoints

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.module(torch.ones(2, 3)).square().mean().backward()
            for optimizer in self.checkpoints.optimizers:
                optimizer.step()
                optimizer.zero_grad()
            self.checkpoints.averages.update(1)

    def everything(self) -> dict[str, torch.Tensor]:
        named = dict(self.module.state_dict())
        for decay in self.checkpoints.averages.values:
            named |= {f"{decay} {name}": value for name, value in self.checkpoints.averages.state(decay).items()}
        return {name: value.clone() for name, value in named.items()}


def parts(folder: Path, seed: int = 0, config: dict[str, object] | None = None) -> Parts:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizers = build_optimizers(module, TrainingConfig(learning_rate=0.01))
    averages = Averages(module, (0.9, 0.99))
    return Parts(module, Checkpoints(folder, module, optimizers, averages, config or CONFIG))


def saved(folder: Path, *steps: int) -> Parts:
    made = parts(folder)
    for step in steps:
        made.train(2)
        made.checkpoints.save(State(step=step, best={"0.9": 0.5}))
    return made


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in (folder / "checkpoints").iterdir())


def test_a_checkpoint_brings_everything_back(tmp_path: Path) -> None:
    first = saved(tmp_path, 3)
    second = parts(tmp_path, seed=1)
    found = second.checkpoints.load()
    assert found == (State(step=3, best={"0.9": 0.5}), [])
    for each in (first, second):
        each.train(3)
    expected, got = first.everything(), second.everything()
    assert all(torch.equal(value, got[name]) for name, value in expected.items())


def test_nothing_is_loaded_where_there_is_nothing(tmp_path: Path) -> None:
    assert parts(tmp_path / "none").checkpoints.load() is None
    (tmp_path / "checkpoints" / ".writing-0000003").mkdir(parents=True)
    assert parts(tmp_path).checkpoints.load() is None


def test_the_last_two_stay_and_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / ".writing-0000003").mkdir(parents=True)
    saved(tmp_path, 1, 2, 10)
    assert names(tmp_path) == ["step-0000002", "step-0000010"]


def test_a_step_can_be_saved_again(tmp_path: Path) -> None:
    made = saved(tmp_path, 1, 1)
    assert names(tmp_path) == ["step-0000001"]
    other = parts(tmp_path)
    other.checkpoints.load()
    assert torch.equal(other.everything()["0.weight"], made.everything()["0.weight"])


@pytest.mark.parametrize("fault", ["cut", "flipped bit", "no model", "no state", "half a state", "other state"])
def test_a_broken_newest_checkpoint_leaves_the_one_before(tmp_path: Path, fault: str) -> None:
    saved(tmp_path, 1, 2)
    place = tmp_path / "checkpoints" / "step-0000002"
    path = place / ("state.json" if "state" in fault else "model.safetensors")
    data = path.read_bytes()
    if fault.startswith("no "):
        path.unlink()
    elif fault == "flipped bit":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        path.write_bytes(b"[]" if fault == "other state" else data[: len(data) // 2])
    with pytest.warns(UserWarning, match="step-0000002 is broken and passed over"):
        found = parts(tmp_path).checkpoints.load()
    assert found is not None and found[0].step == 1


def test_when_all_are_broken_nothing_begins_anew_by_itself(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    (tmp_path / "checkpoints" / "step-0000001" / "state.json").unlink()
    with pytest.warns(UserWarning), pytest.raises(InputError, match="delete the folder to begin anew"):
        parts(tmp_path).checkpoints.load()


def test_another_configuration_is_told_by_its_field(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    other = {"training": to_dict(TrainingConfig(learning_rate=5.0))}
    with pytest.raises(InputError, match=r"begun with training\.learning_rate = 0\.001, not 5\.0"):
        parts(tmp_path, config=other).checkpoints.load()


def test_the_length_of_a_run_may_change_and_is_told(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    longer = {"training": to_dict(TrainingConfig(steps=20_000, sample_every=5))}
    found = parts(tmp_path, config=longer).checkpoints.load()
    assert found is not None
    assert found[1] == ["training.steps was 10000 and is 20000", "training.sample_every was 1000 and is 5"]


def test_configurations_are_compared_all_the_way_down() -> None:
    old = {"recipe": {"network": {"type": "UNet", "widths": [1, 2]}, "schedule": {"steps": 5}, "more": None}}
    assert compare_configs(old, old) == []
    for path, value in (("network", None), ("network", {"type": "DiT"}), ("schedule", {"steps": 6}), ("more", {})):
        with pytest.raises(InputError, match=rf"begun with recipe\.{path}"):
            compare_configs(old, {"recipe": {**old["recipe"], path: value}})
    assert compare_configs(old, {"recipe": {**old["recipe"], "field": 3}}) == ["recipe.field is new"]
    sampling = {"recipe": {"sampling": {"steps": 5}}}
    assert compare_configs(sampling, {"recipe": {"sampling": {"steps": 6}}}) == [
        "recipe.sampling.steps was 5 and is 6",
    ]


def test_the_newest_averages_lie_where_a_model_is_looked_for(tmp_path: Path) -> None:
    made = saved(tmp_path, 1, 2, 3)
    made.checkpoints.save_best(0.9)
    assert sorted(each.name for each in (tmp_path / "averages").iterdir()) == ["0.9.safetensors", "0.99.safetensors"]
    for path, decay in (("averages/0.99", 0.99), ("averages/0.9", 0.9), ("best-0.9", 0.9)):
        other = parts(tmp_path, seed=1)
        load_weights(other.module, tmp_path / f"{path}.safetensors")
        assert torch.equal(other.module[0].weight, made.checkpoints.averages.state(decay)["0.weight"])


def test_weights_that_do_not_fit_are_told(tmp_path: Path) -> None:
    module = nn.Linear(3, 2)
    path = tmp_path / "a.safetensors"
    cases = (
        ({"weight": torch.ones(2, 3)}, "lacks bias"),
        ({**module.state_dict(), "extra": torch.ones(1)}, "has extra, which this network has not"),
        ({**module.state_dict(), "weight": torch.ones(2, 4)}, r"weight has the shape \[2, 4\], .* \[2, 3\]"),
    )
    for tensors, message in cases:
        save_tensors(path, tensors)
        with pytest.raises(InputError, match=message):
            load_weights(module, path)
    save_tensors(path, module.state_dict())
    with pytest.raises(InputError, match="SHA-256"):
        load_weights(module, path, sha256="0" * 64)


@pytest.mark.parametrize(("packing", "error"), [("float32", 0.0), ("float16", 1e-3), ("int8", 2e-2)])
def test_packed_weights_are_read_back(tmp_path: Path, packing: str, error: float) -> None:
    module, other = nn.Linear(30, 20), nn.Linear(30, 20)
    save_tensors(tmp_path / "a.safetensors", pack(module.state_dict(), packing))
    load_weights(other, tmp_path / "a.safetensors")
    torch.testing.assert_close(other.weight, module.weight, rtol=error, atol=error)


def test_an_export_is_the_average_in_half_the_bytes(tmp_path: Path) -> None:
    made = saved(tmp_path, 1)
    made.checkpoints.save_best(0.99)
    for which in ("0.99", "best-0.99"):
        digest = export(tmp_path, which, tmp_path / "ship" / "weights.safetensors")
        tensors = load_tensors(tmp_path / "ship" / "weights.safetensors", digest)
        assert torch.equal(tensors["0.weight"], made.checkpoints.averages.state(0.99)["0.weight"].half())


def test_what_cannot_be_exported_is_told(tmp_path: Path) -> None:
    made = saved(tmp_path, 1)
    with pytest.raises(InputError, match=r"no average '0.5'; it has 0.9, 0.99"):
        export(tmp_path, "0.5", tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="best-0.9.safetensors is missing"):
        export(tmp_path, "best-0.9", tmp_path / "a.safetensors")
    made.checkpoints.averages.values[0.9][0].fill_(1e6)
    made.checkpoints.save_best(0.9)
    with pytest.raises(InputError, match="too large for float16"):
        export(tmp_path, "best-0.9", tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()
