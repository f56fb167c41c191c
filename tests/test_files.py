"""Files are written whole or not at all, and never over somebody else's."""

import contextlib
import errno
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nnstyle import InputError, files
from nnstyle.files import (
    PREFIX,
    check_writable,
    create_part,
    is_regular,
    this_system,
    whole_file,
    write_beside,
)
from nnstyle.pictures import FORMATS, save_image
from tests.support.command import ENVIRONMENT
from tests.support.pictures import noise


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def replace(path, data):
    with whole_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def no_file_larger_than(size):
    """As on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_full_disk_costs_no_earlier_picture(tmp_path, ending):
    """Pillow alone leaves a JPEG that is cut off, and says nothing."""
    path = tmp_path / f"x{ending}"
    save_image(noise(40, 56), path, {})
    before, size = path.read_bytes(), path.stat().st_size
    for limit in (0, 1, size // 2, size - 1):
        with no_file_larger_than(limit), pytest.raises(OSError) as caught:
            save_image(noise(40, 56), path, {})
        assert caught.value.errno == errno.EFBIG
        assert contents(tmp_path) == {path.name: before}
    with no_file_larger_than(size):
        save_image(noise(40, 56), path, {})


@pytest.mark.parametrize("function", ["fsync", "replace", "close"])
def test_a_disk_that_fails_late_is_noticed(tmp_path, monkeypatch, function):
    (tmp_path / "x").write_bytes(b"old")

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    if function == "close":  # as on a disk far away, which says only then that it is full
        monkeypatch.setattr(files, "complete", fail)
    else:
        monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError):
        replace(tmp_path / "x", b"new")
    assert contents(tmp_path) == {"x": b"old"}


def test_a_block_that_raises_leaves_things_as_they_were(tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "x") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert contents(tmp_path) == {"x": b"old"}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_replaced_file_keeps_its_permissions(tmp_path, mode):
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "x").chmod(mode)
    replace(tmp_path / "x", b"new")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode
    assert (tmp_path / "x").read_bytes() == b"new"


@pytest.mark.parametrize("write", [replace, write_beside])
def test_a_new_file_has_those_of_any(tmp_path, write):
    before = os.umask(0o027)
    try:
        write(tmp_path / "x", b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_a_file_beside_a_private_one_is_private_from_the_start(tmp_path, monkeypatch):
    (tmp_path / "x.png").write_bytes(b"old")
    (tmp_path / "x.png").chmod(0o600)
    modes = []
    monkeypatch.setattr(os, "chmod", lambda path, _: modes.append(stat.S_IMODE(os.stat(path).st_mode)))
    path = write_beside(tmp_path / "x.png", b"new")
    replace(tmp_path / "x.png", b"new")
    assert path.name != "x.png" and modes == [0o600, 0o600]
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in (path, tmp_path / "x.png"))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_beside_another_has_its_permissions(tmp_path, mode):
    (tmp_path / "x.png").write_bytes(b"old")
    (tmp_path / "x.png").chmod(mode)
    assert stat.S_IMODE(write_beside(tmp_path / "x.png", b"new").stat().st_mode) == mode
    assert stat.S_IMODE(write_beside(tmp_path / "x.png", b"new", 0o400).stat().st_mode) == 0o400


def test_a_name_that_is_too_long_is_refused_by_any_python(tmp_path, monkeypatch):
    """From Python 3.14 on, `Path.exists` does not raise but returns False."""
    monkeypatch.setattr("pathlib.Path.exists", lambda path: os.path.exists(path))
    monkeypatch.setattr("pathlib.Path.is_dir", lambda path: os.path.isdir(path))
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        check_writable(tmp_path / ("x" * 252 + ".png"))


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "ü" * 125 + "x.png"])
def test_the_longest_names_work(tmp_path, name):
    check_writable(tmp_path / name)
    replace(tmp_path / name, b"1")
    first = write_beside(tmp_path / name, b"2")
    second = write_beside(tmp_path / name, b"3")
    assert len({name, first.name, second.name}) == 3 and second.suffix == ".png"
    assert sorted(contents(tmp_path).values()) == [b"1", b"2", b"3"]


def test_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / "precious").write_bytes(b"precious")
    tokens = iter(["known", "other", "known", "another"])
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: next(tokens))
    (tmp_path / f"{PREFIX}{this_system()}-known.part").symlink_to(tmp_path / "precious")
    replace(tmp_path / "x", b"new")
    (tmp_path / "y.png").symlink_to(tmp_path / "precious")
    assert write_beside(tmp_path / "y.png", b"new").name == "y-unfinished.png"
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    ours = f"{PREFIX}{this_system()}-"
    (tmp_path / f"{ours}left.part").write_bytes(b"half")
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / f"{ours}link.part").symlink_to(tmp_path / "precious")
    os.mkfifo(tmp_path / f"{ours}pipe.part")
    (tmp_path / f"{ours}no").write_bytes(b"another name")
    used, descriptor = create_part(tmp_path)
    check_writable(tmp_path / "x")
    kept = {"precious", f"{ours}link.part", f"{ours}pipe.part", f"{ours}no", used.name}
    assert {path.name for path in tmp_path.iterdir()} == kept
    os.close(descriptor)
    check_writable(tmp_path / "x")
    assert {path.name for path in tmp_path.iterdir()} == kept - {used.name}


def test_what_another_system_may_still_be_writing_stays_for_a_day(tmp_path, monkeypatch):
    """On a shared disk its lock may not be seen from here."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(files, "this_system", lambda: "elsewhere")
        part, descriptor = create_part(tmp_path)
        os.close(descriptor)
    check_writable(tmp_path / "x")
    assert list(contents(tmp_path)) == [part.name]
    yesterday = time.time() - 25 * 3600
    os.utime(part, (yesterday, yesterday))
    check_writable(tmp_path / "x")
    assert contents(tmp_path) == {}


