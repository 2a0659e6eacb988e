"""Clips from words by a GAN, in one network call. Item i depends on the model, the request and seed + i alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from text2x.adversarial import draw_noise
from text2x.errors import InputError
from text2x.files import load_tensors
from text2x.memory import weight_bytes
from text2x.moving import Video
from text2x.networks.video_gan import VideoGANGenerator as Network
from text2x.networks.video_gan import draw_motion, shown
from text2x.nn.initialization import no_initialization
from text2x.requests import OnStep, Progress, Result
from text2x.text_conditioner import TextConditioner, build_conditioner
from text2x.video_adversarial import VideoGANModel, VideoGANRecipe, video_gan_model
from text2x.video_estimate import Estimate, Sizes, peak_bytes, probed
from text2x.video_requests import VideoRequest, sides_of
from text2x.weights import put_weights, unpack

PART = "generator."  # the generator's names among a GAN's weights; the rest is the discriminators'
REFUSED = ("image", "last_image", "extend", "interpolate", "video")
PROBED_FRAMES = 4
IGNORED = ("negative", "motion", "steps", "sampler", "guidance")  # a GAN has nothing that they could change


class VideoGANGenerator:
    """Text to clips by a GAN."""

    def __init__(self, model: VideoGANModel, network: Network, text: TextConditioner, device: str = "cpu") -> None:
        self.model, self.network, self.text, self.device = model, network, text, torch.device(device)

    @property
    def recipe(self) -> VideoGANRecipe:
        """The recipe of the model."""
        return self.model.recipe

    def generate(self, request: VideoRequest, on_step: OnStep | None = None) -> list[Result]:
        """One result an item, in order; raises InputError for what this model cannot do."""
        if not isinstance(request, VideoRequest):
            raise InputError(f"{self.model.name} makes clips: text2x video PROMPT --model {self.model.name}")
        request, cleaning = request.cleaned()
        request = request.seeded()
        settings = self._settings(request)
        warnings = (*cleaning, *self._warnings(request))
        results = []
        for item in range(request.count):
            assert request.seed is not None
            begin = time.perf_counter()
            video = self._made(settings, request.seed + item)
            if on_step is not None:
                whole: Any = video
                on_step(Progress(1, 1, "generator", (item,), lambda whole=whole: [whole]))
            spent = {"base": time.perf_counter() - begin}
            results.append(Result(video, request.seed + item, warnings, spent, {**settings, "model": self.model.name}))
        return results

    def estimate(self, request: VideoRequest) -> Estimate:
        """Seconds and memory that a request will take, from making a clip of two frames."""
        settings = self._settings(request)
        few = {**settings, "frames": PROBED_FRAMES, "size": self.recipe.size}
        probe = probed(lambda: self._made(few, 0))
        share = settings["frames"] / PROBED_FRAMES
        sizes = Sizes(settings["frames"], settings["size"] ** 2, 0, 0, 0)
        weights = weight_bytes([self.network, getattr(self.text.encoder, "encoder", None)])
        num_bytes = peak_bytes(sizes, weights, [probe.num_bytes * share], request.count)
        return Estimate(request.count * probe.seconds * share, num_bytes)

    def _settings(self, request: VideoRequest) -> dict[str, Any]:
        name = self.model.name
        size, height = sides_of(request.size or self.recipe.size)
        for field in REFUSED:
            if getattr(request, field) is not None:
                raise InputError(f"{name} is a GAN and makes clips of words alone: leave {field} out")
        if size != height:
            way = f"give one number, as {self.recipe.size}"
            raise InputError(f"size is {size}x{height}; the model {name} makes square clips only: {way}")
        if size > self.recipe.size:
            raise InputError(f"size is {size}; the model {name} makes clips of at most {self.recipe.size} pixels")
        return {
            "prompt": request.prompt,
            "frames": request.frames or self.recipe.data.frames,
            "fps": request.fps or self.recipe.rate,
            "size": size,
            "loop": bool(request.loop),
        }

    def _warnings(self, request: VideoRequest) -> list[str]:
        given = [name for name in IGNORED if getattr(request, name) not in (None, "")]
        found = [f"{name} is given and is ignored: {self.model.name} is a GAN" for name in given]
        if dropped := self.text.truncated(request.prompt):
            found.append(f"the end of the prompt does not fit and is ignored: {dropped!r}")
        return found

    @torch.inference_mode()
    def _made(self, settings: Mapping[str, Any], seed: int) -> Video:
        rng = torch.Generator().manual_seed(seed)
        noise = draw_noise(1, self.recipe.network.image.noise_width, rng).to(self.device)
        motion = draw_motion(1, self.recipe.network, rng).to(self.device)
        vector = self.text([settings["prompt"]]).to(self.device).vector
        assert vector is not None
        loops = torch.tensor([settings["loop"]], device=self.device)
        made = shown(self.network(noise, motion, vector, settings["frames"], loops))[0]
        frames = made.transpose(0, 1).float().cpu().numpy()
        video = Video(frames, settings["fps"], loops=settings["loop"])
        return video if video.width == settings["size"] else video.resize(settings["size"])


def build_video_gan_generator(values: Mapping[str, Any], folder: Path, device: str = "cpu") -> VideoGANGenerator:
    """The generator that a recipe.json describes: of a packed model, or of a training run's first averaged weights."""
    model = video_gan_model(values)
    path = folder / model.file
    tensors = unpack(load_tensors(path))
    with no_initialization():
        network = Network(model.recipe.network)
    own = {name.removeprefix(PART): value for name, value in tensors.items() if name.startswith(PART)}
    put_weights(network, own, path)
    text = build_conditioner(model.recipe.conditioner)
    assert isinstance(text, TextConditioner)
    return VideoGANGenerator(model, network.eval().requires_grad_(False).to(device), text, device)
