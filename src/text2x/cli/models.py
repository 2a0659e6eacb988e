"""`text2x models` and `text2x samplers`: what there is to choose from."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from text2x.cli.options import Json, model_names, models_folder
from text2x.cli.terminal import megabytes
from text2x.errors import InputError
from text2x.library import ModelInfo, info, read_recipe, user_folder, without_front_matter
from text2x.library import models as all_models

if TYPE_CHECKING:
    from text2x.packaging import Labels

GUIDES = ("classifier", "clip", "auto")
PACKED_ALONE = (  # recipes whose runs are packed one by one
    "GANRecipe", "VocoderRecipe", "CodecRecipe", "TokenRecipe", "SoundDiffusionRecipe", "SoundGANRecipe",
    "VideoRecipe", "VideoGANRecipe",
)  # fmt: skip

app = typer.Typer(help="List the models, or show one.", invoke_without_command=True)


@app.callback()
def models(context: typer.Context, json: Json = False) -> None:
    """List the models that are there by name: those of the package, then your own."""
    if context.invoked_subcommand is not None:
        return
    found = all_models(models_folder())
    if json:
        typer.echo(json_module.dumps([_values(each) for each in found]))
        return
    rows = [(each.name, megabytes(each.num_bytes), each.licence, each.problem or _purpose(each)) for each in found]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        typer.echo(
            "  ".join([*(value.ljust(width) for value, width in zip(row[:3], widths, strict=True)), row[3]]).rstrip()
        )
    if not rows:
        typer.echo("no models yet; `text2x train debug` makes one in a minute", err=True)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|DIR", autocompletion=model_names)], json: Json = False
) -> None:
    """Show size, licence, recipe and card of a model or of guides."""
    found = info(name, models_folder())
    if found.problem is not None:
        raise InputError(found.problem)
    if json:
        typer.echo(json_module.dumps({**_values(found), "recipe": dict(found.recipe), "card": found.card}))
        return
    typer.echo(f"{found.name}: {found.summary}")
    typer.echo(f"  folder   {found.folder}\n  size     {megabytes(found.num_bytes)}\n  licence  {found.licence}")
    for label, value in describe(found.recipe):
        typer.echo(f"  {label:<8} {value}")
    if found.card:
        typer.echo(f"\n{without_front_matter(found.card).strip()}")


@app.command()
def pack(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Training runs: a base, then its upsampler.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The model's folder; its name too.")],
    licence: Annotated[str, typer.Option(help="The licence of the weights.")] = "unknown",
    summary: Annotated[str | None, typer.Option(help="One sentence on what it makes; otherwise the recipe's.")] = None,
    attribution: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A line that a source's licence asks for; may be repeated.")
    ] = None,
    average: Annotated[
        str | None, typer.Option(help="Which averaged weights, as 0.999 or best-0.999; otherwise the recipe's first.")
    ] = None,
    packing: Annotated[str, typer.Option(help="How weights are kept: int8, float16 or float32.")] = "int8",
    codec: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A model of sound beside it whose codec is taken instead of a copy."),
    ] = None,
    guide: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=NAME",
            help="What a model is guided by: classifier, clip or auto (a weaker model), and a folder beside it.",
        ),
    ] = None,
) -> None:
    """Make a small folder of training runs, to keep or to give away; runs of guides make a guides' folder."""
    from text2x.packaging import Labels, packed_as
    from text2x.recipe import Model
    from text2x.shipping import About, Part, ship

    name, sources = output.resolve().name, tuple(attribution or ())
    labels = Labels(name, licence, summary, sources, average, packed_as(packing), codec)
    other = _pack_other(runs, output, labels, guide or ())
    if other is not None:
        typer.echo(f"{output}  {other}, {megabytes(_weights_size(output))}; use it with {_use(output, other)}")
        return
    about = About(name, summary, licence, attribution=sources, guides=_guides(guide or ()))
    model = ship([Part(run, average) for run in runs], about, output, packed_as(packing))
    size = _weights_size(output)
    if isinstance(model, Model):
        typer.echo(f"{output}  {len(model.stages)} stages, {megabytes(size)}; use it with --model {output}")
    else:
        typer.echo(f"{output}  {', '.join(each.recipe.kind for each in model.guides)}, {megabytes(size)}")


