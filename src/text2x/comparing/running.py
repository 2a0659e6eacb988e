"""The comparison itself: train what the methods need, keep weights on the way, draw, measure; every part is resumed.

In the folder: runs/TRAINING/{plan.json, points/0.25/{recipe.json, averages/, point.json}, ...} and
drawings/METHOD-0.25/{pictures.safetensors or clips.safetensors, values.json}. What is there already is not made again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from text2x.comparing.budgets import (
    AnyRecipe,
    Budget,
    Cost,
    advance,
    cost_of,
    fitted_to,
    prepared,
    recipe_of,
    steps_for,
)
from text2x.comparing.claims import ComparisonSet, Makes, Method
from text2x.comparing.clips import CLIPS
from text2x.comparing.medium import Medium, Yard
from text2x.comparing.pictures import PICTURES
from text2x.comparing.sounds import SOUNDS
from text2x.comparing.systems import comes_first, reads_embeddings, told_of
from text2x.comparing.verdicts import Values, values_from_dict
from text2x.config import to_dict
from text2x.errors import InputError
from text2x.evaluating.asking import Tell
from text2x.files import load_tensors, read_json, save_tensors, write_json
from text2x.latents import CODEC_FILE

FRACTIONS = (0.25, 0.5, 1.0)  # of the budget, at which weights are kept
FORMAT = 1
MEDIA: Mapping[Makes, Medium] = {"pictures": PICTURES, "clips": CLIPS, "sounds": SOUNDS}


@dataclass(frozen=True)
class Training:
    """A recipe with settings and a share of the budget that some methods have in common, and the name of its folder."""

    recipe: str
    settings: tuple[str, ...]
    share: float = 1.0
    needs: tuple[Training, ...] = ()  # trained first: the codec or the CLIP that it learns from

    @property
    def name(self) -> str:
        """The recipe, its share, and a hash of the settings and of what it needs where there are any."""
        name = self.recipe if self.share == 1 else f"{self.recipe}-{self.share:g}"
        if not self.settings and not self.needs:
            return name
        about = [self.settings, [each.name for each in self.needs]] if self.needs else self.settings
        return f"{name}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Point:
    """Where a training stood when its weights were kept."""

    fraction: float
    step: int
    seconds: float


@dataclass(frozen=True)
class Drawing:
    """What a method drew at one point of its training, with `steps` of its sampler (None: its own), measured."""

    method: str
    fraction: float
    steps: int | None
    training_seconds: float  # of the method with its guide and its parts together
    sampling_seconds: float  # an item
    settings: Mapping[str, Any]
    values: Values


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that the report shows."""

    chosen: ComparisonSet
    budget: Budget
    trainings: Mapping[str, Mapping[str, Any]]  # by name: steps, seconds, operations, parameters
    drawings: tuple[Drawing, ...]
    companions: Mapping[str, Values]
    yard: Yard
    folder: Path

    @property
    def medium(self) -> Medium:
        """What the methods make."""
        return MEDIA[self.chosen.makes]

    def final(self, method: str) -> Drawing:
        """A method at the end of its training, as it samples."""
        return next(
            each for each in self.drawings if (each.method, each.fraction, each.steps) == (method, FRACTIONS[-1], None)
        )


def trainings_of(method: Method) -> tuple[Training, ...]:
    """What a method needs trained: its base, then its guide and its other parts."""
    others = () if method.guide is None else (Training(method.guide, method.guide_settings),)
    first = tuple(Training(part.recipe, part.settings, part.share) for part in method.parts if comes_first(part.recipe))
    for part in method.parts:
        if not comes_first(part.recipe):
            needs = first if reads_embeddings(part.recipe) else ()
            others = (*others, Training(part.recipe, part.settings, part.share, needs))
    return (Training(method.recipe, method.settings, method.share, first), *first, *others)


def in_order(methods: Sequence[Method]) -> list[Training]:
    """Every training once, after those that it needs."""
    return list(dict.fromkeys(each for method in methods for one in trainings_of(method) for each in (*one.needs, one)))


def points_of(folder: Path, method: Method, fraction: float) -> list[Path]:
    """The weights of each training of a method at a fraction of the budget; what the base needs was there from then."""
    trainings = trainings_of(method)
    return [point_folder(folder, each, 1.0 if each in trainings[0].needs else fraction) for each in trainings]


