"""Memory that ends and a GPU that fails in the middle of a run: the best picture so far is saved."""

import errno
import itertools
import os
import re
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nnstyle
from lessons.strict_arrays import StrictArray
from nnstyle import Objective, stylize
from nnstyle.cli import main
from nnstyle.engine import devices
from nnstyle.pictures import save_image
from tests.support.command import files
from tests.support.pictures import stored_settings
from tests.support.stand_in_cupy import StandInCupy

pytestmark = pytest.mark.slow  # most of them start processes, or paint several times

PICTURES = ["content.png", "style.png"]
ILLEGAL_ADDRESS = "cudaErrorIllegalAddress: an illegal memory\naccess was encountered"


class CUDARuntimeError(RuntimeError):
    """As CuPy's error of this name."""


@pytest.fixture
def cupy(folder, monkeypatch):
    """The stand-in for CuPy that nnstyle takes for it; the current folder has two pictures."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("CUPY_TF32", raising=False)
    stand_in = StandInCupy()
    monkeypatch.setattr(devices, "import_cupy", lambda: stand_in)
    return stand_in


@pytest.fixture
def fail_after(monkeypatch):
    """A function: after so many evaluations, `fail` is called in place of the next."""

    def patch(evaluations, fail):
        compute, count = Objective.__call__, itertools.count()

        def call(self, image):
            if next(count) == evaluations:
                fail()
            return compute(self, image)

        monkeypatch.setattr(Objective, "__call__", call)

    return patch


def paint(*options):
    return main([*PICTURES, "--size", "48", "--iterations", "20", "--quiet", "-o", "stylized.png", *options])


def end_of_memory():
    raise MemoryError


def new_files(folder):
    return sorted(set(files(folder)) - {*PICTURES})


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_end_of_memory_costs_no_picture(folder, cupy, fail_after, monkeypatch, capsys, device):
    fail_after(6, end_of_memory)
    assert paint("--device", device) == 2
    stdout, stderr = capsys.readouterr()
    assert re.fullmatch(
        r"nnstyle: there is not enough memory.*the best picture so far is saved: stylized\.png: .*\n", stderr
    )
    assert stdout == "" and new_files(folder) == ["stylized.png"]
    iterations = stored_settings("stylized.png")["losses"]["iteration"]
    assert 2 <= iterations <= 6
    monkeypatch.undo()
    monkeypatch.setattr(devices, "import_cupy", lambda: cupy)
    # It is the picture of that iteration: what a run of so many iterations ends with.
    paths = [folder / name for name in PICTURES]
    expected = stylize(*paths, size=48, iterations=iterations, device=device).image
    with Image.open(folder / "stylized.png") as image:
        np.testing.assert_array_equal(np.array(image), expected)


@pytest.fixture
def save_fails(folder, cupy, monkeypatch):
    """A function: the first so many calls of `save_image` end for want of memory."""
    (folder / "refuge").mkdir()
    monkeypatch.setattr("nnstyle.cli.other_folders", lambda: [folder / "refuge"])
    tried = []

    def patch(times, before=lambda: None):
        def call(image, path, settings, plain=False, **options):
            tried.append((Path(path).name, plain))
            before()
            if len(tried) <= times:
                raise MemoryError
            return save_image(image, path, settings, plain, **options)

        monkeypatch.setattr("nnstyle.cli.save_image", call)
        return tried

    return patch


@pytest.mark.slow
def test_a_lack_of_memory_while_saving_costs_no_picture(folder, save_fails, capsys):
    tried = save_fails(1)
    assert paint("--device", "cpu") == 0 and capsys.readouterr() == ("", "")
    assert tried == [("stylized.png", False), ("stylized.png", True)]
    expected = stylize(*(folder / name for name in PICTURES), size=48, iterations=20).image
    with Image.open("stylized.png") as image:
        np.testing.assert_array_equal(np.array(image), expected)
    assert stored_settings("stylized.png")["losses"]["iteration"] == 20


@pytest.mark.slow
@pytest.mark.parametrize("times, refuge", [(2, ["stylized.png"]), (3, ["stylized.png"]), (4, [])])
def test_nor_does_one_that_lasts(folder, save_fails, capsys, times, refuge):
    save_fails(times)
    assert paint("--device", "cpu") == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("nnstyle: stylized.png cannot be written (there is not enough memory)")
    assert stderr.count("\n") == 1 and "refuge/stylized.png" in stderr
    assert ("the picture is in" in stderr) == bool(refuge)
    assert new_files(folder) == [] and sorted(files(folder / "refuge")) == refuge


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_before_an_unfinished_picture_is_saved_memory_is_freed(folder, save_fails, fail_after, error):
    """The frames that an exception has passed hold arrays as large as those of the network."""
    arrays, alive = [], []

    def fail():
        large = np.zeros(1000)
        arrays.append(weakref.ref(large))
        raise error

    tried = save_fails(1, before=lambda: alive.append(arrays[0]() is not None))
    fail_after(6, fail)
    assert paint("--device", "cpu") == (130 if error is KeyboardInterrupt else 2)
    assert len(tried) == 2 and alive == [False, False]
    assert stored_settings("stylized.png")["losses"]["iteration"] >= 2


def test_before_saving_is_tried_again_memory_is_freed(folder, save_fails):
    arrays, alive = [], []

    def before():
        alive.append(bool(arrays) and arrays[0]() is not None)
        large = np.zeros(1000)  # as the encoder's, in a frame that the MemoryError passes
        arrays.append(weakref.ref(large))
        if len(arrays) == 1:
            raise MemoryError

    save_fails(0, before)
    assert paint("--device", "cpu") == 0 and alive == [False, False]


def test_a_gpu_that_fails_costs_no_picture(folder, cupy, fail_after, monkeypatch, capsys):
    def fail():
        def gone(*_):
            raise CUDARuntimeError(ILLEGAL_ADDRESS)

        monkeypatch.setattr(StrictArray, "get", gone)  # after such an error, nothing can be copied back
        gone()

    (folder / "stylized.png").write_bytes(b"old")
    fail_after(6, fail)
    assert paint("--device", "cuda") == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith(
        "nnstyle: a stand-in failed: cudaErrorIllegalAddress: an illegal memory access was"
    )
    assert "the best picture so far is saved: stylized-unfinished.png" in stderr and stderr.count("\n") == 1
    assert (folder / "stylized.png").read_bytes() == b"old"
    assert stored_settings("stylized-unfinished.png")["losses"]["iteration"] >= 2


@pytest.mark.parametrize(
    "error, words",
    [(MemoryError(), "--size"), (CUDARuntimeError(ILLEGAL_ADDRESS), "a stand-in failed: cudaError")],
)
def test_a_failure_before_the_first_iteration_takes_one_line(folder, cupy, fail_after, capsys, error, words):
    def fail():
        raise error

    fail_after(0, fail)
    assert paint("--device", "cuda") == 2
    stderr = capsys.readouterr().err
    assert words in stderr and stderr.startswith("nnstyle: ") and stderr.count("\n") == 1
    assert new_files(folder) == []


def test_a_failure_at_a_small_scale_is_said(folder, cupy, fail_after, capsys):
    fail_after(4, end_of_memory)
    assert paint("--size", "96", "--scales", "2", "--device", "cpu") == 2
    assert "at a scale of 48 px; the best picture so far is saved" in capsys.readouterr().err
    stored = stored_settings("stylized.png")
    assert stored["losses"]["size"] == stored["size"] == 48 and stored["unfinished"]["size"] == 96


def test_an_error_of_the_program_is_not_hidden(folder, cupy, fail_after):
    """On the processor a RuntimeError is no failure of a device: whoever mends it needs the traceback."""

    def fail():
        raise RuntimeError("a mistake")

    fail_after(3, fail)
    with pytest.raises(RuntimeError, match="a mistake") as caught:
        paint("--device", "cpu")
    assert not isinstance(caught.value, nnstyle.GpuError)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks Linux for a file's name")
def test_a_full_disk_costs_no_picture(folder, cupy, monkeypatch, capsys, ending):
    """The output's folder is full; the picture goes to the first other one that is not."""
    (folder / "out").mkdir()
    output = folder / "out" / f"x{ending}"
    output.write_bytes(b"old")
    (folder / "home").mkdir()
    monkeypatch.setattr("tempfile.gettempdir", no_folder_for_temporary_files)
    monkeypatch.setenv("HOME", str(folder / "home"))
    sync = os.fsync

    def full(descriptor):
        if Path(os.readlink(f"/proc/self/fd/{descriptor}")).parent == folder / "out":
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert paint("--device", "cpu", "--border", "0", "--iterations", "2", "-o", str(output)) == 2
    stderr = capsys.readouterr().err
    assert stderr == (
        f"nnstyle: {output} cannot be written (No space left on device):"
        f" the picture is in {folder / 'home' / output.name}\n"
    )
    assert files(folder / "out") == {output.name: b"old"}
    with Image.open(folder / "home" / output.name) as image:
        image.load()
    assert (folder / "home" / output.name).stat().st_mode & 0o777 == 0o600  # nobody else is shown it there


def no_folder_for_temporary_files():
    raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")


def test_where_nothing_can_be_written_one_line_says_so(folder, cupy, monkeypatch, capsys, unwritable_folder):
    def gone(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.gettempdir", no_folder_for_temporary_files)
    monkeypatch.setenv("HOME", str(unwritable_folder))
    monkeypatch.setattr(os, "replace", gone)
    monkeypatch.setattr(os, "link", gone)
    assert paint("--device", "cpu", "--border", "0", "--iterations", "2") == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("nnstyle: stylized.png cannot be written (Read-only file system), nor can ")
    assert stderr.count("\n") == 1 and new_files(folder) == []
