"""The whole process from the shell to a PNG, against the same job done with diffusers: seconds and peak memory.

python benchmarks/process.py [--model NAME|DIR] [--repeats 5]

Both sides are new processes, run in turns, with files already in the system's cache; medians are printed. The other
side has networks of the same shape with random weights, loaded from a folder: time does not depend on what they learnt.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any

from text2x.config import to_dict
from text2x.errors import InputError
from text2x.files import save_tensors, write_json
from text2x.library import info, read_recipe
from text2x.networks.unet import UNetConfig
from text2x.recipe import Model, Recipe, Stage, WeightFile, build_network, model_from_dict, recipe_from_dict
from text2x.recipes import RECIPES
from text2x.weights import pack

PROMPT, SEED = "a red apple", 7
GOAL_SECONDS, GOAL_SHARE, GOAL_MEGABYTES = 3.5, 1 / 3, 700

# What a user of diffusers would write: folder, prompt and target come as arguments.
DIFFUSERS = """
import json, sys
import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from PIL import Image
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle
from transformers import AutoModel, AutoTokenizer

folder, prompt, target = sys.argv[1:4]
job = json.load(open(f"{folder}/job.json"))
tokenizer = AutoTokenizer.from_pretrained(f"{folder}/text")
encoder = AutoModel.from_pretrained(f"{folder}/text")
unets = [UNet2DConditionModel.from_pretrained(f"{folder}/{i}") for i in range(len(job["stages"]))]
rng = torch.Generator().manual_seed(7)
with torch.inference_mode():
    tokens = tokenizer([prompt, ""], padding="max_length", max_length=32, truncation=True, return_tensors="pt")
    mask = tokens.attention_mask
    states = encoder(**tokens).last_hidden_state
    pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    picture = None
    for stage, unet in zip(job["stages"], unets):
        scheduler = DPMSolverMultistepScheduler(prediction_type="sample", algorithm_type="dpmsolver++")
        scheduler.set_timesteps(stage["steps"])
        rows = 2 if stage["guidance"] != 1 else 1
        side, patch = stage["size"] // stage["patch"], stage["patch"]
        x = torch.randn(1, 4 * patch**2, side, side, generator=rng)
        beside = torch.zeros(rows, unet.config.in_channels - x.shape[1], side, side)
        if picture is not None:
            low = pixel_unshuffle(interpolate(picture, scale_factor=2), patch)
            beside[:, : low.shape[1]] = low
        vector = torch.nn.functional.pad(pooled, (0, max(0, stage["vector"] - 384)))[:rows, : stage["vector"]]
        for t in scheduler.timesteps:
            out = unet(
                torch.cat([x.expand(rows, -1, -1, -1), beside], 1), t, encoder_hidden_states=states[:rows],
                encoder_attention_mask=mask[:rows], class_labels=vector if stage["vector"] else None,
            ).sample
            if rows == 2:
                out = out[1:] + stage["guidance"] * (out[:1] - out[1:])
            x = scheduler.step(out, t, x).prev_sample
        picture = pixel_shuffle(x, patch).clamp(-1, 1)
