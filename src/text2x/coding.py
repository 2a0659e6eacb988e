"""The recipe of a codec of sound and what it learns by: spectra, discriminators of spectra, and its bottleneck.

"loss" is the sum of both networks' losses; each gets the gradient of its own (`audio_adversarial`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from text2x.audio_adversarial import AdversarialLoss, adversarial_losses
from text2x.audio_codecs import AudioLatentCodec, NeuralTokenCodec
from text2x.config import from_dict
from text2x.data.audioset import AudioBatch, AudioBatchConfig
from text2x.errors import InputError
from text2x.files import load_tensors, read_json
from text2x.networks.audio_codec import (
    AudioCodec,
    AudioCodecConfig,
    GaussianConfig,
    divergence,
    drawn_codebooks,
    sampled,
)
from text2x.networks.audio_discriminators import AudioDiscriminator, AudioDiscriminatorConfig
from text2x.networks.dac import DAC, DACConfig
from text2x.networks.encodec import EnCodec, EnCodecConfig
from text2x.networks.mel_codec import MelCodec, MelCodecConfig
from text2x.networks.source_vocoder import SourceVocosConfig
from text2x.nn.initialization import no_initialization
from text2x.recipe import WeightFile
from text2x.signal import mel_loss, multi_scale_mel_configs, spectral_loss
from text2x.training_config import TrainingConfig
from text2x.vocoding import NeuralVocoder, is_vocoder, load_vocoder
from text2x.weights import put_weights, unpack

PART = "codec."  # the beginning of the codec's names among a run's weights
FORMAT = 1  # of a codec's recipe.json

AnyCodecConfig = AudioCodecConfig | EnCodecConfig | DACConfig | MelCodecConfig
AnyCodec = AudioCodec | EnCodec | DAC | MelCodec


@dataclass(frozen=True)
class CodecObjectiveConfig:
    """Weights of the losses. Before `adversarial_from` the discriminators are left out.

    Mel 15, matching 2, adversarial 1, commitment 0.25 and codebook 1 are DAC's (Kumar et al. 2023, Sec. 3.5); the KL's
    1e-4 is Stable Audio's. `mel_exponents` are of the windows of the mel spectra, from the first to below the second.
    """

    mel: float = 15.0
    spectral: float = 1.0  # of the multi-resolution STFT loss
    adversarial: float = 1.0
    matching: float = 2.0
    commitment: float = 0.25
    codebook: float = 1.0
    kl: float = 1e-4
    loss: AdversarialLoss = "hinge"
    adversarial_from: int = 10_000  # step
    mel_exponents: tuple[int, int] = (5, 12)

    def __post_init__(self) -> None:
        names = ("mel", "spectral", "adversarial", "matching", "commitment", "codebook", "kl", "adversarial_from")
        for name in names:
            if not getattr(self, name) >= 0:
                raise InputError(f"objective.{name} is {getattr(self, name)}; it must be at least 0")
        if not 5 <= self.mel_exponents[0] < self.mel_exponents[1] <= 14:
            raise InputError(f"objective.mel_exponents is {self.mel_exponents}; two rising numbers from 5 to 14")


@dataclass(frozen=True)
class CodecRecipe:
    """Everything that makes a codec but its weights. `data_set` is of sounds or of speech, at `rate`."""

    name: str
    summary: str
    network: AudioCodecConfig
    discriminator: AudioDiscriminatorConfig
    data: AudioBatchConfig
    training: TrainingConfig
    rate: int = 16_000  # Hz
    objective: CodecObjectiveConfig = CodecObjectiveConfig()
    data_set: str = "asterisk"

    def __post_init__(self) -> None:
        if self.data.frames % self.network.hop:
            raise InputError(
                f"data.frames {self.data.frames} must be a multiple of the network's hop {self.network.hop}"
            )
        if self.data.predicted is not None:
            raise InputError("data.predicted is of vocoders; a codec hears the sound itself: leave it out")


@dataclass(frozen=True)
class CodecModel:
    """A trained codec: what recipe.json in its folder says. `shift` and `scale` are of a Gaussian's means."""

    name: str
    summary: str
    licence: str
    rate: int
    network: AnyCodecConfig
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    file: str = "codec.safetensors"
    format: int = FORMAT
    attribution: tuple[str, ...] = ()


