"""All figures of a model beside their floors and ceilings: `evaluate_model` draws, measures, says what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.data.batches import ImageBatches
from text2x.data.imageset import ImageSet, Split
from text2x.errors import InputError
from text2x.evaluating.asking import Asked, Subject, Tell, asked_of, drawn, training_batches
from text2x.evaluating.instruments import Instruments, real_parts
from text2x.generators import DiffusionGenerator
from text2x.guides import ClassifierGuide, Judge
from text2x.metrics.agreement import DISTRACTORS, Distractors, accuracy, chance, r_precision
from text2x.metrics.bench import bench
from text2x.metrics.companions import halves, noise, retrieved
from text2x.metrics.copies import copies
from text2x.metrics.evaluation import EvaluationConfig, Figures, evaluate
from text2x.metrics.features import FeatureSpace
from text2x.metrics.intervals import mean, rate
from text2x.metrics.metric import Metric, exact, to_json
from text2x.metrics.pictures import TEXTS, Pictures
from text2x.objectives import Denoising

MOST = 2000  # pictures a side of a distance
DIMS = 64  # principal components of a Fréchet distance at most, and a tenth of the pictures
ITEMS, TOGETHER = 64, 8  # pictures of a part that the held-out loss is taken on; those of a batch
WORST = 8  # pairs a space on the sheet of copies
TOLD_ALREADY = ("R-precision: no judge was given", "retrieval: no sentence encoder was given")


@dataclass(frozen=True)
class EvaluationPlan:
    """How much is asked: prompts of each part, pictures of each prompt, their side, and whether in bfloat16."""

    prompts: int = 100
    seeds: int = 3
    size: int | None = None  # pixels; None: the model's own
    fast: bool = False
    bench: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)  # further fields of the requests


@dataclass(frozen=True, eq=False)
class Pair:
    """A generated picture [4, H, W] and the training picture that it may be a copy of."""

    generated: Tensor
    training: Tensor
    ratio: float  # nearest over second-nearest distance
    prompt: str
    caption: str  # of the training picture
    space: str


@dataclass(frozen=True, eq=False)
class Report:
    """Figures by part, source and name; the bench by kind and source; held-out losses by part and noise level."""

    about: Mapping[str, Any]
    figures: Mapping[str, Mapping[str, Figures]]
    bench: Mapping[str, Mapping[str, Metric]]
    losses: Mapping[str, Mapping[str, Metric]]
    left_out: tuple[str, ...]
    pairs: tuple[Pair, ...]
    pictures: Pictures

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; pictures are not among them."""
        figures = {name: to_json(getattr(self, name)) for name in ("figures", "bench", "losses")}
        return {**self.about, **figures, "left_out": list(self.left_out)}


def evaluate_model(
    subject: Subject,
    images: ImageSet,
    instruments: Instruments,
    plan: EvaluationPlan | None = None,
    tell: Tell | None = None,
) -> Report:
    """Draw what is asked of every model, and measure it part by part; raises InputError if nothing can be asked."""
    plan = plan or EvaluationPlan()
    size = size_of(subject, images, plan)
    real = real_parts(images, subject, size)
    if "train" not in real:
        raise InputError(f"the data set {images.name!r} has no training pictures to compare with; give another --data")
    asked = asked_of(images, subject, plan.prompts)
    made = drawn(subject, asked, plan.seeds, size, plan.fast, plan.options, tell)
    if instruments.classifier is not None and "classifier" in str(made.settings.get("guidance")):
        reason = "accuracy of a classifier: one guided the pictures, so it cannot measure them"
        instruments = replace(instruments, classifier=None, left_out=(*instruments.left_out, reason))
    left_out = [*instruments.left_out, *(f"less than was asked for: {each}" for each in asked.missing), *made.warnings]
    figures = _figures(made.pictures, real, images, instruments, left_out, tell)
    found = _bench(subject, real["train"], instruments, plan, left_out, tell) if plan.bench else {}
    losses = _losses(subject, images, left_out)
    pairs = _pairs(made.pictures, real["train"], instruments.spaces)
    about = {
        "model": subject.name,
        "data": images.name,
        "styles": list(subject.styles),
        "prompts": {part: sum(each == part for each in asked.parts) for part in dict.fromkeys(asked.parts)},
        "seeds": plan.seeds,
        "size": size,
        "precision": "bfloat16" if plan.fast else "float32",
        "settings": {name: value for name, value in made.settings.items() if value != ""},
        "seconds_a_picture": round(made.seconds, 4),
        "spaces": [space.name for space in instruments.spaces],
    }
    return Report(about, figures, found, losses, tuple(dict.fromkeys(left_out)), pairs, made.pictures)


def size_of(subject: Subject, images: ImageSet, plan: EvaluationPlan) -> int:
    """Side of the pictures that are compared; more than the data set's own raises InputError."""
    size = plan.size or subject.size
    if size > images.size:
        raise InputError(
            f"size is {size}; the pictures of {images.name!r} have {images.size} pixels a side: take at most that"
        )
    return size


