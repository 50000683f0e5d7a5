"""Render the study's data: words in the DejaVu fonts, made hard to read.

Words are nouns of WordNet and numbers. Needs Pillow, and Debian's packages ``fonts-dejavu`` and
``wordnet-base``. Run in this folder::

    python make_data.py
"""

import re
import string
from pathlib import Path

import numpy as np
import onnx
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FOLDER = Path(__file__).parent
FONTS = sorted(Path("/usr/share/fonts/truetype/dejavu").glob("DejaVu[!M]*.ttf"))
NOUNS = Path("/usr/share/wordnet/index.noun")
SIZE = (80, 24)
LONGEST = 8
ROWS = {"calibration": 96, "search": 400, "confirm": 800}


def texts(count: int, rng: np.random.Generator) -> list[str]:
    """Distinct texts of three to eight characters: two thirds nouns, the others numbers."""
    nouns = re.findall(rf"^[a-z]{{3,{LONGEST}}}(?= )", NOUNS.read_text(), re.MULTILINE)
    found = dict.fromkeys(rng.choice(nouns, count * 2 // 3, replace=False).tolist())
    for index, word in enumerate(list(found)):
        if index % 2:
            del found[word]
            found[word.capitalize() if index % 4 == 1 else word.upper()] = None
    while len(found) < count:
        found["".join(rng.choice(list(string.digits), rng.integers(3, LONGEST + 1)))] = None
    return rng.permutation(list(found)).tolist()


def render(text: str, rng: np.random.Generator) -> np.ndarray:
    """A small grey image, uint8 ``[24, 80]``: turned, blurred, of low contrast, noisy."""
    scale = 4
    width, height = SIZE[0] * scale, SIZE[1] * scale
    paper = int(rng.integers(120, 240))
    ink = paper - int(rng.integers(50, 100))
    image = Image.new("L", (width, height), paper)
    points = int(rng.integers(48, 68))
    path = str(FONTS[rng.integers(len(FONTS))])
    while (font := ImageFont.truetype(path, points)).getlength(text) > width - 20:
        points -= 2
    ImageDraw.Draw(image).text((width // 2, height // 2), text, ink, font, anchor="mm")
    image = image.rotate(rng.uniform(-4, 4), Image.Resampling.BICUBIC, fillcolor=paper)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(1.0, 4.5)))
    pixels = np.asarray(image.resize(SIZE, Image.Resampling.BOX), np.float32)
    noisy = pixels + rng.normal(0, rng.uniform(2, 10), pixels.shape)
    # Two grey levels apart: finer noise would only make the file larger.
    return (np.clip(np.round(noisy / 4), 0, 63) * 4).astype(np.uint8)


def class_indices() -> dict[str, int]:
    """Character to class of the model's output; class 0 is the blank of CTC."""
    model = onnx.load(FOLDER / "model.onnx")
    characters = next(p.value for p in model.metadata_props if p.key == "character").split("\n")
    return {character: index for index, character in enumerate(characters, start=1)}


def main() -> None:
    rng = np.random.default_rng(0)
    classes = class_indices()
    arrays: dict[str, np.ndarray] = {}
    words = texts(sum(ROWS.values()), rng)
    for split, count in ROWS.items():
        own, words = words[:count], words[count:]
        labels = np.zeros((count, LONGEST), np.int16)
        for row, word in zip(labels, own, strict=True):
            row[: len(word)] = [classes[character] for character in word]
        arrays[f"{split}/image"] = np.stack([render(word, rng) for word in own])
        arrays[f"{split}/labels"] = labels
    np.savez_compressed(FOLDER / "data.npz", **arrays)
    print(f"{ROWS}, {(FOLDER / 'data.npz').stat().st_size} bytes")


if __name__ == "__main__":
    main()
