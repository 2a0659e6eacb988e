"""One request, one network call: the laws of seeds and batches, truncation, walks, and what is ignored or refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.files import save_tensors
from text2x.gan_generator import GANGenerator, build_gan_generator, is_gan, slerp
from text2x.requests import ImageRequest, Progress
from tiny_gan import write_gan

PROMPT = "a red apple"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gan(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def generator(folder: Path) -> GANGenerator:
    from text2x.files import read_json

    values = read_json(folder / "recipe.json")
    assert is_gan(values) and is_gan({"type": "GANRecipe"}) and not is_gan({"type": "Recipe"})
    return build_gan_generator(values, folder)


def pixels(generator: GANGenerator, prompt: str = PROMPT, **fields: object) -> list[np.ndarray]:
    return [each.media.pixels for each in generator.generate(ImageRequest(prompt, **fields))]  # type: ignore[arg-type]


def test_item_i_is_what_its_own_seed_gives_alone(generator: GANGenerator) -> None:
    three = generator.generate(ImageRequest(PROMPT, seed=5, count=3))
    assert [each.seed for each in three] == [5, 6, 7]
    for result in three:
        assert np.array_equal(result.media.pixels, pixels(generator, seed=result.seed)[0])
    assert not np.array_equal(three[0].media.pixels, three[1].media.pixels)


def test_pictures_depend_on_prompt_and_style_and_are_premultiplied(generator: GANGenerator) -> None:
    apple = pixels(generator, seed=1)[0]
    assert apple.shape == (4, 16, 16) and apple.std() > 0.05
    assert (apple[:3] <= apple[3:]).all() and abs(apple).max() <= 1
    assert np.array_equal(apple, pixels(generator, seed=1, style="flat")[0])  # the recipe's own
    assert not np.array_equal(apple, pixels(generator, seed=1, style="line")[0])
    assert not np.array_equal(apple, pixels(generator, "a sailing boat", seed=1)[0])


def test_truncation_makes_pictures_more_alike_until_they_are_one(generator: GANGenerator) -> None:
    def variety(truncation: float) -> float:
        request = ImageRequest(PROMPT, seed=1, count=6)
        return float(
            np.std([each.media.pixels for each in generator.generate(request, truncation=truncation)], axis=0).mean()
        )

    assert variety(0.0) < 1e-6
    assert 0 < variety(0.4) < 0.8 * variety(1.0)
    one = generator.generate(ImageRequest(PROMPT, seed=1), truncation=1.0)[0]
    assert np.array_equal(one.media.pixels, pixels(generator, seed=1)[0])
    for wrong in (-0.1, 2.5, float("nan")):
        with pytest.raises(InputError, match="truncation is .*; it must be from 0 to 2"):
            generator.generate(ImageRequest(PROMPT, seed=1), truncation=wrong)


def test_results_say_what_was_used_and_progress_is_told_once_an_item(generator: GANGenerator) -> None:
    told: list[Progress] = []
    results = generator.generate(ImageRequest(PROMPT, seed=1, count=2, size=8), on_step=told.append)
    assert results[0].settings == {
        "prompt": PROMPT, "style": "flat", "size": 8, "truncation": 1.0, "model": "small"
    }  # fmt: skip
    assert results[0].media.width == 8 and set(results[0].timings) == {"text", "base"}
    assert [(each.step, each.steps, each.items) for each in told] == [(1, 1, (0,)), (1, 1, (1,))]
    assert np.array_equal(told[1].estimate()[0].pixels, results[1].media.pixels)


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 9), ("sampler", "euler"), ("guidance", 4.0), ("negative", "blue"), ("guidance_interval", (0.1, 0.9))],
)
def test_what_a_gan_has_no_use_for_is_ignored_with_a_warning(
    generator: GANGenerator, field: str, value: object
) -> None:
    [result] = generator.generate(ImageRequest(PROMPT, seed=1, **{field: value}))  # type: ignore[arg-type]
    assert np.array_equal(result.media.pixels, pixels(generator, seed=1)[0])
    [warning] = result.warnings
    assert warning.startswith(f"{field} is ") and "is ignored" in warning
    assert pixels(generator, seed=1) and not generator.generate(ImageRequest(PROMPT, seed=1))[0].warnings


def test_the_end_of_a_prompt_that_does_not_fit_is_told(generator: GANGenerator) -> None:
    [result] = generator.generate(ImageRequest("one two three four five six seven eight nine ten eleven", seed=1))
    assert result.warnings == ("the end of the prompt does not fit and is ignored: 'eleven'",)


def test_what_it_cannot_do_is_refused_with_the_value(generator: GANGenerator) -> None:
    with pytest.raises(InputError, match="size is 32; the model small makes pictures of at most 16"):
        generator.generate(ImageRequest(PROMPT, size=32))
    with pytest.raises(InputError, match="unknown style 'lines'; did you mean line"):
        generator.generate(ImageRequest(PROMPT, style="lines"))


def test_a_walk_ends_at_what_is_generated_and_goes_there_in_small_steps(generator: GANGenerator) -> None:
    first, last = ImageRequest(PROMPT, seed=3), ImageRequest("a sailing boat", seed=9)
    frames = generator.walk(first, last, frames=12)
    assert np.array_equal(frames[0].pixels, pixels(generator, seed=3)[0])
    assert np.array_equal(frames[-1].pixels, pixels(generator, "a sailing boat", seed=9)[0])
    steps = [abs(one.pixels - other.pixels).mean() for one, other in zip(frames, frames[1:], strict=False)]
    assert 0 < max(steps) < 0.5 * abs(frames[0].pixels - frames[-1].pixels).mean()
    for wrong in (1, 1001):
        with pytest.raises(InputError, match=f"frames is {wrong}; a walk has 2 to 1000"):
            generator.walk(first, last, wrong)
    with pytest.raises(InputError, match="a walk needs seeds"):
        generator.walk(ImageRequest(PROMPT), last, 2)


def test_a_tour_passes_every_station_and_closes(generator: GANGenerator) -> None:
    stations = [ImageRequest(PROMPT, seed=3), ImageRequest("a sailing boat", seed=9), ImageRequest(PROMPT, seed=4)]
    frames = generator.tour(stations, frames=11)
    assert len(frames) == 11
    for place, station in zip((0, 4, 7), stations, strict=True):
        assert np.array_equal(frames[place].pixels, pixels(generator, station.prompt, seed=station.seed)[0])
    steps = [abs(one.pixels - other.pixels).mean() for one, other in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert max(steps) < 4 * (sum(steps) / len(steps))  # the way back to the beginning is no jump
    with pytest.raises(InputError, match="two stations"):
        generator.tour(stations[:1], 8)
    with pytest.raises(InputError, match="frames is 2; a walk by 3 stations has 3 to 1000"):
        generator.tour(stations, 2)


def test_the_way_between_two_noises_is_a_circle_of_noise() -> None:
    first, last = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    middle = slerp(first, last, 0.5)
    torch.testing.assert_close(middle, torch.tensor([[1.0, 1.0]]) * 2**0.5)  # length 2, at 45 degrees
    third = slerp(first, last, 1 / 3)
    assert float(third.norm()) == pytest.approx(3 - 2 / 3)
    assert float(torch.atan2(third[0, 1], third[0, 0])) == pytest.approx(torch.pi / 6)
    assert torch.equal(slerp(first, last, 0), first) and torch.equal(slerp(first, last, 1), last)
    torch.testing.assert_close(slerp(first, 2 * first, 0.5), 1.5 * first)


def test_weights_of_another_network_are_refused(folder: Path, tmp_path: Path) -> None:
    save_tensors(tmp_path / "gan.safetensors", {"generator.begin.weight": torch.zeros(2, 2)})
    from text2x.files import read_json

    with pytest.raises(InputError, match="lacks"):
        build_gan_generator(read_json(folder / "recipe.json"), tmp_path)
