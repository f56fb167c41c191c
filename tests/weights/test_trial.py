"""A file that makes the HDF5 library hang or crash costs one line, not the process."""

import contextlib
import dataclasses
import io
import os
import signal
import weakref
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from nnstyle import InputError, load_weights
from nnstyle.weights import loading, trial
from nnstyle.weights.formats.contents import Contents
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import group_of, write_vgg, zip_as_keras

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def with_trial(monkeypatch):
    """The trial takes place, as outside the tests."""
    monkeypatch.setattr(loading, "try_to_read", trial.try_to_read)


@pytest.fixture
def begin_and(monkeypatch, tmp_path):
    """In place of Python, a program that begins as the other process does, and then does something else."""

    def start(what, begun="nnstyle reads\\n"):
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\nprintf '{begun}'\n{what}\n")
        program.chmod(0o755)
        monkeypatch.setattr(trial.sys, "executable", str(program))

    return start


def write_all(path):
    """A file that says all that a file may say."""
    weights = tiny_weights()
    write_vgg(
        path,
        weights,
        name="a caf\u00e9",
        channel_order=np.bytes_("BGR"),
        mean=np.arange(3, dtype=np.float32),
        scale=np.longdouble(0.5),
        rescaled="by hand",
        style_layer_weights=np.arange(5),
        pooling="average",
        beta_per_pixel=np.float32(3),
    )
    return path


@pytest.mark.slow
@pytest.mark.parametrize("form", ["h5", "keras"])
def test_what_is_handed_over_is_what_is_read_here(tmp_path, monkeypatch, form):
    path = write_all(tmp_path / "vgg.h5")
    if form == "keras":
        path = zip_as_keras(tmp_path / "vgg.keras", path)
    expected = load_weights(path)  # here: see conftest.py
    monkeypatch.setattr(loading, "try_to_read", trial.try_to_read)
    monkeypatch.setattr(h5py, "File", lambda *_: pytest.fail("it was opened here"))
    for name in ("TMPDIR", "TEMP", "TMP"):  # a folder for files is not needed
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    found = load_weights(path)
    assert found == expected
    for field in dataclasses.fields(found):
        if field.name != "layers":
            assert getattr(found, field.name) == getattr(expected, field.name)
    assert found.name == "a caf\u00e9" and found.style_layer_weights == (0, 1, 2, 3, 4)


@pytest.mark.slow
def test_what_stands_before_the_first_layer_is_handed_over(tmp_path, monkeypatch):
    arrays = {f"features.{name}": array for name, array in before_and_first().items()}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    expected = load_weights(tmp_path / "x.h5")
    monkeypatch.setattr(loading, "try_to_read", trial.try_to_read)
    found = load_weights(tmp_path / "x.h5")
    assert found == expected and found.preprocessing == expected.preprocessing


def before_and_first():
    """A convolution of one pixel that doubles a picture, and those of a small VGG as PyTorch numbers them."""
    arrays = {"0.weight": 2 * np.eye(3, dtype=np.float32)[:, :, None, None], "0.bias": np.ones(3, np.float32)}
    for number, (kernel, bias) in zip((2, 5, 9, 12), tiny_weights(last="conv2_2").values()):
        arrays |= {f"{number}.weight": kernel.transpose(3, 2, 0, 1), f"{number}.bias": bias}
    return arrays


@pytest.mark.slow
def test_its_complaint_is_told_in_one_line(tmp_path, with_trial):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    with h5py.File(path, "a") as file:
        file["block1_conv1/evil\x1b[2J\nname"] = np.zeros((2, 2))
        del file["block1_conv1/block1_conv1_b_1:0"], file["block1_conv1/block1_conv1_W_1:0"]
        file["block1_conv1/b\x1b[2J\n"] = np.zeros(4)
    with pytest.raises(InputError, match=r"should hold one kernel and one bias") as refusal:
        load_weights(path)
    assert str(refusal.value).isprintable() and str(refusal.value).startswith(f"{path}: ")


def assert_read_here(path):
    with pytest.warns(UserWarning, match=r"vgg\.h5 is read in this process.* this one may die"):
        assert load_weights(path).keys() == tiny_weights().keys()


@pytest.mark.parametrize("what", ["exit 0", "exit 1", "exit 2", "kill -9 $$"])
def test_a_program_that_does_not_begin_as_ours_tells_nothing(tmp_path, with_trial, begin_and, what):
    begin_and(what, begun="usage: ")
    assert_read_here(write_vgg(tmp_path / "vgg.h5", tiny_weights()))


