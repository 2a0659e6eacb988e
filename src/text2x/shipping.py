"""From training runs to a model's or guides' folder: averaged weights packed small, recipe.json with their hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from text2x.checkpoints import export
from text2x.codecs import LatentCodecConfig
from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import file_hash, load_tensors, read_json, save_tensors, write_bytes, write_json
from text2x.latents import CODEC_FILE
from text2x.priors import PriorRecipe
from text2x.recipe import Guide, GuideRecipe, Guides, Model, PriorPart, Recipe, Stage, WeightFile, trained_from_dict
from text2x.weights import SCALE, Packing, pack


@dataclass(frozen=True)
class Part:
    """A training run that becomes a stage: its folder and which of its averages, as "0.999" or "best-0.999"."""

    folder: Path
    average: str | None = None  # None: the first one of the recipe


@dataclass(frozen=True)
class About:
    """What a model folder says of itself."""

    name: str
    summary: str | None  # None: the first recipe's
    licence: str
    size: int | None = None  # None: the base's, doubled once if there is an upsampler
    attribution: tuple[str, ...] = ()
    guides: Mapping[str, str] = field(default_factory=dict)  # of a model: "classifier", "clip", "auto" -> folder
    upsampler: str | None = None  # of a model: a folder beside whose upsamplers follow its own stages
    clip: str | None = None  # of a decoder of DALL-E 2: the folder of its CLIP


def ship(parts: Sequence[Part], about: About, target: Path, packing: Packing = "int8") -> Model | Guides:
    """Write a folder from runs; what is there already is replaced.

    Image runs, the one that reads prompts first, make a model; a model that is packed already may stand in the place of
    upsamplers: its own are named, and it has to lie beside. Runs of guides make a guides' folder. A decoder of
    DALL-E 2 is packed with the run of its prior and with its CLIP: a run, which is packed too, or a guides' folder that
    is packed already, which is named only and has to lie beside.
    """
    larger = [part.folder for part in parts if _is_packed(part.folder, Model)]
    if larger:
        about = replace(about, upsampler=_with_upsampler(larger))
        parts = [part for part in parts if part.folder not in larger]
    named = [part.folder for part in parts if _is_packed(part.folder)]
    about = replace(about, clip=named[0].resolve().name) if named else about
    parts = [part for part in parts if part.folder not in named]
    if not parts:
        raise InputError("a model needs at least one training run")
    recipes = [_recipe_of(part.folder) for part in parts]
    images = [recipe for recipe in recipes if isinstance(recipe, Recipe)]
    if not images and any(isinstance(recipe, PriorRecipe) for recipe in recipes):
        raise InputError("a prior makes no pictures; pack it together with the run of its decoder, as dalle2")
    told = [recipe for recipe in recipes if _is_told(recipe)] if images else []
    guides = [recipe for recipe in recipes if isinstance(recipe, GuideRecipe) and recipe not in told]
    _check_told(images, told, about)
    if images and guides:
        raise InputError(f"{guides[0].name!r} is a guide and {images[0].name!r} a model; pack them into two folders")
    if len(guides) > 1 and any(guide.kind == "judge" for guide in guides):
        raise InputError("a judge must not guide what it judges; pack it into a folder of its own")
    names = [recipe.name for recipe in recipes]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"two {'guides' if guides else 'stages'} are called {name!r}; a folder takes each name once"
            )
    weights = _write_weights(parts, recipes, target, packing)
    pairs = [(part, recipe) for part, recipe in zip(parts, recipes, strict=True) if isinstance(recipe, Recipe)]
    codecs = _write_codecs([part for part, _ in pairs], images, target, packing)
    made = _model(images, about, weights, codecs) if images else _guides(guides, about, weights)
    made = _with_told(made, told) if isinstance(made, Model) else made
    write_json(target / "recipe.json", to_dict(made))
    return made


def _model(
    recipes: Sequence[Recipe], about: About, weights: Mapping[str, WeightFile], codecs: Mapping[str, WeightFile]
) -> Model:
    base = recipes[0]
    codec = next(iter(codecs), None)
    return Model(
        name=about.name,
        summary=about.summary or base.summary,
        licence=about.licence,
        stages=tuple(
            Stage(packed_recipe(recipe), _file_of(recipe), codec if recipe.codec is not None else None)
            for recipe in recipes
        ),
        weights={**weights, **codecs},
        size=about.size or base.size * _first_factor(recipes, about),
        attribution=about.attribution,
        guides=about.guides,
        upsampler=about.upsampler,
        clip=about.clip,
    )


def _first_factor(recipes: Sequence[Recipe], about: About) -> int:
    """How much larger the first upsampler makes a picture; 2 if it is another model's."""
    lows = [recipe.low_resolution for recipe in recipes[1:] if recipe.low_resolution is not None]
    return lows[0].factor if lows else 2 if about.upsampler is not None else 1


def _file_of(recipe: Recipe | GuideRecipe | PriorRecipe) -> str:
    return f"{recipe.name}.safetensors"