pixels = ((picture[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
Image.fromarray(pixels, "RGBA").save(target)
"""


@dataclass(frozen=True)
class Measured:
    """One process."""

    seconds: float
    cpu_seconds: float
    megabytes: float  # peak resident


# A process that is as small as a shell: what the system calls the peak of a child counts its parent's size at the fork.
LAUNCHER = """
import json, os, subprocess, sys, time
begin = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(json.dumps([time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
child.returncode = os.waitstatus_to_exitcode(status)
sys.exit(child.returncode)
"""


def run(command: Sequence[str]) -> Measured:
    """Run a command to its end and take the resources that the system counted for it."""
    # on a busy machine threads that spin while they wait would make both sides slow, the one with more of them more
    more = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE"}
    launch = [sys.executable, "-c", LAUNCHER, *command]
    done = subprocess.run(launch, capture_output=True, text=True, env={**os.environ, **more})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:100]} failed:\n{done.stderr}")
    seconds, cpu_seconds, peak = json.loads(done.stdout)
    return Measured(seconds, cpu_seconds, peak / (2**20 if sys.platform == "darwin" else 2**10))


def untrained_model(folder: Path) -> Model:
    """The default model's networks with random weights, for as long as there is no trained one."""
    recipes = [RECIPES["emoji"](), RECIPES["upsampler"]()]
    weights = {}
    for recipe in recipes:
        network = build_network(recipe)
        digest = save_tensors(folder / f"{recipe.name}.safetensors", pack(network.state_dict(), "float16"))
        count = sum(value.numel() for value in network.parameters())
        weights[f"{recipe.name}.safetensors"] = WeightFile(digest, "float16", count)
    stages = tuple(Stage(recipe, f"{recipe.name}.safetensors") for recipe in recipes)
    model = Model("untrained", "Random weights.", "none", stages, weights, size=2 * recipes[0].size)
    write_json(folder / "recipe.json", to_dict(model))
    return model


def load_model(folder: Path) -> Model:
    """The model of a folder; of a training run, its recipe as the only stage."""
    values = read_recipe(folder)
    if values.get("type") != "Recipe":
        return model_from_dict(values)
    recipe = recipe_from_dict(values)
    return Model(recipe.name, recipe.summary, "unknown", (Stage(recipe, ""),), size=recipe.size)


def stages_of(model: Model) -> list[Recipe]:
    """The recipes that one picture of the default size goes through, the upsampler as often as it is needed."""
    recipes = [stage.recipe for stage in model.stages]
    doublings, size = 0, recipes[0].size
    while size < model.size:
        doublings, size = doublings + 1, 2 * size
    return recipes[:1] + recipes[-1:] * doublings


def diffusers_shape(network: UNetConfig) -> dict[str, Any]:
    """The arguments of UNet2DConditionModel for a UNet of the same widths, blocks and attention levels."""
    widths = [network.width * multiplier for multiplier in network.multipliers]
    attends = [network.context_width > 0 and level in network.attention_levels for level in range(len(widths))]
    patched = network.patch**2
    shape: dict[str, Any] = {
        "in_channels": (network.in_channels + network.extra_channels) * patched,
        "out_channels": network.in_channels * patched,
        "down_block_types": ["CrossAttnDownBlock2D" if each else "DownBlock2D" for each in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if each else "UpBlock2D" for each in reversed(attends)],
        "mid_block_type": "UNetMidBlock2DCrossAttn" if any(attends) else "UNetMidBlock2D",
        "block_out_channels": widths,
        "layers_per_block": network.blocks_per_level,
        "cross_attention_dim": network.context_width or 384,
        # this argument means the number of heads, whatever its name says
        "attention_head_dim": [max(1, width // network.head_width) for width in widths],
        "norm_num_groups": gcd(32, *widths),
    }
    if network.vector_width:
        shape |= {"class_embed_type": "projection", "projection_class_embeddings_input_dim": network.vector_width}
    return shape


def write_diffusers_job(recipes: Sequence[Recipe], folder: Path) -> int:
    """Save what the other side loads; returns the number of its networks' parameters."""
    from diffusers import UNet2DConditionModel  # type: ignore[attr-defined]
    from transformers import AutoModel

    from text2x.networks.sentence_encoder import find_minilm

    stages, count, size = [], 0, recipes[0].size
    for i, recipe in enumerate(recipes):
        network = recipe.network
        if not isinstance(network, UNetConfig):
            raise SystemExit(f"the stage {recipe.name} is a {type(network).__name__}; only UNets are compared here")
        unet = UNet2DConditionModel(sample_size=size // network.patch, **diffusers_shape(network))
        unet.save_pretrained(folder / str(i))
        count += sum(value.numel() for value in unet.parameters())
        sampling = {"steps": recipe.sampling.steps, "guidance": recipe.sampling.guidance if i == 0 else 1}
        stages.append({**sampling, "size": size, "patch": network.patch, "vector": network.vector_width})
        size *= 2
    shutil.copytree(find_minilm(None), folder / "text")
    AutoModel.from_pretrained(folder / "text")  # so that a folder which transformers cannot read fails here
    write_json(folder / "job.json", {"stages": stages})
    return count


def table(results: dict[str, list[Measured]]) -> str:
    """Medians as Markdown, the first row against the others."""
    lines = ["| process | seconds | CPU seconds | peak MB |", "|---|---|---|---|"]
    for name, runs in results.items():
        values = [[getattr(each, field) for each in runs] for field in ("seconds", "cpu_seconds", "megabytes")]
        seconds, cpu, memory = (statistics.median(each) for each in values)
        spread = f"{min(values[0]):.2f} to {max(values[0]):.2f}"
        lines.append(f"| {name} | {seconds:.2f} ({spread}) | {cpu:.2f} | {memory:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", default="emoji", help="a name or a folder")
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "untrained").mkdir()
        try:
            folder = info(given.model).folder
            model = load_model(folder)
        except InputError as error:
            print(f"{error}; its networks are measured with random weights\n")
            folder, model = place / "untrained", untrained_model(place / "untrained")
        recipes = stages_of(model)
        count = write_diffusers_job(recipes, place / "diffusers")
        ours = [sys.executable, "-m", "text2x", "image", PROMPT, "--seed", str(SEED)]
        ours += ["--model", f"{folder}/", "-o", f"{place}/ours.png"]
        sides = {
            "text2x": ours,
            "diffusers": [sys.executable, "-c", DIFFUSERS, f"{place}/diffusers", PROMPT, f"{place}/theirs.png"],
            "`import torch` alone": [sys.executable, "-c", "import torch"],
        }
        results: dict[str, list[Measured]] = {name: [] for name in sides}
        for repeat in range(given.repeats + 1):
            for name, command in sides.items():
                measured = run(command)
                if repeat:  # the first one fills caches
                    results[name].append(measured)
        report(model, recipes, count, results)


def report(model: Model, recipes: Sequence[Recipe], their_count: int, results: dict[str, list[Measured]]) -> None:
    """The table, what was run, and whether the goals are met."""
    walk = ", then ".join(f"{each.name} {each.sampling.steps} steps" for each in recipes)
    our_count = sum(about.parameters for about in {**model.weights}.values())
    print(f"One picture of {model.size} px: {walk}; {os.cpu_count()} cores, {len(results['text2x'])} runs each.")
    print(f"Parameters: {our_count / 1e6:.1f} M (stages shared), diffusers {their_count / 1e6:.1f} M.\n")
    print(table(results))
    seconds, theirs = (statistics.median(each.seconds for each in results[name]) for name in ("text2x", "diffusers"))
    memory = statistics.median(each.megabytes for each in results["text2x"])
    goals = {
        f"{seconds:.2f} s of at most {GOAL_SECONDS}": seconds <= GOAL_SECONDS,
        f"{seconds / theirs:.2f} of diffusers' time, of at most {GOAL_SHARE:.2f}": seconds / theirs <= GOAL_SHARE,
        f"{memory:.0f} MB of at most {GOAL_MEGABYTES}": memory <= GOAL_MEGABYTES,
    }
    print("\n" + "\n".join(f"- {'met' if met else 'MISSED'}: {goal}" for goal, met in goals.items()))
    print(f"- {json.dumps({'ratio': round(theirs / seconds, 2)})}")


if __name__ == "__main__":
    main()
