"""A whole Stable Video Diffusion of random weights: imported, its clips are those of diffusers' pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_networks import saved, shaken
from typer.testing import CliRunner

from text2x.cli import app
from text2x.errors import InputError
from text2x.files import read_json, write_json
from text2x.library import info
from text2x.media import Image
from text2x.networks.clip_vision import CLIPVision, clip_pixels
from text2x.published.clip_vision import clip_vision_config, clip_vision_weights
from text2x.published.importing import import_folder
from text2x.video_library import load_video
from text2x.video_requests import VideoRequest
from tiny_videos import clip

pytestmark = pytest.mark.medium  # importing diffusers and transformers takes seconds
SIDE, FRAMES = 32, 4
VISION = {
    "hidden_size": 32, "projection_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 224,
    "patch_size": 56, "intermediate_size": 37,
}  # fmt: skip
UNET = {
    "block_out_channels": (32, 64),
    "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
    "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    "cross_attention_dim": 32,
    "num_attention_heads": 8,
    "projection_class_embeddings_input_dim": 96,
    "addition_time_embed_dim": 32,
    "sample_size": SIDE // 2,
    "num_frames": FRAMES,
    "layers_per_block": 1,
}
SCHEDULER = {
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": "v_prediction",
    "timestep_type": "continuous", "use_karras_sigmas": True, "sigma_min": 0.002, "sigma_max": 700.0,
    "timestep_spacing": "leading", "steps_offset": 1,
}  # fmt: skip


def encoder(activation: str = "gelu") -> Any:
    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPVisionConfig(**VISION, hidden_act=activation)
    return shaken(transformers.CLIPVisionModelWithProjection(config))


@pytest.fixture(scope="module")
def pipeline(diffusers: Any) -> Any:
    """A pipeline of 4 frames of 32 px."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4, layers_per_block=1
    )
    made = diffusers.StableVideoDiffusionPipeline(
        vae=shaken(vae),
        image_encoder=encoder(),
        unet=shaken(diffusers.UNetSpatioTemporalConditionModel(**UNET)),
        scheduler=diffusers.EulerDiscreteScheduler(**SCHEDULER),
        feature_extractor=transformers.CLIPImageProcessor(),
    )
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="module")
def folder(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline as diffusers saves it, and beside it the model that was read, called alive."""
    root = tmp_path_factory.mktemp("pipelines")
    pipeline.save_pretrained(root / "theirs")
    done = CliRunner().invoke(app, ["models", "import", str(root / "theirs"), "-o", str(root / "alive")])
    assert done.exit_code == 0, done.output
    assert "StableVideoDiffusionPipeline" in done.output and "text2x video --image FILE --model" in done.output
    return root


def opaque(width: int = SIDE, height: int = SIDE, seed: int = 0) -> Image:
    values = np.random.default_rng(seed).integers(0, 256, (4, height, width)).astype(np.float32)
    values[3] = 255
    return Image(values / 127.5 - 1)


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
@torch.no_grad()
def test_a_clip_with_transformers_weights_gives_its_embeddings(activation: str) -> None:
    torch.manual_seed(0)
    theirs = encoder(activation)
    config, weights = clip_vision_weights(saved(theirs.config), theirs.state_dict(), Path("folder"))
    ours = CLIPVision(config)
    ours.load_state_dict(weights)
    pictures = torch.randn(2, 3, 224, 224)
    expected = theirs(pictures).image_embeds
    assert expected.std() > 0.1
    torch.testing.assert_close(ours(pictures), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (500, 300), (224, 1000)])
def test_pictures_reach_the_clip_as_in_diffusers(pipeline: Any, shape: tuple[int, int]) -> None:
    from diffusers.pipelines.stable_video_diffusion import pipeline_stable_video_diffusion as theirs

    picture = torch.rand(1, 3, *shape) * 2 - 1
    resized = (theirs._resize_with_antialiasing(picture, (224, 224)) + 1) / 2
    options = {"do_center_crop": False, "do_resize": False, "do_rescale": False, "return_tensors": "pt"}
    expected = pipeline.feature_extractor(images=resized, do_normalize=True, **options).pixel_values
    torch.testing.assert_close(clip_pixels(picture, 224), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_clip_of_a_picture_is_that_of_diffusers_pipeline(pipeline: Any, folder: Path) -> None:
    picture = opaque()
    asked = VideoRequest(image=picture, seed=5, steps=4, fps=9, motion=7.0)
    made = load_video(folder / "alive", "cpu").generate(asked)[0]
    assert not made.warnings and made.media.rate == 9.0
    expected = pipeline(
        picture.to_pil().convert("RGB"), height=SIDE, width=SIDE, num_inference_steps=4, fps=9,
        motion_bucket_id=7.0 / 10 * 254, generator=torch.Generator().manual_seed(5), output_type="np",
    ).frames[0]  # fmt: skip
    assert expected.shape == (FRAMES, SIDE, SIDE, 3) and expected.std() > 0.05
    ours = (made.media.frames[1:, :3].transpose(0, 2, 3, 1) + 1) / 2
    np.testing.assert_allclose(ours, expected[1:], atol=1e-2)  # its x is 700 times as large: it rounds more coarsely
    assert np.abs(ours - expected[1:]).mean() < 1e-3
    assert np.array_equal(made.media.frames[0], picture.pixels)  # known means kept


def test_items_depend_on_their_seed_alone_and_longer_clips_are_made_in_windows(folder: Path) -> None:
    generator = load_video(folder / "alive", "cpu")
    batch = generator.generate(VideoRequest(image=opaque(), seed=5, count=2, steps=2))
    alone = generator.generate(VideoRequest(image=opaque(), seed=6, steps=2))[0]
    assert np.array_equal(batch[1].media.frames, alone.media.frames)
    told: list[Any] = []
    given = clip(3, SIDE)
    longer = generator.generate(VideoRequest(extend=given, frames=5, seed=5, steps=2), told.append)[0].media
    assert len(longer) == 8 and np.array_equal(longer.frames[:3], given.frames)
    assert [(each.stage, each.step) for each in told] == [
        ("frames 3 to 5", 1), ("frames 3 to 5", 2), ("frames 5 to 8", 1), ("frames 5 to 8", 2)
    ]  # fmt: skip
    assert len(told[0].estimate()[0]) == 5 and (longer.frames[3:, :3].std((1, 2, 3)) > 0.01).all()
    one, many = (generator.estimate(VideoRequest(image=opaque(), frames=n)) for n in (4, 40))
    assert 0 < one.seconds < many.seconds and 1e5 < one.num_bytes < many.num_bytes


def test_a_clip_has_the_shape_of_its_picture_and_what_is_clear_lies_on_white(folder: Path) -> None:
    generator = load_video(folder / "alive", "cpu")
    settings, _, _ = generator.settings(VideoRequest(image=opaque(200, 100)))
    assert (settings.width, settings.height) == (44, 24)
    clear = Image(np.full((4, SIDE, SIDE), -1, np.float32))
    result = generator.generate(VideoRequest("a cat", image=clear, seed=1, steps=1, size=f"{SIDE}x{SIDE}"))[0]
    assert (result.media.frames[0] == 1).all() and (result.media.frames[:, 3] == 1).all()
    assert [warning.split(" is ")[0].split(":")[0] for warning in result.warnings] == [
        "the model has no transparency", "prompt",
    ]  # fmt: skip


def test_what_it_cannot_is_said(folder: Path) -> None:
    generator, picture = load_video(folder / "alive", "cpu"), opaque()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"prompt": "a cat"}, "reads no words: give it one with image"),
        ({"image": picture, "last_image": picture}, "knows a first picture only: leave last_image out"),
        ({"image": picture, "loop": True}, "makes no loops"),
        ({"image": picture, "size": "33x32"}, "sides of this model are multiples of 4: take 32x32"),
        ({"interpolate": clip(3), "fps": 24}, "leave interpolate out"),
        ({"image": picture, "sampler": "eulr"}, "unknown sampler 'eulr'"),
    ]
    for fields, message in cases:
        with pytest.raises(InputError, match=message):
            generator.generate(VideoRequest(**fields))
    assert info(folder / "alive").kind == "video"


def test_folders_that_do_not_fit_are_refused_before_anything_is_written(folder: Path, tmp_path: Path) -> None:
    import shutil

    def broken(part: str, file: str, **changes: Any) -> Path:
        shutil.copytree(folder / "theirs", tmp_path / part, dirs_exist_ok=True)
        values: Any = read_json(tmp_path / part / part / file)
        write_json(tmp_path / part / part / file, {**values, **changes})
        return tmp_path / part

    cases = (
        (broken("scheduler", "scheduler_config.json", prediction_type="epsilon"), "prediction_type of this schedul"),
        (broken("image_encoder", "config.json", hidden_act="relu"), "hidden_act of this CLIPVisionModelWithProjection"),
        (broken("unet", "config.json", num_frames=1), "num_frames of the UNet in"),
    )
    for source, message in cases:
        with pytest.raises(InputError, match=message):
            import_folder(source, tmp_path / "ours")
        assert not (tmp_path / "ours").exists()
    shutil.rmtree(tmp_path / "scheduler" / "vae")
    with pytest.raises(InputError, match="lacks vae; a StableVideoDiffusionPipeline has unet, vae, image_encoder"):
        import_folder(tmp_path / "scheduler", tmp_path / "ours")
    with pytest.raises(InputError, match="num_channels of this CLIPVisionModelWithProjection is 4"):
        clip_vision_config({**VISION, "num_channels": 4})