def _with_upsampler(folders: Sequence[Path]) -> str:
    """The name of the packed model whose upsamplers are to follow."""
    if len(folders) > 1:
        raise InputError(f"{folders[0]} and {folders[1]} are packed models; the upsamplers of one can be named")
    values = read_json(folders[0] / "recipe.json")
    if not any((stage.get("recipe") or {}).get("low_resolution") for stage in values.get("stages") or []):
        raise InputError(f"{folders[0]} is a packed model without an upsampler; give the folders of training runs")
    return folders[0].resolve().name


def _is_packed(folder: Path, kind: type = Guides) -> bool:
    """Whether the folder is one of guides, or a model's, that are packed already."""
    path = folder / "recipe.json"
    values = read_json(path) if path.is_file() else None
    return isinstance(values, Mapping) and values.get("type") == kind.__name__


def _is_told(recipe: Recipe | GuideRecipe | PriorRecipe) -> bool:
    """Whether it belongs to a decoder: a prior, or the CLIP whose embeddings it is told."""
    return isinstance(recipe, PriorRecipe) or (isinstance(recipe, GuideRecipe) and recipe.kind == "encoder")


def _check_told(images: Sequence[Recipe], told: Sequence[Recipe | GuideRecipe | PriorRecipe], about: About) -> None:
    reads = bool(images) and images[0].image_embedding is not None
    clips = sum(isinstance(recipe, GuideRecipe) for recipe in told) + (about.clip is not None)
    if told and not reads:
        raise InputError(f"{told[0].name!r} is for a decoder of DALL-E 2, as dalle2, and {images[0].name!r} is none")
    if clips > 1 or len(told) > 2:
        raise InputError("a decoder has one CLIP and one prior; leave the others out")
    if reads and not clips:
        raise InputError(f"{images[0].name!r} is told embeddings; add the run or the packed folder of its CLIP")


def _with_told(model: Model, told: Sequence[Recipe | GuideRecipe | PriorRecipe]) -> Model:
    """The model with the parts of DALL-E 2 that are packed into its folder."""
    for recipe in told:
        if isinstance(recipe, PriorRecipe):
            model = replace(model, prior=PriorPart(recipe, _file_of(recipe)))
        elif isinstance(recipe, GuideRecipe):
            model = replace(model, clip=Guide(recipe, _file_of(recipe)))
    return model


def _guides(recipes: Sequence[GuideRecipe], about: About, weights: Mapping[str, WeightFile]) -> Guides:
    return Guides(
        name=about.name,
        summary=about.summary or recipes[0].summary,
        licence=about.licence,
        guides=tuple(Guide(recipe, file) for recipe, file in zip(recipes, weights, strict=True)),
        weights=weights,
        attribution=about.attribution,
    )


def _write_weights(
    parts: Sequence[Part],
    recipes: Sequence[Recipe | GuideRecipe | PriorRecipe],
    target: Path,
    packing: Packing,
) -> dict[str, WeightFile]:
    """Write every weight file once all of them are packed, and say what they are."""
    weights: dict[str, WeightFile] = {}
    with TemporaryDirectory() as aside:
        for part, recipe in zip(parts, recipes, strict=True):
            file = f"{recipe.name}.safetensors"
            weights[file] = _packed(part, recipe, Path(aside) / file, packing)
        for file in weights:
            write_bytes(target / file, (Path(aside) / file).read_bytes())
    return weights


def _write_codecs(
    parts: Sequence[Part], recipes: Sequence[Recipe], target: Path, packing: Packing
) -> dict[str, WeightFile]:
    """Write the codec of the stages that work on latents; as int8 its faults would show in every pixel: float16."""
    pairs = zip(parts, recipes, strict=False)
    places = [part.folder / CODEC_FILE for part, recipe in pairs if recipe.codec is not None]
    if not places:
        return {}
    if len({file_hash(place) for place in places}) > 1:
        raise InputError("the stages work on latents of different codecs; a model has one, so train them with the same")
    kept: Packing = "float32" if packing == "float32" else "float16"
    tensors = load_tensors(places[0])
    sha256 = save_tensors(target / CODEC_FILE, pack(tensors, kept))
    return {CODEC_FILE: WeightFile(sha256, kept, sum(value.numel() for value in tensors.values()))}


def packed_recipe(recipe: Recipe) -> Recipe:
    """The recipe as a model's folder has it: the hash of the codec's weights is among the model's own."""
    codec = recipe.codec
    return replace(recipe, codec=replace(codec, sha256="")) if isinstance(codec, LatentCodecConfig) else recipe


def _packed(part: Part, recipe: Recipe | GuideRecipe | PriorRecipe, path: Path, packing: Packing) -> WeightFile:
    """Write the averaged weights of a run and say what they are."""
    sha256 = export(part.folder, part.average or str(recipe.training.averages[0]), path, packing)
    tensors = load_tensors(path)
    count = sum(value.numel() for name, value in tensors.items() if not name.endswith(SCALE))
    return WeightFile(sha256, packing, count)


def _recipe_of(folder: Path) -> Recipe | GuideRecipe | PriorRecipe:
    path = folder / "recipe.json"
    if not path.is_file():
        raise InputError(f"{folder} is not the folder of a training run: recipe.json is missing")
    values = read_json(path)
    if isinstance(values, Mapping) and values.get("type") == "AutoencoderRecipe":
        raise InputError(f"{folder} is an autoencoder; it is packed with the model that was trained on its latents")
    return trained_from_dict(values)
