"""The GAN that comes with the package: one call a picture, small enough, right in colour, walks, and the seed kept."""

import numpy as np
import pytest

from text2x.gan_generator import GANGenerator
from text2x.library import info, load
from text2x.requests import ImageRequest

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def gan() -> GANGenerator:
    made = load("emoji-gan")
    assert isinstance(made, GANGenerator)
    return made


def shown(gan: GANGenerator, prompt: str, style: str, seed: int = 1) -> np.ndarray:
    """Mean colour of what is opaque."""
    picture = gan.generate(ImageRequest(prompt, seed=seed, style=style))[0].media.to_uint8().astype(float)
    assert picture.shape == (64, 64, 4)
    return picture[picture[..., 3] > 127][:, :3].mean(0)


def test_it_is_small_and_listed() -> None:
    about = info("emoji-gan")
    assert about.num_bytes <= 8 * 2**20 and about.problem is None


def test_it_follows_colours_in_both_styles_and_leaves_the_corners_empty(gan: GANGenerator) -> None:
    for style in gan.styles:
        red, green, blue = shown(gan, "red heart", style)
        assert red > 130 and red > green + 40 and red > blue + 40
        assert shown(gan, "green book", style).argmax() == 1
        assert shown(gan, "blue circle", style).argmax() == 2
        heart = gan.generate(ImageRequest("red heart", seed=7, style=style))[0].media.to_uint8()
        assert (heart[[0, 0, -1, -1], [0, -1, 0, -1], 3] < 64).all()


def test_one_seed_one_picture_alone_or_among_others(gan: GANGenerator) -> None:
    batch = [each.media.pixels for each in gan.generate(ImageRequest("a slice of pizza", seed=7, count=2))]
    alone = gan.generate(ImageRequest("a slice of pizza", seed=8))[0].media.pixels
    assert np.array_equal(batch[1], alone) and not np.array_equal(batch[0], batch[1])
