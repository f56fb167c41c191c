"""The paper's Figures 1, 2 and 3 at 512 px, converged: ``python -m lessons.paper_figures``.

The lessons run small versions of these figures in seconds. This command takes the time that the large ones need, up to
some minutes a picture, and keeps what it makes: pictures with their settings inside (``nnstyle show``), and
`manifest.json`, with checksums and with the losses and correlations along the way. A picture that is there already, made
of the same inputs with the same settings, is not made again. ``--check`` looks whether all are still what they say.
"""

import argparse
import dataclasses
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.fft import dctn, idctn

import nnstyle
from nnstyle.files import write_over
from nnstyle.objective import paper_terms
from nnstyle.optimizers.scipy_lbfgsb import minimize
from nnstyle.pictures import deprocess, load_image, preprocess, resize, stored_settings
from nnstyle.pictures.colour import srgb_profile
from nnstyle.pictures.saving import IMAGE_DESCRIPTION, encoded_by_pillow
from nnstyle.resources import engine_for
from nnstyle.weights import rescale

SAMPLES = Path(nnstyle.__file__).parent / "samples"
OUT = Path(__file__).parent / "figures" / "paper"
MANIFEST, NUMBERS = "manifest.json", "numbers.csv"

LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
BETAS_PER_PIXEL = (10_000, 1000, 100, 10)  # Figure 3's columns: alpha / beta in steps of ten
SIZE, ITERATIONS = 512, 500
FAINT = 0.1  # of the full range: the noise from which content is reconstructed (lesson 8)
QUALITY = 80  # of the WebP files
BY_FREQUENCIES = "by frequencies"
EVERY = 10  # iterations between two rows of a curve
SHEET_CELL = 320  # px: the width of a picture in a sheet


@dataclass(frozen=True)
class Inputs:
    """The pictures and networks to paint with, and how large and how long."""

    photos: tuple[Path, ...] = (SAMPLES / "content.jpg",)
    paintings: tuple[Path, ...] = (SAMPLES / "style.jpg",)
    second_weights: Path | None = None
    size: int = SIZE
    iterations: int = ITERATIONS


@dataclass(frozen=True)
class Recipe:
    """One picture to be made."""

    figure: str
    name: str
    title: str
    photo: Path
    painting: Path
    options: dict[str, Any] = field(default_factory=dict)
    weights: Any = "pocket"
    faint_noise: bool = False  # start from it; otherwise from what the options say
    by_frequencies: bool = False  # see the class `Frequencies`

    @property
    def file(self) -> str:
        """The name of the picture's file."""
        return f"{self.name}.webp"

    def job(self, folder: Path) -> nnstyle.Job:
        """The checked job. `folder` is for the noise to start from."""
        options = dict(self.options)
        if self.faint_noise:
            options["init"] = noise_file(self.photo, options["size"], folder)
        return nnstyle.prepare(self.photo, self.painting, self.weights, **options)


def recipes(inputs: Inputs) -> list[Recipe]:
    """All pictures, in the order in which they are made."""
    second = list(figure2(inputs))
    of_first_photo = len(inputs.paintings)
    first, rest = second[:of_first_photo], second[of_first_photo:]
    return [*first, *figure1(inputs), *figure3(inputs), *rest, *beside_the_figures(inputs)]


def figure1(inputs: Inputs) -> Iterator[Recipe]:
    """Figure 1: styles by more and more layers (upper row), content by single layers (lower row)."""
    photo, painting = inputs.photos[0], inputs.paintings[0]
    for depth, layer in enumerate(LAYERS, start=1):
        options = {"alpha": 0, "init": "noise", "size": inputs.size, "iterations": inputs.iterations}
        # One scale: from smaller ones come larger patches than the first layers see.
        options |= {"scales": 1} | style_layers(depth)
        yield Recipe("figure1", f"figure1_style_{layer}", f"style, {up_to(depth)}", photo, painting, options)
    for layer in LAYERS:
        yield content_recipe(layer, inputs)


