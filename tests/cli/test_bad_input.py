"""Bad input ends with one clear line on standard error, exit status 2, and no file."""

import shlex

import h5py
import numpy as np
import pytest
from PIL import Image

from nnstyle.cli import main
from tests.support.command import SMALL, files, make_pictures, run
from tests.support.pictures import bomb, noise
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg

PICTURES = "content.png style.png"
# The command line, and words that the message must have. Run with --size 48 --iterations 3 -o out/x.png.
CASES = [
    ("missing.jpg style.png", "missing.jpg does not exist"),
    ("content.png missing.jpg", "missing.jpg does not exist"),
    ("folder style.png", "folder is a folder"),
    ("content.png/x style.png", "content.png/x cannot be read"),
    ("empty.jpg style.png", "empty.jpg is not a picture"),
    ("content.png text.jpg", "text.jpg is not a picture"),
    ("truncated.png style.png", "truncated.png"),
    ("truncated.jpg style.png", "truncated.jpg"),
    ("content.png truncated.webp", "truncated.webp"),
    ("bomb.png style.png", "bomb.png has more than"),
    ("strip.png style.png", "short edge needs 32"),
    ("content.png strip.png", "short edge needs 32"),
    ("content.png", "CONTENT and STYLE"),
    ("content.png style.png third.png", "third.png"),
    (f"{PICTURES} --style-weights 1,2", "--style-weights needs a number for each STYLE: 1, not 2"),
    (f"{PICTURES} style.png --style-weights 1,0", "weight of a style must be above 0"),
    (f"{PICTURES} style.png --style-weights 1,x", "style-weights"),
    (f"{PICTURES} --mask missing.png", "missing.png does not exist"),
    (f"{PICTURES} --mask style.png", "style.png has the shape 44 : 60"),
    (
        f"{PICTURES} --mask content.png --mask content.png",
        "--mask is given 2 times: give it once for all, or once for each STYLE (1)",
    ),
    (f"{PICTURES} --colour green", "green"),
    (f"{PICTURES} --init missing.png", "there is no 'missing.png'"),
    (f"{PICTURES} --init text.jpg", "text.jpg is not a picture"),
    (f"{PICTURES} --init folder", "folder is a folder"),
    (f"{PICTURES} --size 31", "32"),
    (f"{PICTURES} --size 0", "0"),
    (f"{PICTURES} --size -48", "-48"),
    (f"{PICTURES} --size 20000", "10000"),
    (f"{PICTURES} --size big", "big"),
    (f"{PICTURES} --iterations 0", "iterations must be a whole number, at least 1"),
    (f"{PICTURES} --iterations -3", "-3"),
    (f"{PICTURES} --iterations 2.5", "2.5"),
    (f"{PICTURES} --seed -1", "seed"),
    (f"{PICTURES} --alpha -1", "alpha"),
    (f"{PICTURES} --alpha nan", "alpha"),
    (f"{PICTURES} --beta inf", "beta"),
    (f"{PICTURES} --beta=-inf", "beta"),
    (f"{PICTURES} --beta much", "much"),
    (f"{PICTURES} --tv-weight -0.1", "tv"),
    (f"{PICTURES} --style-layers conv1_1,conv1_1", "each only once"),
    (f"{PICTURES} --content-layers conv4_2,conv4_2", "each only once"),
    (f"{PICTURES} --threads 0", "threads must be at least 1"),
    (f"{PICTURES} --alpha 0 --beta 0", "nothing to optimize"),
    (f"{PICTURES} --alpha 0 --beta 0 --tv-weight 1", "nothing to optimize"),
    (f"{PICTURES} --layer-weights 1,2", "5 style layers need as many layer weights"),
    (f"{PICTURES} --layer-weights 1,1,1,1,-1", "conv5_1"),
    (f"{PICTURES} --layer-weights 1,1,nan,1,1", "conv3_1"),
    (f"{PICTURES} --layer-weights 1,1,x,1,1", "layer-weights"),
    (f"{PICTURES} --layer-weights ''", "layer-weights"),
    (f"{PICTURES} --content-layers conv9_9", "'conv9_9' is unknown: this network has conv1_1, conv1_2"),
    (f"{PICTURES} --style-layers conv1_1,relu2_1", "'relu2_1' is unknown"),
    (f"{PICTURES} --content-layers conv5_2", "'conv5_2' is unknown"),
    (f"{PICTURES} --style-layers ''", "layer"),
    (f"{PICTURES} --content-layers ''", "layer"),
    (f"{PICTURES} --content-layers , --style-layers ,", "layer"),
    (f"{PICTURES} --init black", "black"),
    (f"{PICTURES} --pooling least", "least"),
    (f"{PICTURES} --blend 3", "--blend"),
    # A shortened option is not completed to another one.
    ("--content content.png style.png", "unrecognized arguments: --content"),
    (f"{PICTURES} --iter 4", "unrecognized arguments: --iter"),
    (f"{PICTURES} --color match", "did you mean --colour?"),
    (f"{PICTURES} --iterrations=4", "did you mean --iterations?"),
    (f"{PICTURES} --xyzzy", "--help shows the options"),
    (f"{PICTURES} --weights missing.h5", "missing.h5"),
    (f"{PICTURES} --weights folder", "folder"),
    (f"{PICTURES} --weights text.jpg", "text.jpg: it is not a weights file"),
    (f"{PICTURES} --weights empty.jpg", "empty.jpg: it is not a weights file"),
    (f"{PICTURES} --weights no_groups.h5", "no group block1_conv1"),
    (f"{PICTURES} --weights gap.h5", "conv2_2 is missing"),
    (f"{PICTURES} --weights shape.h5", "conv1_2 has kernel"),
    (f"{PICTURES} --weights nan.h5", "conv1_1 has values that are not finite"),
    (f"{PICTURES} --weights mean.h5", "mean"),
    (f"{PICTURES} --weights short.h5", "'conv4_2' is unknown: this network has conv1_1, conv1_2"),
    ("missing.jpg style.png --weights vgg19", "missing.jpg does not exist"),  # before a download
    (f"{PICTURES} --rescale-over missing", "missing is not a folder"),
    (f"{PICTURES} --rescale-over out", "no picture in the folder out"),
    (f"{PICTURES} -o missing/x.png", "missing does not exist"),
    (f"{PICTURES} -o content.png/x.png", "content.png"),
    (f"{PICTURES} -o folder", "must end in .png"),
    (f"{PICTURES} -o out/x.gif", "must end in .png"),
    (f"{PICTURES} -o out/x.jpg --bits 16", "out/x.jpg cannot have 16 bits: choose a name that ends in .png"),
    (f"{PICTURES} --bits 12", "12"),
    (f"{PICTURES} -o folder.png", "folder.png is a folder"),
    (f"{PICTURES} -o ''", "must end in .png"),
    (f"{PICTURES} -o {'x' * 300}.png", "name too long"),
    (f"{PICTURES} -o content.png", "would replace an input"),
    (f"{PICTURES} -o folder/../style.png", "would replace an input"),
    (f"{PICTURES} --alpha 1e300", "NaN"),
    (f"{PICTURES} --weights huge.h5", "NaN"),
]
AS_PROCESSES = [
    "missing.jpg style.png",
    "truncated.tif style.png",
    f"{PICTURES} --alpha -1",
    f"{PICTURES} --beta 1e300",
]


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    """A folder with good pictures, one file for each way to be wrong, and an empty folder `out`."""
    folder = tmp_path_factory.mktemp("bad")
    for name in ("folder", "folder.png", "out"):
        (folder / name).mkdir()
    make_pictures(folder)
    for name in ("truncated.png", "truncated.jpg", "truncated.webp", "truncated.tif"):
        options = {"compression": "tiff_adobe_deflate"} if name.endswith("tif") else {}
        Image.fromarray(noise(64, 64)).save(folder / name, **options)
        (folder / name).write_bytes((folder / name).read_bytes()[:-2000])
    Image.fromarray(noise(20, 640)).save(folder / "strip.png")
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("a picture, if you close your eyes\n")
    (folder / "bomb.png").write_bytes(bomb())
    write_bad_weights(folder)
    return folder


