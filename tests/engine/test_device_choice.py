"""Which device is taken, and what is said where none can be: with a CuPy that fails in the ways that CuPy fails."""

import contextlib
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nnstyle import InputError, Settings, prepare, stylize
from nnstyle.cli import main
from nnstyle.engine import devices
from nnstyle.resources import engine_for
from tests.support.command import SMALL
from tests.support.tiny import tiny_weights


class Current(contextlib.nullcontext):
    """In place of cupy.cuda.Device."""

    mem_info = 2e9, 80e9  # free, in all


def cupy(count=1, multiply=np.ones, free=0):
    """A module with as much of CuPy as is needed to find a GPU, on NumPy's arrays."""

    def device_count():
        if count is None:
            raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version\nis insufficient")
        return count

    runtime = SimpleNamespace(
        getDeviceCount=device_count, getDeviceProperties=lambda number: {"name": b"Some Card"}
    )
    cuda = SimpleNamespace(runtime=runtime, Device=lambda n: Current(), is_available=lambda: bool(count))
    pool = SimpleNamespace(free_bytes=lambda: free)
    return SimpleNamespace(cuda=cuda, ones=multiply, get_default_memory_pool=lambda: pool, asarray=np.asarray)


def broken(shape):
    raise RuntimeError("CuPy failed to load libnvrtc.so.12")


@pytest.fixture
def install(monkeypatch):
    """Put a module in cupy's place; None for not installed."""
    monkeypatch.delenv("CUPY_TF32", raising=False)
    return lambda module: monkeypatch.setitem(sys.modules, "cupy", module)


def test_without_cupy_it_is_said_how_to_install_it(install):
    install(None)
    with pytest.raises(
        InputError, match=r"not installed: pip install 'cupy-cuda12x\[ctk\]' \(or cupy-cuda13x"
    ):
        devices.find("cuda")
    assert devices.find("auto").name == "cpu"


def test_without_a_driver_or_a_library_there_is_one_line(install):
    install(cupy(count=None))
    with pytest.raises(InputError, match=r"no GPU \(cudaErrorInsufficientDriver.*update the driver"):
        devices.find("cuda:0")
    assert devices.find("auto").name == "cpu"
    install(cupy(multiply=broken))
    with pytest.raises(
        InputError, match=r"cannot compute on cuda:0 \(CuPy failed to load libnvrtc"
    ) as caught:
        devices.find("cuda")
    assert "\n" not in str(caught.value)
    with pytest.warns(UserWarning, match="libnvrtc.*using the processor"):
        assert devices.find("auto").name == "cpu"


def test_a_gpu_is_found_by_its_number(install, monkeypatch):
    install(cupy(count=2))
    assert [devices.find(name).name for name in ("auto", "cuda", "cuda:1")] == ["cuda:0", "cuda:0", "cuda:1"]
    gpu = devices.find("cuda:1")
    assert gpu.title == "Some Card" and devices.find(gpu) is gpu
    with pytest.raises(InputError, match="no cuda:2: GPUs are counted from cuda:0 to cuda:1"):
        devices.find("cuda:2")
    monkeypatch.setenv("CUPY_TF32", "1")
    gpu = devices.find("cuda")
    assert gpu.title == "Some Card, TF32" and gpu.winograd_channels > 1e9


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:x", "", "CPU"])
def test_other_names_are_refused(name):
    with pytest.raises(InputError, match="device must be auto, cpu, cuda"):
        devices.find(name)


def test_a_picture_too_large_for_a_gpu_is_told_the_size_that_fits(install):
    install(cupy())
    gpu, weights = devices.find("cuda"), tiny_weights(widths=(64, 64, 64, 64, 64))
    job = prepare(np.zeros((64, 128)), np.zeros((64, 128)), weights, size=2048, rescale=False)
    with pytest.warns(UserWarning, match="little memory is free: .* in tiles of 512 px"):
        assert engine_for(job, gpu).tile == 512
    for low_memory in (False, True):
        with pytest.raises(InputError, match=r"of memory on Some Card, and 2.0 GB are free") as caught:
            engine_for(job, gpu, low_memory=low_memory)
    fits = int(str(caught.value).split("--size ")[2].split()[0])
    border = 2 * job.settings.border
    assert 500 < fits < 2048 and gpu.bytes_needed(weights, fits // 2 + border, fits + border) <= 2e9
    assert gpu.bytes_needed(weights, fits // 2 + border + 1, fits + border + 1) > 2e9
    needed = [gpu.bytes_needed(weights, 512, 512, optimizer=name) for name in ("lbfgs", "adam", "")]
    assert needed == sorted(needed) and needed[0] < needed[1] < needed[2]
    install(cupy(free=80e9))  # that CuPy keeps for new arrays
    assert not engine_for(job, devices.find("cuda")).low_memory
    with pytest.raises(InputError, match="choose --tile|choose --size|choose --optimizer"):
        stylize(np.zeros((64, 64)), np.zeros((64, 64)), weights, size=4096, rescale=False, device=gpu)


def test_the_command_refuses_in_one_line(install, capsys, folder):
    install(None)
    assert main([*map(str, (folder / "content.png", folder / "style.png")), "--device", "cuda", *SMALL]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "cupy-cuda12x[ctk]" in said


def test_bounded_pictures_and_the_other_optimizer_exclude_each_other():
    with pytest.raises(InputError, match="optimizer lbfgs or adam"):
        Settings(bounded=True, optimizer="lbfgs-nnstyle")
    with pytest.raises(InputError, match="optimizer must be one of"):
        Settings(optimizer="sgd")


def test_importing_nnstyle_does_not_import_cupy():
    code = "import sys, nnstyle, nnstyle.cli; sys.exit('cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