def _figures(
    made: Pictures,
    real: Mapping[Split, Pictures],
    images: ImageSet,
    instruments: Instruments,
    left_out: list[str],
    tell: Tell | None,
) -> dict[str, dict[str, Figures]]:
    """Every part with as many principal components as its pictures allow."""
    train = real["train"]
    held_out = joined([each for part, each in real.items() if part != "train"], train)
    for place, space in enumerate(instruments.spaces):
        if tell is not None:
            tell("feature spaces: training pictures", place, len(instruments.spaces))
        space(train.images)  # remembered
    figures: dict[str, dict[str, Figures]] = {}
    parts = list(dict.fromkeys(made.parts))
    for place, part in enumerate(parts):
        if tell is not None:
            tell("parts measured", place, len(parts))
        asked = made.of(part)
        side = min(len(asked), len(real[part]) // 2, MOST)
        config = EvaluationConfig(dims=max(2, min(DIMS, side // 10)), most=MOST)
        config = replace(config, judge=instruments.judge.space) if instruments.judge else config
        found = evaluate(asked, train, held_out, instruments.spaces, instruments.judge, instruments.sentences, config)
        figures |= found.figures
        left_out += [each for each in found.left_out if each not in TOLD_ALREADY]
        more = _recognised(asked, real[part], train, images, instruments, left_out)
        for source, values in more.items():
            figures[part].setdefault(source, {}).update(values)
    if tell is not None:
        tell("parts measured", len(parts), len(parts))
    return figures


def joined(sets: Sequence[Pictures], like: Pictures) -> Pictures:
    """Pictures of several sets in one; of none: an empty set of the size of `like`."""
    if not sets:
        return like.take([])
    columns = (sum((getattr(each, name) for each in sets), ()) for name in TEXTS)
    return Pictures(torch.cat([each.images for each in sets]), *columns)


def _recognised(
    asked: Pictures,
    real: Pictures,
    train: Pictures,
    images: ImageSet,
    instruments: Instruments,
    left_out: list[str],
) -> dict[str, Figures]:
    """Accuracies of concept, kind and style of each source, and of a guess."""
    sources = {"generated": asked, "real": real.take(halves(len(real), 0, MOST)[1])}
    if instruments.sentences is not None:
        sources["retrieval"] = retrieved(asked, train, instruments.sentences)
    sources["noise"] = noise(asked, 0)
    kinds = {item.concept: item.group for item in images.items}
    figures: dict[str, Figures] = {source: {} for source in (*sources, "chance")}
    for source, pictures in sources.items():
        if not len(pictures):
            continue
        if instruments.classifier is not None:
            figures[source] |= _classified(pictures, kinds, instruments.classifier, figures["chance"])
        if instruments.judge is not None:
            figures[source] |= _styled(
                pictures, sorted({str(each) for each in train.styles}), instruments.judge, figures["chance"]
            )
    part = asked.parts[0]
    if instruments.classifier is not None and not any("concept" in name for name in figures["generated"]):
        left_out.append(f"{part}: concept accuracy, the classifier knows none of these concepts")
    return figures


def _classified(pictures: Pictures, kinds: Mapping[str, str], guide: ClassifierGuide, guess: Figures) -> Figures:
    """Top-1 and top-5 accuracy of the concept where its name is a class, and that of the kind of thing."""
    size = guide.recipe.size
    small = F.interpolate(pictures.images, (size, size), mode="area")
    device = next(guide.network.parameters()).device
    logits, groups = [], []
    with torch.no_grad():
        for part in small.split(64):
            of_classes, of_groups = guide.log_probabilities(part.to(device), torch.zeros(len(part), device=device))
            logits.append(of_classes.cpu())
            groups.append(of_groups.cpu())
    space = f"{guide.recipe.name} {size} px"
    figures: Figures = {}
    for what, names, own, given, tops in (
        ("concept", guide.classes, pictures.prompts, torch.cat(logits), (1, 5)),
        ("kind", guide.groups, [kinds[concept] for concept in pictures.concepts], torch.cat(groups), (1,)),
    ):
        place = {name: number for number, name in enumerate(names)}
        rows = [row for row, name in enumerate(own) if name in place]
        for top in tops if rows else ():
            if top < len(names):
                name = f"{what} accuracy, top {top}, {space}"
                concepts = [pictures.concepts[row] for row in rows]
                figures[name] = accuracy(given[rows], [place[own[row]] for row in rows], space, top, concepts)
                guess[name] = chance(len(names), space, top)
    return figures


def _styled(pictures: Pictures, styles: Sequence[str], judge: Judge, guess: Figures) -> Figures:
    """How often the judge finds a picture nearest to its own prompt in its own style, among the training set's."""
    if len(styles) < 2 or not set(styles) <= set(judge.recipe.conditioner.styles) or None in pictures.styles:
        return {}
    embedded = judge.image_embeddings(pictures.images)
    texts = [judge.text_embeddings(pictures.prompts, [style] * len(pictures)) for style in styles]
    logits = torch.stack([(embedded * each).sum(1) for each in texts], 1)
    name = f"style accuracy, {judge.space}"
    guess[name] = chance(len(styles), judge.space)
    return {
        name: accuracy(logits, [styles.index(str(own)) for own in pictures.styles], judge.space, 1, pictures.concepts)
    }


def _bench(
    subject: Subject,
    train: Pictures,
    instruments: Instruments,
    plan: EvaluationPlan,
    left_out: list[str],
    tell: Tell | None,
) -> dict[str, dict[str, Metric]]:
    """R-precision on the bench by kind of difficulty, among what the bench means; one picture a prompt."""
    judge, prompts = instruments.judge, bench()
    if judge is None:
        left_out.append("the bench of 200 prompts: there is no judge")
        return {}
    means = tuple(each.means for each in prompts)
    count = len(prompts)
    asked = Asked(tuple(each.prompt for each in prompts), means, ("train",) * count, (None,) * count)
    made = drawn(replace(subject, name=f"{subject.name} of the bench"), asked, 1, train.images.shape[-1], plan.fast,
                 plan.options, tell)  # fmt: skip
    left_out += made.warnings
    sources = {"generated": made.pictures, "noise": noise(made.pictures, 0)}
    if instruments.sentences is not None:
        sources["retrieval"] = retrieved(made.pictures, train, instruments.sentences)
    texts = judge.text_embeddings(means)
    others = Distractors(texts, means)
    figures: dict[str, dict[str, Metric]] = {}
    for source, pictures in sources.items():
        embedded = judge.image_embeddings(pictures.images)
        for kind in dict.fromkeys(each.category for each in prompts):
            rows = [row for row, each in enumerate(prompts) if each.category == kind]
            own = [means[row] for row in rows]
            found = r_precision(embedded[rows], texts[rows], own, judge.space, others)
            figures.setdefault(kind, {})[source] = found
        rows = [row for row, each in enumerate(prompts) if each.absent]
        absent = judge.text_embeddings([prompts[row].absent for row in rows])
        kept = (embedded[rows] * texts[rows]).sum(1) > (embedded[rows] * absent).sum(1)
        name = "negation, nearer to the prompt than to what must not be seen"
        figures.setdefault(name, {})[source] = rate(kept.double().numpy(), judge.space)
    for kind, found in figures.items():
        found["chance"] = chance(2 if "nearer" in kind else DISTRACTORS + 1, judge.space)
    return figures


def _losses(subject: Subject, images: ImageSet, left_out: list[str]) -> dict[str, dict[str, Metric]]:
    """The base's error in x_0 by noise level on training pictures and on unseen concepts, of the same N."""
    generator = subject.generator
    if not isinstance(generator, DiffusionGenerator):
        left_out.append(f"held-out denoising loss: {subject.name} is no diffusion model")
        return {}
    stage = generator.stages[0]
    objective = Denoising(stage.denoiser, stage.text, stage.recipe.objective, None, generator.device)
    losses: dict[str, dict[str, Metric]] = {}
    for part in ("train", "unseen-concepts"):
        try:
            batches = ImageBatches(images, training_batches(images, subject, part, stage.recipe.size, TOGETHER))
        except InputError as reason:
            left_out.append(f"held-out denoising loss on {part}: {reason}")
            continue
        count = max(1, min(ITEMS, batches.epoch_size) // TOGETHER)
        plain = (replace(batches.batch_at(step), augmentations=None) for step in range(count))
        found = [objective.held_out([batch], seed=step) for step, batch in enumerate(plain)]
        for name in found[0]:
            values = np.array([each[name] for each in found])
            level = "mean over noise levels" if name == "held_out" else name.removeprefix("held_out/").replace("=", " ")
            space = f"mean square error in x_0, {stage.recipe.size} px"
            metric = mean(values, space, 0, "interval over batches") if count > 1 else exact(float(values[0]), 1, space)
            losses.setdefault(part, {})[level] = replace(metric, n=count * TOGETHER)
    return losses


def _pairs(made: Pictures, train: Pictures, spaces: Sequence[FeatureSpace]) -> tuple[Pair, ...]:
    """The pictures most like a copy, in each space."""
    pairs = []
    for space in spaces:
        found = copies(space(made.images), space(train.images), space.name)
        for row, known in found.worst(WORST):
            both, ratio = (made.images[row], train.images[known]), float(found.ratios[row])
            pair = Pair(*both, ratio, made.prompts[row], train.prompts[known], space.name)
            pairs.append(pair)
    return tuple(pairs)
