"""The benchmark's command: that it runs, and that its figures mean what they say."""

import json
import sys

import numpy as np
import pytest

from nnstyle import Network, Settings
from nnstyle.benchmark import __main__ as benchmark
from nnstyle.benchmark import against_torch, compare, work
from nnstyle.benchmark.accuracy import gradient_of, relative_error
from nnstyle.benchmark.lbfgs import lbfgs_seconds
from nnstyle.benchmark.profile import Stopwatch
from nnstyle.objective import Objective
from nnstyle.workers import Workers

from .tiny import tiny_weights

SMALL = ["--networks", "pocket", "--sizes", "32", "--rounds", "2", "--threads", "1"]


def test_a_small_run(tmp_path, capsys):
    file = tmp_path / "figures.json"
    assert benchmark.main([*SMALL, "--profile", "--memory", "--json", str(file)]) == 0
    shown, figures = capsys.readouterr().out, json.loads(file.read_text())
    (result,) = figures["results"]
    assert (figures["threads"], result["network"], result["size"]) == (1, "pocket", 32)
    assert result["seconds"] == np.median(result["all seconds"]["nnstyle"]) > 0
    assert result["optimizer seconds"] == result["L-BFGS-B seconds"] and result["nnstyle.lbfgs seconds"] > 0
    assert len(result["profile"]) == 10 and min(result["profile"].values()) > 0
    assert result["memory"]["low"] <= result["memory"]["usual"]
    assert f"{result['seconds']:.3f}" in shown and "convolution, backward" in shown and "MB" in shown


def test_operations_are_those_of_the_loops():
    expected = 0
    for name, (kernel, _) in tiny_weights(last="conv2_1").items():
        pixels = 12 * 12 if name.startswith("conv1") else 6 * 6
        expected += 2 * 2 * kernel.size * pixels  # as if no neighbour were outside the picture
    assert work.operations(tiny_weights(last="conv2_1"), 12) == expected


def test_the_rate_of_matrix_products_is_that_of_the_processor():
    with Workers(1) as workers:
        assert 1e8 < work.matmul_rate(workers) < 1e13


def test_vgg19_has_the_published_widths():
    weights = work.make_weights("vgg19")
    assert [kernel.shape[2:] for kernel, _ in weights.values()][::4] == [
        (3, 64),
        (128, 256),
        (256, 512),
        (512, 512),
    ]
    assert len(weights) == 13 and sum(kernel.size for kernel, _ in weights.values()) == 12_940_992


def test_an_optimizer_iteration_takes_time():
    assert 0 < lbfgs_seconds(8) < 1


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
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(arguments)
    assert message in capsys.readouterr().err


def test_bad_input_takes_one_line(capsys, monkeypatch):
    assert benchmark.main([*SMALL, "--json", "/no/such/folder/figures.json"]) == 2
    assert "figures.json cannot be written" in capsys.readouterr().err
    assert benchmark.main([*SMALL, "--threads", "0"]) == 2
    monkeypatch.setitem(sys.modules, "torch", None)
    for option in ("--against-torch", "--accuracy"):
        capsys.readouterr()
        assert benchmark.main([*SMALL, option]) == 2
        assert "pip install torch==2.13.0" in capsys.readouterr().err


@pytest.mark.parametrize("channels_last", [True, False])
def test_pytorch_does_the_same_work(channels_last):
    pytest.importorskip("torch")
    with Workers(1) as workers:
        ours = work.evaluation("pocket", 48, workers)
        theirs = against_torch.evaluation("pocket", 48, 1, channels_last)
        compare.check_agreement({"nnstyle": ours, "PyTorch": theirs})


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
    with Workers(1) as workers:
        network = Network(work.make_weights("pocket"), "average", np.float64, workers)
        objective = Objective(network, *images[:2], Settings(size=48).for_picture(48, 48))
        gradient = objective(images[2])[1]
    assert exact.dtype == np.float64 and relative_error(gradient, exact) < 1e-12
    assert relative_error(gradient * (1 + 1e-6), exact) > 1e-7  # the twin that must fail
