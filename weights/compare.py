r"""Tell the better of several networks, or settings: pictures side by side, and numbers beside them.

    python -m weights.compare pocket new.h5 --pairs PHOTO PAINTING --pairs PHOTO PAINTING \
        --textures PICTURE PICTURE --size 512 -o sheet.jpg

A candidate is what `python -m nnstyle` would be told of the network and the losses, in one word:
"pocket", "new.h5", "new.h5 --layer-weights .1,.2,.2,.2,.3 --beta 4e7". Or it is a picture that is there
already, as a file's name: "theirs/{photo}_{painting}.png" stands for theirs/boat_scream.png, for the pair
of boat.jpg and scream.jpg. A pair without such a file is shown without this candidate.

    python -m weights.compare pocket "theirs/{photo}_{painting}.png" --pairs PHOTO PAINTING \
        --pairs PHOTO PAINTING --blind key.json -o sheet.png

hides who painted what: one sheet for each pair, sheet-1.png and so on, with the candidates as A, B, C in
an order of its own. The key is kept in a file that judges should not see. Each judge writes a file such as
{"boat_scream": ["B", "A"]}, the best first, and

    python -m weights.compare --ranks key.json judge-1.json judge-2.json

prints how the candidates were ranked.
"""

import argparse
import dataclasses
import json
import random
import shlex
import string
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

