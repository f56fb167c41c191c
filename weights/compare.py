"""Tell the better of several networks, or settings: pictures side by side, and numbers beside them.

    python -m weights.compare pocket new.h5 --pairs PHOTO PAINTING --pairs PHOTO PAINTING \
        --textures PICTURE PICTURE --size 512 -o sheet.jpg

A candidate is what `python -m nnstyle` would be told of the network and the losses, in one word:
"pocket", "new.h5", "new.h5 --layer-weights .1,.2,.2,.2,.3 --beta 4e7".
"""

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import nnstyle
from nnstyle import InputError, Settings
from nnstyle.cli import arguments as options
from nnstyle.pictures import (
    FORMATS,
    check_no_input_is_replaced,
    check_output,
    load_image,
    resize,
    whole_file,
)
from weights.measures import ms_ssim, texture_distance

TEXTURE = 192  # px: as large as a stroke repeats, and done within seconds
MARGIN, TITLE = 4, 28  # px of the sheet
DEFAULTS = {field.name: field.default for field in dataclasses.fields(Settings)}


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network with settings.

    Attributes
    ----------
    label : str
    weights : Weights
    settings : dict
        As for `nnstyle.stylize`.
    """

    label: str
    weights: nnstyle.Weights
    settings: dict

    def paint(self, content, style, threads=None, **instead):
        """The picture, uint8 (H, W, 3); `instead` goes before the candidate's own settings."""
        return nnstyle.stylize(content, style, self.weights, threads=threads, **self.settings | instead).image


def candidate(text, size, iterations):
    """A `Candidate` from a network's name or file and options of `python -m nnstyle`."""
    name, *rest = shlex.split(text)
    given = ["--size", str(size), "--iterations", str(iterations), "--weights", name, *rest]
    parsed = options.make_parser().parse_args(given)
    settings = {name: getattr(parsed, name, default) for name, default in DEFAULTS.items()}
    return Candidate(text, nnstyle.load_weights(name), settings)


def resynthesize(candidate, texture, threads=None):
    """A texture made from white noise by the style loss alone, uint8, of the texture's size."""
    return candidate.paint(
        texture, texture, threads, size=max(texture.shape), alpha=0, init="noise", scales=1, beta=None
    )


def reconstruct(candidate, content, threads=None):
    """A picture made from white noise by the content loss alone, uint8, of its own size."""
    return candidate.paint(
        content, content, threads, size=max(content.shape), beta=0, init="noise", scales=1, tv_weight=0
    )


