"""Stable Video Diffusion as it is published: a picture comes alive. Its folder, and a request to Video.

(Blattmann et al. 2023, Stable Video Diffusion.) The picture is seen twice: as latents beside each noisy frame, with a
little noise, and as the embedding of a CLIP. Numerically the StableVideoDiffusionPipeline of diffusers, but that the
picture is kept as the first frame. Shapes: B batch, T frames, h w latents. Frames are opaque RGB in [-1, 1].
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from text2x.conditioning import Conditioning
from text2x.config import from_dict
from text2x.diffusion.denoiser import Denoise, Denoiser
from text2x.diffusion.parameterizations import PARAMETERIZATIONS
from text2x.diffusion.samplers import SAMPLERS, Step
from text2x.errors import InputError
from text2x.media import Image
from text2x.memory import weight_bytes
from text2x.moving import Video
from text2x.networks.clip_vision import CLIPVision, CLIPVisionConfig, clip_pixels
from text2x.networks.spatiotemporal_unet import SpatioTemporalUNet, SpatioTemporalUNetConfig
from text2x.networks.temporal_decoder import FRAMES_TOGETHER, TemporalAutoencoder, TemporalAutoencoderConfig
from text2x.nn.initialization import no_initialization
from text2x.recipe import FORMAT, WeightFile
from text2x.requests import OnStep, Progress, Result, unknown
from text2x.sampling import stage_seed
from text2x.video_estimate import Estimate, Sizes, peak_bytes, probed
from text2x.video_material import Material, Size, material_of
from text2x.video_requests import VideoRequest, guidance_range, sides_of
from text2x.video_sampling import rising
from text2x.weights import load_weights

UNET, CODEC, VISION = "unet.safetensors", "codec.safetensors", "vision.safetensors"
REFUSED = ("last_image", "interpolate", "video")
IGNORED = ("prompt", "negative")
BUCKETS = 254.0  # of motion at 10; 5 is 127, the usual one
WINDOW_STAGE = 1000  # in the keys of the seeds of further windows
PROBED_FRAMES, PROBED_SIDE = 2, 16  # frames, and latents a side at most, of what is measured before


@dataclass(frozen=True)
class StableVideoModel:
    """A published model: the shapes of its networks, and what is used where a request leaves it open."""

    name: str
    summary: str
    licence: str
    network: SpatioTemporalUNetConfig
    codec: TemporalAutoencoderConfig
    vision: CLIPVisionConfig
    weights: Mapping[str, WeightFile] = field(default_factory=dict)
    scale: float = 0.18215  # of latents, so that they have about unit variance
    width: int = 1024
    height: int = 576
    frames: int = 14  # that are made at once
    rate: float = 7.0  # frames/s
    steps: int = 25
    guidance: tuple[float, float] = (1.0, 3.0)  # of the first and of the last frame
    noise: float = 0.02  # standard deviation of what is added to the picture beside the frames
    format: int = FORMAT
    attribution: tuple[str, ...] = ()

    @property
    def unit(self) -> int:
        """Pixels of which the sides of what it makes are multiples."""
        return self.codec.factor * 2 ** (len(self.network.multipliers) - 1)


@dataclass(frozen=True)
class StableVideoSettings:
    """A request with the model's defaults filled in."""

    frames: int  # of the clip, those that were given included
    fps: float
    width: int
    height: int
    motion: float
    steps: int
    sampler: str
    guidance: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the file's metadata."""
        first, last = self.guidance
        values = {**self.__dict__, "guidance": f"{first:g}..{last:g}", "size": f"{self.width}x{self.height}"}
        return {name: value for name, value in values.items() if name not in ("width", "height")}