@pytest.fixture(autouse=True)
def empty_output_folder(bad_files):
    """What a failing test wrote must not fail the next."""
    for path in (bad_files / "out").iterdir():
        path.unlink()


def write_bad_weights(folder):
    """One weights file for each way to be wrong."""
    h5py.File(folder / "no_groups.h5", "w").close()
    write_vgg(folder / "gap.h5", {name: layer for name, layer in tiny_weights().items() if name != "conv2_2"})
    write_vgg(folder / "shape.h5", tiny_weights() | {"conv1_2": (np.zeros((3, 3, 9, 5)), np.zeros(5))})
    write_vgg(folder / "nan.h5", tiny_weights() | {"conv1_1": (np.full((3, 3, 3, 4), np.nan), np.zeros(4))})
    write_vgg(folder / "mean.h5", tiny_weights(), mean="grey")
    write_vgg(folder / "short.h5", tiny_weights(last="conv1_2"))
    # Finite, each of them, but what comes out of the first layer is not.
    write_vgg(folder / "huge.h5", tiny_weights() | {"conv1_1": (np.full((3, 3, 3, 4), 3e38), np.zeros(4))})


def assert_refused(status, stdout, stderr, folder, words=""):
    """What every bad input has in common."""
    assert status == 2
    assert stderr.startswith("nnstyle: ") and stderr.count("\n") == 1 and stderr.endswith("\n"), stderr
    assert words.lower() in stderr.lower()
    assert "Traceback" not in stderr and stdout == ""
    assert files(folder / "out") == {}


