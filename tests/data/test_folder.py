from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from text2x.data.folder import prepare_folder, read_picture
from text2x.data.imageset import ImageSet
from text2x.errors import InputError


def paint(path: Path, size: tuple[int, int] = (20, 20), mode: str = "RGB", colour: object = (200, 30, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def items_of(source: Path, **options) -> dict:
    prepare_folder(source, source.parent / "out", size=16, **options)
    return {item.key: item for item in ImageSet.load(source.parent / "out").items}


def test_captions_are_read_from_text_files_beside_the_pictures(source: Path):
    paint(source / "one.png")
    paint(source / "deep" / "two.jpg")
    (source / "one.txt").write_text("A red  square\n\nred thing\n", encoding="utf-8-sig")
    (source / "deep" / "two.txt").write_text("ein rotes Quadrat, größer")
    items = items_of(source)
    assert items["one.png"].captions == ("A red square", "red thing") and items["one.png"].concept == "a red square"
    assert items["deep/two.jpg"].captions == ("ein rotes Quadrat, größer",) and items["deep/two.jpg"].group == "deep"
    assert items["one.png"].colours == ("red",)


def test_captions_are_read_from_a_csv_with_styles(source: Path):
    for name in ("one.png", "two.png"):
        paint(source / name)
    (source / "captions.csv").write_text('file,caption,style\none.png,"red, square",flat\ntwo.png,dot,\n')
    items = items_of(source)
    assert (items["one.png"].captions, items["one.png"].style) == (("red, square",), "flat")
    assert (items["two.png"].captions, items["two.png"].style) == (("dot",), "picture")


def test_captions_are_read_from_json_lines(source: Path):
    for name in ("one.png", "two.png", "three.png"):
        paint(source / name)
    rows = [{"file": "one.png", "caption": "one"}, {"file_name": "two.png", "captions": ["two", "zwei"], "style": "s"}]
    lines = [*map(json.dumps, rows), "{broken", '{"file": "three.png"}']
    (source / "metadata.jsonl").write_text("\n".join(lines))
    report = prepare_folder(source, source.parent / "out", size=16)
    items = {item.key: item for item in ImageSet.load(source.parent / "out").items}
    assert items["one.png"].captions == ("one",)
    assert items["two.png"].captions == ("two", "zwei") and items["two.png"].style == "s"
    assert "metadata.jsonl line 3: no file and caption in it" in report.unreadable
    assert "three.png: no caption" in report.unreadable


def test_without_captions_the_file_names_are_used_and_that_is_said(source: Path):
    paint(source / "a-red_square.png")
    report = prepare_folder(source, source.parent / "out", size=16)
    assert ImageSet.load(source.parent / "out").items[0].captions == ("a red square",)
    assert len(report.warnings) == 1 and "file names" in report.warnings[0]


def test_what_cannot_be_read_is_listed_and_the_rest_is_kept(source: Path):
    paint(source / "good.png")
    paint(source / "clear.png", mode="RGBA", colour=(9, 9, 9, 0))
    cut = paint(source / "cut.png", size=(200, 200))
    cut.write_bytes(cut.read_bytes()[:90])
    (source / "text.jpg").write_text("no picture")
    (source / "empty.webp").write_bytes(b"")
    (source / "notes.md").write_text("ignored")
    report = prepare_folder(source, source.parent / "out", size=16)
    assert report.images == 1
    listed = json.loads((source.parent / "out" / "skipped.json").read_text())
    assert sorted(listed) == ["clear.png", "cut.png", "empty.webp", "text.jpg"]
    assert len(report.unreadable) == 4 and listed["clear.png"] == "fully transparent"


def test_a_table_row_without_its_picture_is_listed(source: Path):
    paint(source / "one.png")
    paint(source.parent / "outside.png")
    (source / "c.csv").write_text("file,caption\none.png,one\nmissing.png,gone\n../outside.png,away\n")
    report = prepare_folder(source, source.parent / "out", size=16)
    assert report.images == 1 and len(report.unreadable) == 2


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_a_table_without_the_needed_columns_is_refused(source: Path, content: str):
    paint(source / "one.png")
    (source / "c.csv").write_text(content)
    with pytest.raises(InputError, match="file,caption"):
        items_of(source)


def test_a_folder_without_a_usable_picture_is_refused_and_nothing_is_written(source: Path):
    (source / "bad.png").write_bytes(b"x")
    with pytest.raises(InputError, match="bad.png") as caught:
        prepare_folder(source, source.parent / "out", size=16)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in source.parent.iterdir()) == ["in"]
    with pytest.raises(InputError, match="no folder"):
        prepare_folder(source / "nowhere", source.parent / "out")


def test_pictures_of_any_mode_are_read(source: Path):
    colours = {"1": 1, "L": 90, "LA": (90, 128), "P": 3, "RGB": (1, 2, 3), "RGBA": (200, 100, 0, 128), "I;16": 30000}
    for mode, colour in colours.items():
        paint(source / f"{mode.replace(';', '')}.png", mode=mode, colour=colour)
    paint(source / "CMYK.jpg", mode="CMYK", colour=(0, 255, 255, 0))
    items = items_of(source)
    assert len(items) == 8
    half = read_picture(source / "RGBA.png", 16)[:, 8, 8].astype(int)
    np.testing.assert_allclose(half, [100, 50, 0, 128], atol=1)  # premultiplied
    assert abs(int(read_picture(source / "I16.png", 16)[0, 8, 8]) - 30000 / 257) <= 1


def test_pictures_are_turned_as_their_exif_says(source: Path):
    picture = Image.new("RGB", (20, 20), (0, 0, 0))
    picture.paste((255, 255, 255), (0, 0, 20, 10))  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture.save(source / "turned.png", exif=exif)
    image = read_picture(source / "turned.png", 16)
    assert image[0, 14, 8] > 250 and image[0, 1, 8] < 5


def test_wide_pictures_are_padded_or_cut(source: Path):
    path = paint(source / "wide.png", size=(40, 20))
    padded, cut = read_picture(path, 16, "pad"), read_picture(path, 16, "crop")
    assert not padded[3, :4].any() and padded[3, 4:12].min() == 255 and not padded[3, 12:].any()
    assert cut[3].min() == 255


def test_large_pictures_are_averaged_not_sampled(source: Path):
    stripes = np.zeros((256, 256), np.uint8)
    stripes[::2] = 255
    Image.fromarray(stripes).save(source / "stripes.png")
    image = read_picture(source / "stripes.png", 8)
    assert np.abs(image[0].astype(int) - 127).max() <= 1


def test_control_characters_never_reach_a_caption(source: Path):
    paint(source / "one.png")
    (source / "one.txt").write_text("red\x1b[31m \x00 square\u202e")
    assert items_of(source)["one.png"].captions == ("red [31m square",)