class StableVideoGenerator:
    """Pictures, or the last frames of clips, to clips."""

    def __init__(
        self,
        model: StableVideoModel,
        network: SpatioTemporalUNet,
        codec: TemporalAutoencoder,
        vision: CLIPVision,
        device: str = "cpu",
    ) -> None:
        self.model, self.codec, self.vision, self.device = model, codec, vision, torch.device(device)
        self.denoiser = Denoiser(network, model.network.schedule, PARAMETERIZATIONS["v"])

    def generate(self, request: VideoRequest, on_step: OnStep | None = None) -> list[Result]:
        """One result an item, in order; raises InputError for what this model cannot do."""
        if not isinstance(request, VideoRequest):
            raise InputError(f"{self.model.name} makes clips: text2x video --image FILE --model {self.model.name}")
        request = request.cleaned()[0].seeded()
        assert request.seed is not None
        settings, material, warnings = self.settings(request)
        results = []
        for item in range(request.count):
            begin, seed = time.perf_counter(), request.seed + item
            with torch.inference_mode():
                video = self._made(settings, material, seed, item, on_step)
            described = {**settings.as_dict(), **material.described, "model": self.model.name}
            results.append(Result(video, seed, warnings, {"base": time.perf_counter() - begin}, described))
        return results

    def settings(self, request: VideoRequest) -> tuple[StableVideoSettings, Material, tuple[str, ...]]:
        """The request with the model's defaults, what it was given, and what of it is ignored or changed."""
        model, name = self.model, self.model.name
        for each in REFUSED:
            if getattr(request, each) is not None:
                way = f"leave {each} out, or take another model"
                raise InputError(f"the model {name} knows a first picture only: {way}")
        if request.loop:
            raise InputError(f"the model {name} makes no loops: leave loop out, or take another model")
        if request.image is None and request.extend is None:
            raise InputError(f"the model {name} makes a picture come alive and reads no words: give it one with image")
        if (sampler := request.sampler or "euler") not in SAMPLERS:
            raise unknown("sampler", sampler, SAMPLERS)
        if request.image is not None and not isinstance(request.image, Image):
            request = replace(request, image=Image.read(request.image))
        size = self._size(request)
        material, changed = material_of(request, model.frames, size, model.frames)
        material, opaque = _on_white(material)
        given = [each for each in IGNORED if getattr(request, each)]
        ignored = [f"{each} is given and is ignored: {name} reads no words" for each in given]
        settings = StableVideoSettings(
            frames=len(material.keep),
            fps=request.fps or material.rate or model.rate,
            width=size[0],
            height=size[1],
            motion=5.0 if request.motion is None else request.motion,
            steps=request.steps or model.steps,
            sampler=sampler,
            guidance=model.guidance if request.guidance is None else guidance_range(request.guidance),
        )
        return settings, material, (*changed, *opaque, *ignored)

    def _size(self, request: VideoRequest) -> Size:
        """What is asked for; otherwise as many pixels as the model's usual size has, in the shape of the picture."""
        unit, usual = self.model.unit, (self.model.width, self.model.height)
        if request.size is not None:
            size = sides_of(request.size)
            if size[0] % unit or size[1] % unit:
                fits = "x".join(str(max(unit, round(side / unit) * unit)) for side in size)
                sides = f"size is {size[0]}x{size[1]}; sides of this model are multiples of {unit}"
                raise InputError(f"{sides}: take {fits}")
            return size
        if not isinstance(request.image, Image):
            return usual
        shape = request.image.width / request.image.height
        area = usual[0] * usual[1]
        sides = math.sqrt(area * shape), math.sqrt(area / shape)
        width, height = (max(unit, round(side / unit) * unit) for side in sides)
        return width, height

    def estimate(self, request: VideoRequest) -> Estimate:
        """Seconds and memory that a request will take, from a pass of two small frames."""
        settings, material, _ = self.settings(request)
        factor = self.codec.config.factor
        height, width = settings.height // factor, settings.width // factor
        least = self.model.unit // factor
        side = max(least, PROBED_SIDE // least * least)
        small = (min(height, side), min(width, side))
        picture = torch.zeros(1, 3, small[0] * factor, small[1] * factor, device=self.device)
        x = torch.zeros(1, self.model.network.in_channels, PROBED_FRAMES, *small, device=self.device)
        with torch.inference_mode():
            denoise = self._denoise(picture, torch.zeros_like(picture), settings, slice(0, PROBED_FRAMES))
            step = probed(lambda: denoise(x, torch.ones(1, device=self.device)))
            decode = probed(lambda: self._decoded(x))
        parts = self._windows(settings, material)
        longest = max(part.stop - part.start for part in parts)
        made = sum(part.stop - part.start for part in parts)
        share = height * width / (small[0] * small[1] * PROBED_FRAMES)  # for each frame of the clip
        seconds = share * made * (settings.steps * step.seconds + decode.seconds)
        phases = [share * longest * step.num_bytes, share * min(FRAMES_TOGETHER, longest) * decode.num_bytes]
        weights = weight_bytes([self.denoiser.network, self.codec, self.vision])
        pixels = settings.height * settings.width
        sizes = Sizes(settings.frames, pixels, pixels, x.shape[1] * height * width, longest)
        return Estimate(request.count * seconds, peak_bytes(sizes, weights, phases, request.count))

    def _windows(self, settings: StableVideoSettings, material: Material) -> list[slice]:
        """Frames that are made at once, about as many in each; each begins with the last frame before."""
        first, total = material.begins - 1, settings.frames
        count = math.ceil((total - 1 - first) / (self.model.frames - 1))
        ends = [first + (total - 1 - first) * place // count for place in range(count + 1)]
        return [slice(begin, end + 1) for begin, end in zip(ends, ends[1:], strict=False)]

    def _made(
        self, settings: StableVideoSettings, material: Material, seed: int, item: int, on_step: OnStep | None
    ) -> Video:
        frames = material.frames.copy()
        for number, places in enumerate(self._windows(settings, material)):
            rng = torch.Generator().manual_seed(seed if number == 0 else stage_seed(seed, WINDOW_STAGE, number))
            picture = torch.from_numpy(frames[places.start, :3].copy())[None].to(self.device)

            def shown(x_0: Tensor, places: slice = places) -> Video:
                frames[places.start + 1 : places.stop, :3] = self._decoded(x_0)[1:]
                return Video(frames[: places.stop], settings.fps, loops=False)

            tell = None if on_step is None else _reporter(on_step, settings.steps, places, item, shown)
            shown(self._sampled(picture, settings, places, rng, tell))
        return Video(frames, settings.fps, loops=False)

    def _sampled(
        self,
        picture: Tensor,  # [1, 3, H, W]
        settings: StableVideoSettings,
        places: slice,
        rng: torch.Generator,
        tell: Callable[[Step], None] | None,
    ) -> Tensor:
        """Latents of the frames at the places, [1, Z, T, h, w]; each generator draws as diffusers' pipeline does."""
        noise = torch.randn(picture.shape, generator=rng).to(self.device)
        factor, frames = self.codec.config.factor, places.stop - places.start
        shape = (frames, self.model.network.in_channels, settings.height // factor, settings.width // factor)
        x = torch.randn(shape, generator=rng).transpose(0, 1)[None].to(self.device)
        denoise = self._denoise(picture, noise, settings, places)
        times = torch.linspace(1, 0, settings.steps, dtype=torch.float64)
        if settings.steps > 1:
            x = SAMPLERS[settings.sampler](
                denoise, x, times, self.denoiser.schedule, noise_like=_like(rng), on_step=tell
            )
        x_0 = denoise(x, times[-1:].to(x))  # the last step goes from the lowest level to none
        if tell is not None:
            tell(Step(settings.steps - 1, float(times[-1]), x, x_0))
        return x_0

    def _denoise(self, picture: Tensor, noise: Tensor, settings: StableVideoSettings, places: slice) -> Denoise:
        """The guided denoise of the frames at the places, of which the picture is the first."""
        frames = places.stop - places.start
        embedding = self.vision(clip_pixels(picture, self.vision.config.size))[:, None]  # [1, 1, E]
        beside = self.codec.encode((picture + self.model.noise * noise)[:, :, None])[0]  # [1, Z, 1, h, w]
        beside = beside.expand(-1, -1, frames, -1, -1)
        told = torch.tensor([[settings.fps - 1, settings.motion / 10 * BUCKETS, self.model.noise]], device=self.device)
        both = Conditioning(
            torch.cat([torch.zeros_like(embedding), embedding]),
            None,
            told.float().expand(2, -1),
            torch.cat([torch.zeros_like(beside), beside]),
        )
        pair = self.denoiser.denoise(both)
        # a further window goes on with the guidance of the last frame of the one before, and rises no more
        low, high = settings.guidance
        scales = rising(low if places.start == 0 else high, high, frames, slice(0, frames))
        scale = torch.tensor(scales, device=self.device)[None, None, :, None, None]

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            null, given = pair(torch.cat([x_t, x_t]), torch.cat([t, t])).chunk(2)
            return null + scale.to(given.dtype) * (given - null)

        return denoise

    def _decoded(self, latents: Tensor) -> NDArray[np.float32]:
        """[1, Z, T, h, w] -> [T, 3, H, W] in [-1, 1]."""
        clips = self.codec.decode(latents / self.model.scale).float().clamp(-1, 1)
        return clips[0].transpose(0, 1).cpu().numpy()


def _like(rng: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Noise of stochastic samplers."""
    return lambda x: torch.randn(x.shape, generator=rng).to(x)


def _reporter(
    on_step: OnStep, steps: int, places: slice, item: int, shown: Callable[[Tensor], Video]
) -> Callable[[Step], None]:
    def told(step: Step) -> None:
        @torch.inference_mode()
        def clips() -> list[Any]:
            return [shown(step.x_0)]

        name = f"frames {places.start + 1} to {places.stop}"
        on_step(Progress(step.index + 1, steps, name, (item,), clips))

    return told


def _on_white(material: Material) -> tuple[Material, tuple[str, ...]]:
    """What was given, opaque; a warning where that changes it."""
    given, frames = material.frames[: material.begins], material.frames.copy()
    clear = bool((given[:, 3] < 1).any())
    if clear:
        frames[: material.begins, :3] = np.clip(given[:, :3] + (1 - given[:, 3:]), -1, 1)
    frames[:, 3] = 1
    warnings = ("the model has no transparency: what was given lies on white",) if clear else ()
    return replace(material, frames=frames), warnings


def build_stable_video(values: Mapping[str, Any], folder: Path, device: str = "cpu") -> StableVideoGenerator:
    """The generator that a recipe.json describes, with the weights beside it."""
    model = from_dict(StableVideoModel, values, where="recipe.json")
    with no_initialization():
        parts: list[tuple[nn.Module, str]] = [
            (SpatioTemporalUNet(model.network), UNET),
            (TemporalAutoencoder(model.codec), CODEC),
            (CLIPVision(model.vision), VISION),
        ]
    for network, file in parts:
        load_weights(network, folder / file, None)
        network.eval().requires_grad_(False).to(device)
    unet, codec, vision = (network for network, _ in parts)
    assert isinstance(unet, SpatioTemporalUNet)
    assert isinstance(codec, TemporalAutoencoder) and isinstance(vision, CLIPVision)
    return StableVideoGenerator(model, unet, codec, vision, device)