def compare(
    chosen: ComparisonSet,
    budget: Budget,
    folder: Path,
    judge: Path | None = None,
    device: str = "cpu",
    data_root: Path | None = None,
    tell: Tell | None = None,
) -> Comparison:
    """Train, draw and measure whatever the folder lacks; the same call goes on after an interruption."""
    medium = MEDIA[chosen.makes]
    data = medium.data_set(chosen.data, data_root)
    _same_question(chosen, budget, folder)
    trainings = in_order(chosen.methods)
    recipes = {each: recipe_of(each.recipe, each.settings, chosen.data, chosen.makes) for each in trainings}
    for method in chosen.methods:
        medium.check(method, [recipes[each] for each in trainings_of(method)])
    for number, each in enumerate(trainings):
        if tell is not None:
            tell(f"trainings ({each.name})", number, len(trainings))
        _train(each, recipes[each], budget.part(each.share), folder, device, data_root)
    return _drawn(chosen, budget, data, folder, judge, device, tell, make=True)


def rendered(
    chosen: ComparisonSet, folder: Path, judge: Path | None = None, device: str = "cpu", data_root: Path | None = None
) -> Comparison:
    """What the folder holds, without training or drawing; raises InputError if a part of it is not there yet."""
    kept = read_json(folder / "comparison.json")
    budget = Budget(**kept["budget"])
    data = MEDIA[chosen.makes].data_set(chosen.data, data_root)
    return _drawn(chosen, budget, data, folder, judge, device, None, make=False)


def _same_question(chosen: ComparisonSet, budget: Budget, folder: Path) -> None:
    """Keep what is compared, and refuse a folder that holds something else."""
    path = folder / "comparison.json"
    asked = {"format": FORMAT, "data": chosen.data, "budget": asdict(budget)}
    if not path.is_file():
        write_json(path, asked)
    elif (kept := read_json(path)) != asked:
        was = Budget(**kept["budget"])
        raise InputError(
            f"{folder} holds a comparison on {kept['data']} with {was}, not on {chosen.data} with {budget}; give "
            "another --runs, or the same data and budget to go on with it"
        )


# Training


def _train(
    each: Training, recipe: AnyRecipe, budget: Budget, folder: Path, device: str, data_root: Path | None
) -> None:
    """Train to each fraction of the budget in turn and keep the weights there."""
    place = folder / "runs" / each.name
    recipe = told_of(recipe, [point_folder(folder, need, 1.0) for need in each.needs])
    if all((point_folder(folder, each, fraction) / "point.json").is_file() for fraction in FRACTIONS):
        return
    if not (place / "plan.json").is_file():
        cost = cost_of(recipe, device, data_root)
        write_json(place / "plan.json", {"steps": steps_for(budget, cost), **asdict(cost)})
    plan = read_json(place / "plan.json")
    cost = Cost(plan["operations"], plan["seconds"], plan["parameters"])
    run = prepared(fitted_to(recipe, plan["steps"]), device, data_root, place)
    for fraction in FRACTIONS:
        target = point_folder(folder, each, fraction)
        if (target / "point.json").is_file():
            continue
        most = max(1, round(plan["steps"] * fraction))
        limit = float("inf") if budget.seconds is None else budget.seconds * fraction - cost.seconds

        def reached(step: int, seconds: float, most: int = most, limit: float = limit) -> bool:
            return step >= most or seconds >= limit

        step, seconds = advance(run, place, reached)
        _keep(place, target, Point(fraction, step, seconds), run.recipe)


def point_folder(folder: Path, training: Training, fraction: float) -> Path:
    """Where the weights of a training at a fraction of the budget lie."""
    return folder / "runs" / training.name / "points" / f"{fraction:g}"


def _keep(run: Path, target: Path, point: Point, recipe: AnyRecipe) -> None:
    """Copy the averaged weights and the recipe; the point's own file comes last."""
    name = f"{recipe.training.averages[0]}.safetensors"
    (target / "averages").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / "averages" / name, target / "averages" / name)
    if (run / CODEC_FILE).is_file():
        shutil.copyfile(run / CODEC_FILE, target / CODEC_FILE)
    write_json(target / "recipe.json", to_dict(recipe))
    write_json(target / "point.json", asdict(point))


# Drawing and measuring


def generator_at(folder: Path, method: Method, fraction: float, device: str, makes: Makes = "pictures") -> Any:
    """The method's generator with the weights at a fraction of the budget, its guide and parts at the same."""
    own, *others = points_of(folder, method, fraction)
    return MEDIA[makes].generator(own, others, device)


