"""A model of moving pictures from its folder: its weights, with those of the model of pictures that is its base."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from text2x.building import build_stages
from text2x.codecs import Codec, Identity, LatentCodec, LatentCodecConfig
from text2x.diffusion.denoiser import Denoiser
from text2x.diffusion.parameterizations import PARAMETERIZATIONS
from text2x.errors import InputError
from text2x.files import file_hash, load_tensors, read_json
from text2x.networks.autoencoder import Autoencoder
from text2x.networks.unet import UNetConfig
from text2x.networks.video_unet import IMAGE, VideoUNet, VideoUNetConfig
from text2x.nn.initialization import no_initialization
from text2x.recipe import Model, Recipe, model_from_dict, recipe_from_dict
from text2x.sampling import TrainedStage
from text2x.stable_video import build_stable_video
from text2x.text_conditioner import MiniLMConfig, TextConditioner, build_conditioner
from text2x.video_gan_generator import build_video_gan_generator
from text2x.video_generator import VideoGenerator
from text2x.video_recipe import VideoModel, VideoRecipe, VideoUpsamplerRecipe, build_video_network, video_model
from text2x.video_upsampling import ClipUpsampler
from text2x.weights import load_weights, put_weights, unpack

Find = Callable[[str], Path]  # the folder of a model by its name


@dataclass(frozen=True)
class Base:
    """The model of pictures that a model of clips grows out of: its first stage."""

    name: str
    recipe: Recipe
    file: Path
    folder: Path
    model: Model | None = None  # None: a training run, which has no upsamplers

    def state(self) -> dict[str, Tensor]:
        """Its weights in float32."""
        return unpack(load_tensors(self.file))

    @property
    def sha256(self) -> str:
        """Of its weight file."""
        return file_hash(self.file)


def read_base(folder: Path) -> Base:
    """The base in a folder, a model's or a training run's; InputError for what clips cannot be made of."""
    values = read_json(folder / "recipe.json")
    kind = values.get("type") if isinstance(values, Mapping) else None
    if kind not in ("Model", "Recipe"):
        raise InputError(f"{folder} is no model of pictures; give one made by diffusion as base, as emoji")
    model = model_from_dict(values) if kind == "Model" else None
    recipe = recipe_from_dict(values) if model is None else model.stages[0].recipe
    file = f"averages/{recipe.training.averages[0]}.safetensors" if model is None else model.stages[0].weights
    fits = isinstance(recipe.network, UNetConfig) and isinstance(recipe.conditioner, MiniLMConfig)
    if not fits or recipe.codec is not None or recipe.low_resolution is not None:
        raise InputError(f"the base {recipe.name} is no UNet on pixels that reads prompts with MiniLM; take emoji")
    return Base(folder.resolve().name, recipe, folder / file, folder, model)


def inherited(recipe: VideoRecipe, base: Base) -> VideoRecipe:
    """The recipe with the base's UNet, text encoder, schedule and what it predicts."""
    network, text = recipe.network, base.recipe.conditioner
    if not isinstance(network, VideoUNetConfig):
        raise InputError(f"{recipe.name} is made of no UNet of pictures; leave out base")
    assert isinstance(base.recipe.network, UNetConfig) and isinstance(text, MiniLMConfig)
    if recipe.size != base.recipe.size:
        raise InputError(f"size is {recipe.size}; the base {base.name} is of {base.recipe.size} pixels: take that")
    return replace(
        recipe,
        network=replace(network, image=base.recipe.network),
        conditioner=text,
        schedule=base.recipe.schedule,
        parameterization=base.recipe.parameterization,
    )


def inherited_upsampler(recipe: VideoUpsamplerRecipe, base: Base) -> tuple[VideoUpsamplerRecipe, dict[str, Tensor]]:
    """The recipe with the network, noise and schedule of the base's first upsampler, and that one's weights."""
    stage = base.model.stages[1] if base.model is not None and len(base.model.stages) > 1 else None
    if stage is None or stage.recipe.low_resolution is None or not isinstance(stage.recipe.network, UNetConfig):
        raise InputError(
            f"the base {base.name} has no upsampler that is a UNet on pixels; take emoji, or leave out base"
        )
    if stage.recipe.conditioner is not None:
        raise InputError(f"the upsampler of the base {base.name} reads words, one of clips does not; take emoji")
    own = stage.recipe
    recipe = replace(
        recipe,
        network=replace(recipe.network, image=own.network),
        low_resolution=own.low_resolution,
        schedule=own.schedule,
        parameterization=own.parameterization,
    )
    return recipe, unpack(load_tensors(base.folder / stage.weights))


