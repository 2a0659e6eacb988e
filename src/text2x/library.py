"""Names to generators: shipped models, the user's own and any model folder. Loads torch only when a model is built.

A model folder is {recipe.json, *.safetensors, README.md}. recipe.json names its weight files under "weights", with
their SHA-256; the folder of a training run, whose weights still change, has averaged ones in averages/ instead.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from text2x.errors import InputError
from text2x.files import check_tensors, file_hash, read_json
from text2x.requests import Generator, shortened, unknown

if TYPE_CHECKING:
    from text2x.speech_generator import SpeechGenerator


VIDEO_TYPES = ("VideoRecipe", "VideoModel", "VideoGANRecipe", "VideoGANModel", "StableVideoModel")
SOUND_TYPES = tuple(f"{name}{part}" for name in ("Token", "SoundDiffusion", "SoundGAN") for part in ("Recipe", "Model"))


@dataclass(frozen=True)
class ModelInfo:
    """What a model folder says about itself, without its weights being read."""

    name: str
    folder: Path
    shipped: bool  # with the package; otherwise the user's own
    num_bytes: int  # of all its files
    licence: str  # "unknown" if neither the recipe nor the card names one
    summary: str  # one sentence
    recipe: Mapping[str, Any]
    card: str  # README.md
    problem: str | None = None  # why it cannot be loaded
    kind: str = "image"  # what it makes, or "guides", "judge" or "codec"


def user_folder() -> Path:
    """Where the user's own models lie, one folder each."""
    import platformdirs

    return Path(platformdirs.user_data_dir("text2x", appauthor=False)) / "models"


def shipped_folder() -> Path:
    """Where the models that come with the package lie, one folder each."""
    return Path(str(importlib.resources.files("text2x"))) / "shipped"


def models(folder: Path | None = None) -> list[ModelInfo]:
    """All models by name: the shipped ones first, then those in `folder` (None: `user_folder()`)."""
    found: list[ModelInfo] = []
    for parent, shipped in ((shipped_folder(), True), (folder or user_folder(), False)):
        children = sorted(parent.iterdir()) if parent.is_dir() else []
        taken = {info.name for info in found}
        found += [
            _info(child, shipped) for child in children if (child / "recipe.json").is_file() and child.name not in taken
        ]
    return found


def info(name: str | Path, folder: Path | None = None) -> ModelInfo:
    """What is known of a model by its name or its folder."""
    known = models(folder)
    for each in known:
        if each.name == str(name):
            return each
    path = Path(name).expanduser()
    if path.is_dir():
        return _info(path, shipped=False)
    text = str(name)
    if "/" in text or "\\" in text or path.suffix:
        raise InputError(f"there is no model folder {shortened(text)!r}; `text2x models` lists the models by name")
    error = unknown("model", text, [each.name for each in known])
    raise InputError(f"{error}; a folder is named with a slash, as ./{shortened(text)}")


