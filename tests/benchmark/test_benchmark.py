"""The benchmark's command: that it runs, and that its figures mean what they say."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from lessons.strict_arrays import StrictArray, StrictDevice
from nnstyle import Engine, Network, Objective, set_targets
from nnstyle.benchmark import __main__ as benchmark
from nnstyle.benchmark import against_torch, compare, lbfgs, work
from nnstyle.benchmark.accuracy import gradient_of, relative_error
from nnstyle.benchmark.meter import Meter, blas_threads
from nnstyle.benchmark.profile import OPERATIONS, Stopwatch, profile
from nnstyle.engine.cpu import CPU
from nnstyle.objective import paper_terms
from nnstyle.optimizers import OPTIMIZERS
from tests.support.command import ENVIRONMENT
from tests.support.patience import PATIENCE
from tests.support.tiny import tiny_weights

SMALL = ["--networks", "pocket", "--sizes", "32", "--rounds", "2", "--threads", "1"]


@pytest.mark.slow
def test_a_small_run(tmp_path, capsys, monkeypatch):
    clock = iter((3.0, 1.0))
    monkeypatch.setattr(Meter, "seconds_of", lambda self, function: function() and next(clock))
    monkeypatch.setattr(Meter, "optimizers", lambda *_: {"lbfgs": 0.5, "lbfgs-nnstyle": 0.25})
    file = tmp_path / "figures.json"
    assert benchmark.main([*SMALL, "--profile", "--memory", "--json", str(file)]) == 0
    shown, figures = capsys.readouterr().out, json.loads(file.read_text())
    (result,) = figures["results"]
    assert (figures["threads"], result["network"], result["size"]) == (1, "pocket", 32)
    assert result["all seconds"] == {"nnstyle": [3, 1]} and result["seconds"] == 2  # the median
    assert result["optimizer seconds"] == result["L-BFGS-B seconds"] == 0.5
    assert result["nnstyle.lbfgs seconds"] == 0.25
    evaluations = 300 * lbfgs.EVALUATIONS_PER_ITERATION
    assert result["seconds of 300 iterations"] == pytest.approx(evaluations * 2 + 300 * 0.5)
    assert len(result["profile"]) == 10 and min(result["profile"].values()) > 0
    assert result["memory"]["low"] <= result["memory"]["usual"]
    assert f"{result['seconds']:.3f}" in shown and "convolution, backward" in shown and "MB" in shown


def test_operations_are_those_of_the_loops():
    expected = 0
    for name, (kernel, _) in tiny_weights(last="conv2_1").items():
        pixels = 12 * 12 if name.startswith("conv1") else 6 * 6
        expected += 2 * 2 * kernel.size * pixels  # as if no neighbour were outside the picture
    assert work.operations(tiny_weights(last="conv2_1"), 12) == expected


def test_the_rate_of_matrix_products_counts_all_of_the_fastest_of_five(monkeypatch):
    seconds, done = iter((4.0, 3.0, 2.0, 5.0, 6.0)), []

    def seconds_of(function):
        function()
        return next(seconds)

    def matmul(a, b, out):
        assert out.shape == (len(a), b.shape[1]) and out.dtype == np.float32
        done.append(2 * a.size * b.shape[1])  # a product and a sum

    monkeypatch.setattr(work, "seconds_of", seconds_of)
    monkeypatch.setattr(np, "matmul", matmul)
    with Engine(threads=3) as engine:
        assert work.matmul_rate(engine) == sum(done) / 5 / 2.0


def test_vgg19_has_the_published_widths():
    weights = work.make_weights("vgg19")
    assert [kernel.shape[2:] for kernel, _ in weights.values()][::4] == [
        (3, 64),
        (128, 256),
        (256, 512),
        (512, 512),
    ]
    assert len(weights) == 13 and sum(kernel.size for kernel, _ in weights.values()) == 12_940_992


class Clock:
    """Stands still unless it is told otherwise."""

    now = 0.0

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    """The clock that time.perf_counter reads; an evaluation of the optimizers' objective takes 100 s."""
    clock, make = Clock(), lbfgs.simple_function

    def slow_function(size, device):
        function = make(size, device)

        def call(image):
            clock.advance(100)
            return function(image)

        return call

    monkeypatch.setattr("time.perf_counter", clock)
    monkeypatch.setattr(lbfgs, "simple_function", slow_function)
    return clock