import nnstyle
from nnstyle import InputError, Settings
from nnstyle.cli import arguments as options
from nnstyle.files import check_writable, whole_file
from nnstyle.pictures import (
    FORMATS,
    check_no_input_is_replaced,
    check_output,
    fit,
    load_image,
    resize,
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

    def has(self, pair):
        """Whether it can show a picture of this pair."""
        return True

    def files(self, pairs):
        """The files that it reads."""
        return [self.weights.path]


@dataclasses.dataclass(frozen=True)
class Finished:
    """Pictures that are there already.

    Attributes
    ----------
    label : str
    pattern : str
        A file's name, in which {photo} and {painting} stand for a pair's names.
    size : int
        Long edge of the pictures that it is compared with, px.
    """

    label: str
    pattern: str
    size: int

    def path(self, pair):
        """Where its picture of this pair should be."""
        photo, painting = (Path(path).stem for path in pair)
        return Path(self.pattern.replace("{photo}", photo).replace("{painting}", painting))

    def paint(self, content, style, threads=None):
        """The picture, uint8 (H, W, 3), scaled and cropped to the size of the others."""
        height, width = resize(load_image(content), self.size).shape[:2]
        return fit(load_image(self.path((content, style))), height, width)

    def has(self, pair):
        """Whether there is a picture of this pair."""
        return self.path(pair).is_file()

    def files(self, pairs):
        """The files that it reads."""
        return [self.path(pair) for pair in pairs]


def candidate(text, size, iterations):
    """A `Candidate` from a network's name or file and options of `python -m nnstyle`, or a `Finished`."""
    try:
        name, *rest = shlex.split(text)
    except ValueError:
        raise InputError(
            f"candidate {text!r} should be a network and options, quoted as in a shell"
        ) from None
    if not rest and Path(name).suffix.lower() in FORMATS:
        return Finished(text, name, size)
    given = ["--size", str(size), "--iterations", str(iterations), "--weights", name, *rest]
    parsed = options.make_parser().parse_args(given)
    settings = {name: getattr(parsed, name, default) for name, default in DEFAULTS.items()}
    return Candidate(text, nnstyle.load_weights(name), settings)


# Of textures and reconstructions: one scale, in which the numbers of the card were measured.
PLAIN = {"init": "noise", "scales": 1, "border": 0, "beta_per_pixel": None}


def resynthesize(candidate, texture, threads=None):
    """A texture made from white noise by the style loss alone, uint8, of the texture's size."""
    return candidate.paint(texture, texture, threads, size=max(texture.shape), alpha=0, beta=None, **PLAIN)


def reconstruct(candidate, content, threads=None):
    """A picture made from white noise by the content loss alone, uint8, of its own size."""
    return candidate.paint(content, content, threads, size=max(content.shape), beta=0, tv_weight=0, **PLAIN)


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
        shown = [resize(load_image(path), size) for path in (content, style)]
        for one in candidates:
            shown.append(one.paint(content, style, threads) if one.has((content, style)) else None)
        yield shown


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


def blind_sheet(pictures, titles, width):
    """Pictures of one pair on a sheet that tells nothing of who painted them.

    Parameters
    ----------
    pictures : list of uint8 arrays (H, W, 3)
        The photograph first. All are shown at its size, scaled down to `width` if it is wider.
    titles : list of str, one for each picture
    width : int, px

    Returns
    -------
    PIL image
    """
    scale = min(1, width / pictures[0].shape[1])
    height, width = (round(n * scale) for n in pictures[0].shape[:2])
    columns = 3 if len(pictures) > 4 else 2
    lines = -(-len(pictures) // columns)
    across, down = width + MARGIN, TITLE + height + MARGIN
    sheet = Image.new("RGB", (MARGIN + columns * across, lines * down), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        left, top = MARGIN + place % columns * across, place // columns * down
        draw.text((left, top + 3), title, "black", font)
        shown = ImageOps.contain(Image.fromarray(picture), (width, height), Image.Resampling.LANCZOS)
        sheet.paste(shown, (left, top + TITLE))
    return sheet


def pair_name(pair):
    """What a pair is called in the key and by the judges."""
    return "_".join(Path(path).stem for path in pair)


def shuffled(candidates, pairs, seed=None):
    """The candidates of each pair by letter: ``{pair's name: {"A": candidate, ..}}``.

    A seed of None is another order each time.
    """
    order, chosen = random.Random(seed), {}
    for pair in pairs:
        there = [one for one in candidates if one.has(pair)]
        if not 2 <= len(there) <= len(string.ascii_uppercase):
            raise InputError(f"{pair_name(pair)} has {len(there)} candidates: a judge needs from 2 to 26")
        order.shuffle(there)
        chosen[pair_name(pair)] = dict(zip(string.ascii_uppercase, there, strict=False))
    if len(chosen) < len(pairs):
        raise InputError("two pairs have the same name: rename a file")
    return chosen


def numbered(path, number):
    """sheet.png -> sheet-1.png."""
    return Path(path).with_stem(f"{Path(path).stem}-{number}")


def paint_blind(chosen, candidates):
    """Write the key and, pair by pair, the sheets; the key comes first, as painting takes long."""
    letters = shuffled(candidates, chosen.pairs, chosen.seed)
    outputs = [numbered(chosen.output, number) for number in range(1, len(chosen.pairs) + 1)]
    for path in (chosen.blind, *outputs):
        if Path(path).exists():
            raise InputError(f"{path} is there already: name another, or remove it first")
        check_writable(path)
    key = {name: {letter: one.label for letter, one in these.items()} for name, these in letters.items()}
    with whole_file(chosen.blind) as file:
        file.write(f"{json.dumps(key, indent=2)}\n".encode())
    print(chosen.blind)
    for path, pair in zip(outputs, chosen.pairs, strict=True):
        these = letters[pair_name(pair)]
        (pictures,) = paint_pairs([*these.values()], [pair], chosen.size, chosen.threads)
        save_sheet(blind_sheet(pictures, [pair_name(pair), "", *these], chosen.width), path)


def save_sheet(sheet, path):
    """Write a sheet, whole or not at all, and print its name."""
    with whole_file(path) as file:
        sheet.save(file, FORMATS[Path(path).suffix.lower()], quality=90)
    print(path)


def read_json(path):
    """The object in a JSON file."""
    try:
        read = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{path} is not JSON") from None
    if not isinstance(read, dict):
        raise InputError(f"{path} should hold an object: {{pair: ..}}")
    return read


def read_key(path):
    """What `paint_blind` wrote: ``{pair: {letter: candidate}}``."""
    key = read_json(path)
    for letters in key.values():
        if not isinstance(letters, dict) or not all(isinstance(name, str) for name in letters.values()):
            raise InputError(f"{path} is not a key that --blind wrote")
    return key


def read_ranks(path, key):
    """One judge's candidates of each pair, the best first: ``{pair: [candidate, ..]}``."""
    ranks = {}
    for pair, order in read_json(path).items():
        if pair not in key:
            raise InputError(f"{path}: the key has no pair {pair!r:.100}")
        if not isinstance(order, list) or sorted(map(str, order)) != sorted(key[pair]):
            raise InputError(f"{path}: {pair} should be an order of {', '.join(sorted(key[pair]))}")
        ranks[pair] = [key[pair][letter] for letter in order]
    return ranks


def rank_table(orders):
    """Lines that say how each candidate was ranked, the best first.

    Parameters
    ----------
    orders : list of lists of str
        Candidates, the best first.
    """
    places = {}
    for order in orders:
        for place, name in enumerate(order, 1):
            places.setdefault(name, []).append(place)
    for name, found in sorted(places.items(), key=lambda item: np.mean(item[1])):
        yield f"{np.mean(found):9.2f} {found.count(1):5} of {len(found):<4} {name}"


def print_ranks(key_path, rank_paths):
    """Print how the judges ranked the candidates, for each pair and over all."""
    key = read_key(key_path)
    judges = [read_ranks(path, key) for path in rank_paths]
    print("mean rank  wins of     candidate")
    orders = {pair: [ranks[pair] for ranks in judges if pair in ranks] for pair in key}
    for pair, found in orders.items():
        if found:
            print(pair, *rank_table(found), sep="\n")
    print("all pairs", *rank_table(sum(orders.values(), [])), sep="\n")


def make_parser():
    """The parser of ``python -m weights.compare``."""
    parser = options.Parser(
        prog="python -m weights.compare", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add(
        "candidates",
        nargs="*",
        metavar="CANDIDATE",
        help="network and options of python -m nnstyle, or pictures that are there already",
    )
    add("--pairs", nargs=2, action="append", default=[], metavar=("PHOTO", "PAINTING"))
    add("--textures", nargs="+", default=[], metavar="PICTURE", help="made anew from noise, and measured")
    add("--contents", nargs="+", default=[], metavar="PHOTO", help="reconstructed from noise, and measured")
    add("--blind", metavar="KEY", help="make a sheet for each pair without names, which go to this file")
    add("--seed", type=int, help="of the order on blind sheets (default: another one each time)")
    add("--ranks", nargs="+", metavar=("KEY", "RANKS"), help="print how judges ranked the blind sheets")
    add("--size", type=int, default=512, help="of the pairs, px (default: %(default)s)")
    add("--content-size", type=int, default=256, help="of the reconstructions, px (default: %(default)s)")
    add("--iterations", type=int, default=150, help="of L-BFGS, for each picture (default: %(default)s)")
    add("--threads", type=int, help="processor cores (default: all)")
    add("--width", type=int, help="of a picture on the sheet, px (default: 384, blind 512)")
    add("-o", "--output", help="the contact sheet (default: sheet.jpg, blind sheet.png: sheet-1.png ..)")
    return parser


def main(argv=None):
    """Compare, and return the exit status: 0, or 2 for bad input."""
    try:
        run(make_parser().parse_args(argv))
    except InputError as error:
        print(f"python -m weights.compare: {error}", file=sys.stderr)
        return 2
    return 0


def run(chosen):
    """Do what was asked for: compare, or print what the judges found."""
    if chosen.ranks and (chosen.candidates or len(chosen.ranks) < 2):
        raise InputError("--ranks takes a key and at least one judge's ranks, and no candidates")
    if chosen.ranks:
        print_ranks(*chosen.ranks[:1], chosen.ranks[1:])
        return
    if not chosen.candidates:
        raise InputError("name at least one candidate (--help shows how)")
    if chosen.blind and (chosen.textures or chosen.contents or not chosen.pairs):
        raise InputError("--blind takes --pairs, and neither --textures nor --contents")
    chosen.width = chosen.width or (512 if chosen.blind else 384)
    chosen.output = chosen.output or ("sheet.png" if chosen.blind else "sheet.jpg")
    compare(chosen)


def compare(chosen):
    """Print the tables and write the sheet, or the blind sheets."""
    check_output(chosen.output)
    candidates = [candidate(text, chosen.size, chosen.iterations) for text in chosen.candidates]
    for one in candidates:
        check_finished(one, chosen)
    check_no_input_is_replaced(chosen.output, inputs(chosen, candidates))
    if chosen.blind:
        paint_blind(chosen, candidates)
        return
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
        save_sheet(contact_sheet(rows, titles, chosen.width), chosen.output)


def check_finished(one, chosen):
    """Finished pictures cannot paint, and at least one of them must be there."""
    if isinstance(one, Finished) and (chosen.textures or chosen.contents):
        raise InputError(f"{one.label} is a picture: --textures and --contents need networks")
    if isinstance(one, Finished) and not any(map(one.has, chosen.pairs)):
        raise InputError(f"{one.label}: there is no such picture of any of the pairs")


def inputs(chosen, candidates):
    """Every file that is read: the sheet must not replace one of them."""
    pairs = [path for pair in chosen.pairs for path in pair]
    return [
        *(path for one in candidates for path in one.files(chosen.pairs)),
        *pairs,
        *chosen.textures,
        *chosen.contents,
    ]


if __name__ == "__main__":
    sys.exit(main())
