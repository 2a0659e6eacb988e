"""The report of a comparison: Markdown, JSON with one value a prompt, curves, a sheet of the same prompts and seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from text2x.comparing.claims import Claim
from text2x.comparing.running import Comparison, Drawing, levels_of, trainings_of
from text2x.comparing.verdicts import Verdict, verdict
from text2x.evaluating.report import cell
from text2x.files import write_bytes, write_json, write_text, written_aside
from text2x.media import Image
from text2x.metrics.metric import Metric, to_json

REPORT, VALUES, SHEET, TRAINING, SAMPLING = "report.md", "report.json", "sheet.png", "training.png", "sampling.png"
SYSTEMS = """\
A system's networks share its budget: its training time is the sum over them. A codec, or a CLIP that others learn from,
is trained to its end first, and counts in full from the first point on the way; two systems with the same one share its
training, and both count it. Upsamplers make the pictures of the sizes asked for.
"""


def write_comparison(comparison: Comparison, folder: Path, command: str) -> list[Path]:
    """Write report.md, report.json, sheet.png and the curves, each whole, and give their paths."""
    verdicts = verdicts_of(comparison)
    write_bytes(folder / SHEET, sheet_of(comparison).encode("png"))
    notes = _draw(comparison, folder)
    write_json(folder / VALUES, _values(comparison, verdicts, command))
    lines = [*lines_of(comparison, verdicts, command, notes)]
    write_text(folder / REPORT, "\n".join(lines) + "\n")
    names = (REPORT, VALUES, SHEET, TRAINING, SAMPLING)
    return [folder / name for name in names if (folder / name).is_file()]


def verdicts_of(comparison: Comparison) -> list[Verdict]:
    """Every claim of the set, decided."""
    found = []
    for claim in comparison.chosen.claims:
        first, second = (comparison.final(name) for name in (claim.first, claim.second))

        def of_sets(claim: Claim = claim) -> Metric:
            both = (levels_of(comparison, name) for name in (claim.first, claim.second))
            return comparison.medium.difference(comparison.yard, claim.measure, *both)

        found.append(verdict(claim, first.values, second.values, of_sets))
    return found


def sheet_of(comparison: Comparison) -> Image:
    """The same prompts and seeds of every method beside each other."""
    methods = [method.name for method in comparison.chosen.methods]
    return comparison.medium.sheet(comparison.yard, {name: levels_of(comparison, name) for name in methods})


def lines_of(comparison: Comparison, verdicts: list[Verdict], command: str, notes: list[str]) -> Iterator[str]:
    """The lines of report.md."""
    asked, chosen = comparison.yard.asked, comparison.chosen
    counts = ", ".join(f"{sum(each == part for each in asked.parts)} of {part}" for part in dict.fromkeys(asked.parts))
    yield f"# Comparison of methods on {chosen.data}, {comparison.budget} each\n"
    yield f"```console\n$ {command}\n```\n"
    drawn = "; drawn in bfloat16" if chosen.fast else ""
    yield f"Prompts: {counts}; {chosen.seeds} seeds each, the same for every method{drawn}.\n"
    yield comparison.medium.introduction
    yield "## Verdicts\n"
    yield "| claim | decided by | difference | verdict | confirmed if |\n|---|---|---|---|---|"
    for each in verdicts:
        space = "" if each.difference is None else f"{cell(each.difference)}, N {each.difference.n}"
        yield f"| {each.claim.name} | {each.measure} | {space} | {each.answer} | {each.claim.confirmed_if} |"
    yield "\nDifferences are first minus second; of fidelity, likeness and motion less is better.\n"
    yield from _trainings(comparison)
    yield "## At the end of training\n"
    yield from _table(comparison)
    yield "## On the way\n"
    yield f"With fewer prompts but in the last row of each budget: {chosen.curve_prompts} of each part.\n"
    yield from _way(comparison)
    for name, what in ((TRAINING, "training time"), (SAMPLING, "sampling time")):
        if name in notes:
            yield f"![quality against {what}]({name})\n"
    left_out = [*comparison.yard.left_out, *chosen.gaps, *(each for each in notes if each not in (TRAINING, SAMPLING))]
    if left_out:
        yield "## Left out\n"
        yield from (f"- {each}" for each in left_out)
        yield ""
    yield f"The same prompts and seeds beside each other: [{SHEET}]({SHEET}). Every value: [{VALUES}]({VALUES})."


def _trainings(comparison: Comparison) -> Iterator[str]:
    yield "## What was trained\n"
    yield from _shares(comparison)
    yield "| training | parameters | multiply-adds a step | steps done of planned | seconds |\n|---|--:|--:|--:|--:|"
    for name, each in comparison.trainings.items():
        steps = f"{each['steps']:,} of {each['steps_planned']:,}"
        operations = f"{each['multiply_adds_a_step']:.3g}"
        yield f"| {name} | {each['parameters']:,} | {operations} | {steps} | {each['seconds']:.0f} |"
    for name, each in comparison.trainings.items():
        if each["settings"]:
            yield f"\n{name}: {each['recipe']} with {', '.join(f'`{one}`' for one in each['settings'])}"
    yield ""


def _shares(comparison: Comparison) -> Iterator[str]:
    """How each system divides its budget, where there are systems of several trainings."""
    systems = [method for method in comparison.chosen.methods if method.parts]
    if not systems:
        return
    yield SYSTEMS
    yield "| system | shares of its budget | parameters together | seconds together |\n|---|---|--:|--:|"
    for method in comparison.chosen.methods:
        own = [comparison.trainings[each.name] for each in trainings_of(method)]
        shares = ", ".join(f"{each['recipe']} {each['share']:.0%}" for each in own)
        parameters = sum(each["parameters"] for each in own)
        yield f"| {method.name} | {shares} | {parameters:,} | {sum(each['seconds'] for each in own):.0f} |"
    yield ""


def _table(comparison: Comparison) -> Iterator[str]:
    """Methods and companions, by figure."""
    rows = [(each.name, comparison.final(each.name)) for each in comparison.chosen.methods]
    names = list(dict.fromkeys(name for _, each in rows for name in each.values.figures))
    yield f"| method | sampled by | s a {comparison.medium.noun} | {' | '.join(names)} |"
    yield f"|---|---|--:|{'---|' * len(names)}"
    for name, each in rows:
        cells = [cell(each.values.figures.get(figure)) for figure in names]
        yield f"| {name} | {_settings(each)} | {each.sampling_seconds:.3g} | {' | '.join(cells)} |"
    for name, values in comparison.companions.items():
        yield f"| *{name}* | | | {' | '.join(cell(values.figures.get(figure)) for figure in names)} |"
    yield ""
    yield f"N is {len(comparison.yard.asked)} prompts; {comparison.medium.columns(comparison.yard)}.\n"


def _settings(drawing: Drawing) -> str:
    used = [f"{name} {drawing.settings[name]}" for name in ("sampler", "steps", "guidance") if name in drawing.settings]
    return ", ".join(used) or "one step"


def _way(comparison: Comparison) -> Iterator[str]:
    """Each method at each fraction of the budget, and at each number of sampling steps."""
    names = [
        name for name in comparison.medium.figures if any(name in each.values.figures for each in comparison.drawings)
    ]
    yield f"| method | budget | training s | sampling steps | s a {comparison.medium.noun} | {' | '.join(names)} |"
    yield f"|---|--:|--:|--:|--:|{'---|' * len(names)}"
    for each in comparison.drawings:
        cells = " | ".join(cell(each.values.figures.get(name)) for name in names)
        steps = each.settings.get("steps", 1)
        yield (
            f"| {each.method} | {each.fraction:g} | {each.training_seconds:.0f} | {steps} | "
            f"{each.sampling_seconds:.3g} | {cells} |"
        )
    yield ""


def _values(comparison: Comparison, verdicts: list[Verdict], command: str) -> dict[str, Any]:
    """The raw numbers."""
    drawings = [
        {**{name: value for name, value in vars(each).items() if name != "values"}, **each.values.to_json()}
        for each in comparison.drawings
    ]
    return {
        "command": command,
        "set": comparison.chosen.name,
        "data": comparison.chosen.data,
        "budget": asdict(comparison.budget),
        "asked": asdict(comparison.yard.asked),
        "seeds": comparison.chosen.seeds,
        "trainings": dict(comparison.trainings),
        "drawings": drawings,
        "companions": {name: to_json(each.figures) for name, each in comparison.companions.items()},
        "verdicts": [each.to_json() for each in verdicts],
        "left_out": [*comparison.yard.left_out, *comparison.chosen.gaps],
    }


def _draw(comparison: Comparison, folder: Path) -> list[str]:
    """Draw the curves; gives the names of what was drawn, or why nothing was."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return ["the curves: matplotlib is missing; pip install 'text2x[eval]' brings it"]
    for file, across in ((TRAINING, "training"), (SAMPLING, "sampling")):
        shown = [name for name in comparison.medium.curves if name in _figures(comparison)][-2:]
        figure = Figure(figsize=(6 * len(shown), 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        for place, name in enumerate(shown):
            unit = "seconds of training" if across == "training" else f"seconds a {comparison.medium.noun}"
            label = comparison.medium.figures[name]
            axes = figure.add_subplot(1, len(shown), place + 1, xlabel=unit, ylabel=label)
            for method in comparison.chosen.methods:
                points = sorted(_points(comparison, method.name, name, across))
                if points:
                    x, values, below, above = (list(column) for column in zip(*points, strict=True))
                    axes.errorbar(
                        x, values, yerr=[below, above], marker="o", markersize=3, capsize=2, label=method.name
                    )
            axes.set_xscale("log")
            axes.legend(fontsize=7)
            axes.grid(alpha=0.3)
        with written_aside(folder / file) as aside:
            figure.savefig(aside, dpi=90)
    return [TRAINING, SAMPLING]


def _figures(comparison: Comparison) -> set[str]:
    return {name for each in comparison.drawings for name in each.values.figures}


def _points(comparison: Comparison, method: str, name: str, across: str) -> Iterator[tuple[float, float, float, float]]:
    """(x, value, down to the interval's end, up to it) of a method's curve."""
    for each in comparison.drawings:
        metric = each.values.figures.get(name)
        on_curve = each.steps is None if across == "training" else each.fraction == 1
        if each.method == method and metric is not None and on_curve:
            x = each.training_seconds if across == "training" else each.sampling_seconds
            yield x, metric.value, max(0.0, metric.value - metric.low), max(0.0, metric.high - metric.value)