def _drawn(
    chosen: ComparisonSet,
    budget: Budget,
    data: Any,
    folder: Path,
    judge: Path | None,
    device: str,
    tell: Tell | None,
    make: bool,
) -> Comparison:
    """Draw and measure what is missing, or (make: no) say that it is."""
    medium = MEDIA[chosen.makes]
    jobs: list[_Job] = [_Job(method, fraction) for method in chosen.methods for fraction in FRACTIONS]
    for method in chosen.methods:
        plain = read_json(_there(point_folder(folder, trainings_of(method)[0], 1.0) / "recipe.json", make))
        jobs += [] if medium.one_step(plain) else [_Job(method, 1.0, steps) for steps in chosen.steps]
    generators = {each.name: generator_at(folder, each, 1.0, device, chosen.makes) for each in chosen.methods}
    yard = medium.yardstick(chosen, data, generators, judge, device)
    curves = yard.of_few(chosen.curve_prompts)
    drawings = []
    for number, job in enumerate(jobs):
        if tell is not None:
            tell(f"drawings ({job.method.name})", number, len(jobs))
        own = yard if (job.fraction, job.steps) == (FRACTIONS[-1], None) else curves
        drawings.append(_drawing(chosen.makes, folder, job, own, device, make))
    plans = {}
    for each in in_order(chosen.methods):
        point = read_json(point_folder(folder, each, 1.0) / "point.json")
        plan = read_json(folder / "runs" / each.name / "plan.json")
        plans[each.name] = {
            "recipe": each.recipe, "settings": list(each.settings), "share": each.share,
            "needs": [need.name for need in each.needs], "parameters": plan["parameters"],
            "multiply_adds_a_step": plan["operations"], "steps_planned": plan["steps"], "steps": point["step"],
            "seconds": point["seconds"],
        }  # fmt: skip
    return Comparison(chosen, budget, plans, tuple(drawings), medium.companions(yard), yard, folder)


def _there(path: Path, make: bool) -> Path:
    if not make and not path.is_file():
        raise InputError(f"{path} is not there yet; run the comparison without --render first")
    return path


@dataclass(frozen=True)
class _Job:
    """What is drawn: a method at a fraction of its budget, with so many sampling steps (None: its own)."""

    method: Method
    fraction: float
    steps: int | None = None

    def place(self, folder: Path) -> Path:
        """The folder of the drawing."""
        return drawing_folder(folder, self.method.name, self.fraction, self.steps)


def _drawing(makes: Makes, folder: Path, job: _Job, yard: Yard, device: str, make: bool) -> Drawing:
    """One drawing, from the folder where it is there for the same question."""
    medium, method, place = MEDIA[makes], job.method, job.place(folder)
    options = dict(method.options) if job.steps is None else {**method.options, "steps": job.steps}
    points = [read_json(point / "point.json") for point in points_of(folder, method, job.fraction)]
    question = yard.question({"options": options, "points": points})
    about = read_json(place / "values.json") if (place / "values.json").is_file() else {}
    if about.get("question") != question:
        if not make:
            raise InputError(f"{place} was drawn for another question, or is missing; run it without --render first")
        made = medium.draw(yard, method.name, generator_at(folder, method, job.fraction, device, makes), options)
        save_tensors(place / medium.file, {"images": made.levels})
        about = {"question": question, "seconds": made.seconds, "settings": dict(made.settings)}
    if about.get("measures") != yard.measures():
        values = medium.measure(yard, load_tensors(place / medium.file)["images"])
        about |= {"measures": yard.measures(), "values": values.to_json()}
        write_json(place / "values.json", about)
    taken = sum(each["seconds"] for each in points)
    values = values_from_dict(about["values"])
    return Drawing(method.name, job.fraction, job.steps, taken, about["seconds"], about["settings"], values)


def drawing_folder(folder: Path, method: str, fraction: float, steps: int | None = None) -> Path:
    """Where what a method drew lies."""
    plain = "".join(sign if sign.isalnum() else "-" for sign in method)
    return folder / "drawings" / f"{plain}-{fraction:g}{'' if steps is None else f'-{steps}-steps'}"


def levels_of(comparison: Comparison, method: str) -> torch.Tensor:
    """What a method drew at the end of its training, uint8 [N, ...], as it was kept."""
    return load_tensors(drawing_folder(comparison.folder, method, 1.0) / comparison.medium.file)["images"]
