"""Generation by a GAN: a request to pictures in one network call, and walks from one picture to another.

Item i depends on the model, the request and seed + i alone: its noise is the first draw of its own CPU generator. On a
CPU each item goes through the network alone, so that its bytes are equal however many are asked for; on a GPU together.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from text2x.adversarial import GANRecipe, draw_noise
from text2x.config import from_dict
from text2x.errors import InputError
from text2x.files import load_tensors
from text2x.media import Image
from text2x.networks.gan import Generator, in_range
from text2x.nn.initialization import no_initialization
from text2x.recipe import FORMAT, WeightFile
from text2x.requests import ImageRequest, OnStep, Progress, Result, shortened, unknown
from text2x.text_conditioner import TextConditioner, build_conditioner
from text2x.weights import put_weights, unpack

CPU_ITEMS, GPU_ITEMS = 1, 64  # that go through the network together
PART = "generator."  # the generator's names among a GAN's weights; the rest is the discriminator's
USED = ("prompt", "count", "seed", "style", "size", "truncation")  # fields of a request
IGNORED = ("negative", "steps", "sampler", "guidance", "guidance_interval")  # a GAN has nothing that they could change
MOST_TRUNCATION = 2.0  # beyond it the noise is far from any that the generator has seen
MOST_FRAMES = 1000


@dataclass(frozen=True)
class GANModel:
    """A trained GAN: what recipe.json in its folder says. The weight file holds the generator alone."""

    name: str
    summary: str
    licence: str
    recipe: GANRecipe
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    size: int = 64  # pixels a side, when the request leaves it open
    format: int = FORMAT
    attribution: tuple[str, ...] = ()


@dataclass(frozen=True)
class GANSettings:
    """A request with the model's defaults filled in."""

    prompt: str
    style: str | None
    size: int
    truncation: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the file's metadata."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class _Station:
    """Where a walk begins or ends."""

    vector: Tensor  # [1, V] of the text
    noise: Tensor  # [1, Z] truncated
    size: int


class GANGenerator:
    """Text to image by a GAN."""

    def __init__(self, model: GANModel, network: Generator, text: TextConditioner, device: str = "cpu") -> None:
        self.model, self.network, self.text, self.device = model, network, text, torch.device(device)

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that a request may name."""
        return self.model.recipe.conditioner.styles

    def generate(
        self, request: ImageRequest, on_step: OnStep | None = None, truncation: float | None = None
    ) -> list[Result]:
        """One result an item, in order; raises InputError for what this model cannot do.

        `truncation` from 0 to 2 multiplies the noise: below 1 pictures are plainer and more alike; None: the request's
        own or the model's.
        """
        request, cleaning = request.cleaned()
        request = request.seeded()
        assert request.seed is not None
        settings = self.settings(request, truncation)
        warnings = (*cleaning, *self.warnings(request))
        begin = time.perf_counter()
        vector = self._vector(settings.prompt, settings.style)
        text_seconds = (time.perf_counter() - begin) / request.count
        together = CPU_ITEMS if self.device.type == "cpu" else GPU_ITEMS
        described = {**settings.as_dict(), "model": self.model.name}
        results: list[Result] = []
        for start in range(0, request.count, together):
            items = tuple(range(start, min(start + together, request.count)))
            begin = time.perf_counter()
            noise = torch.cat([self._noise(request.seed + item) for item in items]) * settings.truncation
            pictures = self._pictures(noise, vector.expand(len(items), -1), settings.size)
            seconds = (time.perf_counter() - begin) / len(items)
            if on_step is not None:
                on_step(Progress(1, 1, "generator", items, lambda shown=pictures: list(shown)))
            results += [
                Result(picture, request.seed + item, warnings, {"text": text_seconds, "base": seconds}, described)
                for item, picture in zip(items, pictures, strict=True)
            ]
        return results

    def walk(
        self, first: ImageRequest, last: ImageRequest, frames: int, truncation: float | None = None
    ) -> list[Image]:
        """Pictures on the way from one request's first picture to another's; the ends are what `generate` makes.

        Noise goes along the great circle between both, so that its length stays that of noise (Shoemake 1985, Eq. 1;
        White 2016), text vectors along a straight line. `frames` is from 2 to 1000, ends included; the size is the
        first request's. Both need a seed.
        """
        if not 2 <= frames <= MOST_FRAMES:
            raise InputError(f"frames is {frames}; a walk has 2 to {MOST_FRAMES}")
        ends = [self._station(each, truncation) for each in (first, last)]
        size = ends[0].size
        pictures = []
        for place in range(frames):
            share = place / (frames - 1)
            vector = torch.lerp(ends[0].vector, ends[1].vector, share) if 0 < share < 1 else ends[int(share)].vector
            pictures += self._pictures(slerp(ends[0].noise, ends[1].noise, share), vector, size)
        return pictures

    def tour(self, stations: Sequence[ImageRequest], frames: int, truncation: float | None = None) -> list[Image]:
        """Walks from each request to the next and from the last back to the first: `frames` pictures that loop.

        Each station is one of them. InputError if there is only one station, or not a frame for each.
        """
        if len(stations) < 2:
            raise InputError("a walk needs two stations: give two prompts, or -n 2 for two seeds of one")
        if not len(stations) <= frames <= MOST_FRAMES:
            raise InputError(f"frames is {frames}; a walk by {len(stations)} stations has {len(stations)} to 1000")
        begins = [round(place * frames / len(stations)) for place in range(len(stations) + 1)]
        pictures: list[Image] = []
        for place, first in enumerate(stations):
            length = begins[place + 1] - begins[place]
            last = stations[(place + 1) % len(stations)]
            pictures += self.walk(first, last, length + 1, truncation)[:-1]
        return pictures

    def _station(self, request: ImageRequest, truncation: float | None) -> _Station:
        request, _ = request.cleaned()
        if request.seed is None:
            raise InputError("a walk needs seeds: give each request one")
        settings = self.settings(request, truncation)
        noise = self._noise(request.seed) * settings.truncation
        return _Station(self._vector(settings.prompt, settings.style), noise, settings.size)

    def settings(self, request: ImageRequest, truncation: float | None = None) -> GANSettings:
        """The request with the model's defaults; raises InputError for what this model cannot do."""
        recipe = self.model.recipe
        for each in dataclasses.fields(request):
            if each.name not in (*USED, *IGNORED) and getattr(request, each.name) != each.default:
                value = shortened(repr(getattr(request, each.name)))
                raise InputError(f"{each.name} is {value}; the model {self.model.name} is a GAN and cannot do that")
        size = self.model.size if request.size is None else request.size
        if size > recipe.size:
            raise InputError(
                f"size is {size}; the model {self.model.name} makes pictures of at most {recipe.size} pixels"
            )
        style = request.style or recipe.sampling.style
        if style is not None and style not in self.styles:
            raise unknown("style", style, self.styles)
        if truncation is None:
            truncation = getattr(request, "truncation", None)
        truncation = recipe.sampling.truncation if truncation is None else float(truncation)
        if not 0 <= truncation <= MOST_TRUNCATION:
            raise InputError(f"truncation is {truncation:g}; it must be from 0 to {MOST_TRUNCATION:g}, 1 is off")
        return GANSettings(request.prompt, style, size, truncation)

    def warnings(self, request: ImageRequest) -> Iterator[str]:
        """What of the request is cut off or ignored."""
        if dropped := self.text.truncated(request.prompt):
            yield f"the end of the prompt does not fit and is ignored: {dropped!r}"
        defaults = {each.name: each.default for each in dataclasses.fields(request)}
        for name in IGNORED:
            value = getattr(request, name, defaults.get(name))
            if value != defaults.get(name):
                yield f"{name} is {shortened(repr(value))} and is ignored: a GAN draws in one step, unguided"

    def _vector(self, prompt: str, style: str | None) -> Tensor:
        """The text vector [1, V]."""
        vector = self.text([prompt], [style]).vector
        assert vector is not None
        return vector.to(self.device)

    def _noise(self, seed: int) -> Tensor:
        """An item's own noise [1, Z]."""
        rng = torch.Generator().manual_seed(seed)
        return draw_noise(1, self.network.config.noise_width, rng).to(self.device)

    @torch.inference_mode()
    def _pictures(self, noise: Tensor, vector: Tensor, size: int) -> list[Image]:
        """[B, Z], [B, V] to pictures of the wanted size."""
        made = in_range(self.network(noise, vector).float().cpu())
        pictures = [Image(each.numpy()) for each in made]
        return [each if each.width == size else each.resize(size) for each in pictures]


