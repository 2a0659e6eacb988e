"""SoundGANGenerator: words to sound in one call of a GAN. Item i depends on model, request and seed + i alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from text2x.adversarial import draw_noise
from text2x.audio import Audio
from text2x.audio_codecs import AudioLatentCodec
from text2x.errors import InputError
from text2x.files import load_tensors
from text2x.networks.sound_gan import SoundGANConfig, SoundGenerator
from text2x.nn.initialization import no_initialization
from text2x.request_fields import shortened
from text2x.requests import OnStep, Progress, Result
from text2x.sound_adversarial import (
    GENERATOR_FILE,
    SoundGANModel,
    SoundGANRecipe,
    sound_gan_model,
    sound_vector,
)
from text2x.sound_diffusion import CODEC_FILE, LatentPart, codec_of_part
from text2x.sound_requests import (
    OF_DIFFUSION,
    OF_TOKENS,
    AudioRequest,
    MusicRequest,
    SoundRequest,
    cleaned,
    ignored,
)
from text2x.text_conditioner import TextConditioner, build_conditioner
from text2x.weights import put_weights, unpack

PART = "generator."  # the beginning of the generator's names among a run's weights
REFUSED = ("init", "continuation")  # a sound that is given cannot be left out in silence


class SoundGANGenerator:
    """Words to sounds as long as those it was trained on, or shorter."""

    def __init__(
        self, name: str, recipe: SoundGANRecipe, network: SoundGenerator, text: TextConditioner, codec: AudioLatentCodec
    ) -> None:
        self.name, self.recipe, self.network, self.text, self.codec = name, recipe, network, text, codec
        self.kind = recipe.kind

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.codec.rate

    @torch.inference_mode()
    def generate(self, request: AudioRequest, on_step: OnStep | None = None) -> list[Result]:
        """One sound an item; raises InputError for what this model cannot make."""
        if not isinstance(request, (SoundRequest, MusicRequest)):
            raise InputError(f"{self.name} makes {self.kind}; ask for it with: text2x {self.kind} PROMPT")
        request, warnings = cleaned(request.seeded())
        seconds, warnings = self._checked(request, warnings)
        assert request.seed is not None
        device = next(self.network.parameters()).device
        results = []
        for item in range(request.count):
            begin = time.perf_counter()
            rng = torch.Generator().manual_seed(request.seed + item)
            noise = draw_noise(1, self.network.config.noise_width, rng).to(device)
            told = torch.tensor([seconds])
            vector = sound_vector(self.text, [request.prompt], told, self.recipe.data.seconds).to(device)
            made = self.codec.decode(self.network(noise, vector))[0].float().cpu().numpy()
            audio = Audio(made[:, : max(1, round(seconds * self.rate))], self.rate)
            if on_step is not None:
                on_step(Progress(1, 1, "generator", (item,), list))
            settings = {"seconds": seconds, "model": self.name}
            timings = {"sample": time.perf_counter() - begin}
            results.append(Result(audio, request.seed + item, warnings, timings, settings))
        return results

    def _checked(self, request: AudioRequest, warnings: tuple[str, ...]) -> tuple[float, tuple[str, ...]]:
        """Seconds of the sound, and warnings of what is not used."""
        longest = self.network.config.frames * self.codec.hop / self.rate
        seconds = longest if request.seconds is None else request.seconds
        if seconds > longest:
            raise InputError(
                f"seconds is {seconds:g}; {self.name} is a GAN and makes at most {longest:g}: ask for no more, or take "
                "a model of diffusion"
            )
        for name in REFUSED:
            if getattr(request, name) is not None:
                raise InputError(f"{self.name} is a GAN and makes sound of words alone: leave {name} out")
        others = [name for name in (*OF_TOKENS, *OF_DIFFUSION) if name not in REFUSED]
        warnings += ignored(request, ("negative", "guidance", *others), f"{self.name} is a GAN")
        if (end := self.text.truncated(request.prompt)) is not None:
            warnings += (f"the prompt is too long for this model; dropped: {shortened(end)!r}",)
        return seconds, warnings


def build_sound_gan_generator(values: Mapping[str, Any], folder: Path, device: str = "cpu") -> SoundGANGenerator:
    """The generator of a model's folder, or of a training run's."""
    model = sound_gan_model(values)
    recipe = model.recipe
    if not isinstance(recipe.codec, LatentPart):
        raise InputError(f"recipe.json names the codec {recipe.codec!r} and not what it is; train the model again")
    packed = values.get("type") == SoundGANModel.__name__
    path = folder / (GENERATOR_FILE if packed else f"averages/{recipe.training.averages[0]}.safetensors")
    network = read_generator(recipe.network, path).to(device)
    text = build_conditioner(recipe.conditioner)
    assert isinstance(text, TextConditioner)
    codec = codec_of_part(recipe.codec, folder / CODEC_FILE, device)
    return SoundGANGenerator(model.name, recipe, network, text, codec)


def read_generator(config: SoundGANConfig, path: Path) -> SoundGenerator:
    """The generator with the weights in a file: its own alone, or a training run's with its discriminator."""
    tensors = unpack(load_tensors(path))
    if any(name.startswith(PART) for name in tensors):
        tensors = {name.removeprefix(PART): each for name, each in tensors.items() if name.startswith(PART)}
    with no_initialization():
        network = SoundGenerator(config)
    put_weights(network, tensors, path)
    return network.eval().requires_grad_(False)