def read_texture(path, size):
    """The middle of a picture that is `size` px long: strokes as large as they are in the pairs."""
    pixels = resize(load_image(path), size)
    top, left = ((n - TEXTURE) // 2 for n in pixels.shape[:2])
    if min(top, left) < 0:
        raise nnstyle.InputError(f"{path}: a texture needs {TEXTURE} px each way at size {size}")
    return pixels[top : top + TEXTURE, left : left + TEXTURE]


def texture_table(candidates, paths, size, threads=None):
    """Lines of numbers, and a row of pictures for each texture."""
    totals, lines, rows = np.zeros((len(candidates), 2)), [], []
    for path in paths:
        texture = read_texture(path, size)
        made = [resynthesize(one, texture, threads) for one in candidates]
        distances = [texture_distance(picture, texture) for picture in made]
        totals += np.array(distances) / len(paths)
        lines.append(line(Path(path).stem, *("{:.3f} {:.3f}".format(*pair) for pair in distances)))
        rows.append([texture, None, *made])
    return [*lines, line("mean", *("{:.3f} {:.3f}".format(*pair) for pair in totals))], rows


def content_table(candidates, paths, size, threads=None):
    """Lines of numbers: MS-SSIM of each content image as it is reconstructed from its features."""
    lines, table = [], []
    for path in paths:
        content = resize(load_image(path), size)
        table.append([ms_ssim(reconstruct(one, content, threads), content) for one in candidates])
        lines.append(line(Path(path).stem, *map("{:.3f}".format, table[-1])))
    return [*lines, line("mean", *map("{:.3f}".format, np.mean(table, axis=0)))]


def line(name, *values):
    """One line of a table."""
    return f"{name[:20]:20}" + "".join(f"{value:>16}" for value in values)


def paint_pairs(candidates, pairs, size, threads=None):
    """A row of pictures for each pair: content image, style image, what each candidate painted."""
    for content, style in pairs:
        painted = [one.paint(content, style, threads) for one in candidates]
        yield [*(resize(load_image(path), size) for path in (content, style)), *painted]


def contact_sheet(rows, titles, width):
    """Rows of pictures on one sheet.

    Parameters
    ----------
    rows : list of lists of uint8 arrays (H, W, 3), or None where a cell stays empty
        As long as `titles`.
    titles : list of str
    width : int
        Of a cell, px. Pictures are scaled to it; a row is as high as its first picture then is.

    Returns
    -------
    PIL image
    """
    heights = [round(width * row[0].shape[0] / row[0].shape[1]) for row in rows]
    sheet_size = MARGIN + len(titles) * (width + MARGIN), TITLE + sum(heights) + MARGIN * len(rows)
    sheet = Image.new("RGB", sheet_size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, title in enumerate(titles):
        draw.text((MARGIN + column * (width + MARGIN), 6), title[: width // 6], "black", font)
    top = TITLE
    for row, height in zip(rows, heights, strict=True):
        for column, picture in enumerate(row):
            if picture is not None:
                small = Image.fromarray(picture)
                small.thumbnail((width, height), Image.Resampling.LANCZOS)
                sheet.paste(small, (MARGIN + column * (width + MARGIN), top))
        top += height + MARGIN
    return sheet


def make_parser():
    """The parser of ``python -m weights.compare``."""
    parser = options.Parser(
        prog="python -m weights.compare", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("candidates", nargs="+", metavar="CANDIDATE", help="network and options of python -m nnstyle")
    add("--pairs", nargs=2, action="append", default=[], metavar=("PHOTO", "PAINTING"))
    add("--textures", nargs="+", default=[], metavar="PICTURE", help="made anew from noise, and measured")
    add("--contents", nargs="+", default=[], metavar="PHOTO", help="reconstructed from noise, and measured")
    add("--size", type=int, default=512, help="of the pairs, px (default: %(default)s)")
    add("--content-size", type=int, default=256, help="of the reconstructions, px (default: %(default)s)")
    add("--iterations", type=int, default=150, help="of L-BFGS, for each picture (default: %(default)s)")
    add("--threads", type=int, help="processor cores (default: all)")
    add("--width", type=int, default=384, help="of a picture on the sheet, px (default: %(default)s)")
    add("-o", "--output", default="sheet.jpg", help="the contact sheet (default: %(default)s)")
    return parser


def main(argv=None):
    """Compare, and return the exit status: 0, or 2 for bad input."""
    try:
        compare(make_parser().parse_args(argv))
    except InputError as error:
        print(f"python -m weights.compare: {error}", file=sys.stderr)
        return 2
    return 0


def compare(chosen):
    """Print the tables and write the sheet."""
    check_output(chosen.output)
    candidates = [candidate(text, chosen.size, chosen.iterations) for text in chosen.candidates]
    check_no_input_is_replaced(chosen.output, inputs(chosen, candidates))
    for number, one in enumerate(candidates, 1):
        print(f"{number}: {one.label}")
    numbers, rows = [str(number) for number in range(1, len(candidates) + 1)], []
    if chosen.textures:
        lines, rows = texture_table(candidates, chosen.textures, chosen.size, chosen.threads)
        print(line("textures", *numbers), "(marginals, correlations; 0: the same)", *lines, sep="\n")
    if chosen.contents:
        lines = content_table(candidates, chosen.contents, chosen.content_size, chosen.threads)
        print(line("contents", *numbers), "(MS-SSIM; 1: the same)", *lines, sep="\n")
    rows = [*paint_pairs(candidates, chosen.pairs, chosen.size, chosen.threads), *rows]
    if rows:
        titles = ["content", "style", *(one.label for one in candidates)]
        sheet = contact_sheet(rows, titles, chosen.width)
        with whole_file(chosen.output) as part:
            sheet.save(part, FORMATS[Path(chosen.output).suffix.lower()], quality=85)
        print(chosen.output)


def inputs(chosen, candidates):
    """Every file that is read: the sheet must not replace one of them."""
    pairs = [path for pair in chosen.pairs for path in pair]
    return [*(one.weights.path for one in candidates), *pairs, *chosen.textures, *chosen.contents]


if __name__ == "__main__":
    sys.exit(main())
