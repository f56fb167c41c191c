"""A file that makes the HDF5 library hang or crash costs one line, not the process."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from nnstyle import InputError, load_weights
from nnstyle.weights import loading, trial
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def with_trial(monkeypatch):
    """The trial takes place, as outside the tests."""
    monkeypatch.setattr(loading, "try_to_read", trial.try_to_read)


@pytest.mark.slow
def test_a_file_that_is_all_right_is_read(tmp_path, with_trial):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    assert load_weights(path).keys() == tiny_weights().keys()


@pytest.mark.slow
def test_a_file_that_makes_the_library_hang_is_damaged(with_trial, monkeypatch):
    """One byte of it was changed: a text in its heap leads to itself."""
    monkeypatch.setattr(trial, "MOST_SECONDS", 3)
    with pytest.raises(InputError, match=r"h5_hang\.h5: it is damaged: the HDF5 library fails"):
        load_weights(FIXTURES / "h5_hang.h5")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGXCPU])
def test_a_process_that_dies_is_damage(tmp_path, with_trial, monkeypatch, number):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    (tmp_path / "dies").write_text(f"#!/bin/sh\nkill -{int(number)} $$\n")
    (tmp_path / "dies").chmod(0o755)
    monkeypatch.setattr(trial.sys, "executable", str(tmp_path / "dies"))
    with pytest.raises(InputError, match=r"vgg\.h5: it is damaged: the HDF5 library fails"):
        load_weights(path)


@pytest.mark.slow
def test_one_that_takes_far_too_much_memory_is_damage(tmp_path, with_trial, monkeypatch):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    (tmp_path / "ends").write_text(f"#!/bin/sh\nexit {trial.NO_MEMORY}\n")
    (tmp_path / "ends").chmod(0o755)
    monkeypatch.setattr(trial.sys, "executable", str(tmp_path / "ends"))
    with pytest.raises(InputError, match="takes far more memory than there is in it"):
        load_weights(path)


@pytest.mark.slow
def test_nothing_is_run_of_the_folder_where_the_user_is(tmp_path, with_trial, monkeypatch):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    for name in ("nnstyle.py", "h5py.py", "numpy.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    load_weights(path)
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_no_python_is_not_started(tmp_path, with_trial, monkeypatch):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    monkeypatch.setattr(trial.sys, "frozen", True, raising=False)
    monkeypatch.setattr(trial.subprocess, "run", lambda *_, **__: pytest.fail("it was started"))
    load_weights(path)


@pytest.mark.parametrize("executable", ["", None, "/no/such/python"])
def test_without_python_nothing_is_tried(tmp_path, with_trial, monkeypatch, executable):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    monkeypatch.setattr(trial.sys, "executable", executable)
    assert load_weights(path).keys() == tiny_weights().keys()


def test_the_embedded_network_is_read_at_once(with_trial, monkeypatch):
    monkeypatch.setattr(loading, "try_to_read", lambda path: pytest.fail("it was tried"))
    load_weights()


@pytest.mark.slow
def test_the_limits_hold(tmp_path):
    """In a process of its own, which a file of no bytes may cost 4 GB and a minute."""
    child = os.fork()
    if not child:
        try:
            trial.MOST_MEMORY = 3 << 30
            trial.limit_this_process(0, 60)
            np.ones(1 << 29)  # 4 GB
            os._exit(1)
        except MemoryError:
            os._exit(0)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
