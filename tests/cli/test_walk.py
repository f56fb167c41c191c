"""--save-every and --film: the way to the picture, kept without danger to the run or to other files."""

import errno
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nnstyle import InputError, stylize
from nnstyle.cli import main
from nnstyle.cli.walk import Walk
from tests.support.command import files, start
from tests.support.pictures import stored_settings

pytestmark = pytest.mark.slow  # most of them start processes, or paint several times

PICTURES = ["content.png", "style.png"]
SMALL = ["--size", "48", "--iterations", "5", "--border", "0", "--device", "cpu"]


@pytest.fixture
def new_files(folder, monkeypatch):
    """A function: the names of what is in the current folder beside the two pictures."""
    monkeypatch.chdir(folder)
    return lambda: sorted(set(files(folder)) - set(PICTURES))


def paint(*options):
    return main([*PICTURES, *SMALL, "-q", *map(str, options)])


def frames_in(path):
    with Image.open(path) as film:
        return film.n_frames


def test_every_second_picture_is_written_with_its_iteration_and_size(new_files):
    options = ["--size", "96", "--scales", "2", "--iterations", "6", "--border", "0"]
    assert paint(*options, "--save-every", "2", "-o", "out.png") == 0
    assert new_files() == ["out-0002.png", "out-0004.png", "out-0006.png", "out.png"]
    events = {}
    stylize(
        *PICTURES,
        size=96,
        scales=2,
        iterations=6,
        border=0,
        callback=lambda event: events.update({event.record.iteration: event.image()}),
    )
    for iteration, size in ((2, 48), (4, 96), (6, 96)):
        stored = stored_settings(f"out-000{iteration}.png")
        assert (stored["iterations"], stored["size"]) == (iteration, size)
        with Image.open(f"out-000{iteration}.png") as image:
            np.testing.assert_array_equal(np.array(image), events[iteration])


def test_the_names_have_the_output_s_ending_and_digits_enough_to_be_sorted(new_files):
    assert paint("--save-every", "5", "-o", "out.jpg") == 0
    assert new_files() == ["out-0005.jpg", "out.jpg"]
    arguments = SimpleNamespace(output="out.tif", counted_from=None, save_every=4000, film=None)
    paths = Walk(arguments, 12_000).step_paths()
    assert [path.name for path in paths] == ["out-04000.tif", "out-08000.tif", "out-12000.tif"]


