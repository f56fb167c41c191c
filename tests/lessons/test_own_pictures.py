"""Lesson 16 with a reader's own folder of pictures: what it prints, and what it says of a bad one."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lessons.scenes import manners, motifs
from tests.support.patience import PATIENCE

pytest.importorskip("matplotlib")  # which the lessons import
tools = pytest.importorskip("lessons.tools")
LESSON = "l16_recognising_style"


def run(*words):
    """The lesson with these words after its name."""
    command = [sys.executable, "-m", f"lessons.{LESSON}", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


def fill(folder, manner, count, seed):
    """Draw pictures of a manner into a folder, each of another size."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        scene = motifs.scene(rng, list(motifs.KINDS)[number % 5], 80 + 4 * number)
        picture = np.rint(255 * manners.draw(scene, manner, rng)).astype(np.uint8)
        Image.fromarray(picture[: 80 + 2 * number]).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def styles(tmp_path):
    fill(tmp_path / "mosaic", "mosaic", 9, 1)
    fill(tmp_path / "woodcut", "woodcut", 9, 2)
    return tmp_path


def complaint(done):
    """The one line that a run which could not begin has ended with."""
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_it_trains_and_tests_on_the_folder(styles):
    (styles / "mosaic" / "torn.jpg").write_bytes((styles / "mosaic" / "0.png").read_bytes()[:300])
    (styles / "mosaic" / "notes.txt").write_text("not a picture")
    (styles / "woodcut" / "again.png").write_bytes((styles / "woodcut" / "0.png").read_bytes())
    (styles / ".hidden").mkdir()
    (tools.FIGURES / "l16_yours.png").unlink(missing_ok=True)
    done = run(styles)
    assert done.returncode == 0, done.stderr
    assert "left out: " in done.stdout and "torn.jpg" in done.stdout
    assert "pictures that are there more than once: 1" in done.stdout
    assert "2 styles" in done.stdout and "Gram matrices" in done.stdout
    assert "hidden" not in done.stdout
    assert (tools.FIGURES / "l16_yours.png").is_file()
    accuracy = float(done.stdout.split("together")[1].split()[1])
    assert accuracy > 0.7


@pytest.mark.slow
def test_all_copies_of_a_picture_are_on_one_side(styles):
    """A third of the pictures is drawn, and not a third of the files, which would touch nearly every picture."""
    for path in list((styles / "mosaic").iterdir()):
        for copy in "bc":
            path.with_stem(path.stem + copy).write_bytes(path.read_bytes())
    done = run(styles)
    assert done.returncode == 0, done.stderr
    assert "more than once: 18" in done.stdout
    assert "24 pictures for training, 12 for the test" in done.stdout


@pytest.mark.slow
def test_a_folder_that_is_not_there(tmp_path):
    assert "there is no folder" in complaint(run(tmp_path / "nowhere"))


@pytest.mark.slow
def test_a_folder_without_subfolders(tmp_path):
    assert "needs a subfolder for each" in complaint(run(tmp_path))


@pytest.mark.slow
def test_one_style_only(tmp_path):
    fill(tmp_path / "mosaic", "mosaic", 6, 1)
    assert "and has 1" in complaint(run(tmp_path))


@pytest.mark.slow
def test_three_pictures(styles):
    for number in range(3, 9):
        (styles / "mosaic" / f"{number}.png").unlink()
    assert "the style mosaic has 3 different pictures" in complaint(run(styles))


@pytest.mark.slow
def test_a_subfolder_without_pictures(styles):
    (styles / "empty").mkdir()
    assert "there is no picture in the folder" in complaint(run(styles))


@pytest.mark.slow
def test_weights_that_are_not_there(styles):
    assert "nowhere.h5" in complaint(run(styles, "--weights", "nowhere.h5"))
