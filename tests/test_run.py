"""`run`: events, how a callback ends the work, and what an exception carries."""

import importlib
import pickle

import numpy as np
import pytest

from lessons.strict_arrays import StrictDevice
from nnstyle import (
    Engine,
    GpuError,
    Network,
    NotFiniteError,
    Objective,
    Record,
    Result,
    Term,
    pictures,
    prepare,
    run,
    set_targets,
    stylize,
)
from nnstyle.objective import paper_terms
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

HOW = {"size": 48, "iterations": 6}
OPTIMIZERS = ["lbfgs", "lbfgs-nnstyle", "adam"]
CONTENT, STYLE = noise(40, 48), noise(48, 44, seed=1)


def make_job(**settings):
    return prepare(CONTENT, STYLE, tiny_weights(), **HOW | settings)


@pytest.fixture
def pictures_made(monkeypatch):
    """A list that grows by one with each picture that is made."""
    made, deprocess = [], pictures.deprocess

    def counted(*arguments):
        made.append(1)
        return deprocess(*arguments)

    # Not `nnstyle.stylize`: that name is the function's.
    monkeypatch.setattr(importlib.import_module("nnstyle.stylize").pictures, "deprocess", counted)
    return made


# Events


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_picture_is_made_only_when_it_is_asked_for(pictures_made, optimizer):
    def callback(event):
        if event.record.iteration == 4:
            assert event.image().shape == (40, 48, 3)

    run(make_job(optimizer=optimizer), callback=callback)
    assert len(pictures_made) == 2  # that, and the result
    del pictures_made[:]
    run(make_job(optimizer=optimizer))
    assert len(pictures_made) == 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_event_stays_what_it_was(optimizer):
    """Its picture is that of its iteration, even if it is made at the end of the work."""
    events, at_once = [], []

    def callback(event):
        events.append(event)
        at_once.append(event.image())

    result = run(make_job(optimizer=optimizer), callback=callback)
    assert [event.record for event in events] == result.losses
    for event, image in zip(events, at_once, strict=True):
        np.testing.assert_array_equal(event.image(), image)
    assert all((a != b).any() for a, b in zip(at_once, at_once[1:]))
    np.testing.assert_array_equal(result.image, at_once[-1])


def test_the_losses_are_by_name_and_add_up_to_the_total():
    settings = {"alpha": 2.0, "beta": 1e8, "tv_weight": 0.5, "scales": 1}
    for record in run(make_job(**settings)).losses:
        assert list(record.losses) == ["content", "style", "total variation"]
        content, style, variation = record.losses.values()
        assert record.total == pytest.approx(2 * content + 1e8 * style + 0.5 * variation, rel=1e-12)
        assert record.seconds > 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_record_is_of_the_picture_it_comes_with(optimizer):
    """Also where a line search tried further points: computed anew, the loss is the same.

    Adam's is of the latest iterate, not of the average that is the picture.
    """
    job = make_job(optimizer=optimizer, rescale=False, iterations=12, border=0, pooling="average")
    states = []
    run(job, callback=lambda event: states.append(event.state()))
    network = Network(job.weights)
    terms = paper_terms(job.settings, network.engine)
    set_targets(
        terms,
        network,
        *(pictures.preprocess(p, job.weights.preprocessing) for p in (job.content, job.styles[0].image)),
    )
    objective = Objective(network, terms)
    for state in states:
        total, _ = objective(state.history["x"] if optimizer == "adam" else state.image)
        assert total == state.records[-1].total
        assert objective.losses == state.records[-1].losses


# A callback that ends the work


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("last, scales", [(1, 1), (3, 1), (2, 2), (3, 2), (5, 2)])
def test_a_true_return_value_stops_with_the_picture_that_the_callback_saw(optimizer, last, scales):
    seen = []

    def callback(event):
        seen.append(event)
        return event.record.iteration == last

    job = prepare(
        noise(72, 70),
        noise(70, 72),
        tiny_weights(),
        size=72,
        iterations=6,
        scales=scales,
        optimizer=optimizer,
    )
    result = run(job, callback=callback)
    assert len(seen) == len(result.losses) == last and result.reason == "stopped by the callback"
    np.testing.assert_array_equal(result.image, seen[-1].image())
    assert result.losses[-1] == seen[-1].record
    assert max(result.image.shape) == result.losses[-1].size


