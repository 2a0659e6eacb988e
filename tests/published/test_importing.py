"""Folders of diffusers become folders of ours: a tiny Stable Diffusion pipeline end to end, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from random_networks import shaken
from torch import Tensor

import text2x
from text2x.conditioning import Conditioning
from text2x.diffusion.guidance import classifier_free
from text2x.diffusion.samplers import ddim, time_grid
from text2x.diffusion.schedules import Betas
from text2x.edits import Inpainting
from text2x.errors import InputError
from text2x.library import info
from text2x.published.folders import prediction_of, schedule_of
from text2x.published.importing import Imported, import_folder, read_network

SCHEDULER = {
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False,
    "set_alpha_to_one": False, "steps_offset": 1, "prediction_type": "epsilon",
}  # fmt: skip


def unet_of(diffusers: Any, channels: int = 4) -> Any:
    return shaken(
        diffusers.UNet2DConditionModel(
            sample_size=8,
            in_channels=channels,
            block_out_channels=(16, 32),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=32,
            attention_head_dim=2,
        )
    )


def autoencoder_of(diffusers: Any) -> Any:
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    return shaken(diffusers.AutoencoderKL(block_out_channels=(16, 32), norm_num_groups=4, sample_size=16, **blocks))


def text_of(folder: Path) -> Any:
    """A tiny CLIP text encoder, and its tokenizer in the folder."""
    transformers = pytest.importorskip("transformers")
    marks = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    letters = [chr(code) + end for code in range(97, 123) for end in ("", "</w>")]
    words = marks | {letter: index + 2 for index, letter in enumerate(letters)}
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
    config = transformers.CLIPTextConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    return tokenizer, transformers.CLIPTextModel(config).eval()


def pipeline_of(diffusers: Any, folder: Path, channels: int = 4) -> Any:
    """A tiny Stable Diffusion, or its inpainting form, saved as such pipelines are."""
    torch.manual_seed(0)
    kind = diffusers.StableDiffusionPipeline if channels == 4 else diffusers.StableDiffusionInpaintPipeline
    tokenizer, text = text_of(folder.parent / f"{folder.name}-words")
    made = kind(
        vae=autoencoder_of(diffusers), text_encoder=text, tokenizer=tokenizer, unet=unet_of(diffusers, channels),
        scheduler=diffusers.DDIMScheduler(**SCHEDULER), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    made.save_pretrained(folder, safe_serialization=True)
    return made


@pytest.fixture(scope="module")
def published(diffusers: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The pipeline in memory, and its folder."""
    folder = tmp_path_factory.mktemp("published") / "tiny"
    return pipeline_of(diffusers, folder), folder