def test_leftovers_are_removed_where_only_a_writer_gets_a_lock(tmp_path, monkeypatch):
    """As on NFS."""
    flock = fcntl.flock

    def lock(descriptor, how):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", lock)
    (tmp_path / f"{PREFIX}{this_system()}-left.part").write_bytes(b"half")
    check_writable(tmp_path / "x")
    assert contents(tmp_path) == {}


def open_files(folder):
    """What this process has open of a folder and its files, as Linux tells."""
    names = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # another thread has closed it meanwhile
            names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [name for name in names if name == str(folder) or name.startswith(f"{folder}/")]


def test_an_open_file_is_seen_as_open(tmp_path):
    with open(tmp_path / "x", "w"):
        assert open_files(tmp_path) == [str(tmp_path / "x")]
    assert open_files(tmp_path) == []


@pytest.mark.parametrize("owner, name", [(os, "dup"), (os, "fstat"), (files, "lock")])
def test_a_file_that_cannot_be_made_leaves_nothing_open(tmp_path, monkeypatch, owner, name):
    def fail(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(owner, name, fail)
        replace(tmp_path / "x", b"new")
    assert contents(tmp_path) == {} and not open_files(tmp_path)


def test_a_writer_that_is_killed_leaves_the_earlier_file_and_the_next_one_cleans_up(tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    program = (
        "import sys; from nnstyle.files import whole_file\n"
        "with whole_file(sys.argv[1]) as file: file.write(b'half'); file.flush(); print(1, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "x")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        process.stdout.readline()
        check_writable(tmp_path / "y")
        assert len(contents(tmp_path)) == 2  # in use
        process.send_signal(signal.SIGKILL)
    assert contents(tmp_path)["x"] == b"old" and len(contents(tmp_path)) == 2
    check_writable(tmp_path / "y")
    assert contents(tmp_path) == {"x": b"old"}


@pytest.mark.parametrize("links", [True, False])
def test_many_at_once_get_a_name_each(tmp_path, monkeypatch, links):
    if not links:

        def fail(*_):
            raise OSError(errno.EPERM, "a file system without links")

        monkeypatch.setattr(os, "link", fail)
    start = threading.Barrier(8)

    def write(number):
        start.wait()
        return write_beside(tmp_path / "x.png", b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(write, range(8)))
    assert len(set(paths)) == 8
    assert sorted(contents(tmp_path).values()) == [b"%d" % number for number in range(8)]


def test_many_writers_of_one_file_leave_it_whole(tmp_path):
    data = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: replace(tmp_path / "x", each), data * 5))
    assert list(contents(tmp_path)) == ["x"] and contents(tmp_path)["x"] in data


def test_what_is_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    assert is_regular(tmp_path / "file")
    assert not any(map(is_regular, (tmp_path, tmp_path / "pipe", "/dev/null")))