def test_the_folder_is_tried_once_and_each_place_is_looked_at(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr("nnstyle.files.remove_leftovers", tried.append)
    for iteration in range(1, 21):
        (tmp_path / f"out-{iteration:04d}.png").write_bytes(b"old")
    arguments = SimpleNamespace(output=tmp_path / "out.png", counted_from=None, save_every=1, film=None)
    Walk(arguments, 20)
    assert tried == [tmp_path]
    (tmp_path / "out-0007.png").unlink()
    os.mkfifo(tmp_path / "out-0007.png")
    with pytest.raises(InputError, match=r"out-0007\.png cannot be written: there is something that is not"):
        Walk(arguments, 20)


def test_without_an_output_no_file_is_replaced(new_files, folder):
    (folder / "content-style-0005.png").write_bytes(b"mine")
    assert paint("--save-every", "5") == 0
    assert new_files() == ["content-style-0005-2.png", "content-style-0005.png", "content-style.png"]
    assert (folder / "content-style-0005.png").read_bytes() == b"mine"
    assert paint("--save-every", "5", "-o", "content-style.png") == 0  # with one, they are
    with Image.open("content-style-0005.png") as image:
        image.load()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
def test_a_picture_that_cannot_be_written_costs_one_note_and_no_run(new_files, monkeypatch, capsys, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("nnstyle.cli.walk.save_image", fail)
    assert main([*PICTURES, *SMALL, "--save-every", "1", "-o", "out.png"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "note" in line]
    assert len(notes) == 1 and notes[0].startswith(
        "nnstyle: note: the picture after iteration 1 cannot be kept: "
    )
    assert notes[0].endswith(("No space left on device", "there is not enough memory"))
    assert new_files() == ["out.png"]


@pytest.mark.parametrize("ending", ["webp", "gif", "png"])
def test_a_film_of_the_way(new_files, capsys, ending):
    line = [*PICTURES, *SMALL, "-o", "out.png", "--film", f"walk.{ending}"]
    assert main(line) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"walk.{ending}: a film of how it came about"
    assert new_files() == ["out.png", f"walk.{ending}"]
    assert frames_in(f"walk.{ending}") == 5
    if ending == "png":
        with Image.open("walk.png") as film, Image.open("out.png") as picture:
            film.seek(4)
            np.testing.assert_array_equal(np.array(film.convert("RGB")), np.array(picture))
    assert paint("-o", "out.png", "--film", f"walk.{ending}") == 0  # it may be replaced
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("old", [b"old", None])
def test_ctrl_c_keeps_the_film_so_far(folder, old):
    if old:
        (folder / "walk.gif").write_bytes(old)
    line = [*PICTURES, *SMALL, "--iterations", "1000", "-o", "out.png", "--film", "walk.gif"]
    with start(folder, *line) as process:
        assert process.stderr.readline().startswith("iteration")
        process.send_signal(signal.SIGINT)
        lines = process.stderr.read().splitlines()
    name = "walk-unfinished.gif" if old else "walk.gif"
    assert process.returncode == 130
    assert set(files(folder)) == {*PICTURES, "out.png", "walk.gif", name}
    lines = [line for line in lines if not line.startswith("iteration")]
    assert (
        len(lines) == 1 and "out.png: " in lines[0] and f"; {name}: a film of how it came about" in lines[0]
    )
    assert frames_in(folder / name) >= 1
    assert not old or (folder / "walk.gif").read_bytes() == old


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_film_that_cannot_be_written_costs_no_picture(new_files, monkeypatch, capsys, interrupted):
    def fail(self, path, replace):
        raise OSError(errno.ENOSPC, "No space left on device")

    def interrupt(self, event):
        self.latest = event
        if interrupted:
            raise KeyboardInterrupt

    monkeypatch.setattr("nnstyle.film.Film.save", fail)
    monkeypatch.setattr("nnstyle.film.Film.__call__", interrupt)
    assert paint("-o", "out.png", "--film", "walk.gif") == (130 if interrupted else 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert "the film walk.gif cannot be written (No space left on device)" in line
    assert new_files() == ["out.png"]


def test_frames_for_which_memory_is_lacking_cost_no_picture(new_files, monkeypatch, capsys):
    def fail(self, event):
        raise MemoryError

    monkeypatch.setattr("nnstyle.film.Film.frame_of", fail)
    assert main([*PICTURES, *SMALL, "-o", "out.png", "--film", "walk.gif"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("nnstyle: ")]
    assert (
        lines[0] == "nnstyle: note: the picture after iteration 1 cannot be kept: there is not enough memory"
    )
    assert len(lines) == 2 and "the film walk.gif cannot be written" in lines[1]
    assert new_files() == ["out.png"]


def test_where_there_is_nothing_to_improve_there_is_no_film(new_files, capsys):
    assert (
        main(
            ["content.png", "content.png", *SMALL, "--init", "content", "-o", "out.png", "--film", "walk.gif"]
        )
        == 0
    )
    assert "there is no film" in capsys.readouterr().out and new_files() == ["out.png"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--save-every 0", "--save-every"),
        ("--save-every -1", "--save-every"),
        ("--save-every 1.5", "whole number above 0"),
        ("--save-every often", "often"),
        ("--save-every 6", "with 5 iterations, --save-every 6 would write nothing"),
        ("--save-every 1 --iterations 10001", "would write more than 10000 pictures"),
        ("--save-every 5 -o sub.png", "sub-0005.png is a folder"),
        (f"--save-every 5 -o {'x' * 250}.png", "name too long"),
        ("--film walk.mp4", "walk.mp4 must end in .webp, .gif, .png"),
        ("--film walk", "must end in"),
        ("--film missing/walk.gif", "the folder missing does not exist"),
        ("--film folder.gif", "folder.gif is a folder"),
        ("--film out.png", "the film out.png would replace a picture"),
        ("--film sub/../out.png", "would replace a picture"),
        ("--film link.png", "would replace a picture"),
        ("--film out-0004.png --save-every 2", "the film out-0004.png would replace a picture"),
        ("--film content.png", "the output content.png would replace an input"),
        ("--film style.webp", "the output style.webp would replace an input"),
        ("--save-every 2 -o photo.png", "the output photo-0004.png would replace an input"),
        ("--film network.gif --weights network.gif", "would replace an input"),
    ],
)
def test_bad_values_take_one_line_before_the_work(new_files, folder, monkeypatch, capsys, options, words):
    (folder / "sub-0005.png").mkdir()
    (folder / "sub").mkdir()
    (folder / "folder.gif").mkdir()
    (folder / "link.png").symlink_to("out.png")
    (folder / "style.webp").hardlink_to(folder / "style.png")
    (folder / "photo-0004.png").hardlink_to(folder / "content.png")
    (folder / "network.gif").write_bytes(b"")
    before = files(folder)
    monkeypatch.setattr("nnstyle.cli.prepare", lambda *_, **__: pytest.fail("the work has begun"))
    assert main([*PICTURES, *SMALL, "-o", "out.png", *options.split()]) == 2
    stdout, stderr = capsys.readouterr()
    assert words in stderr and stderr.count("\n") == 1 and stdout == ""
    assert files(folder) == before