def load(
    name: str | Path,
    device: str = "auto",
    folder: Path | None = None,
    upsamplers: Sequence[str | Path] = (),
    stages: Mapping[int, str | Path] | None = None,
) -> Generator:
    """Build the generator of a model by its name or its folder; `device` is auto, cpu, cuda, cuda:1 or mps.

    `upsamplers` are models or training runs whose upsamplers take the place of the model's own, one after the other;
    `stages` puts the stage of another model or run in the place of a single one, 0 for the base.
    """
    found = info(name, folder)
    recipe = read_recipe(found.folder)
    check_makes_media(found.folder, recipe)
    check_weights(found.folder, recipe)
    if recipe.get("upsampler"):
        other = sibling(found, str(recipe["upsampler"])).folder
        check_weights(other, read_recipe(other))
    place = resolve_device(device)
    try:
        if found.kind == "speech":
            if upsamplers or stages:
                raise InputError(f"{found.name} is a voice, which has no stages that could be swapped; leave them out")
            from text2x.speech_models import build_speech_generator

            return cast(Generator, build_speech_generator(recipe, found.folder, place))
        if found.kind in ("sound", "music"):
            if upsamplers or stages:
                raise InputError(f"{found.name} has no stages that could be swapped; leave them out")
            from text2x.sound_models import build_sound_generator

            sound = build_sound_generator(recipe, found.folder, place, lambda codec: sibling(found, codec).folder)
            return cast(Generator, sound)
        if found.kind == "video":
            if upsamplers or stages:
                raise InputError(f"{found.name} makes clips and has no stages that could be swapped; leave them out")
            from text2x.video_models import any_video_generator

            return cast(
                Generator, any_video_generator(recipe, found.folder, place, lambda base: sibling(found, base).folder)
            )
        from text2x.building import build_generator
        from text2x.gan_generator import build_gan_generator, is_gan

        if is_gan(recipe):
            if upsamplers or stages:
                raise InputError(f"{found.name} is a GAN, which has no stages that could be swapped; leave them out")
            return build_gan_generator(recipe, found.folder, place)
        generator = build_generator(recipe, found.folder, place, lambda guide: sibling(found, guide).folder)
        return _swapped(generator, place, folder, upsamplers, stages or {}) if upsamplers or stages else generator
    except InputError as error:
        where = "" if str(found.folder) in str(error) else f"the model in {found.folder} cannot be built: "
        raise InputError(f"{where}{error}") from error
    except (RuntimeError, KeyError) as error:  # what torch raises for weights of another shape or name
        raise InputError(f"the model in {found.folder} does not fit its recipe: {_first_lines(error)}") from error


def load_voice(
    name: str | Path, device: str = "auto", folder: Path | None = None, vocoder: Path | None = None
) -> SpeechGenerator:
    """The generator of a voice by its name or folder; `vocoder` is the folder of another vocoder than its own."""
    found = info(name, folder)
    recipe = read_recipe(found.folder)
    if found.kind != "speech":
        voices = ", ".join(each.name for each in models(folder) if each.kind == "speech")
        raise InputError(f"{found.name} is no voice; {f'take --model {voices}' if voices else 'there is none yet'}")
    if vocoder is None:
        return cast("SpeechGenerator", load(name, device, folder))
    check_weights(found.folder, recipe)
    from text2x.speech_models import build_speech_generator

    return build_speech_generator(recipe, found.folder, resolve_device(device), Path(vocoder))


def voice_for(text: str, language: str | None = None, folder: Path | None = None) -> str:
    """The name of the voice that is usual for a text: voice-en, or voice-indic if most of its letters are Indic.

    Where that one is missing the only voice there is, if there is one; InputError where there is none at all.
    """
    indic = sum("\u0900" <= each <= "\u0d7f" for each in text)  # Devanagari to Malayalam
    letters = sum(each.isalpha() for each in text)
    other = not language.lower().startswith("en") if language else 2 * indic > letters
    name = "voice-indic" if other else "voice-en"
    voices = [each.name for each in models(folder) if each.kind == "speech"]
    if not voices:
        raise InputError("there is no voice yet: `text2x train voice` makes one; give its run with --model runs/voice")
    return voices[0] if name not in voices and len(voices) == 1 else name


def _swapped(
    generator: Any, device: str, folder: Path | None, upsamplers: Sequence[str | Path], stages: Mapping[int, str | Path]
) -> Generator:
    """The generator with stages of other models and runs."""
    from text2x.building import build_stage, build_upsamplers, swapped

    def found(name: str | Path) -> ModelInfo:
        other = info(name, folder)
        recipe = read_recipe(other.folder)
        if (kind := recipe.get("type", "Model")) not in ("Model", "Recipe"):
            raise InputError(
                f"{other.name} is a {kind} and has no stage to give; name a model of diffusion or a training run of one"
            )
        check_weights(other.folder, recipe)
        return other

    larger = [
        stage for each in map(found, upsamplers) for stage in build_upsamplers(each.folder, device, origin=each.name)
    ]
    others = {place: found(name) for place, name in stages.items()}
    single = {place: build_stage(each.folder, place, device, each.name) for place, each in others.items()}
    return swapped(generator, larger if upsamplers else None, single)


