"""Settings and fixtures for all tests."""

import os

# The tests' matrices are small: on a busy machine a second thread makes them wait, not faster.
# Must be set before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pathlib import Path

import hypothesis
import pytest

from lessons.strict_arrays import StrictDevice
from nnstyle import InputError
from nnstyle.engine import devices
from nnstyle.engine.cpu import Cpu
from tests.support.command import make_pictures

# The machine that runs the tests may be busy: how long one example takes says nothing.
hypothesis.settings.register_profile("nnstyle", deadline=None)
hypothesis.settings.load_profile("nnstyle")


@pytest.fixture(autouse=True)
def no_trial(monkeypatch):
    """HDF5 files are not read in another process, which takes a second: ``weights/test_trial.py`` is for that."""
    monkeypatch.setattr("nnstyle.weights.loading.try_to_read", lambda path: None)


@pytest.fixture
def free(monkeypatch):
    """A function that sets how much memory is free; the second number is with swap."""

    def patch(without, with_swap=None):
        total = without if with_swap is None else with_swap
        monkeypatch.setattr(
            Cpu, "available", lambda self, swap=False, threads=None: total if swap else without
        )

    return patch


@pytest.fixture
def folder(tmp_path):
    """A folder with content.png and style.png."""
    make_pictures(tmp_path)
    return tmp_path


@pytest.fixture
def unwritable_folder(tmp_path):
    """A folder in which nobody may write, not even root."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.access(locked, os.W_OK):
        locked = Path("/proc")
    if not locked.is_dir():
        pytest.skip("root may write everywhere here")
    return locked


@pytest.fixture(params=["stand-in", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """A GPU, or its strict stand-in, made current: for ``nnstyle.Engine(device)``."""
    if request.param == "stand-in":
        yield StrictDevice()
        return
    try:
        gpu = devices.find("cuda")
    except InputError as error:
        pytest.skip(str(error))
    if gpu.tf32:
        pytest.skip("CUPY_TF32 is set: these tests ask for more digits than it leaves")
    with gpu.current:
        yield gpu