class CodecGAN(nn.Module):
    """A codec and its discriminators: what is trained together."""

    def __init__(self, recipe: CodecRecipe) -> None:
        super().__init__()
        self.codec = AudioCodec(recipe.network)
        self.discriminator = AudioDiscriminator(recipe.discriminator)


class CodecObjective:
    """Losses on crops of sound."""

    def __init__(self, trainable: CodecGAN, recipe: CodecRecipe, device: torch.device | str = "cpu") -> None:
        self.trainable, self.config, self.device = trainable, recipe.objective, torch.device(device)
        self.mels = multi_scale_mel_configs(recipe.rate, range(*recipe.objective.mel_exponents))

    def __call__(self, batch: AudioBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """ "mel", "spectral", "adversarial", "matching", "discriminator", and "commitment" and "codebook" or "kl".

        "loss" is their sum with the config's weights; "codes_used" is the share of codes that the batch takes.
        """
        config = self.config
        real = batch.samples.to(self.device)
        made, values, told = self._through(self.trainable.codec, real, rng)
        values["mel"] = mel_loss(made, real, self.mels)
        values["spectral"] = sum(spectral_loss(made, real).values(), start=made.new_zeros(()))
        if batch.step >= config.adversarial_from:
            values |= adversarial_losses(self.trainable.discriminator, real, made, config.loss)
        parts = [getattr(config, name, 1.0) * value for name, value in values.items()]  # 1 for the discriminator's own
        loss = torch.stack(parts).sum()
        return {"loss": loss, **{name: value.detach() for name, value in values.items()}, **told}

    def _through(
        self, codec: AudioCodec, real: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Sound [B, T] -> what comes out of it, the losses of its bottleneck, and what else is told."""
        bottleneck, x = codec.config.bottleneck, real[:, None]
        if isinstance(bottleneck, GaussianConfig):
            mean, log_variance = codec.moments(x)
            noise = torch.randn(mean.shape, generator=rng).to(mean.device)
            made = codec.decoded(sampled(mean, log_variance, noise))
            return made[:, 0, : real.shape[1]], {"kl": divergence(mean, log_variance)}, {}
        used = drawn_codebooks(len(real), bottleneck, rng).to(real.device)
        made, quantized = codec.quantize(x, used)
        values = {"commitment": quantized.commitment, "codebook": quantized.codebook}
        return (
            made[:, 0, : real.shape[1]],
            values,
            {"codes_used": share_of_codes(quantized.codes, bottleneck.cardinality)},
        )

    @torch.no_grad()
    def held_out(self, trainable: CodecGAN, batches: Iterable[AudioBatch]) -> dict[str, float]:
        """Distance of what comes out from real sound: "held_out" in log-mel, spectral convergence, codes in use."""
        codec, mels, spectra, codes = trainable.codec, [], [], []
        for batch in batches:
            real = batch.samples.to(self.device)
            if codec.quantizer is not None:
                made, quantized = codec.quantize(real[:, None])
                codes.append(quantized.codes)
            else:
                made = codec.decoded(codec.moments(real[:, None])[0])
            made = made[:, 0, : real.shape[1]]
            mels.append(mel_loss(made, real, self.mels))
            spectra.append(spectral_loss(made, real)["convergence"])
        told = {"held_out": mels, "held_out/convergence": spectra}
        values = {name: float(torch.stack(each).mean()) for name, each in told.items()}
        if codes:
            values["held_out/codes_used"] = float(share_of_codes(torch.cat(codes), codec.cardinality))
        return values


def share_of_codes(codes: Tensor, cardinality: int) -> Tensor:
    """How much of the codebooks [B, K, S] is in use: perplexity over cardinality, mean over codebooks, [] in (0, 1]."""
    shares = []
    for book in codes.unbind(1):
        share = torch.bincount(book.flatten(), minlength=cardinality).float() / book.numel()
        shares.append((-(share * share.clamp_min(1e-12).log()).sum()).exp() / cardinality)
    return torch.stack(shares).mean()


@torch.no_grad()
def latent_moments(
    codec: AudioCodec | MelCodec, batches: Iterable[AudioBatch]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Shift and scale per channel that give the latents of real sound mean 0 and variance 1."""
    place = next(codec.parameters()).device
    means = [codec.moments(batch.samples[:, None].to(place))[0].transpose(0, 1).flatten(1) for batch in batches]
    every = torch.cat(means, dim=1).double()  # [Z, N]
    return tuple(every.mean(1).tolist()), tuple((1 / every.std(1).clamp_min(1e-4)).tolist())


# Folders


def is_codec(values: Mapping[str, Any]) -> bool:
    """Whether a recipe.json is of a codec of sound, packed or a training run's."""
    return values.get("type") in (CodecRecipe.__name__, CodecModel.__name__)


def load_audio_codec(folder: Path, device: str = "cpu") -> NeuralTokenCodec | AudioLatentCodec:
    """The codec of a folder: a packed one, or that of a training run with its first average; a vocoder's mel frames.

    Latents of a run or a vocoder have shift 0 and scale 1: they are measured when it is packed, or trained on.
    """
    values = read_json(folder / "recipe.json")
    if isinstance(values, Mapping) and is_vocoder(values):
        return mel_codec_of(load_vocoder(folder, device))
    if not isinstance(values, Mapping) or not is_codec(values):
        raise InputError(
            f"{folder} is no codec of sound: recipe.json is of another kind; train one: text2x train codec"
        )
    if values["type"] == CodecModel.__name__:
        model = from_dict(CodecModel, values, where="recipe.json")
        about = model.weights.get(model.file)
        network = read_network(model.network, folder / model.file, about.sha256 if about else None)
        return codec_of(network.to(device), model.rate, model.shift, model.scale)
    recipe = from_dict(CodecRecipe, values, where="recipe.json")
    network = read_network(recipe.network, folder / "averages" / f"{recipe.training.averages[0]}.safetensors")
    return codec_of(network.to(device), recipe.rate)


def mel_codec_of(vocoder: NeuralVocoder) -> AudioLatentCodec:
    """The frames that a vocoder hears as latents, which it makes sound of."""
    shape = vocoder.network.config
    if isinstance(shape, SourceVocosConfig):
        raise InputError(
            "a vocoder with a source carries its phase from frame to frame and sings one note at a time; for sounds of"
            " all kinds take one without: text2x train vocoder --data NAME"
        )
    with no_initialization():
        codec = MelCodec(MelCodecConfig(vocoder.mel, shape))
    codec.vocoder.load_state_dict(vocoder.network.state_dict())
    place = next(vocoder.network.parameters()).device
    made = codec_of(codec.eval().requires_grad_(False).to(place), vocoder.rate)
    assert isinstance(made, AudioLatentCodec)
    return made


def codec_of(
    network: AnyCodec, rate: int, shift: tuple[float, ...] = (), scale: tuple[float, ...] = ()
) -> NeuralTokenCodec | AudioLatentCodec:
    """A network as the codec that its bottleneck makes of it."""
    if not isinstance(network, MelCodec) and not (isinstance(network, AudioCodec) and network.quantizer is None):
        return NeuralTokenCodec(network, rate)
    channels = network.config.channels
    return AudioLatentCodec(network, rate, shift or (0.0,) * channels, scale or (1.0,) * channels)


def build_codec_network(config: AnyCodecConfig) -> AnyCodec:
    """The network with fresh weights, from torch's current random state."""
    if isinstance(config, EnCodecConfig):
        return EnCodec(config)
    if isinstance(config, MelCodecConfig):
        return MelCodec(config)
    return DAC(config) if isinstance(config, DACConfig) else AudioCodec(config)


def read_network(config: AnyCodecConfig, path: Path, sha256: str | None = None) -> AnyCodec:
    """A network with the weights in a file: the codec's alone, or a training run's with its discriminators."""
    tensors = unpack(load_tensors(path, sha256))
    if any(name.startswith(PART) for name in tensors):
        tensors = {name.removeprefix(PART): each for name, each in tensors.items() if name.startswith(PART)}
    with no_initialization():
        network = build_codec_network(config)
    put_weights(network, tensors, path)
    return network.eval().requires_grad_(False)