@pytest.mark.filterwarnings("default")  # as for a user: a warning must not become a second line
@pytest.mark.parametrize(("line", "words"), CASES)
def test_bad_input_takes_one_clear_line(bad_files, monkeypatch, capsys, line, words):
    before = files(bad_files)
    monkeypatch.chdir(bad_files)
    status = main(["--output", "out/x.png", *SMALL, *shlex.split(line)])
    assert_refused(status, *capsys.readouterr(), bad_files, words)
    assert files(bad_files) == before


@pytest.mark.parametrize("line", AS_PROCESSES)
def test_bad_input_ends_the_process_with_status_2(bad_files, line):
    result = run(bad_files, "-o", "out/x.png", *SMALL, *shlex.split(line))
    assert_refused(result.returncode, result.stdout, result.stderr, bad_files)


def test_an_output_that_cannot_be_written_is_found_out_before_the_work(
    bad_files, unwritable_folder, monkeypatch, capsys
):
    def work(*_, **__):
        raise AssertionError("the work has begun")

    monkeypatch.setattr("nnstyle.cli.prepare", work)
    content, style = (str(bad_files / name) for name in PICTURES.split())
    status = main([content, style, "-o", str(unwritable_folder / "x.png")])
    assert_refused(status, *capsys.readouterr(), bad_files, "cannot be written")


def test_an_unreadable_picture_is_refused(bad_files, monkeypatch, capsys):
    allowed = open

    def denied(path, *options, **more):
        if str(path).endswith("content.png"):
            raise PermissionError(13, "Permission denied")
        return allowed(path, *options, **more)

    # Root may read everything, so the refusal is played.
    monkeypatch.chdir(bad_files)
    monkeypatch.setattr("builtins.open", denied)
    status = main([*PICTURES.split(), "-o", "out/x.png"])
    monkeypatch.undo()
    assert_refused(status, *capsys.readouterr(), bad_files, "content.png cannot be read: Permission denied")


def test_memory_that_does_not_suffice_is_bad_input_too(bad_files, monkeypatch, capsys):
    def too_large(*_, **__):
        raise MemoryError

    monkeypatch.setattr("nnstyle.cli.run", too_large)
    monkeypatch.chdir(bad_files)
    assert_refused(
        main([*PICTURES.split(), "-q", "-o", "out/x.png"]), *capsys.readouterr(), bad_files, "--size"
    )


@pytest.mark.parametrize("place", ["nnstyle.pictures.decode.open_picture", "nnstyle.job.resize"])
def test_a_picture_that_needs_too_much_memory_is_named_and_not_the_size_of_the_result(
    bad_files, monkeypatch, capsys, place
):
    def too_large(*_, **__):
        raise MemoryError

    monkeypatch.setattr(place, too_large)
    monkeypatch.chdir(bad_files)
    status = main([*PICTURES.split(), "-q", "-o", "out/x.png"])
    stdout, stderr = capsys.readouterr()
    assert_refused(
        status, stdout, stderr, bad_files, "not enough memory to read content.png: reduce it first"
    )
    assert "--size" not in stderr
