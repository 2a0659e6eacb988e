"""The pictures of docs/editing.md: edits of pictures that the default model made itself. Writes a contact sheet."""

from __future__ import annotations

import argparse
from pathlib import Path

import text2x
from text2x.media import Image, contact_sheet

FACE, HEART, HORSE = "grinning face", "a red heart", "horse"


def main() -> None:
    """Make a picture, edit it in several ways, and put all on one sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/figures/editing-pictures.png"))
    arguments = parser.parse_args()
    face, heart, horse = (text2x.image(prompt, seed=1) for prompt in (FACE, HEART, HORSE))
    half = Image(horse.pixels[:, :, :36])
    tiles = {
        FACE: face,
        "inpaint, the eyes: sunglasses": text2x.inpaint(face, "6,14,52,18", "smiling face with sunglasses", seed=3),
        "outpaint, top: a crown": text2x.outpaint(face, "a yellow crown", top=32, seed=1),
        "outpaint, left and right": text2x.outpaint(face, left=32, right=32, seed=1),
        HEART: heart,
        "vary 0.5": text2x.vary(heart, strength=0.5, seed=2),
        "vary 0.7: a green frog": text2x.vary(heart, "a green frog", strength=0.7, seed=2),
        "vary 0.9: a green frog": text2x.vary(heart, "a green frog", strength=0.9, seed=2),
        "a horse, cut off": half,
        "outpaint, right: horse": text2x.outpaint(half, HORSE, right=28, seed=1),
        "langevin": text2x.outpaint(half, HORSE, right=28, seed=1, method="langevin"),
        "inpaint, the middle": text2x.inpaint(horse, "20,20,24,24", HORSE, seed=1),
    }
    sheet = contact_sheet(list(tiles.values()), 4, list(tiles), background="checkerboard", scale=2)
    sheet.save(arguments.out)


if __name__ == "__main__":
    main()