@pytest.mark.parametrize("device", [CPU, StrictDevice()], ids=["processor", "stand-in"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_s_seconds_are_those_beside_the_evaluations(clock, name, device):
    # What was begun before an evaluation, or is under way at the end of an iteration, belongs to the
    # optimizer: waiting for it takes a second here. An iteration has one evaluation, nearly always.
    assert lbfgs.lbfgs_seconds(8, name, device, wait=lambda: clock.advance(1)) == 2


@pytest.mark.parametrize("name, copies", [("lbfgs", 2), ("lbfgs-nnstyle", 0)])
def test_copies_between_host_and_gpu_belong_to_the_optimizer(clock, monkeypatch, name, copies):
    class Slow(StrictDevice):
        def to_device(self, array):
            clock.advance(10)
            return super().to_device(array)

    get = StrictArray.get

    def slow_get(self):
        if self.shape == (8, 8, 3):  # not the numbers that an optimizer asks for
            clock.advance(10)
        return get(self)

    monkeypatch.setattr(StrictArray, "get", slow_get)
    assert lbfgs.lbfgs_seconds(8, name, Slow()) == 10 * copies


def test_candidates_take_turns():
    turns = []
    seconds = compare.alternate({name: lambda name=name: turns.append(name) for name in "ab"}, 3)
    assert "".join(turns) == "abababab"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_another_computation_is_not_taken_for_a_faster_one():
    right, wrong = (1.0, np.ones(4)), (1.0, np.array([1.0, 1.0, 1.0, 0.9]))
    compare.check_agreement({"a": lambda: right, "b": lambda: right})
    with pytest.raises(AssertionError, match="something else"):
        compare.check_agreement({"a": lambda: right, "b": lambda: wrong})


@pytest.mark.slow
def test_only_the_engine_that_is_looked_into_is_timed():
    with Engine(threads=1) as engine, Engine(threads=1) as other:
        pocket = lambda: work.evaluation("pocket", 32, engine)
        loss, gradient = pocket()()
        shares = profile(pocket, engine, 2)
        assert {name for name, _ in shares} - {"everything else"} < set(OPERATIONS.values())
        assert [seconds for _, seconds in shares] == sorted((s for _, s in shares), reverse=True)
        names = {name for name, _ in profile(lambda: work.evaluation("pocket", 32, other), engine, 1)}
        assert names == {"everything else"}
        assert not set(OPERATIONS) & set(vars(engine))  # it is as it was
        again = pocket()()
        assert again[0] == loss and np.array_equal(again[1], gradient)


def test_pytorch_s_matrix_products_get_as_many_threads_as_its_convolutions():
    class Library:
        """As a controller of threadpoolctl's."""

        threads = 1

        def get_num_threads(self):
            return self.threads

        def set_num_threads(self, count):
            self.threads = count

    libraries = [Library(), Library()]
    libraries[1].threads = 5
    with pytest.raises(KeyError), blas_threads(libraries, 3):
        assert [library.threads for library in libraries] == [3, 3]
        raise KeyError
    assert [library.threads for library in libraries] == [1, 5]


def test_time_inside_an_operation_is_counted_once(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    watch = Stopwatch()
    inner = watch.timed(lambda: None, "inner")
    watch.timed(lambda: (inner(), inner()), "outer")()
    assert watch.seconds == {"inner": 2, "outer": 3}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--sizes", "x"], "x is not a number from 32"),
        (["--sizes", "64", "16"], "16 is not a number from 32 to 10000"),
        (["--rounds", "0"], "0 is not a number from 1"),
        (["--networks", "resnet"], "invalid choice"),
    ],
)
def test_bad_arguments(capsys, arguments, message):
    assert benchmark.main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["--help", "--rounds 0 2>&1", "--threads 0 2>&1"])
