"""Guides from folders: what they answer, that they can be differentiated, and that a judge never guides."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from text2x.errors import InputError
from text2x.guides import load_classifier, load_clip, load_judge
from text2x.library import info, load, models, sibling
from text2x.shipping import About, Part, ship
from tiny_guides import CLASSES, classifier_recipe, clip_recipe, judge_recipe, write_guide_run
from tiny_models import base_recipe, write_model

ABOUT = About("guides", "Steers.", "CC0-1.0")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: guides, a judge, and a model that names the guides as its own; and the runs of them."""
    root = tmp_path_factory.mktemp("models")
    runs = root / "runs"
    recipes = {"classifier": classifier_recipe(), "clip": clip_recipe(), "judge": judge_recipe()}
    for name, recipe in recipes.items():
        write_guide_run(runs / name, recipe)
    ship([Part(runs / "classifier"), Part(runs / "clip")], ABOUT, root / "guides")
    ship([Part(runs / "judge")], About("judge", "Judges.", "CC0-1.0"), root / "judge")
    write_model(root / "painter", (base_recipe(),), 16)
    return root


def batch(count: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(count)
    return torch.randn(count, 4, 16, 16, generator=rng), torch.rand(count, generator=rng)


def test_a_prompt_chooses_the_class_that_is_nearest_in_words(folders: Path) -> None:
    guide = load_classifier(folders / "guides")
    assert guide.classes == CLASSES and guide.groups == ("shape", "thing")
    for prompt, name in (("a puppy", "dog face"), ("pizza", "slice of pizza"), ("azure quadrilateral", "blue square")):
        chosen, similarity = guide.choose(prompt)
        assert chosen == name and 0 < similarity < 1
    assert guide.choose("red circle")[1] == pytest.approx(1, abs=1e-3)
    assert guide.choose("pizza")[1] > guide.choose("xylophone concert")[1]


def test_the_probabilities_of_all_classes_add_to_one(folders: Path) -> None:
    guide = load_classifier(folders / "guides")
    x, t = batch(3)
    total = sum(guide.log_probability(name)(x, t).exp() for name in CLASSES)
    assert torch.allclose(torch.as_tensor(total), torch.ones(3), atol=1e-5)
    classes, groups = guide.log_probabilities(x, t)
    assert torch.allclose(classes[:, 2], guide.log_probability("dog face")(x, t))
    assert torch.allclose(groups.exp().sum(1), torch.ones(3), atol=1e-5)
    with pytest.raises(InputError, match="unknown class 'dog fase'; did you mean dog face"):
        guide.log_probability("dog fase")


def test_a_similarity_is_the_scaled_cosine_and_depends_on_text_time_and_style(folders: Path) -> None:
    guide = load_clip(folders / "guides")
    x, t = batch(4)
    values = guide.similarity("a dog")(x, t)
    assert values.shape == (4,) and values.abs().max() <= float(guide.network.scale())
    for other in (
        guide.similarity("a cat")(x, t),
        guide.similarity("a dog", "large")(x, t),
        guide.similarity("a dog")(x, 1 - t),
    ):
        assert (values - other).abs().max() > 1e-3
    assert torch.equal(values, guide.similarity("a dog", "a style of another model")(x, t))


@pytest.mark.parametrize("kind", ["classifier", "clip"])
def test_a_guide_gives_gradients_of_each_item_alone_even_if_it_was_made_in_inference_mode(
    folders: Path, kind: str
) -> None:
    with torch.inference_mode():
        if kind == "classifier":
            guided = load_classifier(folders / "guides").log_probability("dog face")
        else:
            guided = load_clip(folders / "guides").similarity("a dog")
    x, t = batch(3)
    x.requires_grad_(True)
    (together,) = torch.autograd.grad(guided(x, t).sum(), x)
    alone = [x[i : i + 1].detach().requires_grad_(True) for i in range(3)]
    apart = torch.cat([torch.autograd.grad(guided(each, t[i : i + 1]).sum(), each)[0] for i, each in enumerate(alone)])
    assert together.abs().amax((1, 2, 3)).min() > 1e-6
    assert torch.allclose(together, apart, atol=1e-5)


def test_a_step_along_the_gradient_raises_what_it_is_the_gradient_of(folders: Path) -> None:
    guided = load_clip(folders / "guides").similarity("a dog")
    x, t = batch(2)
    x.requires_grad_(True)
    before = guided(x, t)
    (gradient,) = torch.autograd.grad(before.sum(), x)
    assert (guided(x + 1e-2 * gradient, t) > before).all()


def test_a_judge_takes_pictures_of_any_size_by_area_and_any_number_of_texts(folders: Path) -> None:
    judge = load_judge(folders / "judge")
    small = torch.rand(70, 4, 16, 16) * 2 - 1
    large = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    made = judge.image_embeddings(small)
    assert made.shape == (70, 64) and torch.allclose(made.norm(dim=1), torch.ones(70), atol=1e-5)
    assert torch.allclose(judge.image_embeddings(large), made, atol=1e-4)
    assert judge.image_embeddings(small[:0]).shape == (0, 64)
    texts = judge.text_embeddings(["a dog", "a cat", "a dog"])
    assert torch.equal(texts[0], texts[2]) and (texts[0] - texts[1]).abs().max() > 1e-3
    assert "16 px" in judge.space and not made.requires_grad


def test_a_judge_does_not_guide_and_a_guide_does_not_judge(folders: Path) -> None:
    with pytest.raises(InputError, match="holds no clip; it holds judge"):
        load_clip(folders / "judge")
    with pytest.raises(InputError, match="holds no judge; it holds classifier, clip"):
        load_judge(folders / "guides")
    with pytest.raises(InputError, match="holds no classifier; it holds a Model"):
        load_classifier(folders / "painter")
    with pytest.raises(InputError, match="recipe.json is missing"):
        load_classifier(folders / "nowhere")


def test_packed_guides_answer_as_those_of_their_runs(folders: Path) -> None:
    packed, exact = load_clip(folders / "guides"), load_clip(folders / "runs" / "clip")
    x, t = batch(5)
    first, second = packed.similarity("a dog")(x, t), exact.similarity("a dog")(x, t)
    assert (first - second).abs().max() < 0.05 * float(exact.network.scale())
    assert not torch.equal(first, second)


def test_weights_that_are_not_those_of_the_recipe_are_refused(folders: Path, tmp_path: Path) -> None:
    for file in (folders / "judge").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = bytearray((tmp_path / "judge.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "judge.safetensors").write_bytes(data)
    with pytest.raises(InputError, match="SHA-256"):
        load_judge(tmp_path)


# In the library


def test_guides_are_listed_with_their_kind_and_are_no_models(folders: Path) -> None:
    kinds = {each.name: each.kind for each in models(folders) if not each.shipped}
    assert kinds == {"guides": "guides", "judge": "judge", "painter": "image"}
    assert info(folders / "runs" / "judge").kind == "judge" and info(folders / "runs" / "clip").kind == "guides"
    with pytest.raises(InputError, match="guides guides other models and makes no pictures itself"):
        load("guides", folder=folders)
    with pytest.raises(InputError, match="judge judges pictures and makes none"):
        load("judge", folder=folders)
    with pytest.raises(InputError, match="clip guides other models"):
        load(folders / "runs" / "clip")


def test_the_guides_of_a_model_lie_beside_it_or_in_the_package(folders: Path) -> None:
    painter = info("painter", folders)
    assert sibling(painter, "guides").folder == folders.resolve() / "guides"
    assert sibling(painter, "emoji").shipped
    with pytest.raises(InputError, match="painter names 'nothing'"):
        sibling(painter, "nothing")
