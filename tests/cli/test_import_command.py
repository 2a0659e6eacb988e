"""`text2x models import`: where it writes, what it says, and what it refuses."""

import json
from pathlib import Path

import pytest
from painter import Run

from text2x.files import save_tensors
from text2x.networks.autoencoder import Autoencoder
from text2x.published.settings import autoencoder_config
from text2x.published.stable_diffusion import autoencoder_origins

SETTINGS = {
    "_class_name": "AutoencoderKL", "block_out_channels": [8, 16], "norm_num_groups": 4, "layers_per_block": 1,
    "down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2,
    "mid_block_add_attention": False, "sample_size": 16,
}  # fmt: skip


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The folder of an autoencoder, written by the published names."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    config = autoencoder_config(SETTINGS)
    own = Autoencoder(config).state_dict()
    tensors = {origin.names[0]: own[name] for name, origin in autoencoder_origins(config).items()}
    save_tensors(folder / "diffusion_pytorch_model.safetensors", tensors)
    return folder


def test_a_network_is_read_into_the_users_models_under_its_name(run: Run, published: Path) -> None:
    code, printed, _ = run("models", "import", published, "--name", "kl")
    assert code == 0 and "AutoencoderKL" in printed and "--set codec=" in printed
    written = {path.name for path in Path(".models/kl").rglob("*") if path.is_file()}
    assert written == {"0.999.safetensors", "recipe.json"}
    code, printed, _ = run("models")
    assert code == 0 and "[codec] Read from an AutoencoderKL." in printed


def test_an_output_is_taken_as_the_folder_and_never_written_over(run: Run, published: Path) -> None:
    assert run("models", "import", published, "-o", "mine")[0] == 0
    before = (Path("mine") / "recipe.json").read_bytes()
    code, _, said = run("models", "import", published, "-o", "mine")
    assert code == 2 and "mine holds a model already; give another --name or --output" in said
    assert (Path("mine") / "recipe.json").read_bytes() == before


@pytest.mark.parametrize("name", ["a/b", "..", ""])
def test_names_that_are_paths_are_refused(run: Run, published: Path, name: str) -> None:
    code, _, said = run("models", "import", published, "--name", name)
    assert code == 2 and f"cannot take the name {name!r}" in said


def test_pickles_and_foreign_settings_are_refused_in_one_line(run: Run, published: Path) -> None:
    weights = published / "diffusion_pytorch_model.safetensors"
    weights.rename(published / "diffusion_pytorch_model.bin")
    code, _, said = run("models", "import", published, "-o", "mine")
    assert code == 2 and "is a pickle, which can run code" in said and len(said.strip().splitlines()) == 1
    (published / "diffusion_pytorch_model.bin").rename(weights)
    (published / "config.json").write_text(json.dumps({**SETTINGS, "act_fn": "gelu"}))
    code, _, said = run("models", "import", published, "-o", "mine")
    assert code == 2 and "act_fn of this AutoencoderKL is 'gelu'; text2x has only 'silu'" in said
    assert not Path("mine").exists()


def test_an_unknown_packing_is_refused(run: Run, published: Path) -> None:
    code, _, said = run("models", "import", published, "-o", "mine", "--packing", "int4")
    assert code == 2 and "unknown packing 'int4'; weights are kept as float32, float16, int8" in said