def test_a_closed_pipe_is_no_error(arguments):
    line = f"{sys.executable} -m nnstyle.benchmark {arguments} | head -0"
    environment = ENVIRONMENT | {"PYTHONUNBUFFERED": ""}
    result = subprocess.run(
        line, shell=True, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert result.stderr == ""


@pytest.mark.slow
def test_a_reader_who_goes_away_does_not_cost_the_figures(tmp_path, monkeypatch):
    read, write = os.pipe()
    os.close(read)
    file = tmp_path / "figures.json"
    with open(write, "w") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert benchmark.main([*SMALL, "--json", str(file)]) == 0
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)  # so that closing the stream succeeds
    assert json.loads(file.read_text())["results"][0]["network"] == "pocket"


def test_bad_input_takes_one_line(capsys, monkeypatch):
    assert benchmark.main([*SMALL, "--json", "/no/such/folder/figures.json"]) == 2
    assert "figures.json cannot be written" in capsys.readouterr().err
    assert benchmark.main([*SMALL, "--threads", "0"]) == 2
    assert "threads must be at least 1" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "torch", None)
    for option in ("--against-torch", "--accuracy"):
        capsys.readouterr()
        assert benchmark.main([*SMALL, option]) == 2
        assert "pip install torch==2.13.0" in capsys.readouterr().err


def test_the_figures_do_not_replace_the_embedded_network(tmp_path, capsys, monkeypatch):
    pocket = tmp_path / "pocket.h5"
    pocket.write_bytes(b"a network")
    monkeypatch.setattr(benchmark, "POCKET_PATHS", (pocket,))
    (tmp_path / "figures.json").symlink_to(pocket)
    assert benchmark.main([*SMALL, "--json", str(tmp_path / "figures.json")]) == 2
    assert "would replace an input" in capsys.readouterr().err and pocket.read_bytes() == b"a network"


def test_an_error_of_the_program_is_not_hidden(monkeypatch):
    """On the processor, a RuntimeError is no failure of a device: whoever mends it needs the traceback."""

    def fail(*_):
        raise RuntimeError("a mistake")

    monkeypatch.setattr(work, "evaluation", fail)
    with pytest.raises(RuntimeError, match="a mistake"):
        benchmark.main(SMALL)


@pytest.mark.parametrize("channels_last", [True, False])
def test_pytorch_does_the_same_work(channels_last):
    pytest.importorskip("torch")
    with Engine(threads=1) as engine:
        ours = work.evaluation("pocket", 48, engine)
        theirs = against_torch.evaluation("pocket", 48, 1, channels_last)
        compare.check_agreement({"nnstyle": ours, "PyTorch": theirs})


@pytest.mark.slow
def test_the_error_of_the_gradient_is_shown(capsys, tmp_path):
    pytest.importorskip("torch")
    file = tmp_path / "figures.json"
    assert benchmark.main([*SMALL, "--accuracy", "--json", str(file)]) == 0
    errors = json.loads(file.read_text())["results"][0]["gradient errors"]
    assert all(len(set(each)) == 2 and 1e-9 < max(each) < 1e-2 for each in errors.values())
    shown = capsys.readouterr().out
    assert f"{max(errors['nnstyle']):.1e} of 2" in shown and "PyTorch: error of the gradient" in shown


def test_float64_agrees_with_pytorch_s():
    pytest.importorskip("torch")
    exact = gradient_of(against_torch.evaluation("pocket", 48, 1, True, double=True))
    images = [image.astype(float) for image in work.make_images(48)]
    weights = work.make_weights("pocket")
    with Engine(threads=1) as engine:
        network = Network(weights, "average", np.float64, engine)
        terms = paper_terms(work.make_settings(weights, 48), engine)
        set_targets(terms, network, *images[:2])
        gradient = Objective(network, terms)(images[2])[1]
    assert exact.dtype == np.float64 and relative_error(gradient, exact) < 1e-12
    assert relative_error(gradient * (1 + 1e-6), exact) > 1e-7  # the twin that must fail
