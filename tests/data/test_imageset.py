from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from text2x import data
from text2x.data.imageset import SPLITS, ImageSet, Item, split_of
from text2x.errors import InputError


def make_set(concepts: int = 200, styles: tuple[str, ...] = ("a", "b", "c"), size: int = 8) -> ImageSet:
    items = [
        Item(f"{style}/{number}", f"thing-{number}", style, (f"thing {number}",), "things", ("red",), "CC0-1.0", True)
        for style in styles
        for number in range(concepts)
    ]
    images = np.random.default_rng(0).integers(0, 256, (len(items), 4, size, size), dtype=np.uint8)
    return ImageSet("made", items, images)


def test_a_saved_set_is_the_same_when_loaded_and_its_pictures_stay_on_disk(tmp_path: Path):
    made = make_set(concepts=5)
    made.save(tmp_path / "set")
    loaded = ImageSet.load(tmp_path / "set")
    assert loaded.items == made.items
    assert loaded.name == "made" and loaded.size == 8 and loaded.styles == ("a", "b", "c")
    assert isinstance(loaded.images, np.memmap)
    np.testing.assert_array_equal(loaded.images, made.images)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_splits_are_disjoint_cover_everything_and_keep_concepts_and_pairs_together():
    made = make_set()
    parts = {name: set(made.split(name).tolist()) for name in SPLITS}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == len(made)
    concepts = {name: {made.items[index].concept for index in part} for name, part in parts.items()}
    assert not concepts["unseen-concepts"] & (concepts["train"] | concepts["unseen-pairs"])
    assert concepts["unseen-pairs"] <= concepts["train"] | concepts["unseen-pairs"]
    assert 0.05 < len(concepts["unseen-concepts"]) / 200 < 0.16
    assert 0.02 < len(parts["unseen-pairs"]) / len(made) < 0.08


def test_the_split_of_a_picture_does_not_depend_on_the_others():
    many, few = make_set(200), make_set(120)
    held = {many.items[index].key for index in many.split("unseen-concepts")}
    for index in few.split("unseen-concepts"):
        assert few.items[index].key in held
    assert split_of("red-apple", "noto") == split_of("red-apple", "noto")


def test_small_sets_train_on_one_concept_and_hold_one_out():
    for concepts in (2, 3, 5):
        made = make_set(concepts, styles=("only",))
        assert len(made.split("train")) >= 1
        assert len(made.split("unseen-concepts")) >= 1
        assert len(made.split("unseen-pairs")) == 0
    assert len(make_set(1).split("train")) == 3


def test_an_unknown_split_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unseen-pairs"):
        make_set(2).split("test")  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["no index", "no images", "cut images", "cut index", "format", "pickle"])
def test_a_damaged_set_is_refused_in_one_line(tmp_path: Path, damage: str):
    folder = tmp_path / "set"
    make_set(3).save(folder)
    index, images = folder / "index.json", folder / "images.npy"
    if damage == "no index":
        index.unlink()
    elif damage == "no images":
        images.unlink()
    elif damage == "cut images":
        images.write_bytes(images.read_bytes()[:100])
    elif damage == "cut index":
        index.write_text(index.read_text()[:50])
    elif damage == "format":
        index.write_text(index.read_text().replace('"format": 1', '"format": 99'))
    else:
        np.save(images, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="prepare") as caught:
        ImageSet.load(folder)
    assert "\n" not in str(caught.value)


def test_saving_replaces_an_older_set_but_no_other_folder(tmp_path: Path):
    make_set(3).save(tmp_path / "set")
    make_set(5).save(tmp_path / "set")
    assert len(ImageSet.load(tmp_path / "set")) == 15
    precious = tmp_path / "photographs"
    precious.mkdir()
    (precious / "holiday.png").write_bytes(b"x")
    with pytest.raises(InputError, match="no data set"):
        make_set(3).save(precious)
    assert (precious / "holiday.png").exists()


def test_a_missing_set_names_the_command_that_makes_it(tmp_path: Path):
    with pytest.raises(InputError, match="text2x data prepare emoji"):
        data.load("emoji", root=tmp_path)
    with pytest.raises(InputError, match="no data set"):
        data.load(tmp_path / "nothing")
    make_set(3).save(data.dataset_folder("mine", tmp_path))
    assert len(data.load("mine", root=tmp_path)) == 9
    assert len(data.load(tmp_path / "mine")) == 9


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "packages"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str):
    with pytest.raises(InputError, match="cannot name"):
        data.dataset_folder(name, tmp_path)
