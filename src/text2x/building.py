"""A generator of diffusion from what a recipe.json says, with the weights beside it and the guides that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from text2x.errors import InputError
from text2x.files import read_json
from text2x.generators import DiffusionGenerator
from text2x.guides import load_classifier, load_clip
from text2x.guiding import Leaders
from text2x.latents import CODEC_FILE, load_codec
from text2x.nn.initialization import no_initialization
from text2x.priors import Prior, PriorRecipe, PriorText, build_prior
from text2x.recipe import (
    Model,
    PriorPart,
    Recipe,
    Stage,
    Text,
    build_denoiser,
    build_network,
    build_text,
    image_embedding_width,
    model_from_dict,
    parts_of,
    recipe_from_dict,
    trainable_of,
)
from text2x.sampling import TrainedStage
from text2x.text_conditioner import (
    FrozenText,
    HubTextConfig,
    MiniLMConfig,
    MiniLMText,
    TextConditioner,
    TrainableTextConfig,
)
from text2x.unclip import Embedder, UnCLIP, embedder_of, load_embedder
from text2x.weights import load_weights


def build_generator(
    values: Mapping[str, Any], folder: Path, device: str = "cpu", find: Callable[[str], Path] | None = None
) -> DiffusionGenerator:
    """The generator that a recipe.json describes, with the weights beside it: a model, or the folder of a run.

    `find` gives the folder of a guide by its name; without it guides lie beside the model's folder.
    """
    model = _model(values)
    stages = build_stages(model, folder, device)
    if model.upsampler is not None:
        place = find(model.upsampler) if find is not None else folder.parent / model.upsampler
        stages += build_upsamplers(place, device)
    text = stages[0].text
    leaders = _leaders(model, text, folder, device, find)
    return DiffusionGenerator(model, stages, device, leaders, unclip=_unclip(model, text, folder, device, find))


def _model(values: Mapping[str, Any]) -> Model:
    """The model that a recipe.json describes; that of a run is a model of one stage."""
    if values.get("type") == "Recipe":
        recipe = recipe_from_dict(values)
        weights = f"averages/{recipe.training.averages[0]}.safetensors"
        stage = Stage(recipe, weights, None if recipe.codec is None else CODEC_FILE)
        model = Model(recipe.name, recipe.summary, "unknown", (stage,), size=recipe.size)
    else:
        model = model_from_dict(values)
    if not model.stages:
        raise InputError(f"the model {model.name} has no stages; its recipe.json names none")
    return model


def build_stages(
    model: Model, folder: Path, device: str = "cpu", wanted: Callable[[Recipe], bool] = lambda recipe: True
) -> tuple[TrainedStage, ...]:
    """The model's stages, or the wanted ones, with the weights in its folder; frozen text encoders are shared."""
    texts: dict[Any, Any] = {}
    stages = []
    for stage in model.stages:
        recipe = _with_text_beside(stage.recipe, folder)
        if not wanted(recipe):
            continue
        own = isinstance(recipe.conditioner, TrainableTextConfig)  # its weights are the stage's
        if own or recipe.conditioner not in texts:
            texts[recipe.conditioner] = build_text(recipe)
        network, text = load_stage(recipe, folder / stage.weights, texts[recipe.conditioner], device)
        codec = load_codec(recipe, folder / (stage.codec or CODEC_FILE), device)
        stages.append(TrainedStage(recipe, build_denoiser(recipe, network), text, codec))
    return tuple(stages)