def content_recipe(layer: str, inputs: Inputs) -> Recipe:
    """A content reconstruction as in the paper: equation (1) alone, from noise, at one scale, average pooling."""
    options = {"beta": 0, "content_layers": layer, "size": inputs.size, "iterations": inputs.iterations}
    options |= {"scales": 1, "border": 0, "pooling": "average"}
    name, title = f"figure1_content_{layer}", f"content of {layer}"
    photo, painting = inputs.photos[0], inputs.paintings[0]
    return Recipe("figure1", name, title, photo, painting, options, faint_noise=True, by_frequencies=True)


def figure2(inputs: Inputs) -> Iterator[Recipe]:
    """Figure 2: each photograph in the style of each painting, with the package's defaults."""
    options = {"size": inputs.size, "iterations": inputs.iterations}
    for photo in inputs.photos:
        for painting in inputs.paintings:
            name = f"figure2_{label(photo)}_{label(painting)}"
            yield Recipe("figure2", name, f"{label(photo)}, {label(painting)}", photo, painting, options)


def figure3(inputs: Inputs) -> Iterator[Recipe]:
    """Figure 3: down, more style layers; to the right, more weight on content."""
    for depth, layer in enumerate(LAYERS, start=1):
        for column, beta in enumerate(BETAS_PER_PIXEL, start=1):
            options = {"init": "noise", "beta_per_pixel": beta, "size": inputs.size}
            options |= {"iterations": inputs.iterations, "border": 16} | style_layers(depth)
            title = f"{up_to(depth)}, alpha/beta = 1/({beta} pixels)"
            name = f"figure3_{layer}_{column}"
            yield Recipe("figure3", name, title, inputs.photos[0], inputs.paintings[0], options)