def slerp(first: Tensor, last: Tensor, share: float) -> Tensor:
    """Along the great circle from first (share 0) to last (share 1), lengths along a line: [1, Z]; ends are exact."""
    if share in (0, 1):
        return first if share == 0 else last
    lengths = first.norm(), last.norm()
    cosine = (first * last).sum() / (lengths[0] * lengths[1])
    angle = cosine.clamp(-1, 1).acos()
    if float(angle.sin()) < 1e-4:  # the same direction, or opposite ones, between which no circle is the shortest
        return torch.lerp(first, last, share)
    weights = [((1 - share) * angle).sin() / angle.sin(), (share * angle).sin() / angle.sin()]
    direction = weights[0] * first / lengths[0] + weights[1] * last / lengths[1]
    return direction * torch.lerp(*lengths, share)


def generator_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The generator's part of a GAN's weights, with the names that it has alone."""
    return {name.removeprefix(PART): value for name, value in tensors.items() if name.startswith(PART)}


def load_generator(recipe: GANRecipe, path: Path, device: str = "cpu") -> Generator:
    """The recipe's generator with the weights in a file, packed or plain, with a discriminator beside it or without."""
    with no_initialization():
        network = Generator(recipe.network)
    put_weights(network, generator_weights(unpack(load_tensors(path))), path)
    return network.eval().requires_grad_(False).to(device)


def gan_model(values: Mapping[str, Any]) -> GANModel:
    """The model that a recipe.json describes: of a model folder, or of a training run."""
    if values.get("type") == "GANModel":
        return from_dict(GANModel, values, where="recipe.json")
    recipe = from_dict(GANRecipe, values, where="recipe.json")
    return GANModel(recipe.name, recipe.summary, "unknown", recipe, size=recipe.size)


def is_gan(values: Mapping[str, Any]) -> bool:
    """Whether a recipe.json is that of a GAN."""
    return values.get("type") in ("GANModel", "GANRecipe")


def build_gan_generator(values: Mapping[str, Any], folder: Path, device: str = "cpu") -> GANGenerator:
    """The generator that a recipe.json describes, with the weights beside it: a model, or the folder of a run."""
    model = gan_model(values)
    files: Sequence[str] = tuple(model.weights) or (f"averages/{model.recipe.training.averages[0]}.safetensors",)
    network = load_generator(model.recipe, folder / files[0], device)
    return GANGenerator(model, network, build_conditioner(model.recipe.conditioner, device), device)
