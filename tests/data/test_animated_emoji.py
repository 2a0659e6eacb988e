from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from moving_discs import circling, disc
from text2x.data import animated_emoji
from text2x.data.animated_emoji import PACKAGES, prepare_animated_emoji
from text2x.data.clipset import ClipReport, ClipSet
from text2x.data.packages import Package
from text2x.errors import InputError
from text2x.moving import Video

pytest.importorskip("cv2")


def package_of(folder: Path, name: str, files: dict[str, bytes]) -> Package:
    """A package with these files, as `npm pack` writes it."""
    path = folder / Package(name, "1.0.0", "").file_name
    with tarfile.open(path, "w:gz") as archive:
        for member, content in files.items():
            info = tarfile.TarInfo(f"package/{member}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return Package(name, "1.0.0", hashlib.sha256(path.read_bytes()).hexdigest())


def picture() -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGBA", (32, 32), "red").save(buffer, "WEBP")
    return buffer.getvalue()


@pytest.fixture
def prepared(tmp_path: Path, names_package: Package, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ClipReport]:
    moving = circling(frames=24, size=32).frames
    files = [
        {
            "assets/1f34e.webp": circling(frames=24, size=32).at_rate(12).encode("webp"),
            "assets/1f448.webp": disc(lambda t: (16, 16), frames=6).encode("webp"),
            "assets/1f449.webp": picture(),
            "assets/1fffe.webp": picture(),
            "README.md": b"about",
        },
        {
            "assets/1f9d1-200d-1f33e.webp": animated_emoji_of(moving, 24),
            "assets/1f9d1-1f3fd-200d-1f33e.webp": animated_emoji_of(moving[::-1], 24),
            "assets/1f573.webp": b"RIFF damaged",
        },
    ]
    made = tuple(package_of(tmp_path, f"@tiny/anim-{n}", each) for n, each in enumerate(files))
    monkeypatch.setattr(animated_emoji, "PACKAGES", made)
    monkeypatch.setattr(animated_emoji, "NAMES_PACKAGE", names_package)
    return tmp_path, prepare(tmp_path, "set")


def animated_emoji_of(frames: np.ndarray, rate: float) -> bytes:
    return Video(frames, rate).encode("webp")


def prepare(folder: Path, name: str, **options: object) -> ClipReport:
    given = {"size": 16, "workers": 1, **options}
    return prepare_animated_emoji(folder / name, folder / "cache", packages_folder=folder, **given)  # type: ignore[arg-type]


def test_the_whole_way_from_packages_to_a_clip_set(prepared: tuple[Path, ClipReport]) -> None:
    folder, report = prepared
    made = ClipSet.load(folder / "set")
    assert [item.key for item in made.items] == ["fluent-3d/1f34e", "fluent-3d/1f9d1-200d-1f33e"]
    assert (report.clips, report.concepts, report.still) == (2, 2, 2)
    assert report.moving == 0.5 and report.unreadable == ("fluent-3d/1f573: no WebP",)
    apple, farmer = made.items
    assert apple.captions[:3] == ("red apple", "a red apple", "apple") and apple.flips
    assert apple.captions[-1].startswith("a red apple, moving") and apple.licence == "MIT"
    assert farmer.frames == 12 and farmer.rate == pytest.approx(12, rel=0.02)  # every second of 24 at 24/s
    assert apple.motion > 5 and apple.seam < 1.3 and apple.loops
    assert made.frames(1).shape == (12, 4, 16, 16) and made.frames(1)[:, 3].max() == 255


def test_licences_and_what_was_left_out_lie_beside_the_frames(prepared: tuple[Path, ClipReport]) -> None:
    folder = prepared[0] / "set"
    licence = json.loads((folder / "licences.json").read_text())["fluent-3d"]
    assert licence["licence"] == "MIT" and "Microsoft" in licence["attribution"]
    assert [len(each["sha256"]) for each in licence["packages"]] == [64, 64]
    left_out = json.loads((folder / "left-out.json").read_text())
    assert left_out["still"] == {"fluent-3d/1f448": 0, "fluent-3d/1f449": 0}
    assert left_out["unnamed"] == ["assets/1fffe.webp"]


def test_skin_tones_come_if_asked_for_and_share_the_concept(prepared: tuple[Path, ClipReport]) -> None:
    folder = prepared[0]
    report = prepare(folder, "toned", skin_tones=True)
    items = ClipSet.load(folder / "toned").items
    assert (report.clips, report.concepts) == (3, 2)
    plain, toned = items[1:]
    assert toned.concept == plain.concept and toned.captions[0] == f"{plain.captions[0]}, medium skin tone"


def test_frames_rate_and_size_can_be_chosen(prepared: tuple[Path, ClipReport]) -> None:
    folder = prepared[0]
    prepare(folder, "few", rate=6.0, frames=4, size=8)
    made = ClipSet.load(folder / "few")
    assert made.size == 8 and [item.frames for item in made.items] == [4, 4]
    assert [item.rate for item in made.items] == pytest.approx([6, 6], rel=0.02)
    whole = ClipSet.load(folder / "set")
    np.testing.assert_allclose(made.frames(0).mean((2, 3)), whole.frames(0)[:8:2].mean((2, 3)), atol=1)


def test_the_same_packages_give_the_same_bytes(prepared: tuple[Path, ClipReport]) -> None:
    folder = prepared[0]
    prepare(folder, "again")
    for name in ("index.json", "frames.npy", "licences.json", "left-out.json"):
        assert (folder / "again" / name).read_bytes() == (folder / "set" / name).read_bytes()


@pytest.mark.medium
def test_several_processes_read_the_same(prepared: tuple[Path, ClipReport]) -> None:
    folder = prepared[0]
    prepare(folder, "again", workers=2)
    assert (folder / "again" / "frames.npy").read_bytes() == (folder / "set" / "frames.npy").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 4}, "8 to 1024"), ({"rate": 0.0}, "rate is 0"), ({"frames": 1}, "1 frames a clip are too few")],
)
def test_impossible_wishes_are_refused_before_anything_is_fetched(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        prepare(tmp_path, "set", **options)
    assert list(tmp_path.iterdir()) == []


def test_packages_are_pinned_one_by_one() -> None:
    assert len({package.sha256 for package in PACKAGES}) == len(PACKAGES) == 4
    assert PACKAGES[2].file_name == "lobehub-fluent-emoji-anim-3-1.0.0.tgz"