@pytest.mark.parametrize("value, iterations", [(None, 6), (False, 6), (0, 6), (np.True_, 1), ("stop", 1)])
def test_only_a_true_value_stops(value, iterations):
    assert len(run(make_job(), callback=lambda event: value).losses) == iterations


def test_stylize_stops_as_well():
    result = stylize(CONTENT, STYLE, tiny_weights(), lambda event: event.record.iteration == 2, **HOW)
    assert len(result.losses) == 2 and result.image.shape == (40, 48, 3)


# Exceptions


class FailingEngine(Engine):
    """It fails in the middle of an evaluation, after so many convolutions."""

    def __init__(self, error, after, device="cpu"):
        super().__init__(device, threads=1)
        self.error, self.after = error, after

    def conv(self, x, kernel, bias):
        self.after -= 1
        if self.after < 0:
            raise self.error
        return super().conv(x, kernel, bias)


CONVOLUTIONS = 13  # of VGG-19 up to conv5_1
BEFORE = 2 * CONVOLUTIONS + 9  # rescaling over two pictures, and some of what the targets need
LATER = 8 * CONVOLUTIONS  # in the fifth evaluation or so


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), MemoryError(), NotFiniteError("NaN"), ZeroDivisionError("a mistake")]
)
def test_an_exception_carries_the_unfinished_result(error, optimizer):
    seen = []
    with pytest.raises(type(error)) as caught:
        run(make_job(optimizer=optimizer), FailingEngine(error, LATER), lambda event: seen.append(event))
    assert caught.value is error
    result = error.result
    del error.result
    assert isinstance(result, Result) and 1 <= len(result.losses) < 6
    assert result.losses == [event.record for event in seen]
    np.testing.assert_array_equal(result.image, seen[-1].image())
    assert result.settings.optimizer == optimizer
    assert result.reason == (str(error) or type(error).__name__)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), NotFiniteError("NaN")])
@pytest.mark.parametrize("after", [3, BEFORE])
def test_before_the_first_iteration_there_is_no_result(error, after):
    with pytest.raises(type(error)) as caught:
        run(make_job(), FailingEngine(error, after))
    assert not hasattr(caught.value, "result")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, StopIteration, RuntimeError, SystemExit])
def test_an_exception_of_the_callback_carries_it_as_well(error, optimizer):
    def callback(event):
        if event.record.iteration == 2:
            raise error

    with pytest.raises(error) as caught:
        run(make_job(optimizer=optimizer), callback=callback)
    assert type(caught.value) is error and len(caught.value.result.losses) == 2


def test_the_picture_at_a_small_scale_is_better_than_none():
    def callback(event):
        if event.record.iteration == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        stylize(noise(72, 70), noise(70, 72), tiny_weights(), callback, size=72, iterations=6, scales=2)
    assert caught.value.result.image.shape == (36, 35, 3)


def test_a_loss_that_becomes_infinite():
    weights = tiny_weights()
    loud = {name: (1e6 * kernel, bias) for name, (kernel, bias) in weights.items()}
    with pytest.raises(NotFiniteError) as caught:
        stylize(CONTENT, STYLE, weights | loud, rescale=False, **HOW)
    assert not hasattr(caught.value, "result")


def test_where_there_is_not_even_memory_for_the_picture_the_error_is_still_the_error(monkeypatch):
    error = MemoryError("the first")

    def no_more(*_):
        raise MemoryError("the second")

    def callback(event):
        monkeypatch.setattr(importlib.import_module("nnstyle.stylize").pictures, "deprocess", no_more)
        raise error

    with pytest.raises(MemoryError, match="the first") as caught:
        run(make_job(), callback=callback)
    assert not hasattr(caught.value, "result")


# A GPU


class Unwritten(Term):
    """A term whose loss was forgotten."""

    layer = "conv1_1"


def test_a_failure_of_a_gpu_is_a_gpu_error_with_the_result():
    error = RuntimeError("cudaErrorLaunchFailure:\nunspecified")
    with pytest.raises(
        GpuError, match="a stand-in for a GPU failed: cudaErrorLaunchFailure: unspec"
    ) as caught:
        run(make_job(), FailingEngine(error, LATER, StrictDevice()))
    assert caught.value.__cause__ is error and len(caught.value.result.losses) >= 1
    assert caught.value.result.image.dtype == np.uint8