def check_makes_media(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Raise InputError for a folder of guides or of a judge, which make nothing themselves."""
    kind, name = _kind(recipe), folder.resolve().name
    if kind == "guides":
        raise InputError(
            f"{name} guides other models and makes no pictures itself; give a model, as --model emoji, and --guidance"
        )
    if kind == "codec":
        raise InputError(
            f"{name} is an autoencoder, the codec of models on latents, and makes no pictures from words itself; "
            f"train one with it: text2x train ldm --set codec={folder}"
        )
    if kind == "audio-codec":
        raise InputError(
            f"{name} is a codec of sound, a part of models of sound and music, and makes none from words itself; "
            "give such a model"
        )
    if kind == "vocoder":
        raise InputError(
            f"{name} is a vocoder, the last part of voices, and makes no sound from words itself; give a voice"
        )
    if kind == "upsampler of clips":
        raise InputError(f"{name} makes clips larger; pack it: text2x models pack runs/lumiere {folder} -o DIR")
    if kind == "judge":
        raise InputError(f"{name} judges pictures and makes none itself; give a model, as --model emoji")


def check_sees(name: str | Path, folder: Path | None = None) -> None:
    """Raise InputError for a model that cannot see pictures: blends and shifts need a CLIP; it names those that can."""
    found = info(name, folder)
    if found.recipe.get("clip"):
        return
    able = [each.name for each in models(folder) if each.recipe.get("clip")]
    way = f"take one that has: {', '.join(able)}" if able else "train dalle2-clip and dalle2, and pack them together"
    raise InputError(f"the model {found.name} has no CLIP that sees pictures; {way}")


def sibling(found: ModelInfo, name: str) -> ModelInfo:
    """A folder that a model names, as its guides: beside its own, or among the shipped ones."""
    for parent in (found.folder.resolve().parent, shipped_folder()):
        if (parent / name / "recipe.json").is_file():
            return _info(parent / name, shipped=parent == shipped_folder())
    raise InputError(f"{found.name} names {name!r} as a part of it, which lies neither beside it nor in the package")


@lru_cache(maxsize=1)
def _loaded(
    folder: Path,
    device: str,
    changed: int,
    own: Path | None,
    upsamplers: tuple[str | Path, ...],
    stages: tuple[tuple[int, str | Path], ...],
) -> Generator:
    return load(folder, device, own, upsamplers, dict(stages))


def load_once(
    name: str | Path,
    device: str = "auto",
    folder: Path | None = None,
    upsamplers: Sequence[str | Path] = (),
    stages: Mapping[int, str | Path] | None = None,
) -> Generator:
    """As `load`, but the last generator is kept and given again until its recipe changes."""
    found = info(name, folder)
    recipe = found.folder / "recipe.json"
    changed = recipe.stat().st_mtime_ns if recipe.is_file() else 0
    others = tuple(sorted((stages or {}).items()))
    return _loaded(found.folder.resolve(), device, changed, folder, tuple(upsamplers), others)


def resolve_device(device: str) -> str:
    """The device's name for torch; auto is the first GPU there is, or the CPU."""
    import torch

    mps = torch.backends.mps.is_available()
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    kind, _, index = device.partition(":")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(mps)}.get(kind, -1)
    if count < 0 or (index and not index.isdigit()):
        raise InputError(f"unknown device {shortened(device)!r}; give auto, cpu, cuda, cuda:1 or mps")
    if int(index or 0) >= count:
        raise InputError(f"there is no device {device!r} on this machine; leave --device out, or give cpu")
    return device


# The parts of a folder


def read_recipe(folder: Path) -> dict[str, Any]:
    """The recipe of a model folder as plain values."""
    path = folder / "recipe.json"
    if not folder.is_dir():
        raise InputError(f"there is no model folder {folder}")
    if not path.is_file():
        foreign = (folder / "model_index.json").is_file()
        hint = "; it looks like a diffusers model, which `text2x models import` reads" if foreign else ""
        raise InputError(f"{folder} is no text2x model: recipe.json is missing{hint}")
    recipe = read_json(path)
    if not isinstance(recipe, dict):
        raise InputError(f"{path} holds no recipe: an object was expected, got {type(recipe).__name__}")
    return recipe