def upsampler_denoiser(recipe: VideoUpsamplerRecipe, network: Any) -> Denoiser:
    """The network of an upsampler of clips, read as an estimate of x_0."""
    return Denoiser(network, recipe.schedule, PARAMETERIZATIONS[recipe.parameterization])


def load_clip_upsampler(model: VideoModel, folder: Path, base: Base | None, device: str) -> ClipUpsampler | None:
    """The upsampler of clips of a model, if it has one, with the weights beside it and those of its base."""
    recipe = model.clip_upsampler
    if recipe is None:
        return None
    tensors = unpack(load_tensors(folder / model.clip_upsampler_file))
    if recipe.base is not None and base is not None:
        tensors = {**of_base(inherited_upsampler(recipe, base)[1]), **tensors}
    with no_initialization():
        network = VideoUNet(recipe.network)
    put_weights(network, tensors, folder / model.clip_upsampler_file)
    return ClipUpsampler(recipe, upsampler_denoiser(recipe, network.eval().requires_grad_(False).to(device)))


def of_base(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a UNet of pictures by the names that they have in one of clips."""
    return {IMAGE + name: value for name, value in state.items()}


def any_video_generator(values: Mapping[str, Any], folder: Path, device: str = "cpu", find: Find | None = None) -> Any:
    """The generator that a recipe.json of moving pictures describes: one of diffusion, a GAN, or a published one."""
    if values.get("type") in ("VideoGANModel", "VideoGANRecipe"):
        return build_video_gan_generator(values, folder, device)
    if values.get("type") == "StableVideoModel":
        return build_stable_video(values, folder, device)
    return build_video_generator(values, folder, device, find)


def build_video_generator(
    values: Mapping[str, Any], folder: Path, device: str = "cpu", find: Find | None = None
) -> VideoGenerator:
    """The generator that a recipe.json describes, with the weights beside it: a model, or the folder of a run."""
    model = video_model(values)
    recipe = model.recipe
    place = find or (lambda name: folder.parent / name)
    tensors = unpack(load_tensors(folder / model.file))
    base = _base_of(model, place)
    if base is not None and model.base_sha256 is not None:
        if base.sha256 != model.base_sha256:
            hashes = f"SHA-256 is {base.sha256[:12]}..., not {model.base_sha256[:12]}..."
            raise InputError(f"{base.file} is not the base that {model.name} was made with: {hashes}")
        tensors = {**of_base(base.state()), **tensors}
    with no_initialization():
        network = build_video_network(recipe)
    put_weights(network, tensors, folder / model.file)
    network.eval().requires_grad_(False).to(device)
    text = build_conditioner(recipe.conditioner)
    assert isinstance(text, TextConditioner)
    denoiser = denoiser_of(recipe, network)
    codec = load_video_codec(recipe, folder / (model.codec_file or ""), device)
    stages: tuple[TrainedStage, ...] = ()
    if base is not None and base.model is not None:
        larger = build_stages(base.model, base.folder, device, lambda each: each.low_resolution is not None)
        stages = (TrainedStage(base.recipe, denoiser, text), *larger)
    upsampler = load_clip_upsampler(model, folder, base, device)
    return VideoGenerator(model, denoiser, text, device, codec, stages, upsampler)


def _base_of(model: VideoModel, find: Find) -> Base | None:
    """The base that a model names; that of a training run is needed for its upsamplers only, and may be gone."""
    if model.base is None:
        return None
    try:
        return read_base(find(model.base))
    except (InputError, OSError):
        if model.base_sha256 is not None:
            raise
        return None


def denoiser_of(recipe: VideoRecipe, network: Any) -> Denoiser:
    """The network read as an estimate of x_0."""
    return Denoiser(network, recipe.schedule, PARAMETERIZATIONS[recipe.parameterization])


def load_video_codec(recipe: VideoRecipe, path: Path, device: str = "cpu") -> Codec:
    """The codec of a recipe with the weights in a file; that of a model on pixels needs none."""
    if recipe.codec is None:
        return Identity()
    if not isinstance(recipe.codec, LatentCodecConfig):
        raise InputError(f"{recipe.name} names the codec {recipe.codec!r}, which was never read; train it once more")
    with no_initialization():
        network = Autoencoder(recipe.codec.network)
    load_weights(network, path, recipe.codec.sha256 or None)
    return LatentCodec(recipe.codec, network.eval().requires_grad_(False).to(device))
