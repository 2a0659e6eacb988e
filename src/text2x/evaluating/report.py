"""The report of an evaluation: Markdown tables with intervals, JSON of every figure, contact sheet and copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from text2x.evaluating.measuring import Report
from text2x.files import write_bytes, write_json, write_text
from text2x.media import Image, contact_sheet
from text2x.metrics.metric import Metric

REPORT, VALUES, SHEET, COPIES = "report.md", "report.json", "sheet.png", "copies.png"
SHEET_ITEMS = 24  # pictures of each part
ROUNDING = 1e-12  # what is below is shown as 0
SOURCES = ("generated", "real", "retrieval", "mean picture", "noise", "chance")
PARTS = {
    "train": "Seen: concepts and styles that were trained on",
    "unseen-concepts": "Unseen concepts",
    "unseen-pairs": "Unseen pairs: seen concepts in a style in which they were not seen",
}
INTRODUCTION = """\
Every figure has its 95 % interval in brackets. N is that of the first column with a figure, and is given again where it
differs. *real*: other real pictures of the same part; *retrieval*: the training picture whose caption is nearest; *mean
picture*: the mean of all training pictures; *noise*; *chance*: what guessing gets. A distance belongs to one feature
space and one N: compare within a row only. R-precision: the own prompt is found among 100. Copies: the nearest training
picture is less than a third as far as the second-nearest; read it beside that of real pictures.
"""


def write_report(report: Report, folder: Path, command: str) -> list[Path]:
    """Write report.md, report.json, sheet.png and copies.png, each whole, and give their paths."""
    paths = [folder / name for name in (REPORT, VALUES, SHEET, COPIES)]
    write_bytes(paths[2], sheet_of(report).encode("png"))
    written = paths[:3]
    if report.pairs:
        write_bytes(paths[3], copies_of(report).encode("png"))
        written = paths
    write_json(paths[1], {"command": command, **report.to_json()})
    write_text(paths[0], "\n".join(lines_of(report, command)) + "\n")
    return written


def sheet_of(report: Report) -> Image:
    """The first pictures of each part, one a prompt."""
    tiles, labels = [], []
    for part in dict.fromkeys(report.pictures.parts):
        pictures = report.pictures.of(part)
        seen: set[tuple[str, str | None]] = set()
        for row, key in enumerate(zip(pictures.prompts, pictures.styles, strict=True)):
            if key not in seen and len(seen) < SHEET_ITEMS:
                seen.add(key)
                tiles.append(Image(pictures.images[row].numpy()))
                labels.append(f"{key[0]} ({part})")
    return contact_sheet(tiles, columns=8, labels=labels, scale=max(1, 96 // tiles[0].width))


def copies_of(report: Report) -> Image:
    """The pairs of generated and training picture that are most alike, side by side."""
    tiles, labels = [], []
    for pair in report.pairs:
        tiles += [Image(pair.generated.numpy()), Image(pair.training.numpy())]
        labels += [f"{pair.ratio:.2f} {pair.prompt}", f"{pair.caption}, {pair.space}"]
    return contact_sheet(tiles, columns=8, labels=labels, scale=max(1, 96 // tiles[0].width))


def lines_of(report: Report, command: str) -> Iterator[str]:
    """The lines of report.md."""
    about = report.about
    yield f"# Evaluation of {about['model']} on {about['data']}\n"
    yield f"```console\n$ {command}\n```\n"
    asked = ", ".join(f"{count} of {part}" for part, count in about["prompts"].items())
    settings = ", ".join(f"{name} {value}" for name, value in about["settings"].items())
    styles = ", ".join(about["styles"]) or "not named"
    yield f"Prompts: {asked}; {about['seeds']} seeds each; {about['size']} pixels; styles: {styles}."
    yield f"Drawn with {settings} in {about['precision']}, {about['seconds_a_picture']:.2f} s a picture.\n"
    yield INTRODUCTION
    for part, found in report.figures.items():
        yield f"## {PARTS.get(part, part)}\n"
        yield from table(found)
    if report.bench:
        yield "## The bench: 200 prompts, R-precision by kind of difficulty\n"
        yield from table(_by_source(report.bench))
    if report.losses:
        yield "## Denoising loss by noise level, of training pictures and of unseen concepts\n"
        yield from table(report.losses)
    if report.left_out:
        yield "## Left out\n"
        yield from (f"- {each}" for each in grouped(report.left_out))
        yield ""
    yield f"Pictures: [{SHEET}]({SHEET}). Figures: [{VALUES}]({VALUES})."
    if report.pairs:
        yield f"What is most like a copy, with its nearest training picture: [{COPIES}]({COPIES})."


def _by_source(figures: Mapping[str, Mapping[str, Metric]]) -> dict[str, dict[str, Metric]]:
    """Name -> source -> figure, turned to source -> name -> figure."""
    sources = dict.fromkeys(source for found in figures.values() for source in found)
    return {source: {name: found[source] for name, found in figures.items() if source in found} for source in sources}


def table(figures: Mapping[str, Mapping[str, Metric]], order: Sequence[str] = SOURCES) -> Iterator[str]:
    """Rows of names, columns of sources in the order, from source -> name -> figure."""
    sources = sorted(figures, key=lambda each: order.index(each) if each in order else -1)
    sources = [source for source in sources if figures[source]]
    names = list(dict.fromkeys(name for source in sources for name in figures[source]))
    yield f"| figure | N | {' | '.join(sources)} |"
    yield f"|---|--:|{'---|' * len(sources)}"
    for name in names:
        found = {source: figures[source].get(name) for source in sources}
        count = next(each.n for each in found.values() if each is not None)
        cells = [cell(each, count) for each in found.values()]
        yield f"| {name} | {count} | {' | '.join(cells)} |"
    yield ""


def grouped(left_out: Sequence[str]) -> Iterator[str]:
    """What is left out, one line a reason: "train, generated, pixels: too few" with all sources of that part."""
    sources: dict[tuple[str, str], list[str]] = {}
    for each in left_out:
        place, _, reason = each.partition(": ")
        part, _, source = place.partition(", ")
        known = part in PARTS and source
        sources.setdefault((part, reason) if known else (each, ""), []).append(source.partition(", ")[0])
    for (part, reason), found in sources.items():
        yield f"{part}, {', '.join(dict.fromkeys(found))}: {reason}" if reason else part


def cell(metric: Metric | None, count: int | None = None) -> str:
    """A figure with its interval, and its N where that is another than `count`."""
    if metric is None:
        return ""
    value, low, high = (0.0 if abs(each) < ROUNDING else each for each in (metric.value, metric.low, metric.high))
    if low == high:
        return f"{value:.3g}"
    other = "" if count in (None, metric.n) else f", N {metric.n}"
    return f"{value:.3g} ({low:.3g} to {high:.3g}{other})"