def _pack_other(runs: Sequence[Path], output: Path, labels: Labels, guides: Sequence[str]) -> str | None:
    """Pack what is neither a model of diffusion nor guides, and say what it is; None where it is one of these."""
    kind = read_recipe(runs[0]).get("type")
    if labels.codec is not None and kind != "SoundDiffusionRecipe":
        raise InputError(f"--codec is {labels.codec}, but only models of sound by diffusion share one; leave it out")
    if kind != "AcousticRecipe" and kind not in PACKED_ALONE:
        return None
    beside = {"AcousticRecipe": " and its vocoder's", "VideoRecipe": " and its upsampler's"}
    if len(runs) > (2 if kind in beside else 1):
        extra = beside.get(str(kind), "")
        raise InputError(f"{len(runs)} runs were given; {runs[0]} is packed alone{extra}")
    if guides:
        raise InputError(f"--guide is {guides[0]}, but only models of pictures by diffusion have guides; leave it out")
    second = runs[1] if len(runs) > 1 else None
    if kind == "GANRecipe":
        from text2x.recipes.gan import ship_gan

        ship_gan(runs[0], output, labels)
        return "a GAN"
    if kind in ("VideoRecipe", "VideoGANRecipe"):
        from text2x.recipes import video_packing

        if kind == "VideoGANRecipe":
            video_packing.ship_video_gan(runs[0], output, labels)
            return "a GAN of moving pictures"
        video_packing.ship_video(runs[0], output, labels, second)
        return "a model of moving pictures"
    return _pack_sound(str(kind), runs[0], output, labels, second)


def _pack_sound(kind: str, run: Path, output: Path, labels: Labels, vocoder: Path | None) -> str:
    """Pack a run of what makes sound, or a part of it, and say what it is."""
    if kind == "VocoderRecipe":
        from text2x.recipes.vocoder import ship_vocoder

        ship_vocoder(run, output, labels)
        return "a vocoder"
    if kind == "CodecRecipe":
        from text2x.recipes.codec import ship_codec

        ship_codec(run, output, labels)
        return "an audio codec"
    if kind == "TokenRecipe":
        from text2x.recipes.token_running import ship_tokens

        return f"a model of {ship_tokens(run, output, labels).recipe.kind}"
    if kind == "SoundDiffusionRecipe":
        from text2x.recipes.sound_flow_running import ship_sound_flow

        return f"a model of {ship_sound_flow(run, output, labels).recipe.kind}"
    if kind == "SoundGANRecipe":
        from text2x.recipes.sound_gan import ship_sound_gan

        ship_sound_gan(run, output, labels)
        return "a GAN of sound"
    from text2x.recipes.speech_running import ship_voice

    ship_voice(run, output, labels, vocoder)
    return "a voice"


def _use(folder: Path, kind: str) -> str:
    if kind == "an audio codec":
        return f"text2x.coding.load_audio_codec({str(folder)!r}) in Python"
    return f"--vocoder {folder}" if kind == "a vocoder" else f"--model {folder}"


def _weights_size(folder: Path) -> int:
    """Bytes of the weight files that a folder's recipe names."""
    return sum((folder / file).stat().st_size for file in read_recipe(folder)["weights"])


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A diffusers pipeline, or one of its networks.")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name; otherwise the folder's.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Its folder; otherwise among your own models.")
    ] = None,
    licence: Annotated[str, typer.Option(help="The licence of the weights.")] = "unknown",
    packing: Annotated[str, typer.Option(help="How weights are kept: float32, float16 or int8.")] = "float32",
) -> None:
    """Read a published Stable Diffusion or Stable Video Diffusion, a voice of Indic-TTS, MusicGen, AudioGen, a network.

    Of pickled files weights are read and nothing is run.
    """
    if name is not None and (not name.strip(". ") or any(sign in name for sign in "/\\")):
        raise InputError(f"cannot take the name {name!r}; a name has no slash, a folder is given by --output")
    from text2x.packaging import packed_as
    from text2x.published.importing import import_folder
    from text2x.published.indic_tts import import_indic_tts, is_indic_tts
    from text2x.published.musicgen import import_musicgen, is_musicgen

    if output is None:
        output = (models_folder() or user_folder()) / (name or folder.resolve().name)
    elif name is not None:
        output = output / name
    if (output / "recipe.json").exists() or (output / "network.json").exists():
        raise InputError(f"{output} holds a model already; give another --name or --output, or delete it")
    if is_indic_tts(folder):
        import_indic_tts(folder, output, name)
        typer.echo(f"{output}  a voice of Indic-TTS; use it with: text2x speech TEXT --model {output}")
        return
    if is_musicgen(folder):
        kind = import_musicgen(folder, output, licence, packed_as(packing)).recipe.kind
        typer.echo(f"{output}  a model of {kind}; use it with: text2x {kind} PROMPT --model {output}")
        return
    made = import_folder(folder, output, licence, packed_as(packing))
    use = {
        "model": f"use it with --model {output}",
        "clips": f"use it with: text2x video --image FILE --model {output}",
        "autoencoder": f"train on its latents with: text2x train ldm --set codec={output}",
        "network": "read it in Python with text2x.published.importing.read_network",
    }[made.kind]
    typer.echo(f"{output}  {made.what}, {made.parameters:,} parameters; {use}")
    for part in made.left_out:
        typer.echo(f"left out: {part}, which text2x has not", err=True)