@pytest.mark.parametrize("error", [RuntimeError, GpuError, NotImplementedError])
def test_a_callback_s_own_error_is_no_failure_of_the_gpu(error):
    def callback(event):
        raise error("mine")

    with pytest.raises(error, match="^mine$") as caught:
        run(make_job(), Engine(StrictDevice()), callback)
    assert type(caught.value) is error and len(caught.value.result.losses) == 1


def test_a_term_without_a_loss_is_no_failure_of_the_gpu():
    job = prepare(CONTENT, STYLE, tiny_weights(), terms=[Unwritten()], **HOW)
    with pytest.raises(NotImplementedError):
        run(job, Engine(StrictDevice()))


def test_records_and_results_can_be_pickled():
    result = pickle.loads(pickle.dumps(run(make_job())))
    assert len(result.losses) == 6 and result.image.shape == (40, 48, 3)


def test_the_callback_has_the_numpy_settings_of_the_caller():
    seen = []
    with np.errstate(over="raise", invalid="warn"):
        run(make_job(), callback=lambda event: seen.append(np.geterr()))
    assert seen and all(kept["over"] == "raise" and kept["invalid"] == "warn" for kept in seen)


# 16 bits


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_16_bits_are_the_same_picture_more_exactly(optimizer):
    seen = []
    deep = run(make_job(optimizer=optimizer, bits=16), callback=lambda event: seen.append(event.image()))
    plain = run(make_job(optimizer=optimizer))
    assert deep.image.dtype == np.uint16 and plain.image.dtype == np.uint8
    assert len(np.unique(deep.image)) > 1000  # not 256 levels, times 257
    assert abs(deep.image / 257 - plain.image).max() <= 0.5 + 1 / 514
    assert all(image.dtype == np.uint8 for image in seen)


def test_an_unfinished_picture_has_16_bits_too():
    def interrupt(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interruption:
        run(make_job(bits=16), callback=interrupt)
    assert interruption.value.result.image.dtype == np.uint16


# Unfinished pictures


@pytest.mark.parametrize("ended", ["by an exception", "by the callback"])
@pytest.mark.parametrize(("last", "size", "scales"), [(2, 36, 1), (4, 72, 2)])
def test_the_settings_of_an_unfinished_picture_say_what_it_is(ended, last, size, scales):
    """Not what was asked for; that is told as well, beside it."""

    def callback(event):
        if event.record.iteration == last and ended == "by an exception":
            raise KeyboardInterrupt
        return event.record.iteration == last

    options = {"size": 72, "iterations": 6, "scales": 2, "border": 1}
    job = prepare(noise(72, 70), noise(70, 72), tiny_weights(), **options, beta=4.0)
    try:
        result = run(job, callback=callback)
    except KeyboardInterrupt as error:
        result = error.result
    settings = result.settings
    assert (settings.size, settings.iterations, settings.scales) == (size, last, scales)
    assert settings.size == max(result.image.shape) and settings.iterations == len(result.losses)
    pixels = {36: 38 * 37, 72: 74 * 72}
    assert settings.beta == pytest.approx(4.0 * pixels[size] / pixels[72], rel=1e-15)
    described = job.describe(settings)
    assert (described["size"], described["iterations"]) == (size, last)
    assert described["unfinished"] == {"size": 72, "iterations": 6, "scales": 2, "beta": 4.0}


def test_a_finished_picture_is_not_called_unfinished():
    job = make_job()
    assert "unfinished" not in job.describe(run(job).settings) and "unfinished" not in job.describe()


def test_a_scale_that_took_no_iteration_is_not_counted():
    """Else there would be more scales than iterations, which no settings may have."""
    job = prepare(noise(72, 70), noise(70, 72), tiny_weights(), size=72, iterations=6, scales=2)
    painting = importlib.import_module("nnstyle.stylize")._Run(job, Engine(), None, None)
    painting.records = [Record(1, 72, 5.0, {"content": 5.0}, 0.1)]
    assert painting.unfinished(noise(72, 70), 1, "").settings.scales == 1
