"""The benchmark on a GPU: with a stand-in for CuPy, and on a real one where there is one."""

import json

import numpy as np
import pytest

from lessons.strict_arrays import StrictDevice
from nnstyle import Engine, InputError
from nnstyle.benchmark import __main__ as benchmark
from nnstyle.benchmark import compare, gpu_meter, work
from nnstyle.benchmark.gpu_meter import GpuMeter, between_events, largest
from nnstyle.benchmark.meter import Meter
from nnstyle.benchmark.profile import Stopwatch
from nnstyle.engine import devices
from tests.support.stand_in_cupy import StandInCupy

SMALL = ["--device", "cuda", "--networks", "pocket", "--sizes", "32", "--rounds", "2"]


@pytest.fixture
def cupy(monkeypatch):
    """A stand-in that nnstyle takes for CuPy, and less work to find what it can do at best."""
    monkeypatch.delenv("CUPY_TF32", raising=False)
    monkeypatch.setattr(gpu_meter, "SIDE", 64)
    monkeypatch.setattr(gpu_meter, "COPIED", 100_000)
    stand_in = StandInCupy()
    monkeypatch.setattr(devices, "import_cupy", lambda: stand_in)
    return stand_in


def run(tmp_path, *arguments):
    """The figures that the command writes."""
    assert benchmark.main([*SMALL, *arguments, "--json", str(tmp_path / "figures.json")]) == 0
    return json.loads((tmp_path / "figures.json").read_text())


def test_the_command(cupy, tmp_path, capsys):
    figures = run(tmp_path, "--profile")
    shown, (result,) = capsys.readouterr().out, figures["results"]
    assert (figures["device"], figures["GPU"], figures["TF32"]) == ("cuda:0", "a stand-in", False)
    assert (figures["CuPy"], figures["CUDA"], figures["CUDA of the driver"]) == ("a stand-in", 13000, 13010)
    assert figures["operations a second of matrix products"] > 0 < figures["bytes a second of copies"]
    assert result["seconds"] == np.median(result["all seconds"]["nnstyle"])
    both = {"lbfgs": result["L-BFGS-B seconds"], "lbfgs-nnstyle": result["nnstyle.lbfgs seconds"]}
    assert result["optimizer seconds"] == both[result["optimizer"]] == min(both.values())
    assert len(result["profile"]) == 10
    for words in ("floor of direct convolutions", "share of bandwidth", "nnstyle.lbfgs an iteration"):
        assert words in shown


@pytest.mark.slow
def test_memory_is_the_pool_s_and_the_largest_picture_is_tried(cupy, tmp_path, capsys):
    cupy.limit = 28 * 3 * 4 * 100**2  # bytes: room for L-BFGS's pictures at 100 px
    figures = run(tmp_path, "--memory")
    assert 0 < figures["results"][0]["memory"]["usual"]
    assert 100 - 32 < figures["largest"]["pocket"]["tried"] <= 100
    free, needed = 1e9, devices.find("cuda").bytes_needed
    estimated, weights = figures["largest"]["pocket"]["estimated"], work.make_weights("pocket")
    assert needed(weights, estimated, estimated) <= free < needed(weights, estimated + 32, estimated + 32)
    assert "the largest square that fits" in capsys.readouterr().out


def test_what_is_too_large_takes_one_line(cupy, capsys):
    cupy.limit = 1000
    assert benchmark.main(SMALL) == 2
    assert "choose smaller --sizes" in capsys.readouterr().err