def _guides(given: Sequence[str]) -> dict[str, str]:
    """KIND=NAME by kind."""
    made: dict[str, str] = {}
    for text in given:
        kind, _, name = text.partition("=")
        if kind not in GUIDES or not name or any(sign in name for sign in "/\\"):
            raise InputError(f"cannot read the guide {text!r}; write classifier=NAME, clip=NAME or auto=NAME")
        made[kind] = name
    return made


def _purpose(found: ModelInfo) -> str:
    """One sentence; what makes no pictures says so first."""
    return found.summary if found.kind == "image" else f"[{found.kind}] {found.summary}"


def _values(found: ModelInfo) -> dict[str, Any]:
    return {
        "name": found.name, "folder": str(found.folder), "shipped": found.shipped, "bytes": found.num_bytes,
        "licence": found.licence, "summary": found.summary, "problem": found.problem, "kind": found.kind,
    }  # fmt: skip


NESTED = ("VideoModel", "VideoGANModel", "TokenModel", "SoundDiffusionModel", "SoundGANModel")  # of one recipe


def describe(recipe: Any) -> list[tuple[str, str]]:
    """The recipe in a few lines: what a user of the model has to know."""
    stages = [stage["recipe"] for stage in recipe.get("stages", []) if isinstance(stage, dict) and "recipe" in stage]
    inner = recipe.get("recipe") if recipe.get("type") in NESTED else recipe
    stages = stages or ([inner] if isinstance(inner, dict) and "network" in inner else [])
    lines = [("stage", f"{each.get('name')}: {each['network'].get('type')}" + _at_pixels(each)) for each in stages]
    if stages:
        styles = (stages[0].get("conditioner") or {}).get("styles") or []
        defaults = {name: value for name, value in (stages[0].get("sampling") or {}).items() if name != "type"}
        lines += [("styles", ", ".join(styles) or "none")] * ("size" in stages[0])
        said = ", ".join(f"{name} {value}" for name, value in defaults.items() if value is not None)
        lines += [("defaults", said)] if said else []
    lines += _references(recipe)
    if isinstance(recipe.get("guides"), dict) and recipe["guides"]:
        lines.append(("guides", ", ".join(f"{kind} by {name}" for kind, name in recipe["guides"].items())))
    guides = [each["recipe"] for each in recipe.get("guides", []) if isinstance(each, dict) and "recipe" in each]
    guides = guides or ([recipe] if recipe.get("type") == "GuideRecipe" else [])
    lines += [("guide", f"{each.get('kind')}: {_guide(each)} at {each.get('size')} pixels") for each in guides]
    lines += _voices(recipe.get("acoustic"))
    lines += [("source", line) for line in recipe.get("attribution") or []]
    return lines


def _at_pixels(stage: Any) -> str:
    """The size of a stage of pictures."""
    return f" at {stage['size']} pixels" if "size" in stage else ""


def _references(recipe: Any) -> list[tuple[str, str]]:
    """The CLIP, the prior and the upsamplers of a model: in its folder, or those of another that is named."""
    lines = [("enlarged", f"by the upsamplers of {recipe['upsampler']}")] if recipe.get("upsampler") else []
    if recipe.get("type") in ("VideoModel", "VideoRecipe") and recipe.get("base"):
        lines.append(("base", f"{recipe['base']}, whose weights it shares"))
    if recipe.get("type") == "SoundDiffusionModel" and recipe.get("codec"):
        lines.append(("codec", f"that of {recipe['codec']}"))
    for label in ("clip", "prior"):
        part = recipe.get(label)
        if isinstance(part, str):
            lines.append((label, f"that of {part}"))
        elif isinstance(part, dict):
            lines.append((label, f"{(part.get('recipe') or {}).get('name')}, in this folder"))
    return lines


def _voices(acoustic: Any) -> list[tuple[str, str]]:
    """Languages and voices of a model that speaks."""
    if not isinstance(acoustic, dict):
        return []
    told = acoustic.get("told") or {}
    languages = told.get("languages") or [acoustic["language"]] if acoustic.get("language") else told.get("languages")
    speakers = told.get("speakers") or acoustic.get("speakers") or []
    return [("language", ", ".join(languages or ["unknown"])), ("voices", ", ".join(speakers) or "one")]


def _guide(recipe: Any) -> str:
    """What a guide can tell apart."""
    if recipe.get("classes"):
        return f"{len(recipe['classes'])} classes in {len(recipe.get('groups') or [])} groups"
    return "any words"


def samplers() -> None:
    """List the samplers by name, for --sampler."""
    from text2x.diffusion.samplers import SAMPLERS

    width = max(len(name) for name in SAMPLERS)
    for name, sampler in SAMPLERS.items():
        what = (sampler.__doc__ or "").strip().split("\n")[0]
        typer.echo(f"{name.ljust(width)}  {what}".rstrip())
