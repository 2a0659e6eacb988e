"""Generators: a request to media. Item i depends on the model, the request and seed + i, not on the batch it is in.

On a CPU each item goes through the networks alone, its conditional and null row together, so that every item meets
calls of the same shape: bytes are then equal however many are asked for. On a GPU items go together.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from text2x.cascades import Cascade, check_chain, largest, passes, upsample
from text2x.diffusion.samplers import SAMPLERS, Step
from text2x.editing import scale_keep, scale_to
from text2x.edits import Edit, Inpainting, Outpainting, Upscaling, Variation
from text2x.errors import InputError
from text2x.guiding import Leaders, led
from text2x.latents import entered, side_of
from text2x.media import Image
from text2x.painting import inpainted, outpainted, picture_of, varied
from text2x.recipe import Model, image_embedding_width
from text2x.requests import ImageRequest, OnStep, Progress, Result, unknown
from text2x.sampling import CHANNELS, Beginning, Region, TrainedStage, Walk, stage_seed, walk
from text2x.settings import Reporter, Run, Settings, guidance_of, has_hole, reads_masks
from text2x.unclip import Imagined, UnCLIP, check_sees, edit_settings, imagine, reimagines
from text2x.upscaling import terms_of, upscale_settings, upscaled

CPU_ITEMS, GPU_ITEMS = 1, 64  # that go through the networks together
LARGEST_PAINTED = 256  # pixels a side at which a window is painted; a larger one is scaled
PAINTING_GUIDANCE = 1.5  # at most, if the request says nothing: more of it pulls the hole away from what is around it
WITHOUT_CHANNELS = "repaint"  # the method for a network that was not trained with masks


class DiffusionGenerator:
    """Text to image by diffusion: a base that reads the prompt, then upsamplers as far as the size needs them.

    Upsamplers alone make pictures larger, and nothing from words.

    `leaders` are the networks that guidance may ask for, `unclip` the CLIP and the prior of DALL-E 2. `together` is
    how many items go through the networks at once; on a CPU more than one is faster, but an item's last bits then
    depend on how many there are.
    """

    def __init__(
        self,
        model: Model,
        stages: tuple[TrainedStage, ...],
        device: str = "cpu",
        leaders: Leaders | None = None,
        together: int | None = None,
        unclip: UnCLIP | None = None,
    ) -> None:
        check_chain(stages)
        self.model, self.stages, self.device = model, stages, torch.device(device)
        self.leaders, self.unclip = leaders or Leaders(), unclip
        self.together = together or (CPU_ITEMS if self.device.type == "cpu" else GPU_ITEMS)

    def with_stages(self, stages: tuple[TrainedStage, ...]) -> DiffusionGenerator:
        """The same generator with other stages: its size is one that they make, its CLIP goes with its decoder."""
        check_chain(stages)
        other = copy.copy(self)
        other.stages = stages
        sizes = [stages[0].recipe.size, *(each.size for each in passes(stages))]
        if self.model.size not in sizes or len(self.stages) == 1:
            other.model = replace(self.model, size=sizes[min(1, len(sizes) - 1)])
        width = image_embedding_width(stages[0].recipe)
        if self.unclip is not None and width != self.unclip.clip.width:
            if width:
                made = f"the CLIP of {self.model.name} makes embeddings of {self.unclip.clip.width} numbers"
                raise InputError(f"{made}, and the base {stages[0].recipe.name} reads {width}; take that model whole")
            other.unclip = None
        return other

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that a request may name."""
        conditioner = self.stages[0].recipe.conditioner
        return () if conditioner is None else conditioner.styles

    @property
    def largest(self) -> int:
        """The side of the largest square that it makes, in pixels."""
        return largest(self.stages)

    def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
        """One result an item, in order; raises InputError for what this model cannot do."""
        request, cleaning = request.cleaned()
        request = request.seeded()
        assert request.seed is not None
        settings, ignored = self.settings(request)
        warnings = (*cleaning, *ignored)
        together = self.together if request.edit is None else 1
        results: list[Result] = []
        for start in range(0, request.count, together):
            items = tuple(range(start, min(start + together, request.count)))
            seeds = [request.seed + item for item in items]
            run = Run(settings, self._reporter(on_step, items, settings))
            if request.edit is None:
                pictures, more = self.images(self._make(run, seeds, settings.size), settings.size), ()
            elif isinstance(request.edit, Upscaling):
                larger, more = self._upscaled(request, run, seeds[0])
                pictures = [larger]
            else:
                edited, more = self._edited(request.edit, run, seeds[0])
                pictures = [edited]
            shares = {name: seconds / len(items) for name, seconds in run.timings.items()}
            described = {**settings.as_dict(), **run.chosen, "model": self.model.name, **self._origins()}
            results += [
                Result(picture, seed, (*warnings, *more), shares, described)
                for picture, seed in zip(pictures, seeds, strict=True)
            ]
        return results

    def settings(self, request: ImageRequest) -> tuple[Settings, tuple[str, ...]]:
        """The request with the model's defaults, and what of it is ignored or cut off."""
        if isinstance(request.edit, Upscaling):
            return upscale_settings(request, self.stages, self.model.name)
        if self.stages[0].recipe.low_resolution is not None:
            raise InputError(f"the model {self.model.name} has no stage that reads a prompt: its first is an upsampler")
        defaults = self.stages[0].recipe.sampling
        size = self.model.size if request.size is None else request.size
        if size > self.largest:
            most = f"makes pictures of at most {self.largest} pixels"
            raise InputError(f"size is {size}; the model {self.model.name} {most}")
        sampler = request.sampler or defaults.sampler
        if sampler not in SAMPLERS:
            raise unknown("sampler", sampler, SAMPLERS)
        style = request.style or defaults.style
        if style is not None and style not in self.styles:
            raise unknown("style", style, self.styles)
        scale = min(defaults.guidance, PAINTING_GUIDANCE) if has_hole(request.edit) else defaults.guidance
        settings = Settings(
            prompt=request.prompt,
            negative=request.negative,
            steps=request.steps or defaults.steps,
            sampler=sampler,
            guidance=guidance_of(request.guidance, scale, defaults.threshold),
            guidance_interval=request.guidance_interval or defaults.guidance_interval,
            style=style,
            size=size,
            also=request.also,
            method=self._method(request.edit),
        )
        unused = () if request.truncation is None else ("truncation is for GANs; this model ignores it",)
        check_sees(request.edit, self.unclip, self.model.name)
        if self.unclip is not None and reimagines(request.edit):
            settings, more = edit_settings(settings, request)
            unused = (*unused, *more)
        return settings, (*self._warnings(settings), *unused)

    def _method(self, edit: Edit | None) -> str | None:
        """How a known region is used: as asked for, or as well as the network can."""
        if not has_hole(edit):
            return None
        assert isinstance(edit, (Inpainting, Outpainting))
        able = reads_masks(self.stages[0].recipe)
        if edit.method == CHANNELS and not able:
            raise InputError(
                f"the model {self.model.name} was not trained with masks, so the method channels is not for it; "
                "take keep, repaint, langevin or differential"
            )
        return edit.method or (CHANNELS if able else WITHOUT_CHANNELS)

    def _warnings(self, settings: Settings) -> Iterator[str]:
        text = self.stages[0].text
        for name in ("prompt", "negative"):
            texts = [stage.text for stage in self.stages if stage.text is not None]
            dropped = next((cut for each in texts if (cut := each.truncated(getattr(settings, name)))), None)
            if dropped:
                yield f"the end of the {name} does not fit and is ignored: {dropped!r}"
        asked = settings.asked()
        for prompt, _ in asked.further:
            if text is not None and (dropped := text.truncated(prompt)):
                yield f"the end of a further prompt does not fit and is ignored: {dropped!r}"
        uses_null = asked.needs("cfg") or asked.needs("apg") or asked.further
        if settings.negative and not uses_null:
            without = f"guidance is {settings.guidance}, without cfg or apg"
            yield f"{without}, so the negative prompt is ignored: {settings.negative!r}"

    def _make(
        self,
        run: Run,
        seeds: list[int],
        size: int,
        known: Region | None = None,
        begin: Beginning | None = None,
        imagined: Imagined | None = None,
    ) -> Tensor:
        """Pictures [B, 4, S, S] of the least size that the stages make and that is not below the one asked for."""
        base = self.stages[0].recipe.size
        with run.timed("text"):
            at_base = None if known is None else known.at(base)
            sampler = run.settings.sampler
            at_base, begin_base = entered(self.stages[0], base, at_base, begin)
            asked = run.settings.asked()
            if self.unclip is not None:
                asked = self.unclip.imagined(asked, seeds, None if imagined is None else imagined.embedding)
            lead = led(self.stages[0], asked, self.leaders, self.model.name, len(seeds), at_base, sampler)
            run.chosen.update(lead.chosen)
            options = lead.options if imagined is None else (*lead.options, ("eta", imagined.eta))
            start = None if imagined is None else imagined.x
        with run.timed("base"), torch.inference_mode():
            steps = run.settings.steps
            side, report = side_of(self.stages[0], base), run.report("base", steps)
            plan = Walk(tuple(seeds), side, sampler, steps, at_base, begin_base, options, report, start=start)
            x = self.stages[0].codec.decode(walk(self.stages[0].recipe, lead.denoise, plan, self.device))
        with run.timed("upsampler"), torch.inference_mode():
            cascade = Cascade(self.stages, self.model.name, run, tuple(seeds), self.device, known, begin)
            for each in passes(self.stages):
                if x.shape[-1] < size:
                    x = upsample(x, each.place, cascade)
        return x

    def _upscaled(self, request: ImageRequest, run: Run, seed: int) -> tuple[Image, tuple[str, ...]]:
        """One picture made larger, and warnings."""
        assert isinstance(request.edit, Upscaling)
        terms = None if request.guidance is None else terms_of(request, self.stages[0].recipe.sampling)
        cascade = Cascade(
            self.stages, self.model.name, run, (seed,), self.device,
            sampler=request.sampler, steps=request.steps, terms=terms,
        )  # fmt: skip
        with run.timed("upsampler"), torch.inference_mode():
            return upscaled(request.edit, cascade)

    def _edited(self, edit: Edit, run: Run, seed: int) -> tuple[Image, tuple[str, ...]]:
        """One picture made from a picture, and warnings about its mask."""

        coarse: dict[int, str] = {}  # by the side of a window

        def paint(pixels: np.ndarray, keep: np.ndarray, window: int) -> np.ndarray:
            side, size = pixels.shape[-1], self._painting_size(pixels.shape[-1])
            if size < side:
                coarse[side] = f"{side} pixels a side are painted at {size} and enlarged, which is not sharp"
            known = None if reimagines(edit) else keep
            image = torch.from_numpy(scale_to(pixels, size, known))[None]
            own = [seed if window == 0 else stage_seed(seed, -1, window)]
            if self.unclip is not None and reimagines(edit):
                with run.timed("inversion"):
                    imagined = imagine(edit, self.unclip, self.stages[0], run.settings, image, own[0])
                made = self._make(run, own, size, imagined=imagined)
            elif isinstance(edit, Variation):
                made = self._make(run, own, size, begin=Beginning(image, edit.strength))
            else:
                assert isinstance(edit, (Inpainting, Outpainting))
                mask = torch.from_numpy(scale_keep(keep, size))[None, None]
                assert run.settings.method is not None
                made = self._make(run, own, size, Region(image, mask, run.settings.method, edit.rounds))
            return scale_to(made[0].float().clamp(-1, 1).cpu().numpy(), side)

        warnings: tuple[str, ...] = ()
        if isinstance(edit, Inpainting):
            picture, warnings = inpainted(edit, self.model.size, paint)
        elif isinstance(edit, Outpainting):
            picture = outpainted(edit, self.model.size, paint)
        else:
            picture = varied(picture_of(edit.image), self.model.size, paint)
        return picture, (*warnings, *([coarse[max(coarse)]] if coarse else []))

    def _painting_size(self, side: int) -> int:
        """The side at which a window is painted: that of a stage, not below the window's unless it is too large."""
        size = self.stages[0].recipe.size
        for each in passes(self.stages):
            if size >= min(side, max(self.model.size, LARGEST_PAINTED)):
                break
            size = each.size
        return size

    def _origins(self) -> dict[str, str]:
        """Where stages were taken from that are not the model's own."""
        places = {str(place): stage.origin for place, stage in enumerate(self.stages) if stage.origin is not None}
        return {f"stage {place}": origin for place, origin in places.items()}

    def images(self, x: Tensor, size: int) -> list[Image]:
        """Pictures whose longer side is the wanted size from [B, 4, H, W]."""
        pictures = [Image(each.clamp(-1, 1).numpy()) for each in x.float().cpu()]
        height, width = x.shape[-2:]
        wide, high = (max(1, round(side * size / max(height, width))) for side in (width, height))
        return [each if (each.width, each.height) == (wide, high) else each.resize(wide, high) for each in pictures]

    def _reporter(self, on_step: OnStep | None, items: tuple[int, ...], settings: Settings) -> Reporter:
        def report(name: str, steps: int) -> Callable[[Step], None] | None:
            tell = on_step
            if tell is None:
                return None

            def told(step: Step) -> None:
                estimate = step.x_0

                @torch.inference_mode()
                def shown() -> list[Image]:
                    seen = self.stages[0].codec.decode(estimate) if name == "base" else estimate
                    return self.images(seen, max(settings.size, seen.shape[-1]))

                tell(Progress(step.index + 1, steps, name, items, shown))

            return told

        return report