@pytest.fixture(scope="module")
def imported(published: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a folder of ours."""
    target = tmp_path_factory.mktemp("imported") / "tiny"
    assert import_folder(published[1], target, "CC0-1.0") == Imported(
        "model", "StableDiffusionPipeline", parameters_of(published[0])
    )
    return target


def parameters_of(pipeline: Any) -> int:
    parts = (pipeline.unet, pipeline.vae, pipeline.text_encoder)
    return sum(value.numel() for part in parts for value in part.state_dict().values())


@pytest.mark.medium
def test_an_imported_pipeline_makes_pictures_from_words(imported: Path) -> None:
    found = info(imported)
    assert (found.kind, found.licence, found.problem) == ("image", "CC0-1.0", None)
    generator = text2x.load(imported, device="cpu")
    pictures = [
        generator.generate(text2x.ImageRequest(prompt=prompt, seed=3, steps=2))[0].media
        for prompt in ("a red dog", "a red dog", "a blue cat")
    ]
    assert (pictures[0].width, pictures[0].height) == (16, 16)
    assert (pictures[0].pixels == pictures[1].pixels).all()
    assert (pictures[0].pixels != pictures[2].pixels).any()
    assert (pictures[0].pixels[3] == 1).all()  # an autoencoder of three channels makes opaque pictures


@pytest.mark.medium
def test_sampling_with_guidance_gives_the_latents_and_the_picture_of_the_pipeline(
    published: tuple[Any, Path], imported: Path, diffusers: Any
) -> None:
    pipeline, _ = published
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config, timestep_spacing="trailing")
    # their last step goes to the first training step's alpha, ours to clean data: as with set_alpha_to_one
    pipeline.scheduler.final_alpha_cumprod = torch.tensor(1.0)
    pipeline.set_progress_bar_config(disable=True)
    words, nothing, noise = torch.randn(1, 77, 32), torch.randn(1, 77, 32), torch.randn(1, 4, 8, 8)

    def theirs(output: str) -> Tensor:
        return pipeline(
            prompt_embeds=words, negative_prompt_embeds=nothing, latents=noise, num_inference_steps=5,
            guidance_scale=7.5, output_type=output,
        ).images  # fmt: skip

    stage = text2x.load(imported, device="cpu").stages[0]  # type: ignore[attr-defined]
    with torch.no_grad():
        guided = classifier_free(
            stage.denoiser.denoise(Conditioning(words)), stage.denoiser.denoise(Conditioning(nothing)), 7.5
        )
        made = ddim(guided, noise, time_grid(5), stage.recipe.schedule)  # theirs begins with noise of variance 1
        expected = theirs("latent")
        picture = (stage.codec.decode(made)[:, :3] + 1) / 2
    assert expected.std() > 0.1
    torch.testing.assert_close(made, expected, atol=1e-3 * float(expected.std()), rtol=0)
    torch.testing.assert_close(picture, theirs("pt"), atol=1e-3, rtol=0)


@pytest.mark.medium
def test_the_inpainting_pipeline_is_told_of_holes_as_it_was_trained(diffusers: Any, tmp_path: Path) -> None:
    pipeline_of(diffusers, tmp_path / "paint", channels=9)
    made = import_folder(tmp_path / "paint", tmp_path / "ours", packing="float16")
    assert made.what == "StableDiffusionInpaintPipeline"
    generator = text2x.load(tmp_path / "ours", device="cpu")
    recipe = generator.stages[0].recipe  # type: ignore[attr-defined]
    assert (recipe.network.in_channels, recipe.network.extra_channels) == (4, 5) and recipe.codec.hole_mask
    picture = generator.generate(text2x.ImageRequest(prompt="a dog", seed=1, steps=2))[0].media
    edit = Inpainting(picture, "8,0,8,16")
    result = generator.generate(text2x.ImageRequest(prompt="a cat", seed=1, steps=2, edit=edit))[0].media
    assert (result.pixels[:, :, :8] == picture.pixels[:, :, :8]).all()
    assert (result.pixels[:, :, 8:] != picture.pixels[:, :, 8:]).any()


@pytest.mark.medium
def test_single_networks_are_read_by_their_class(diffusers: Any, tmp_path: Path) -> None:
    unet, vae = unet_of(diffusers), autoencoder_of(diffusers)
    unet.save_pretrained(tmp_path / "unet", max_shard_size="40KB")
    assert len(list((tmp_path / "unet").glob("*.safetensors"))) > 1  # in several files, with an index
    vae.save_pretrained(tmp_path / "vae", variant="fp16")
    assert import_folder(tmp_path / "unet", tmp_path / "ours").kind == "network"
    network, x, text = read_network(tmp_path / "ours"), torch.randn(1, 4, 8, 8), torch.randn(1, 5, 32)
    with torch.no_grad():
        expected = unet(x, 499, text).sample
        torch.testing.assert_close(network(x, torch.tensor([0.5]), Conditioning(text)), expected, atol=1e-4, rtol=0)
    assert import_folder(tmp_path / "vae", tmp_path / "codec").kind == "autoencoder"
    from text2x.recipes.latent_running import find_autoencoder

    found = find_autoencoder(str(tmp_path / "codec"))
    assert sum(value.numel() for value in found.tensors.values()) == sum(each.numel() for each in vae.parameters())


@pytest.mark.medium
def test_a_folder_that_cannot_be_read_as_it_is_says_why(published: tuple[Any, Path], tmp_path: Path) -> None:
    source, target = tmp_path / "copy", tmp_path / "ours"

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message):
            import_folder(source, target)
        assert not target.exists()
        shutil.rmtree(source)
        shutil.copytree(published[1], source)

    shutil.copytree(published[1], source)
    weights = source / "text_encoder" / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    refused(r"pytorch_model\.bin is a pickle, which can run code when it is read; get the same as \.safetensors")
    shutil.rmtree(source / "vae")
    refused("lacks vae; a StableDiffusionPipeline has unet, vae")
    index = json.loads((source / "model_index.json").read_text())
    (source / "model_index.json").write_text(json.dumps({**index, "_class_name": "FluxPipeline"}))
    refused("is a FluxPipeline; whole pipelines are read of StableDiffusionPipeline")
    scheduler = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
    (source / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    refused("FlowMatchEulerDiscreteScheduler is of rectified flow")
    file = source / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    refused("is cut off")


def test_files_and_folders_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no diffusers folder: neither model_index\.json nor config\.json"):
        import_folder(tmp_path, tmp_path.parent / "ours")
    with pytest.raises(InputError, match="lies in the folder that is read"):
        import_folder(tmp_path, tmp_path / "ours")
    (tmp_path / "config.json").write_text('{"_class_name": "VQModel"}')
    with pytest.raises(InputError, match="is a VQModel; text2x has UNet2DConditionModel, AutoencoderKL"):
        import_folder(tmp_path, tmp_path.parent / "ours")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="is a file; give the folder"):
        import_folder(tmp_path / "model.safetensors", tmp_path.parent / "ours")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    (tmp_path / "x.safetensors.index.json").write_text('{"weight_map": {"a": "../../etc/b.safetensors"}}')
    with pytest.raises(InputError, match="only .safetensors files beside it count"):
        import_folder(tmp_path, tmp_path.parent / "ours")


# Schedulers


def test_a_schedulers_betas_become_ours() -> None:
    assert schedule_of(SCHEDULER) == Betas("scaled_linear", 1000, 0.00085, 0.012)
    assert schedule_of({"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 500}).num_steps == 500
    assert schedule_of({"trained_betas": [0.1, 0.2], "num_train_timesteps": 2}).betas == (0.1, 0.2)
    assert prediction_of({"prediction_type": "v_prediction"}) == "v"
    for values, message in (
        ({"beta_schedule": "sigmoid"}, "beta_schedule of this scheduler is 'sigmoid'"),
        ({"trained_betas": [0.1]}, "must be 1000 numbers"),
        ({"num_train_timesteps": 0}, "num_train_timesteps of this scheduler is 0"),
    ):
        with pytest.raises(InputError, match=message):
            schedule_of(values)
    with pytest.raises(InputError, match="prediction_type is 'flow'"):
        prediction_of({"prediction_type": "flow"})


@pytest.mark.medium
def test_betas_rescaled_down_to_noise_are_diffusers(diffusers: Any) -> None:
    betas = {name: value for name, value in SCHEDULER.items() if name.startswith("beta")}
    theirs = diffusers.EulerDiscreteScheduler(**betas, rescale_betas_zero_snr=True)
    ours = schedule_of({**SCHEDULER, "rescale_betas_zero_snr": True}).log_alpha_squared()[1:].exp()
    torch.testing.assert_close(ours.float(), theirs.alphas_cumprod, atol=1e-6, rtol=2e-4)
    assert float(ours[-1]) == pytest.approx(2.0**-24)