@pytest.mark.slow
def test_many_small_pieces_are_refused(tmp_path, with_trial):
    """In 27 KB; it took 112 s and 4 GB."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        channels = 3
        for layer in tiny_weights():
            group = file.create_group(group_of(layer))
            shape = (3, 3, channels, 340)
            group.create_dataset("W", shape, "f4", chunks=(1, 1, 1, 1), compression="gzip")
            group.create_dataset("b", (340,), "f4")
            channels = 340
    with pytest.raises(InputError, match="in far more pieces than are read here"):
        load_weights(tmp_path / "x.h5")


@pytest.mark.slow
def test_a_file_that_makes_the_library_hang_is_damaged(with_trial, monkeypatch):
    """One byte of it was changed: a text in its heap leads to itself."""
    monkeypatch.setattr(trial, "MOST_SECONDS", 3)
    with pytest.raises(InputError, match=r"h5_hang\.h5: it is damaged: the HDF5 library fails"):
        load_weights(FIXTURES / "h5_hang.h5")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["h5_crash.h5", "h5_heap.h5"])
def test_a_file_that_makes_the_library_crash_is_damaged(with_trial, monkeypatch, name):
    """HDF5 2.0.0 dies of the first; in the second it destroys its heap, and dies or hangs, now and then in another way."""
    monkeypatch.setattr(trial, "MOST_SECONDS", 4)
    with pytest.raises(InputError, match=rf"{name}: it (is damaged|cannot be read, it may be damaged)"):
        load_weights(FIXTURES / name)


def test_where_no_process_can_be_had_it_is_read_here_and_that_is_said(tmp_path, with_trial, monkeypatch):
    def fail(*_, **__):
        raise OSError("no process")

    monkeypatch.setattr(trial.subprocess, "Popen", fail)
    assert_read_here(write_vgg(tmp_path / "vgg.h5", tiny_weights()))


def test_waiting_has_an_end(tmp_path, with_trial, begin_and, monkeypatch):
    begin_and("exec sleep 20")
    monkeypatch.setattr(trial, "MOST_WAITING", 0.1)
    with pytest.raises(InputError, match="it is damaged: reading it does not end"):
        load_weights(write_vgg(tmp_path / "vgg.h5", tiny_weights()))


def test_other_crashes_are_damage_too(tmp_path, with_trial, begin_and):
    """On Windows, a process that died has a status above 0."""
    begin_and("exit 197")
    with pytest.raises(InputError, match="it is damaged: the HDF5 library fails to read it"):
        load_weights(write_vgg(tmp_path / "vgg.h5", tiny_weights()))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGXCPU])
def test_a_process_that_dies_is_damage(tmp_path, with_trial, begin_and, number):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    begin_and(f"kill -{int(number)} $$")
    with pytest.raises(InputError, match=r"vgg\.h5: it is damaged: the HDF5 library fails"):
        load_weights(path)


def test_one_that_is_killed_is_none(tmp_path, with_trial, begin_and):
    """Linux kills so where memory is lacking."""
    begin_and("kill -9 $$")
    with pytest.raises(
        InputError, match=r"vgg\.h5: the process that reads it was killed: .* too little memory"
    ):
        load_weights(write_vgg(tmp_path / "vgg.h5", tiny_weights()))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (trial.NO_MEMORY, "it is damaged: reading it takes far more memory than there is in it"),
        (trial.NO_MEMORY_HERE, "there is not enough memory to read it"),
    ],
)
def test_lack_of_memory_is_damage_only_where_there_was_enough(tmp_path, with_trial, begin_and, status, words):
    begin_and(f"exit {status}")
    with pytest.raises(InputError, match=words):
        load_weights(write_vgg(tmp_path / "vgg.h5", tiny_weights()))


@pytest.mark.parametrize("is_ours, status", [(True, trial.NO_MEMORY), (False, trial.NO_MEMORY_HERE)])
def test_the_other_process_tells_whose_limit_it_met(tmp_path, monkeypatch, capsysbinary, is_ours, status):
    def fail(path):
        raise MemoryError

    monkeypatch.setattr(loading, "format_of", fail)
    monkeypatch.setattr(trial, "limit_this_process", lambda size, seconds: is_ours)
    assert trial.main(__file__, "1") == status


def test_limits_are_lowered_and_never_raised(monkeypatch):
    infinity, kind = -1, 7
    limits = {}
    stand_in = SimpleNamespace(
        RLIM_INFINITY=infinity, getrlimit=lambda kind: limits[kind], setrlimit=limits.__setitem__
    )
    monkeypatch.setattr(trial, "resource", stand_in)
    for before, after in [
        ((infinity, infinity), (10, 15)),
        ((20, infinity), (10, 15)),
        ((20, 30), (10, 15)),
        ((10, 12), (10, 12)),
        ((9, infinity), None),
        ((0, 0), None),
    ]:
        limits[kind] = before
        assert trial.lower_limit(kind, 10, spare=5) == (after is not None)
        assert limits[kind] == (after or before)


def contents_of(arrays):
    """Contents with these kernels and biases, of whose reading nothing is known."""
    layers = {name: tuple(map(trial.stored, pair)) for name, pair in arrays.items()}
    return Contents("a layout", layers, name="a network")


def sent(contents):
    """The bytes that the other process sends."""
    stream = io.BytesIO()
    trial.hand_over(stream, contents)
    return stream.getvalue()


def test_what_ends_too_early_is_not_taken():
    weights = tiny_weights(last="conv1_2")
    stream = sent(contents_of(weights))
    found = trial.receive_contents(io.BytesIO(stream))
    assert found.name == "a network" and found.layers.keys() == weights.keys()
    for name, pair in weights.items():
        for stored, array in zip(found.layers[name], pair, strict=True):
            np.testing.assert_array_equal(stored.read(), array.astype(np.float32))
    for length in range(len(stream)):
        with pytest.raises(EOFError):
            trial.receive_contents(io.BytesIO(stream[:length]))


@pytest.mark.parametrize("kind", [trial.PART, trial.COMPLAINT, b"?"])
def test_nothing_that_is_sent_takes_memory_without_bound(kind):
    endless = kind + b"\xff" * trial.LENGTH
    with pytest.raises(EOFError):
        trial.receive_contents(io.BytesIO(endless))
    stream = io.BytesIO()
    trial.send(stream, b'{"shapes": {"conv1_1": [[1048576, 1048576], [1]]}}')
    stream.seek(0)
    with pytest.raises(EOFError):
        trial.receive_contents(stream)
    weights = sent(contents_of(tiny_weights(last="conv1_2")))
    end_of_text = trial.LENGTH + 1 + int.from_bytes(weights[1 : 1 + trial.LENGTH])
    with pytest.raises(EOFError):
        trial.receive_contents(io.BytesIO(weights[:end_of_text] + endless + weights[end_of_text:]))


def test_a_complaint_may_come_after_the_first_layer(tmp_path, monkeypatch, capsysbinary):
    weights = tiny_weights(last="conv1_2")
    arrays = dict(weights)
    arrays["conv1_2"] = (arrays["conv1_2"][0] * np.float32("inf"), arrays["conv1_2"][1])
    monkeypatch.setattr(trial, "limit_this_process", lambda size, seconds: True)
    monkeypatch.setattr(
        loading, "format_of", lambda path: lambda path: contextlib.nullcontext(contents_of(arrays))
    )
    assert trial.main(__file__, "1") == 0
    stream = io.BytesIO(capsysbinary.readouterr().out)
    assert stream.read(len(trial.BEGUN)) == trial.BEGUN
    with pytest.raises(InputError, match="conv1_2 has values that are not finite"):
        trial.receive_contents(stream)
    assert stream.tell() > sum(array.nbytes for array in weights["conv1_1"])


def test_one_layer_at_a_time_is_in_memory(monkeypatch):
    """In the process that reads, whose memory is limited."""
    read_layer, alive = loading.read_layer, []

    def read(*arguments):
        assert sum(ref() is not None for ref in alive) <= 1  # the last bias
        pair = read_layer(*arguments)
        alive.extend(map(weakref.ref, pair))
        return pair

    monkeypatch.setattr(loading, "read_layer", read)
    weights = tiny_weights()
    sent(contents_of(weights))
    assert len(alive) == 2 * len(weights)


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
    monkeypatch.setattr(trial.subprocess, "Popen", lambda *_, **__: pytest.fail("it was started"))
    assert_read_here(path)


@pytest.mark.parametrize("executable", ["", None, "/no/such/python"])
def test_without_python_nothing_is_tried(tmp_path, with_trial, monkeypatch, executable):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    monkeypatch.setattr(trial.sys, "executable", executable)
    assert_read_here(path)


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
