"""A diffusers folder as one of ours: a pipeline of Stable Diffusion or Stable Video Diffusion as a model, or a network.

Only JSON and safetensors are read. A model's text encoder is copied into its folder and read there by transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from text2x.autoencoding import PART, AutoencoderRecipe
from text2x.codecs import LatentCodecConfig
from text2x.config import from_dict, to_dict
from text2x.data.batches import BatchConfig
from text2x.errors import InputError
from text2x.files import file_hash, load_tensors, read_json, save_tensors, write_bytes, write_json
from text2x.networks.autoencoder import Autoencoder, AutoencoderConfig
from text2x.networks.cross_unet import CrossUNet, CrossUNetConfig
from text2x.networks.dit import DiT, DiTConfig
from text2x.networks.patch_discriminator import PatchDiscriminatorConfig
from text2x.networks.prior import DiffusionPrior, PriorConfig
from text2x.networks.spatiotemporal_unet import SpatioTemporalUNet, SpatioTemporalUNetConfig
from text2x.networks.temporal_decoder import TemporalAutoencoder, TemporalAutoencoderConfig
from text2x.nn.initialization import no_initialization
from text2x.published.dit import dit_weights
from text2x.published.folders import prediction_of, read_settings, read_weights, schedule_of, weight_files
from text2x.published.prior import prior_weights
from text2x.published.stable_diffusion import autoencoder_weights, unet_weights
from text2x.published.stable_video import video_autoencoder_weights, video_unet_weights
from text2x.published.stable_video_pipeline import PIPELINE, import_stable_video
from text2x.recipe import Model, Recipe, SamplingConfig, Stage, WeightFile
from text2x.text_conditioner import HubTextConfig
from text2x.training_config import TrainingConfig
from text2x.weights import Packing, load_weights, pack

PIPELINES = ("StableDiffusionPipeline", "StableDiffusionInpaintPipeline", "StableDiffusionImg2ImgPipeline")
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
UNET_FILE, CODEC_FILE, TEXT = "unet.safetensors", "codec.safetensors", "text"
NETWORK = "network"  # .json and .safetensors of a single network
SAMPLING = SamplingConfig(sampler="dpmpp_2m", steps=25, guidance=7.5)  # 7.5: the pipelines' default
TOKENIZER_FILES = (".json", ".txt", ".model")

VideoConfig = SpatioTemporalUNetConfig | TemporalAutoencoderConfig
Config = CrossUNetConfig | AutoencoderConfig | DiTConfig | PriorConfig | VideoConfig
READERS: dict[str, Callable[..., tuple[Config, dict[str, Tensor]]]] = {
    "UNet2DConditionModel": unet_weights,
    "AutoencoderKL": autoencoder_weights,
    "DiTTransformer2DModel": dit_weights,
    "PriorTransformer": prior_weights,
    "UNetSpatioTemporalConditionModel": video_unet_weights,
    "AutoencoderKLTemporalDecoder": video_autoencoder_weights,
}
NETWORKS: dict[str, tuple[type, Callable[..., nn.Module]]] = {
    "CrossUNetConfig": (CrossUNetConfig, CrossUNet),
    "AutoencoderConfig": (AutoencoderConfig, Autoencoder),
    "DiTConfig": (DiTConfig, DiT),
    "PriorConfig": (PriorConfig, DiffusionPrior),
    "SpatioTemporalUNetConfig": (SpatioTemporalUNetConfig, SpatioTemporalUNet),
    "TemporalAutoencoderConfig": (TemporalAutoencoderConfig, TemporalAutoencoder),
}


@dataclass(frozen=True)
class Imported:
    """What was written: a "model" of pictures or of "clips", an "autoencoder" (for --set codec=) or a "network"."""

    kind: str
    what: str  # the published class
    parameters: int
    left_out: tuple[str, ...] = ()  # parts that we have not


def import_folder(source: Path, target: Path, licence: str = "unknown", packing: Packing = "float32") -> Imported:
    """Read a pipeline's or one network's folder and write ours; raises InputError for what cannot be read as it is."""
    if source.is_file():
        raise InputError(f"{source} is a file; give the folder of a diffusers pipeline, or of one of its networks")
    if target.resolve() == source.resolve() or source.resolve() in target.resolve().parents:
        raise InputError(f"{target} lies in the folder that is read; write it elsewhere, by --output")
    if (source / "model_index.json").is_file():
        return _import_pipeline(source, target, licence, packing)
    if (source / "config.json").is_file():
        return _import_network(source, target, packing)
    raise InputError(f"{source} is no diffusers folder: neither model_index.json nor config.json is there")


def _import_pipeline(source: Path, target: Path, licence: str, packing: Packing) -> Imported:
    index = read_settings(source, "model_index.json")
    kind = index.get("_class_name")
    if kind == PIPELINE:
        model = import_stable_video(source, target, licence, packing)
        return Imported("clips", PIPELINE, sum(each.parameters for each in model.weights.values()))
    if kind not in PIPELINES:
        known = ", ".join((*PIPELINES, PIPELINE))
        raise InputError(f"{source} is a {kind}; whole pipelines are read of {known}, of others each network's folder")
    lacking = [name for name in PARTS if not (source / name).is_dir()]
    if lacking:
        raise InputError(f"{source} lacks {', '.join(lacking)}; a {kind} has {', '.join(PARTS)}")
    scheduler = read_settings(source / "scheduler", "scheduler_config.json")
    schedule = schedule_of(scheduler)
    vae, unet = (read_settings(source / name) for name in ("vae", "unet"))
    weight_files(source / "text_encoder")  # a pickle is refused before anything is written
    codec_config, codec = autoencoder_weights(vae, read_weights(source / "vae"), source / "vae")
    config, network = unet_weights(unet, read_weights(source / "unet"), source / "unet", schedule.num_steps)
    if config.in_channels != codec_config.latent_channels:
        channels = f"{config.in_channels} channels, the autoencoder {codec_config.latent_channels}"
        raise InputError(f"the UNet in {source} works on {channels}; they are not of one model")
    weights = {
        UNET_FILE: _write(network, target / UNET_FILE, packing),
        CODEC_FILE: _write(codec, target / CODEC_FILE, packing),
        **_copy_text(source, target),
    }
    told = config.extra_channels > 0
    size = _size(unet, codec_config.factor)
    name = target.resolve().name
    recipe = Recipe(
        name="unet",
        summary=f"Read from a {kind}.",
        size=size,
        network=config,
        conditioner=HubTextConfig(TEXT, vector=False, padded=True),
        data=BatchConfig(size=size),
        training=TrainingConfig(),
        schedule=schedule,
        parameterization=prediction_of(scheduler),
        sampling=SAMPLING,
        codec=LatentCodecConfig(codec_config, *_moments(vae, codec_config.latent_channels), hole_mask=told),
    )
    stage = Stage(recipe, UNET_FILE, CODEC_FILE)
    write_json(target / "recipe.json", to_dict(Model(name, recipe.summary, licence, (stage,), weights, size)))
    left = sorted(each for each in index if not each.startswith("_") and each not in PARTS and (source / each).is_dir())
    return Imported("model", str(kind), sum(each.parameters for each in weights.values()), tuple(left))


def _import_network(source: Path, target: Path, packing: Packing) -> Imported:
    """One network: an autoencoder as a run of `text2x train autoencoder` leaves it, others as settings and weights."""
    values = read_settings(source)
    kind = values.get("_class_name")
    if kind not in READERS:
        raise InputError(f"{source} is a {kind}; text2x has {', '.join(READERS)}")
    config, weights = READERS[str(kind)](values, read_weights(source), source)
    if isinstance(config, AutoencoderConfig):
        size = values.get("sample_size") if isinstance(values.get("sample_size"), int) else 64
        recipe = AutoencoderRecipe(
            name=target.resolve().name,
            summary=f"Read from an {kind}.",
            size=size or 64,
            network=config,
            discriminator=PatchDiscriminatorConfig(),
            data=BatchConfig(size=size or 64),
            training=TrainingConfig(),
        )
        average = target / "averages" / f"{recipe.training.averages[0]}.safetensors"
        _write({PART + name: value for name, value in weights.items()}, average, "float32")
        write_json(target / "recipe.json", to_dict(recipe))
        return Imported("autoencoder", str(kind), _count(weights))
    file = _write(weights, target / f"{NETWORK}.safetensors", packing)
    write_json(target / f"{NETWORK}.json", {**to_dict(config), "sha256": file.sha256})
    return Imported("network", str(kind), file.parameters)


def read_network(folder: Path) -> nn.Module:
    """A single network that `import_folder` wrote, in float32, to be used from Python; no gradients."""
    values = dict(read_json(folder / f"{NETWORK}.json"))
    sha256 = values.pop("sha256", None)
    if values.get("type") not in NETWORKS:
        raise InputError(f"{folder / NETWORK}.json is of a {values.get('type')!r}; text2x has {', '.join(NETWORKS)}")
    shape, build = NETWORKS[str(values["type"])]
    with no_initialization():
        network = build(from_dict(shape, values, where=f"{NETWORK}.json"))
    load_weights(network, folder / f"{NETWORK}.safetensors", sha256)
    return network.eval().requires_grad_(False)


def _write(weights: Mapping[str, Tensor], path: Path, packing: Packing) -> WeightFile:
    return WeightFile(save_tensors(path, pack(weights, packing)), packing, _count(weights))


def _count(weights: Mapping[str, Tensor]) -> int:
    return sum(value.numel() for value in weights.values())


def _copy_text(source: Path, target: Path) -> dict[str, WeightFile]:
    """The text encoder and its tokenizer in one folder; their weights, as the model's recipe names them."""
    tokenizer = source / "tokenizer"
    for path in sorted(each for each in tokenizer.iterdir() if each.suffix in TOKENIZER_FILES):
        write_bytes(target / TEXT / path.name, path.read_bytes())
    write_bytes(target / TEXT / "config.json", (source / "text_encoder" / "config.json").read_bytes())
    files = weight_files(source / "text_encoder")
    tensors = {name: value for file in files for name, value in load_tensors(file).items()}
    kept = target / TEXT / "model.safetensors"
    save_tensors(kept, tensors, {"format": "pt"})  # what transformers asks for
    kinds = {str(value.dtype).removeprefix("torch.") for value in tensors.values() if value.is_floating_point()}
    return {f"{TEXT}/{kept.name}": WeightFile(file_hash(kept), ", ".join(sorted(kinds)), _count(tensors))}


def _size(unet: Mapping[str, Any], factor: int) -> int:
    side = unet.get("sample_size")
    if isinstance(side, list | tuple):
        side = max(side, default=None)
    return factor * (side if isinstance(side, int) and side > 0 else 64)


def _moments(vae: Mapping[str, Any], channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Shift and scale of the latents, channel by channel: (z - shift) scale."""
    scale, shift = float(vae.get("scaling_factor") or 1.0), float(vae.get("shift_factor") or 0.0)
    means, deviations = vae.get("latents_mean"), vae.get("latents_std")
    if means is None and deviations is None:
        return (shift,) * channels, (scale,) * channels
    for name, given in (("latents_mean", means), ("latents_std", deviations)):
        if not isinstance(given, list | tuple) or len(given) != channels:
            raise InputError(f"{name} of this AutoencoderKL is {given!r}; it must be {channels} numbers")
    assert isinstance(means, list | tuple) and isinstance(deviations, list | tuple)
    return tuple(float(each) for each in means), tuple(scale / float(each) for each in deviations)
