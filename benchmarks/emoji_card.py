"""The figures and sheets of the card of `emoji`: 50 trained names in two styles, and the nearest training pictures.

The names are the first 50 trained concepts, without flags, by the SHA-256 of their slug: nobody chose them. Needs the
data set (text2x data prepare emoji). Distances are root mean squares over premultiplied RGBA in [0, 1] at 32 px.
Writes PNG files into --out and prints Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np

import text2x
from text2x.data import load as load_data
from text2x.data.imageset import ImageSet
from text2x.media import Image, contact_sheet

NAMES = 50
SIDE = 32
COPY = 1 / 3  # nearest to second-nearest distance below which a picture counts as a copy (Yoon et al. 2023)


def names_of(images: ImageSet, styles: tuple[str, ...]) -> list[str]:
    """Concepts that are trained in every style, in the order of their hashes; their plain names."""
    trained: dict[str, set[str]] = {}
    names = {}
    for index in images.split("train"):
        item = images.items[index]
        if item.group != "flags" and item.style in styles:
            trained.setdefault(item.concept, set()).add(item.style)
            names.setdefault(item.concept, item.captions[0])
    both = [concept for concept, having in trained.items() if having == set(styles)]
    both.sort(key=lambda concept: hashlib.sha256(concept.encode()).hexdigest())
    return list(dict.fromkeys(names[concept] for concept in both))[:NAMES]


def flat(pictures: np.ndarray) -> np.ndarray:
    """uint8 [N, 4, S, S] premultiplied -> float32 [N, 4 * 32 * 32] in [0, 1], averaged down to 32 px."""
    factor = pictures.shape[-1] // SIDE
    shrunk = pictures.reshape(len(pictures), 4, SIDE, factor, SIDE, factor).astype(np.float32).mean((3, 5))
    return (shrunk / 255).reshape(len(pictures), -1)


def premultiplied(image: Image) -> np.ndarray:
    """uint8 [1, 4, H, W]."""
    return np.clip((image.pixels + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)[None]


def nearest(of: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the nearest row and the distances to the nearest two, for each row of `of`."""
    squared = (of**2).sum(1)[:, None] + (among**2).sum(1)[None] - 2 * of @ among.T
    order = np.argsort(squared, axis=1)[:, :2]
    two = np.sqrt(np.maximum(np.take_along_axis(squared, order, 1), 0) / of.shape[1])
    return order[:, 0], two


def save_small(sheet: Image, path: Path) -> None:
    """A PNG of 128 colours: these sheets are kept in the repository."""
    sheet.to_pil().convert("RGB").quantize(128).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--out", type=Path, default=Path("src/text2x/shipped/emoji"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    generator = text2x.load(options.model)
    images = load_data("emoji")
    styles = generator.styles
    names = names_of(images, styles)

    rows = [i for i in images.split("train") if images.items[i].style in styles and images.items[i].group != "flags"]
    trained = flat(images.images[rows])
    made, labels = [], []
    for name in names:
        for style in styles:
            request = text2x.ImageRequest(name, seed=options.seed, style=style)
            made.append(generator.generate(request)[0].media)
            labels.append(f"{name}, {style}")
    save_small(contact_sheet(made, columns=10, labels=labels), options.out / "emoji-50.png")

    shown = np.concatenate([flat(premultiplied(each)) for each in made])
    index, two = nearest(shown, trained)
    beside, told = [], []
    for place, picture in enumerate(made):
        real = images.images[rows[index[place]]].astype(np.float32) / 127.5 - 1
        item = images.items[rows[index[place]]]
        beside += [picture, Image(real).resize(picture.width)]
        told += [labels[place], f"{item.captions[0]}, {item.style}: {two[place, 0]:.2f}"]
    save_small(contact_sheet(beside, columns=12, labels=told), options.out / "emoji-nearest.png")

    unseen = [i for i in images.split("unseen-concepts") if images.items[i].style in styles]
    unseen = [i for i in unseen if images.items[i].group != "flags"][:: max(1, len(unseen) // 200)]
    _, real_two = nearest(flat(images.images[unseen]), trained)
    same = sum(
        images.items[rows[i]].captions[0] == label.rsplit(", ", 1)[0] for i, label in zip(index, labels, strict=True)
    )
    print(f"| pictures | N | nearest training picture, median distance | copies (ratio below {COPY:.2f}) |")
    print("| --- | --- | --- | --- |")
    for title, pair in (("made", two), ("real, held-out concepts", real_two)):
        ratio = pair[:, 0] / np.maximum(pair[:, 1], 1e-9)
        print(f"| {title} | {len(pair)} | {np.median(pair[:, 0]):.3f} | {(ratio < COPY).mean():.1%} |")
    print(f"\nThe nearest training picture has the name that was asked for in {same} of {len(labels)} cases.")


if __name__ == "__main__":
    main()
