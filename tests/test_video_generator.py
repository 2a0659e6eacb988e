"""Clips from words, pictures and clips: one seed one clip, known frames bit for bit, loops, windows, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from text2x.conditioning import Conditioning
from text2x.diffusion.denoiser import Denoiser
from text2x.diffusion.parameterizations import PARAMETERIZATIONS
from text2x.errors import InputError
from text2x.media import Image
from text2x.moving import Video
from text2x.requests import ImageRequest, Progress, Result
from text2x.video_generator import VideoGenerator
from text2x.video_requests import VideoRequest
from text2x.video_sampling import Told, Window, guided, rising, windows
from tiny_videos import FRAMES, SIZE, Kind, clip, videos

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def able(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, VideoGenerator]:
    """A generator of each kind."""
    root = tmp_path_factory.mktemp("videos")
    return {kind: videos(root / kind, kind) for kind in ("unet", "first", "lumiere", "dit", "plain")}


def made(generator: VideoGenerator, prompt: str = "a red ball", **fields: Any) -> list[Result]:
    return generator.generate(VideoRequest(prompt, **{"seed": 5, **fields}))


def frames(generator: VideoGenerator, **fields: Any) -> np.ndarray:
    return made(generator, **fields)[0].media.frames


KINDS: tuple[Kind, ...] = ("unet", "first", "lumiere", "dit", "plain")


# One seed, one result


@pytest.mark.parametrize("kind", KINDS)
def test_words_become_a_clip_and_seed_6_alone_is_item_1_of_a_batch_from_seed_5(
    able: dict[Kind, VideoGenerator], kind: Kind
) -> None:
    batch = made(able[kind], count=3, loop=kind == "unet")
    assert [each.seed for each in batch] == [5, 6, 7]
    for place, result in enumerate(batch):
        assert result.media.frames.shape == (FRAMES, 4, SIZE, SIZE) and result.media.rate == 12.0
        alone = frames(able[kind], seed=5 + place, loop=kind == "unet")
        assert np.array_equal(alone, result.media.frames)
    assert not np.array_equal(batch[0].media.frames, batch[1].media.frames)


def test_what_is_told_changes_the_clip(able: dict[Kind, VideoGenerator]) -> None:
    plain = frames(able["unet"])
    for changed in ({"motion": 0.0}, {"fps": 24}, {"loop": True}, {"guidance": "1..4"}, {"negative": "a cat"}):
        assert not np.array_equal(plain, frames(able["unet"], **changed)), changed
    assert not np.array_equal(plain, frames(able["unet"], prompt="a cat"))


def test_the_thread_count_does_not_matter(able: dict[Kind, VideoGenerator]) -> None:
    one = frames(able["unet"])
    torch.set_num_threads(2)
    assert np.array_equal(one, frames(able["unet"]))


# Known frames


@pytest.mark.parametrize("kind", ["unet", "first", "lumiere", "dit"])
def test_a_picture_is_the_first_frame_bit_for_bit(able: dict[Kind, VideoGenerator], kind: Kind) -> None:
    given = clip(1)
    result = made(able[kind], "", image=given.pictures()[0])[0]
    assert np.array_equal(result.media.frames[0], given.frames[0])
    assert not np.array_equal(result.media.frames[1:], frames(able[kind])[1:]) and not result.warnings


@pytest.mark.parametrize("kind", ["unet", "lumiere", "dit"])
def test_between_two_pictures_both_ends_are_kept(able: dict[Kind, VideoGenerator], kind: Kind) -> None:
    first, last = clip(1).pictures()[0], clip(1, seed=1).pictures()[0]
    whole = frames(able[kind], image=first, last_image=last)
    assert np.array_equal(whole[0], first.pixels) and np.array_equal(whole[-1], last.pixels)


@pytest.mark.parametrize("kind", ["unet", "dit"])
@pytest.mark.parametrize(("given", "new"), [(2, 4), (9, 6), (5, 12)])
def test_a_clip_goes_on_and_what_it_was_is_kept(
    able: dict[Kind, VideoGenerator], kind: Kind, given: int, new: int
) -> None:
    begun = clip(given, rate=10.0)
    result = made(able[kind], "", extend=begun, frames=new)[0]
    assert len(result.media) == given + new and result.media.rate == 10.0
    assert np.array_equal(result.media.frames[:given], begun.frames)
    assert (result.media.frames[given:].std((1, 2, 3)) > 0.01).all()  # each new frame was made


def test_of_a_given_clip_what_lies_outside_the_mask_is_kept(able: dict[Kind, VideoGenerator]) -> None:
    given = clip(FRAMES)
    white = np.full((4, SIZE, SIZE), -1, np.float32)
    white[3] = 1
    white[:3, :4] = 1  # the upper half is painted anew
    result = made(able["unet"], video=given, mask=Image(white))[0]
    assert np.array_equal(result.media.frames[:, :, 4:], given.frames[:, :, 4:])
    assert not np.array_equal(result.media.frames[:, :, :4], given.frames[:, :, :4])


class Same(torch.nn.Module):
    """A network that takes what it sees for the clip: what is made is the noised clip that was begun from."""

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        return conditioning

    def forward(self, x: torch.Tensor, t: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
        return x


def test_strength_says_how_much_of_a_clip_is_made_anew(able: dict[Kind, VideoGenerator]) -> None:
    given, whole = clip(FRAMES), able["unet"]
    denoiser = Denoiser(Same(), whole.recipe.schedule, PARAMETERIZATIONS["x_0"])
    same = VideoGenerator(whole.model, denoiser, whole.text)
    changes = [
        np.abs(frames(same, video=given, strength=strength, steps=10, guidance=1) - given.frames).mean()
        for strength in (0.1, 0.5, 1.0)
    ]
    assert 0 < changes[0] < changes[1] < changes[2]
    assert changes[0] < 0.2


def test_a_picture_of_another_shape_is_padded_with_a_warning(able: dict[Kind, VideoGenerator]) -> None:
    wide = Image(np.zeros((4, 10, 20), np.float32))
    result = made(able["unet"], image=wide)[0]
    assert result.warnings == ("the picture of 20 x 10 pixels is shown at 8 x 8, bars of nothing beside it",)


# Loops


@pytest.mark.parametrize("kind", ["unet", "lumiere", "dit"])
def test_the_seam_of_a_loop_is_no_larger_than_the_steps_within_it(able: dict[Kind, VideoGenerator], kind: Kind) -> None:
    ratios = []
    for seed in range(4):
        shown = made(able[kind], seed=seed, loop=True, steps=6)[0].media
        assert shown.loops
        steps = np.abs(np.diff(shown.frames, axis=0)).mean((1, 2, 3))
        ratios.append(np.abs(shown.frames[0] - shown.frames[-1]).mean() / steps.max())
    assert np.mean(ratios) <= 1.0 and max(ratios) < 1.3, ratios


@pytest.mark.parametrize(("kind", "shift"), [("unet", 1), ("lumiere", 2), ("dit", 2)])
def test_rolling_the_noise_of_a_loop_rolls_the_clip(able: dict[Kind, VideoGenerator], kind: Kind, shift: int) -> None:
    generator = able[kind]
    x = torch.randn(1, 4, FRAMES, SIZE, SIZE)
    t = torch.tensor([0.6])
    errors = []
    for loop in (True, False):
        told = Told("a red ball", "", 12.0, 5.0, loop, 3, "euler")
        window = Window(torch.zeros_like(x), torch.zeros_like(x[:, :1]), 0, (2.0,) * FRAMES)
        with torch.inference_mode():
            denoise = guided(generator.recipe, generator.denoiser, generator.text, told, window)
            errors.append(float((denoise(x.roll(shift, 2), t) - denoise(x, t).roll(shift, 2)).abs().max()))
    assert errors[0] < 1e-4 < errors[1], errors


# Longer clips, other sizes


@pytest.mark.parametrize(("total", "known"), [(6, 0), (7, 0), (30, 0), (13, 9), (200, 0)])
def test_windows_cover_every_frame_that_is_not_known_and_overlap(total: int, known: int) -> None:
    found = windows(total, FRAMES, known)
    covered = {place for each in found for place in range(each.start, each.stop)}
    assert covered >= set(range(known, total)) and max(covered) == total - 1
    assert all(each.stop - each.start == min(FRAMES, total) for each in found)
    assert all(later.start < earlier.stop for earlier, later in zip(found, found[1:], strict=False))
    assert known == 0 or found[0].start < known


@pytest.mark.parametrize("kind", ["unet", "first", "dit"])
def test_a_clip_longer_than_the_model_was_trained_with_is_made_in_windows(
    able: dict[Kind, VideoGenerator], kind: Kind
) -> None:
    whole = frames(able[kind], frames=15)
    assert len(whole) == 15 and (whole.std((1, 2, 3)) > 0.01).all()
    assert np.array_equal(whole, frames(able[kind], frames=15))


def test_an_odd_number_of_frames_is_made_and_cut(able: dict[Kind, VideoGenerator]) -> None:
    for kind in ("lumiere", "dit"):
        assert len(frames(able[kind], frames=5)) == 5


def test_a_smaller_clip_is_made_smaller_with_a_warning(able: dict[Kind, VideoGenerator]) -> None:
    with pytest.raises(InputError, match="size is 9; the model unet makes clips of at most 8 pixels"):
        made(able["unet"], size=9)
    assert made(able["unet"], size=8)[0].media.width == 8


def test_guidance_rises_evenly_over_all_frames() -> None:
    assert rising(1, 3, 5, slice(0, 5)) == (1, 1.5, 2, 2.5, 3)
    assert rising(1, 3, 5, slice(3, 5)) == (2.5, 3)


def test_progress_shows_the_clip_as_it_would_be_and_the_last_estimate_is_the_clip(
    able: dict[Kind, VideoGenerator],
) -> None:
    seen: list[tuple[Progress, Video]] = []
    asked = VideoRequest("a red ball", seed=5, frames=9, image=clip(1).pictures()[0])
    result = able["unet"].generate(asked, lambda told: seen.append((told, told.estimate()[0])))[0]  # type: ignore[arg-type]
    assert [told.stage for told, _ in seen] == ["frames 1 to 6"] * 3 + ["frames 4 to 9"] * 3
    assert [len(shown) for _, shown in seen] == [6] * 3 + [9] * 3
    assert np.array_equal(seen[0][1].frames[0], asked.image.pixels)
    np.testing.assert_allclose(seen[-1][1].frames, result.media.frames, atol=1e-5)


def test_time_and_memory_are_foretold(able: dict[Kind, VideoGenerator]) -> None:
    for kind in KINDS:
        one = able[kind].estimate(VideoRequest("a", steps=10))
        many = able[kind].estimate(VideoRequest("a", steps=10, frames=60))
        assert 0 < one.seconds < many.seconds < 100 and 1e5 < one.num_bytes < many.num_bytes < 1e8


# Bad input


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frames": 0}, "frames is 0; it must be a whole number from 2 to 240"),
        ({"frames": 10_000}, "frames is 10000; it must be a whole number from 2 to 240"),
        ({"fps": 0}, "fps is 0; it must be a number from 1"),
        ({"size": 7}, "size is 7"),
        ({"motion": 11}, "motion is 11"),
        ({"strength": 0.5}, "strength is for a given clip; add video"),
        ({"image": "a.png", "extend": "b.webp"}, "image and extend were both given"),
        ({"loop": True, "last_image": "a.png"}, "a loop has no end, so last_image is not for it"),
        ({"video": "a.webp"}, "video is given without strength or mask, so nothing would change"),
        ({"video": "a.webp", "strength": 0.5, "frames": 4}, "frames and video were both given"),
        ({"guidance": "1..x"}, "guidance is '1..x'; it must be a number, 1 is off, or two as in 1..3"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_when_it_is_asked(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        VideoRequest("a", **fields)


def test_what_this_model_cannot_do_is_refused_with_a_way_out(able: dict[Kind, VideoGenerator], tmp_path: Path) -> None:
    picture = clip(1).pictures()[0]
    (tmp_path / "bad.mp4").write_bytes(b"no clip")
    cases: list[tuple[Kind, dict[str, Any], str]] = [
        ("plain", {"image": picture}, "was not trained with known frames; give words alone, or strength"),
        ("first", {"last_image": picture}, "knows a first picture only: give image"),
        ("unet", {"loop": True, "frames": 7}, "loops of the model unet have at most 6"),
        ("dit", {"loop": True, "frames": 5}, "have a multiple of 2 frames"),
        ("unet", {"sampler": "eulr"}, "unknown sampler 'eulr'"),
        ("unet", {"extend": tmp_path / "bad.mp4"}, "bad.mp4"),
        ("unet", {"image": tmp_path / "none.png"}, "none.png"),
    ]
    for kind, fields, message in cases:
        with pytest.raises(InputError) as caught:
            made(able[kind], **fields)
        assert message in str(caught.value), (kind, fields)
    with pytest.raises(InputError, match="unet makes clips: text2x video PROMPT"):
        able["unet"].generate(ImageRequest("a"))  # type: ignore[arg-type]


def test_rates_that_were_never_seen_are_told_as_the_nearest(able: dict[Kind, VideoGenerator]) -> None:
    result = made(able["unet"], fps=48)[0]
    assert result.media.rate == 48 and "48 frames/s were never seen in training" in result.warnings[0]
