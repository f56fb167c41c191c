"""Render both sample pictures: ``python -m lessons.scenes.render [FOLDER]``."""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from .landscape import render_landscape
from .painting import render_painting

SAMPLES = Path(__file__).parents[2] / "nnstyle" / "samples"
LIMIT = 295_000  # bytes a picture, so that the package stays small


def to_image(light, width):
    """A float picture (height, width, 3), 0 to 1, as a PIL image scaled down to `width`."""
    image = Image.fromarray(np.rint(light * 255).astype(np.uint8))
    height = round(width * image.height / image.width)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def to_jpeg(image):
    """The image as JPEG bytes: the best quality that fits the limit.

    Colour is kept at half resolution: the bytes do more good in the bristles' light and dark.
    """
    for quality in range(95, 50, -1):
        file = BytesIO()
        image.save(file, "JPEG", quality=quality, subsampling=2, optimize=True, progressive=True)
        if file.tell() <= LIMIT:
            break
    return file.getvalue()


def main():
    """Write content.jpg and style.jpg into the folder given, or into the package."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    for name, render, width in [("content", render_landscape, 1024), ("style", render_painting, 960)]:
        data = to_jpeg(to_image(render(), width))
        (folder / f"{name}.jpg").write_bytes(data)
        print(f"{folder / name}.jpg: {len(data)} bytes")


if __name__ == "__main__":
    main()
