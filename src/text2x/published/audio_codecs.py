"""EnCodec and the Descript audio codec: folders as transformers writes them become codecs of ours.

A folder is {config.json, *.safetensors}; weight norm, in torch's older or newer layout, is folded into the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from text2x.audio_codecs import NeuralTokenCodec
from text2x.coding import CodecModel, build_codec_network
from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import save_tensors, write_json
from text2x.networks.dac import DAC, DILATIONS, DACConfig
from text2x.networks.encodec import EnCodec, EnCodecConfig
from text2x.networks.residual_quantizer import ResidualQuantizerConfig
from text2x.nn.initialization import no_initialization
from text2x.published.folders import read_settings, read_weights
from text2x.published.tensors import Origin, Origins, layer, matrix, translated
from text2x.recipe import WeightFile

NORMED = ((".weight_g", ".weight_v"), (".parametrizations.weight.original0", ".parametrizations.weight.original1"))
UNUSED = (".inited", ".cluster_size", ".embed_avg")  # of EnCodec's codebooks, in training alone
NORMS = {"weight_norm": "weight", "time_group_norm": "group"}


def import_codec(folder: Path, target: Path, name: str, licence: str, bandwidth: float | None = None) -> CodecModel:
    """Write a codec's folder of ours from a published one; `bandwidth` in kbit/s is EnCodec's, None: all codebooks."""
    network, rate = read_codec(folder, bandwidth)
    kind = "EnCodec" if isinstance(network, EnCodec) else "The Descript audio codec"
    model = CodecModel(name, f"{kind} at {rate} Hz, as it is published.", licence, rate, network.config)
    tensors = network.state_dict()
    sha256 = save_tensors(target / model.file, {key: value.contiguous() for key, value in tensors.items()})
    about = WeightFile(sha256, "float32", sum(value.numel() for value in tensors.values()))
    model = CodecModel(name, model.summary, licence, rate, network.config, weights={model.file: about})
    write_json(target / "recipe.json", to_dict(model))
    return model


def load_published_codec(folder: Path, bandwidth: float | None = None, device: str = "cpu") -> NeuralTokenCodec:
    """A published codec as a token codec."""
    network, rate = read_codec(folder, bandwidth)
    return NeuralTokenCodec(network.to(device), rate)


def read_codec(folder: Path, bandwidth: float | None = None) -> tuple[EnCodec | DAC, int]:
    """The network of a published folder, and its rate in Hz; another kind of folder raises InputError."""
    values = read_settings(folder)
    config, rate = codec_config(values, bandwidth)
    tensors = unnormed(read_weights(folder), folder)
    with no_initialization():
        network = build_codec_network(config)
    assert isinstance(network, EnCodec | DAC)
    if isinstance(config, EnCodecConfig):
        tensors = {
            key: value for key, value in tensors.items() if not key.endswith(UNUSED) and not _left_out(key, config)
        }
        origins = encodec_origins(config)
    else:
        origins = dac_origins(config)
    network.load_state_dict(translated(network, tensors, origins, folder))
    return network.eval().requires_grad_(False), rate


def codec_config(values: Mapping[str, Any], bandwidth: float | None = None) -> tuple[EnCodecConfig | DACConfig, int]:
    """The shape that a config.json says, and the rate in Hz."""
    kind = values.get("model_type")
    if kind == "dac":
        if bandwidth is not None:
            raise InputError("a bandwidth is chosen for EnCodec only; the Descript codec decodes any first codebooks")
        quantizer = ResidualQuantizerConfig(
            int(values.get("n_codebooks", 9)),
            int(values.get("codebook_size", 1024)),
            int(values.get("codebook_dim", 8)),
        )
        ratios = tuple(values.get("downsampling_ratios", (2, 4, 8, 8)))
        widths = int(values.get("encoder_hidden_size", 64)), int(values.get("decoder_hidden_size", 1536))
        return DACConfig(*widths, ratios, quantizer), int(values.get("sampling_rate", 16_000))
    if kind == "encodec":
        return _encodec_config(values, bandwidth)
    raise InputError(f"config.json is of {kind!r}; codecs that are read are 'encodec' and 'dac'")


def _encodec_config(values: Mapping[str, Any], bandwidth: float | None) -> tuple[EnCodecConfig, int]:
    if values.get("normalize") or values.get("chunk_length_s") is not None:
        raise InputError(
            "this EnCodec works on levelled pieces of a second (48 kHz), which is not read; take 24 or 32 kHz"
        )
    if values.get("norm_type", "weight_norm") not in NORMS:
        raise InputError(
            f"this EnCodec has the norm {values['norm_type']!r}; those that are read are {', '.join(NORMS)}"
        )
    rate, size = int(values.get("sampling_rate", 24_000)), int(values.get("codebook_size", 1024))
    ratios = tuple(values.get("upsampling_ratios", (8, 5, 4, 2)))
    bandwidths = tuple(values.get("target_bandwidths", (1.5, 3.0, 6.0, 12.0, 24.0)))
    wanted = bandwidths[-1] if bandwidth is None else bandwidth
    if wanted not in bandwidths:
        raise InputError(f"this EnCodec has no bandwidth of {wanted} kbit/s; it has {', '.join(map(str, bandwidths))}")
    latent = int(values.get("hidden_size", 128))
    if (values.get("codebook_dim") or latent) != latent:
        raise InputError(
            f"this EnCodec has codes of {values['codebook_dim']} and latents of {latent}; they must be alike"
        )
    hop = 1
    for ratio in ratios:
        hop *= ratio
    bits = -(-rate // hop) * (size - 1).bit_length()  # a second and codebook
    config = EnCodecConfig(
        channels=int(values.get("audio_channels", 1)),
        width=int(values.get("num_filters", 32)),
        ratios=ratios,
        latent=latent,
        residual_layers=int(values.get("num_residual_layers", 1)),
        kernel=int(values.get("kernel_size", 7)),
        last_kernel=int(values.get("last_kernel_size", 7)),
        residual_kernel=int(values.get("residual_kernel_size", 3)),
        dilation_growth=int(values.get("dilation_growth_rate", 2)),
        compress=int(values.get("compress", 2)),
        lstm_layers=int(values.get("num_lstm_layers", 2)),
        causal=bool(values.get("use_causal_conv", True)),
        padding=values.get("pad_mode", "reflect"),
        trim_right=float(values.get("trim_right_ratio", 1.0)),
        shortcut=bool(values.get("use_conv_shortcut", True)),
        norm="weight" if values.get("norm_type", "weight_norm") == "weight_norm" else "group",
        codebooks=max(1, int(1000 * wanted // bits)),
        cardinality=size,
    )
    return config, rate


def unnormed(tensors: Mapping[str, Tensor], where: Path) -> dict[str, Tensor]:
    """The tensors with weight norm folded in: w = g v / |v|, the norm over all but the first dimension."""
    state = {key: value.float() for key, value in tensors.items()}
    for gain, direction in NORMED:
        for key in [each for each in state if each.endswith(gain)]:
            name = key.removesuffix(gain)
            if name + direction not in state:
                raise InputError(f"{where} has only one part of the weight norm of {name}; copy it again")
            g, v = state.pop(key), state.pop(name + direction)
            state[f"{name}.weight"] = g * v / v.flatten(1).norm(dim=1).reshape(g.shape)
    return state


# Names


def encodec_origins(config: EnCodecConfig) -> Origins:
    """Where the tensors of an EnCodec come from; layers of both are numbered alike."""
    origins: Origins = {}
    for side, module in (("encoder", 0), ("decoder", 1)):
        for place, kind in enumerate(_kinds(config, module == 1)):
            ours, theirs = f"{side}.{place}", f"{side}.layers.{place}"
            if kind == "conv":
                origins |= _conv(config, ours, theirs)
            elif kind == "residual":
                origins |= _conv(config, f"{ours}.first", f"{theirs}.block.1")
                origins |= _conv(config, f"{ours}.second", f"{theirs}.block.3")
                origins |= _conv(config, f"{ours}.shortcut", f"{theirs}.shortcut") if config.shortcut else {}
            elif kind == "lstm":
                for name in (
                    f"{part}_{way}_l{k}"
                    for k in range(config.lstm_layers)
                    for part in ("weight", "bias")
                    for way in ("ih", "hh")
                ):
                    origins[f"{ours}.lstm.{name}"] = Origin((f"{theirs}.lstm.{name}",))
    names = tuple(f"quantizer.layers.{book}.codebook.embed" for book in range(config.codebooks))
    return origins | {"books": Origin(names, _stacked)}


def _kinds(config: EnCodecConfig, decoder: bool) -> list[str]:
    """What stands at each place of one side."""
    residuals = ["residual"] * config.residual_layers
    lstm = ["lstm"] if config.lstm_layers else []
    level = ["elu", "conv", *residuals] if decoder else [*residuals, "elu", "conv"]
    levels = level * len(config.ratios)
    return ["conv", *lstm, *levels, "elu", "conv"] if decoder else ["conv", *levels, *lstm, "elu", "conv"]


def _conv(config: EnCodecConfig, ours: str, theirs: str) -> Origins:
    made = layer(f"{ours}.conv", f"{theirs}.conv")
    return made | layer(f"{ours}.norm", f"{theirs}.norm") if config.norm == "group" else made


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts))


def _left_out(key: str, config: EnCodecConfig) -> bool:
    """Whether a published codebook is beyond those of the bandwidth that was chosen."""
    return key.startswith("quantizer.layers.") and int(key.split(".")[2]) >= config.codebooks


def dac_origins(config: DACConfig) -> Origins:
    """Where the tensors of a Descript codec come from."""
    levels = len(config.ratios)
    origins: Origins = {}
    for side, units, snake, change in (("encoder", 0, 3, 4), ("decoder", 2, 0, 1)):
        origins |= layer(f"{side}.0", f"{side}.conv1")
        for level in range(levels):
            ours, theirs = 1 + level * (len(DILATIONS) + 2), f"{side}.block.{level}"
            for unit in range(len(DILATIONS)):
                origins |= _unit(f"{side}.{ours + units + unit}", f"{theirs}.res_unit{unit + 1}")
            origins |= _snake(f"{side}.{ours + snake}", f"{theirs}.snake1")
            origins |= layer(f"{side}.{ours + change}", f"{theirs}.{'conv1' if side == 'encoder' else 'conv_t1'}")
        last = 1 + levels * (len(DILATIONS) + 2)
        origins |= _snake(f"{side}.{last}", f"{side}.snake1") | layer(f"{side}.{last + 1}", f"{side}.conv2")
    for book in range(config.quantizer.codebooks):
        ours, theirs = f"quantizer.books.{book}", f"quantizer.quantizers.{book}"
        origins |= layer(f"{ours}.into", f"{theirs}.in_proj", make=matrix)
        origins |= layer(f"{ours}.back", f"{theirs}.out_proj", make=matrix)
        origins |= layer(f"{ours}.codes", f"{theirs}.codebook", bias=False)
    return origins


def _unit(ours: str, theirs: str) -> Origins:
    ours = f"{ours}.layers"
    snakes = _snake(f"{ours}.0", f"{theirs}.snake1") | _snake(f"{ours}.2", f"{theirs}.snake2")
    return snakes | layer(f"{ours}.1", f"{theirs}.conv1") | layer(f"{ours}.3", f"{theirs}.conv2")


def _snake(ours: str, theirs: str) -> Origins:
    return {f"{ours}.alpha": Origin((f"{theirs}.alpha",))}