def beside_the_figures(inputs: Inputs) -> Iterator[Recipe]:
    """For comparison: a search among pixels, and another network at half the size for Figure 1."""
    plain = content_recipe(LAYERS[-1], inputs)
    title = f"{plain.title}, searched among pixels"
    yield dataclasses.replace(plain, name=f"figure1_pixels_{LAYERS[-1]}", title=title, by_frequencies=False)
    if inputs.second_weights is None:
        return
    photo, painting, weights = inputs.photos[0], inputs.paintings[0], inputs.second_weights
    options = {"size": inputs.size, "iterations": inputs.iterations}
    name = f"figure2_{label(photo)}_{label(painting)}_second"
    title = f"{label(photo)}, {label(painting)}, by {weights.name}"
    yield Recipe("figure2", name, title, photo, painting, options, weights)
    for layer in LAYERS:
        recipe = content_recipe(layer, dataclasses.replace(inputs, size=inputs.size // 2))
        name, title = f"figure1_second_content_{layer}", f"{recipe.title}, by {weights.name}"
        yield dataclasses.replace(recipe, name=name, title=title, weights=weights)


def label(path: Path) -> str:
    """What a picture is called in names of files."""
    return "sample" if path.parent.resolve() == SAMPLES.resolve() else path.stem


def style_layers(depth: int) -> dict[str, Any]:
    """The settings for the first `depth` style layers, with the paper's equal weights."""
    return {"style_layers": LAYERS[:depth], "layer_weights": (1 / depth,) * depth}


def up_to(depth: int) -> str:
    """What the first `depth` style layers are called in titles."""
    return LAYERS[0] if depth == 1 else f"{LAYERS[0]} to {LAYERS[depth - 1]}"


def noise_file(photo: Path, size: int, folder: Path) -> Path:
    """A file of faint noise around mid-grey, of a photograph's shape."""
    shape = resize(load_image(photo, size), size).shape
    noise = np.random.default_rng(1).uniform(-127.5, 127.5, shape)
    path = folder / f"noise_{size}.png"
    Image.fromarray(np.rint(127.5 + FAINT * noise).astype(np.uint8)).save(path)
    return path


# Making a picture.


def paint(recipe: Recipe, job: nnstyle.Job, command: str) -> tuple[np.ndarray, dict, list]:
    """Paint a recipe: pixels, what is to be stored with them, and the curve."""
    curve = Curve(job)
    if recipe.by_frequencies:
        image, settings = search_by_frequencies(job, curve.note)
    else:
        result = nnstyle.run(job, callback=lambda event: curve.note(event.record, event.image))
        image, settings = result.image, dict(result.made_with)
    settings["figure"], settings["title"], settings["command"] = recipe.figure, recipe.title, command
    settings["input_files"] = {path.name: file_digest(path) for path in (recipe.photo, recipe.painting)}
    settings["painted_sha256"] = digest(image)  # before the file format takes details away
    return image, settings, curve.rows


class Frequencies:
    """Pictures as numbers of another kind: how much of each wave is added to a first picture.

    L-BFGS begins as if all numbers were alike. Pixels are not: deep layers hardly see a slow change of brightness
    over the whole picture in any one pixel, and a search among pixels leaves it for the end. Photographs have
    amplitudes that fall about as 1 / frequency, so here the waves are measured in units that do. The
    loss, the start and the method stay the same.

    Parameters
    ----------
    start : array, shape (H, W, 3)
        The first picture.
    """

    def __init__(self, start: np.ndarray):
        height, width = start.shape[:2]
        down, right = np.arange(height) / (2 * height), np.arange(width) / (2 * width)
        frequency = np.hypot(down[:, np.newaxis], right)  # waves a pixel
        longest = 2 / max(height, width)
        self.units = (0.1 / (frequency + longest))[..., np.newaxis].astype(np.float32)
        self.start = start

    def image(self, amplitudes: np.ndarray) -> np.ndarray:
        """The picture with these waves added."""
        return self.start + idctn(self.units * amplitudes, axes=(0, 1), norm="ortho")

    def gradient(self, of_image: np.ndarray) -> np.ndarray:
        """The gradient by the amplitudes, given that by the pixels: the transpose of `image`."""
        return self.units * dctn(of_image, axes=(0, 1), norm="ortho")


def search_by_frequencies(
    job: nnstyle.Job, note: Callable[[nnstyle.Record, Callable], object]
) -> tuple[np.ndarray, dict]:
    """Minimize a job's equation (7) at one scale, over amplitudes of waves: the picture, and what made it."""
    settings, preprocessing = dataclasses.replace(job.settings, optimizer="lbfgs"), job.weights.preprocessing
    began, records = time.perf_counter(), []
    with engine_for(job) as engine:
        weights = job.weights
        if not weights.rescaled:
            weights = rescale(weights, [job.content], settings.pooling, engine=engine)
        network = nnstyle.Network(weights, settings.pooling, engine=engine)
        terms = paper_terms(settings, engine)
        content, style = (
            preprocess(picture, preprocessing) for picture in (job.content, job.styles[0].image)
        )
        nnstyle.set_targets(terms, network, content, style)
        objective = nnstyle.Objective(network, terms)
        waves = Frequencies(preprocess(job.initial, preprocessing))

        def by_amplitudes(amplitudes):
            loss, gradient = objective(waves.image(amplitudes))
            return loss, waves.gradient(gradient)

        def on_iteration(amplitudes, loss, _):
            losses, seconds = dict(objective.losses), time.perf_counter() - began
            records.append(nnstyle.Record(len(records) + 1, settings.size, loss, losses, seconds))
            note(records[-1], lambda: deprocess(waves.image(amplitudes), preprocessing))

        nothing = np.zeros_like(waves.start)
        found, _ = minimize(by_amplitudes, nothing, settings.iterations, callback=on_iteration)
    last = records[-1]
    losses = {"iteration": last.iteration, "size": last.size, "total": last.total} | last.losses
    told = {"losses": losses, "device": "cpu", "nnstyle": nnstyle.__version__, "search": BY_FREQUENCIES}
    return deprocess(waves.image(found), preprocessing), job.describe(settings) | told


class Curve:
    """Every few iterations: the loss, the correlation with the photograph, and how far the picture has moved.

    The last is the root mean square difference from the row before, in levels of 0 to 255.
    """

    columns = ("iteration", "size", "loss", "correlation", "moved")

    def __init__(self, job: nnstyle.Job):
        self.photo, self.last, self.rows = job.content, job.settings.iterations, []
        self.before = np.zeros(0)

    def note(self, record: nnstyle.Record, image: Callable[[], np.ndarray]) -> None:
        """Look at an iteration."""
        if record.iteration % EVERY and record.iteration not in (1, self.last):
            return
        photo, picture = resize(self.photo, record.size), image().astype(np.float32)
        moved = 0.0
        if picture.shape == self.before.shape:
            moved = float(np.sqrt(np.mean((picture - self.before) ** 2)))
        self.before = picture
        numbers = record.total, correlation(picture, photo), moved
        self.rows.append((record.iteration, record.size, *map(rounded, numbers)))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of the pixels of two pictures: 0 where one of them is even."""
    a, b = (picture.ravel() - picture.mean() for picture in (a, b))
    size = np.sqrt(np.vdot(a, a) * np.vdot(b, b))
    return float(np.vdot(a, b) / size) if size else 0.0


def rounded(number: float) -> float:
    """Five digits are enough for a curve."""
    return float(f"{number:.5g}")


def save(pixels: np.ndarray, settings: dict, path: Path) -> None:
    """Write a small WebP with its settings inside, where `nnstyle show` looks for them."""
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = json.dumps(settings)
    options = {"quality": QUALITY, "method": 6, "exif": exif, "icc_profile": srgb_profile()}
    write_over(path, encoded_by_pillow(Image.fromarray(pixels), "WEBP", **options))


def is_made(recipe: Recipe, job: nnstyle.Job, path: Path) -> bool:
    """Whether the file was made of these inputs with these settings."""
    try:
        stored = stored_settings(path)
    except nnstyle.InputError:
        return False
    wanted = json.loads(json.dumps(job.describe()))
    wanted["search"] = BY_FREQUENCIES if recipe.by_frequencies else None
    wanted.pop("optimizer")  # which the device chooses
    return all(stored.get(name) == value for name, value in wanted.items())


def make(inputs: Inputs, out: Path, only: str = "", command: str = "") -> None:
    """Make all pictures that are not there yet, then the sheets."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for recipe in recipes(inputs):
            if not recipe.name.startswith(only):
                continue
            job, path = recipe.job(Path(folder)), out / recipe.file
            if recipe.file in read_manifest(out)["pictures"] and is_made(recipe, job, path):
                print(f"{recipe.file} is there already", flush=True)
                continue
            pixels, settings, curve = paint(recipe, job, command)
            save(pixels, settings, path)
            enter(out, path, curve)
            print(f"{recipe.file}: loss {curve[-1][2]:g}, correlation {curve[-1][3]:.2f}", flush=True)
    for name, cells in sheets(inputs).items():
        wanted = name.startswith(only) or only.startswith(name)
        if wanted and all((out / recipe.file).exists() for row in cells for recipe in row):
            make_sheet(out, name, cells, command)


# The manifest, and the check against it.


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder; an empty one where there is none yet."""
    path = folder / MANIFEST
    if path.exists():
        return json.loads(path.read_text())
    return {"columns of a curve": Curve.columns, "pictures": {}}


def enter(folder: Path, path: Path, curve: list) -> None:
    """Enter a picture into its folder's manifest."""
    manifest = read_manifest(folder)
    manifest["pictures"][path.name] = fingerprint(path) | {"curve": curve}
    manifest["pictures"] = dict(sorted(manifest["pictures"].items()))
    write_over(folder / MANIFEST, as_text(manifest).encode())
    write_over(folder / NUMBERS, numbers(folder).encode())


def as_text(manifest: dict[str, Any]) -> str:
    """JSON with one row of a curve a line."""
    text = json.dumps(manifest, indent=1)
    parts, inside = [], 0
    for line in text.splitlines():
        row = line.strip()
        parts.append(row if inside >= 2 else "\n" + line)
        inside += row.endswith("[") - row.startswith("]")
    return "".join(parts).lstrip("\n") + "\n"


def fingerprint(path: Path) -> dict[str, Any]:
    """What must not change in a picture's file."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    settings = json.dumps(stored_settings(path), sort_keys=True)
    return {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "pixels_sha256": digest(pixels),
        "settings_sha256": hashlib.sha256(settings.encode()).hexdigest(),
    }


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of a picture's pixels."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as `sha256sum` prints it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def numbers(folder: Path) -> str:
    """How far each picture came, as CSV: the end of its iterations, and correlations on the way."""
    lines = [
        "picture,iterations,loss left,falls in the last tenth by,picture moves by (levels),correlation after 60,after 500"
    ]
    for name, entry in read_manifest(folder)["pictures"].items():
        if entry["curve"]:
            last = entry["curve"][-1]
            first = next(row for row in entry["curve"] if row[1] == last[1])
            before = at(entry, last[0] * 9 // 10)
            left, fall = f"{last[2] / first[2]:.2%}", f"{1 - last[2] / before[2]:.0%}"
            moved = "" if last[4] is None else f"{last[4]:.1f}"
            after_60, after_500 = (f"{at(entry, iteration)[3]:.2f}" for iteration in (60, 500))
            row = Path(name).stem, last[0], left, fall, moved, after_60, after_500
            lines.append(",".join(map(str, row)))
    return "\n".join(lines) + "\n"


def at(entry: dict[str, Any], iteration: int) -> list:
    """The row of a curve at an iteration, or the nearest before."""
    return [row for row in entry["curve"] if row[0] <= iteration or row[0] == 1][-1]


NEEDED_INSIDE = {
    *("figure", "command", "content", "content_sha256", "style", "style_sha256", "weights", "weights_sha256"),
    *("input_files", "painted_sha256", "size", "iterations", "scales", "alpha", "beta", "content_layers"),
    *("style_layers", "layer_weights", "pooling", "init", "seed", "losses", "nnstyle"),
}
NEEDED_IN_SHEETS = {"figure", "command", "made_of"}


def complaints(folder: Path) -> list[str]:
    """What is no longer as the manifest says: nothing, if all is well."""
    found, entries = [], read_manifest(folder)["pictures"]
    files = {path.name for path in folder.glob("*.webp")}
    found += [f"{name} is missing" for name in sorted(entries.keys() - files)]
    found += [f"{name} is not in the manifest" for name in sorted(files - entries.keys())]
    for name in sorted(files & entries.keys()):
        now, entry = fingerprint(folder / name), entries[name]
        found += [f"{name}: {what} differs" for what in now if now[what] != entry[what]]
        stored = stored_settings(folder / name)
        needed = NEEDED_IN_SHEETS if "made_of" in stored else NEEDED_INSIDE
        found += [f"{name} does not tell its {what}" for what in sorted(needed - stored.keys())]
        for cell, checksum in stored.get("made_of", {}).items():
            if entries.get(cell, {}).get("pixels_sha256") != checksum:
                found.append(f"{name} was made of another {cell}")
    if entries and (folder / NUMBERS).read_text() != numbers(folder):
        found.append(f"{NUMBERS} is not of these curves")
    return found


# The sheets: all pictures of a figure in one.


def sheets(inputs: Inputs) -> dict[str, list[list[Recipe]]]:
    """Rows of recipes for each sheet."""
    first, third = list(figure1(inputs)), list(figure3(inputs))
    wide, deep = len(LAYERS), len(BETAS_PER_PIXEL)
    second, of_a_photo = list(figure2(inputs)), len(inputs.paintings)
    return {
        "figure1": [first[:wide], first[wide:]],
        "figure2": [second[i : i + of_a_photo] for i in range(0, len(second), of_a_photo)],
        "figure3": [third[i : i + deep] for i in range(0, len(third), deep)],
    }


def make_sheet(out: Path, name: str, rows: list[list[Recipe]], command: str) -> None:
    """Put the pictures of a figure together, each with its title above."""
    drawn = [side_by_side([titled(out / recipe.file, recipe.title) for recipe in row]) for row in rows]
    entries = read_manifest(out)["pictures"]
    made_of = {recipe.file: entries[recipe.file]["pixels_sha256"] for row in rows for recipe in row}
    path = out / f"{name}.webp"
    save(np.concatenate(drawn), {"figure": name, "command": command, "made_of": made_of}, path)
    enter(out, path, [])
    print(f"{path.name}: a sheet of {len(made_of)} pictures")


def side_by_side(cells: list[np.ndarray]) -> np.ndarray:
    """A row of a sheet; below a cell that is lower than others it is white."""
    height = max(len(cell) for cell in cells)
    padded = [np.pad(cell, ((0, height - len(cell)), (0, 0), (0, 0)), constant_values=255) for cell in cells]
    return np.concatenate(padded, axis=1)


def titled(path: Path, title: str) -> np.ndarray:
    """A cell of a sheet: a picture on white, its title above."""
    gap, line = 6, 22
    pixels = load_image(path)
    height = round(len(pixels) * SHEET_CELL / pixels.shape[1])
    picture = Image.fromarray(pixels).resize((SHEET_CELL, height), Image.Resampling.LANCZOS)
    cell = Image.new("RGB", (SHEET_CELL + 2 * gap, height + line + 2 * gap), "white")
    cell.paste(picture, (gap, gap + line))
    font = ImageFont.load_default(13)
    ImageDraw.Draw(cell).text((gap, gap), title, "black", font)
    return np.asarray(cell)


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m lessons.paper_figures", description=__doc__)
    add = parser.add_argument
    add("--photo", nargs="+", type=Path, default=Inputs.photos, help="the first one is in Figures 1 and 3")
    add("--paintings", nargs="+", type=Path, default=Inputs.paintings, help="likewise")
    add("--second-weights", type=Path, metavar="FILE", help="another VGG, for a few pictures more")
    add("--size", type=int, default=SIZE, metavar="PX", help="long edge (%(default)s)")
    add("--iterations", type=int, default=ITERATIONS, metavar="N", help="a picture (%(default)s)")
    add("--out", type=Path, default=OUT, metavar="FOLDER", help="where the pictures go (%(default)s)")
    add("--only", default="", metavar="NAME", help="only pictures whose names begin so: figure1")
    add("--check", action="store_true", help="make nothing; look whether the pictures are what they say")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Make or check the figures; return the exit status."""
    given = parser().parse_args(arguments)
    if given.check:
        found = complaints(given.out)
        print("\n".join(found) or f"{given.out}: all pictures are what they say")
        return 1 if found else 0
    inputs = Inputs(
        tuple(given.photo), tuple(given.paintings), given.second_weights, given.size, given.iterations
    )
    make(inputs, given.out, given.only, command_line(inputs))
    return 0


def command_line(inputs: Inputs) -> str:
    """The command that makes these pictures, without the folders of the inputs."""
    parts = ["python -m lessons.paper_figures"]
    parts += ["--photo", *(path.name for path in inputs.photos)]
    parts += ["--paintings", *(path.name for path in inputs.paintings)]
    if inputs.second_weights:
        parts += ["--second-weights", inputs.second_weights.name]
    if inputs.size != SIZE:
        parts += ["--size", str(inputs.size)]
    if inputs.iterations != ITERATIONS:
        parts += ["--iterations", str(inputs.iterations)]
    return " ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