def check_weights(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Raise InputError unless every weight file is there, whole, and has the hash that the recipe names."""
    weights = recipe.get("weights") or _weights_of_run(folder)
    if not isinstance(weights, Mapping) or not weights:
        raise InputError(f'{folder} has no weights: recipe.json names none under "weights"; train the model first')
    for name, about in weights.items():
        parts = PurePosixPath(name).parts
        if name.startswith("/") or "\\" in name or ".." in parts or not name.endswith(".safetensors"):
            raise InputError(
                f"{folder / 'recipe.json'} names the weights {name!r}; only .safetensors files inside count"
            )
        path = folder / name
        if not path.is_file():
            raise InputError(f"the model in {folder} lacks the file {name}; copy it there or train the model again")
        check_tensors(path)
        expected = about.get("sha256") if isinstance(about, Mapping) else None
        if expected is not None and (actual := file_hash(path)) != expected:
            hashes = f"SHA-256 is {actual[:12]}..., not {str(expected)[:12]}..."
            raise InputError(f"{path} is not the file its recipe names: {hashes}; copy it again")


def _weights_of_run(folder: Path) -> dict[str, Any]:
    averages = {f"averages/{path.name}": {} for path in sorted((folder / "averages").glob("*.safetensors"))}
    codec = {"codec.safetensors": {}} if averages and (folder / "codec.safetensors").is_file() else {}
    return {**averages, **codec}


def _info(folder: Path, shipped: bool) -> ModelInfo:
    problem, recipe = None, {}
    try:
        recipe = read_recipe(folder)
    except InputError as error:
        problem = str(error)
    readme = folder / "README.md"
    card = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    return ModelInfo(
        name=folder.resolve().name,
        folder=folder,
        shipped=shipped,
        num_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        licence=str(recipe.get("licence") or _front_matter(card, "licen[cs]e") or "unknown"),
        summary=str(recipe.get("summary") or _first_sentence(card)),
        recipe=recipe,
        card=card,
        problem=problem,
        kind=_kind(recipe),
    )


def _kind(recipe: Mapping[str, Any]) -> str:
    """What recipe.json is of: of a model, of guides or of a judge, packed or a training run's."""
    if recipe.get("type") == "GuideRecipe":
        guides = [recipe]
    elif recipe.get("type") == "Guides":
        guides = [each.get("recipe") for each in recipe.get("guides") or [] if isinstance(each, Mapping)]
    elif recipe.get("type") in ("CodecRecipe", "CodecModel"):
        return "audio-codec"
    elif recipe.get("type") in ("VocoderRecipe", "VocoderModel"):
        return "vocoder"
    elif recipe.get("type") in ("AcousticRecipe", "SpeechModel"):
        return "speech"
    elif recipe.get("type") in VIDEO_TYPES:
        return "video"
    elif recipe.get("type") == "VideoUpsamplerRecipe":
        return "upsampler of clips"
    elif recipe.get("type") in SOUND_TYPES:
        return str((recipe.get("recipe") or recipe).get("kind", "sound"))
    else:
        return "codec" if recipe.get("type") == "AutoencoderRecipe" else "image"
    kinds = {each.get("kind") for each in guides if isinstance(each, Mapping)}
    return "judge" if kinds == {"judge"} else "guides"


def _front_matter(card: str, key: str) -> str | None:
    """A value of the block between two lines of three dashes at the top of a card."""
    block = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    line = block and re.search(rf"^{key}:\s*(.+)$", block.group(1), re.MULTILINE)
    return line.group(1).strip() if line else None


def without_front_matter(card: str) -> str:
    """The card without the block of keys and values at its top."""
    return re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)


def _first_sentence(card: str) -> str:
    text = without_front_matter(card)
    paragraphs: Sequence[str] = [each.strip() for each in re.split(r"\n\s*\n", text)]
    plain = next((each for each in paragraphs if each and not each.startswith(("#", "!", "<", "|"))), "")
    return shortened(re.split(r"(?<=[.!?])\s", plain)[0], 120) if plain else ""


def _first_lines(error: BaseException) -> str:
    return shortened(str(error) or type(error).__name__, 200)