@pytest.mark.parametrize("name, message", [("cuda:1", "there is no cuda:1"), ("gpu", "device must be")])
def test_a_device_that_is_not_there_takes_one_line(cupy, capsys, name, message):
    assert benchmark.main(["--device", name]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


class FailsToLaunch(RuntimeError):
    """As CUDARuntimeError, CUBLASError and others of CuPy's, and those of PyTorch."""


class FailsToCompile(Exception):
    """As CompileException of CuPy's, which is no RuntimeError."""

    __module__ = "cupy.cuda.compiler"


@pytest.mark.parametrize("error", [FailsToLaunch, FailsToCompile])
@pytest.mark.parametrize("step", ["rates", "measure_speed", "evaluate", "optimizers", "largest", "leave"])
def test_a_gpu_that_fails_takes_one_line(cupy, tmp_path, capsys, monkeypatch, step, error):
    def fail(*_, **__):
        raise error("cudaErrorLaunchFailure: unspecified\nlaunch failure")

    owner, name = {
        "rates": (GpuMeter, "rates"),
        "measure_speed": (compare, "measure_speed"),
        "evaluate": (Engine, "gram_matrix"),
        "optimizers": (GpuMeter, "optimizers"),
        "largest": (GpuMeter, "largest"),
        "leave": (Engine, "__exit__"),
    }[step]
    monkeypatch.setattr(owner, name, fail)
    arguments = ["--memory"] if step == "largest" else []
    assert benchmark.main([*SMALL, *arguments, "--json", str(tmp_path / "figures.json")]) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("python -m nnstyle.benchmark: a stand-in failed: ") and stderr.count("\n") == 1
    assert "cudaErrorLaunchFailure: unspecified launch failure" in stderr
    if step == "largest":  # what was measured before stays
        figures = json.loads((tmp_path / "figures.json").read_text())
        assert [result["network"] for result in figures["results"]] == ["pocket"]


def test_an_error_of_the_program_is_not_hidden(cupy, monkeypatch):
    def fail(*_):
        raise TypeError("a mistake")

    monkeypatch.setattr(work, "evaluation", fail)
    with pytest.raises(TypeError, match="a mistake"):
        benchmark.main(SMALL)


class NearTorch(GpuMeter):
    """PyTorch computes on the processor, which stands for the GPU."""

    def __init__(self, device):
        super().__init__(device)
        self.torch_device = "cpu"

    torch_seconds_of = Meter.torch_seconds_of


@pytest.mark.parametrize("tf32", ["0", "1"])
def test_pytorch_of_the_same_arithmetic_is_compared(cupy, tmp_path, capsys, monkeypatch, tf32):
    torch = pytest.importorskip("torch")

    def fail(*_, **__):
        raise RuntimeError("Cannot find a working\n triton installation")

    monkeypatch.setattr(torch, "compile", fail)
    monkeypatch.setenv("CUPY_TF32", tf32)
    monkeypatch.setattr(benchmark, "meter_of", NearTorch)
    figures = run(tmp_path, "--against-torch")
    (result,), shown = figures["results"], capsys.readouterr().out
    ways = [f"PyTorch, {how}, {bits}" for how in ("eager", "compiled") for bits in ("float32", "TF32")]
    assert list(result["all seconds"]) == ["nnstyle", *ways[:2]] and list(result["left out"]) == ways[2:]
    assert "compiled, TF32 left out: RuntimeError: Cannot find a working triton installation" in shown
    same = np.median(result["all seconds"][ways[int(tf32)]])
    assert figures["TF32"] == bool(int(tf32)) and result["PyTorch seconds"] == same
    assert result["ratio"] == same / result["seconds"] and "PyTorch" in figures


def test_pytorch_without_a_gpu_takes_one_line(cupy, capsys):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("PyTorch sees a GPU here")
    assert benchmark.main([*SMALL, "--against-torch"]) == 2
    assert "PyTorch sees no GPU" in capsys.readouterr().err


def test_another_computation_is_left_out(monkeypatch):
    class Wrong(Meter):
        def torch_evaluation(self, *_, **__):
            return lambda: (1.0, np.ones((32, 32, 3)))

    arguments = benchmark.make_parser().parse_args(["--against-torch", "--rounds", "1"])
    with Engine(StrictDevice()) as engine:
        result = compare.measure_speed("pocket", 32, arguments, engine, Wrong(engine.device))
    assert "ratio" not in result and "something else" in result["left out"]["PyTorch, channels last"]


def test_events_count_milliseconds():
    class Event:
        clock = iter((5.0, 7.5))

        def record(self):
            self.moment = next(self.clock)

        def synchronize(self):
            self.synchronized = True

    elapsed = lambda begin, end: (end.moment - begin.moment) * end.synchronized
    assert between_events(Event, elapsed, lambda: None) == 0.0025


def test_the_stopwatch_waits_before_and_after():
    order = []
    watch = Stopwatch(lambda: order.append("wait"))
    watch.timed(lambda: order.append("work"), "work")()
    assert order == ["wait", "work", "wait"]


def test_the_largest_is_found_to_the_step():
    assert largest(lambda n: n <= 777, step=1) == 777
    assert 777 - 32 < largest(lambda n: n <= 777) <= 777
    assert largest(lambda n: False) == 0


@pytest.mark.gpu
@pytest.mark.filterwarnings("default")  # what compilers say belongs to them
def test_on_a_gpu(tmp_path):
    try:
        devices.find("cuda")
    except InputError as error:
        pytest.skip(str(error))
    arguments = ["--sizes", "64", "--profile"]
    try:
        import torch

        arguments += ["--against-torch"] * torch.cuda.is_available()
    except ImportError:
        pass
    figures = run(tmp_path, *arguments)
    (result,) = figures["results"]
    assert figures["bytes a second of copies"] > 1e10
    assert 0 < result["share of matmul rate"] < 1 and 0 < result["share of bandwidth"] < 1
    if "--against-torch" in arguments:
        assert "ratio" in result and not any("eager" in name for name in result["left out"])