def _with_text_beside(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its text encoder's folder where it lies inside the model's: an imported model may be moved."""
    text = recipe.conditioner
    if not isinstance(text, HubTextConfig) or not (folder / text.repository).is_dir():
        return recipe
    return replace(recipe, conditioner=replace(text, repository=str(folder / text.repository)))


def build_upsamplers(folder: Path, device: str = "cpu", origin: str | None = None) -> tuple[TrainedStage, ...]:
    """The upsamplers of another folder, a model's or a training run's; `origin` is what that folder is called."""
    model = _model(read_json(folder / "recipe.json"))
    stages = build_stages(model, folder, device, lambda recipe: recipe.low_resolution is not None)
    if not stages:
        raise InputError(f"{folder} has no upsampler; name a model that has one, or the run of a recipe for one")
    return tuple(replace(stage, origin=origin) for stage in stages)


def build_stage(folder: Path, place: int, device: str = "cpu", origin: str | None = None) -> TrainedStage:
    """One stage of another folder: the only one of a training run, or a model's at the same place, 0 for its base."""
    stages = build_stages(_model(read_json(folder / "recipe.json")), folder, device)
    if len(stages) > 1 and place >= len(stages):
        raise InputError(f"{folder} has no stage {place}; its stages are 0 to {len(stages) - 1}")
    return replace(stages[place if len(stages) > 1 else 0], origin=origin)


def swapped(
    generator: DiffusionGenerator,
    upsamplers: Sequence[TrainedStage] | None = None,
    stages: Mapping[int, TrainedStage] | None = None,
) -> DiffusionGenerator:
    """The generator with other upsamplers behind its base, and single stages by their place, 0 for the base."""
    made = list(generator.stages)
    if upsamplers is not None:
        made = [*(stage for stage in made if stage.recipe.low_resolution is None), *upsamplers]
    for place, stage in (stages or {}).items():
        if not 0 <= place < len(made):
            has = f"the model {generator.model.name} has 0 to {len(made) - 1}"
            raise InputError(f"there is no stage {place}; {has}, and --upsampler adds others")
        made[place] = stage
    return generator.with_stages(tuple(made))


def _leaders(model: Model, text: Text, folder: Path, device: str, find: Callable[[str], Path] | None) -> Leaders:
    """What loads the guides that a model names, when they are asked for; they read prompts with the model's encoder."""
    encoder = _sentence_encoder(text)
    place = find or (lambda name: folder.parent / name)

    def finder(form: str, name: str) -> Callable[[], Any]:
        if form == "auto":
            return lambda: build_generator(read_json(place(name) / "recipe.json"), place(name), device, find).stages[0]
        load = {"classifier": load_classifier, "clip": load_clip}[form]
        return lambda: load(place(name), device, encoder)

    return Leaders({form: finder(form, name) for form, name in model.guides.items()})


def _sentence_encoder(text: Text) -> FrozenText | None:
    """The sentence encoder that a stage has loaded already."""
    shared = isinstance(text, TextConditioner) and isinstance(text.config, MiniLMConfig)
    return text.encoder if shared else None  # type: ignore[union-attr]


def _unclip(model: Model, text: Text, folder: Path, device: str, find: Callable[[str], Path] | None) -> UnCLIP | None:
    """The CLIP and the prior that a model names, in its own folder or in others."""
    width = image_embedding_width(model.stages[0].recipe)
    if model.clip is None or not width:
        return None
    place = find or (lambda name: folder.parent / name)
    encoder = _sentence_encoder(text)
    if isinstance(model.clip, str):
        clip = load_embedder(place(model.clip), device, encoder)
    else:
        clip = embedder_of(model.clip.recipe, folder / model.clip.weights, None, device, encoder)
    if clip.width != width:
        raise InputError(f"the CLIP of {model.name} makes embeddings of {clip.width} numbers, its base reads {width}")
    if model.prior is None:
        return UnCLIP(clip)
    part, folder = _prior_part(model, folder, place)
    tokens = text.config.max_tokens if encoder is not None and text is not None else 0
    same = part.recipe.conditioner.max_tokens == tokens
    return UnCLIP(clip, load_prior(part.recipe, folder / part.weights, clip, device, encoder if same else None))


def _prior_part(model: Model, folder: Path, place: Callable[[str], Path]) -> tuple[PriorPart, Path]:
    """The model's prior and the folder of its weights: the model's own, or that of the model it names."""
    part = model.prior
    if isinstance(part, str):
        folder = place(part)
        other = model_from_dict(read_json(folder / "recipe.json"))
        part = other.prior
        if not isinstance(part, PriorPart):
            raise InputError(f"{folder}, which {model.name} names for its prior, has none")
    assert part is not None
    return part, folder


def load_prior(
    recipe: PriorRecipe, path: Path, clip: Embedder, device: str = "cpu", encoder: FrozenText | None = None
) -> Prior:
    """The prior of a recipe with the weights in a file; `encoder` is a sentence encoder that cuts prompts alike."""
    with no_initialization():
        network = build_prior(recipe)
    load_weights(network, path)
    if network.config.embedding != clip.width:
        numbers = f"the prior {recipe.name} draws embeddings of {network.config.embedding} numbers"
        raise InputError(f"{numbers}, and the CLIP's have {clip.width}")
    tokens = TextConditioner(recipe.conditioner, encoder or MiniLMText(recipe.conditioner))
    text = PriorText(tokens, clip.text_embeddings)
    return Prior(recipe, network.eval().requires_grad_(False).to(device), text)


def load_stage(recipe: Recipe, path: Path, text: Text, device: str) -> tuple[Any, Text]:
    """The recipe's network and text encoder with the weights in a file."""
    with no_initialization():  # weights that would be thrown away are not drawn
        network = build_network(recipe)
    trainable = trainable_of(network, text)
    load_weights(trainable, path)
    return parts_of(trainable.eval().requires_grad_(False).to(device), text)
