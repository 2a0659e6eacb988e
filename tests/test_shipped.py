"""The models that come with the package: small enough, described, and drawing what their cards say."""

import numpy as np
import pytest

from text2x.edits import Inpainting, Outpainting, Variation
from text2x.generators import DiffusionGenerator
from text2x.library import load, models, shipped_folder
from text2x.requests import ImageRequest

FOLDERS = sorted(path for path in shipped_folder().iterdir() if (path / "recipe.json").is_file())
MEBIBYTE = 2**20


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_shipped_model_is_small_and_has_a_card_with_its_sources(folder):
    weights = [path.stat().st_size for path in folder.glob("*.safetensors")]
    assert sum(weights) <= 15 * MEBIBYTE
    card = (folder / "README.md").read_text("utf-8")
    info = next(each for each in models() if each.name == folder.name)
    assert info.problem is None and info.licence != "unknown"
    for line in info.recipe["attribution"]:
        assert line.split(",")[0] in card
    badly = "## What it does badly" if info.kind != "guides" else "## What they do badly"
    for word in ("## Data", "## Training", badly, "nearest"):
        assert word in card


def test_all_shipped_weights_together_stay_within_their_limit():
    assert sum(path.stat().st_size for path in shipped_folder().glob("*/*.safetensors")) <= 48 * MEBIBYTE


@pytest.fixture(scope="module")
def emoji() -> DiffusionGenerator:
    generator = load("emoji")
    assert isinstance(generator, DiffusionGenerator)
    return generator


@pytest.mark.medium
def test_emoji_draws_a_red_heart_on_a_transparent_ground(emoji):
    picture = emoji.generate(ImageRequest("a red heart", seed=7))[0].media.to_uint8().astype(int)
    shown = picture[picture[..., 3] > 127][:, :3].mean(0)
    assert shown[0] > 150 and shown[0] > 2 * shown[1] and shown[0] > 2 * shown[2]
    corners = picture[[0, 0, -1, -1], [0, -1, 0, -1], 3]
    assert (corners < 64).all()
    assert 0.3 < (picture[..., 3] > 127).mean() < 0.9


@pytest.mark.medium
def test_emoji_follows_colours_and_styles(emoji):
    def mean_colour(prompt: str, style: str) -> np.ndarray:
        picture = emoji.generate(ImageRequest(prompt, seed=1, style=style))[0].media.to_uint8().astype(float)
        return picture[picture[..., 3] > 127][:, :3].mean(0)

    for style in emoji.styles:
        assert mean_colour("green book", style).argmax() == 1
        assert mean_colour("blue circle", style).argmax() == 2
        assert mean_colour("red circle", style).argmax() == 0


@pytest.mark.medium
def test_emoji_keeps_to_the_seed(emoji):
    batch = [each.media.pixels for each in emoji.generate(ImageRequest("a slice of pizza", seed=7, count=2))]
    alone = emoji.generate(ImageRequest("a slice of pizza", seed=8))[0].media.pixels
    assert np.array_equal(batch[1], alone)


@pytest.mark.medium
def test_a_weak_variation_is_nearer_to_the_picture_than_a_strong_one(emoji):
    heart = emoji.generate(ImageRequest("a red heart", seed=7))[0].media
    distances = []
    for strength in (0.1, 0.5, 1.0):
        request = ImageRequest("a green frog", seed=3, edit=Variation(heart, strength))
        distances.append(float(np.abs(emoji.generate(request)[0].media.pixels - heart.pixels).mean()))
    assert distances == sorted(distances) and distances[0] < 0.3 * distances[2]


@pytest.mark.medium
def test_a_hole_in_a_heart_is_filled_with_red(emoji):
    heart = emoji.generate(ImageRequest("a red heart", seed=7))[0].media
    for method in ("channels", "langevin"):
        request = ImageRequest("a red heart", seed=3, edit=Inpainting(heart, "24,24,16,16", method=method, rounds=None))
        red, green, blue, alpha = emoji.generate(request)[0].media.to_uint8()[24:40, 24:40].reshape(-1, 4).mean(0)
        assert red > 150 and red > green + 60 and red > blue + 60 and alpha > 200, method


@pytest.mark.medium
def test_a_whole_picture_is_painted_around_without_touching_it(emoji):
    heart = emoji.generate(ImageRequest("a red heart", seed=7))[0].media
    wide = emoji.generate(ImageRequest("", seed=3, edit=Outpainting(heart, left=20, top=9)))[0].media
    assert (wide.width, wide.height) == (84, 73)
    assert np.array_equal(wide.pixels[:, 9:, 20:], heart.pixels)
