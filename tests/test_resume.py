"""A run that goes on from a state: with our own L-BFGS and Adam, bit for bit the uninterrupted one."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from lessons.strict_arrays import StrictArray, StrictDevice
from nnstyle import Engine, InputError, layers, prepare, run
from nnstyle.optimizers import OPTIMIZERS
from tests.support.pictures import noise
from tests.support.terms import MeanAndVariance
from tests.support.tiny import tiny_weights

CONTENT, STYLE = noise(72, 68), noise(70, 72, seed=1)
OWN = ["lbfgs-nnstyle", "adam"]


def make_job(**settings):
    how = {"size": 72, "iterations": 7, "optimizer": "lbfgs-nnstyle"}
    return prepare(CONTENT, STYLE, tiny_weights(), **how | settings)


def states_of(job, **how):
    """The result of a job, and its state after each iteration, as if stored in a file."""
    states = []
    result = run(job, callback=lambda event: states.append(pickle.dumps(event.state())), **how)
    return result, [pickle.loads(state) for state in states]


def same(result, expected):
    """Whether two results are the same but for the time they took."""
    records = [[(r.iteration, r.size, r.total, r.losses) for r in it.losses] for it in (result, expected)]
    return np.array_equal(result.image, expected.image) and records[0] == records[1]


@pytest.mark.parametrize(
    "settings",
    [
        {"iterations": 14, "size": 40},  # more than the ten steps that are remembered
        {"scales": 2},
        {"scales": 2, "init": "noise", "pooling": "max", "tv_weight": 0.1},
        {"scales": 2, "init": "style", "rescale": False, "terms": [MeanAndVariance("conv2_1", 5.0)]},
        {"optimizer": "adam", "size": 40},
        {"optimizer": "adam", "scales": 2, "bounded": True, "learning_rate": 20, "init": "noise"},
    ],
)
def test_the_resumed_run_is_the_uninterrupted_one_after_every_iteration(settings):
    job = make_job(**settings)
    expected, states = states_of(job)
    assert len(states) == len(expected.losses) == job.settings.iterations
    assert {state.scale for state in states} == set(range(job.settings.scales))
    for done, state in enumerate(states[:-1], start=1):
        seen = []
        result = run(job, callback=lambda event, seen=seen: seen.append(event.record), resume=state)
        assert same(result, expected), f"after iteration {done}"
        assert [record.iteration for record in seen] == list(range(done + 1, job.settings.iterations + 1))
        assert result.reason == expected.reason and result.settings == expected.settings


@pytest.mark.parametrize("optimizer", OWN)
def test_it_may_be_interrupted_again_and_again(optimizer):
    job = make_job(scales=2, optimizer=optimizer)
    expected, _ = states_of(job)
    state, runs = None, 0
    while True:
        latest = []

        def stop_at_once(event, latest=latest):
            latest.append(event.state())
            return True

        result = run(job, callback=stop_at_once, resume=state)
        runs += 1
        state = pickle.loads(pickle.dumps(latest[0]))
        if len(result.losses) == job.settings.iterations:
            break
    assert runs == job.settings.iterations and same(result, expected)


@pytest.mark.parametrize("optimizer", OWN)
def test_without_its_memory_it_would_be_another_run(optimizer):
    """The twin that must fail."""
    job = make_job(optimizer=optimizer)
    expected, states = states_of(job)
    assert not same(run(job, resume=replace(states[3], history=None)), expected)


def test_where_a_small_scale_ended_early_the_next_one_goes_on(monkeypatch):
    """The state after its last iteration says no more than that: the scale is tried once more."""
    original = OPTIMIZERS["lbfgs-nnstyle"]

    def minimize(objective, start, iterations, bounds, callback, history, **how):
        if max(start.shape) == 36 + 64:  # as if no lower loss were found, after two iterations
            iterations = 2 - len(history or ()) // 2
        return original(objective, start, iterations, bounds, callback, history, **how)

    monkeypatch.setitem(OPTIMIZERS, "lbfgs-nnstyle", minimize)
    job = make_job(scales=2)
    expected, states = states_of(job)
    assert [record.size for record in expected.losses] == [36] * 2 + [72] * 5
    for state in states[:-1]:
        assert same(run(job, resume=state), expected)


def test_scipy_s_goes_on_from_the_picture():
    """It cannot hand its history out: the way differs, but not where it begins."""
    job = make_job(optimizer="lbfgs", iterations=10, scales=2, border=0)
    expected, states = states_of(job)
    for state in (states[2], states[4], states[7]):
        assert state.history is None
        seen = []
        result = run(job, callback=lambda event, seen=seen: seen.append(event), resume=state)
        done = len(state.records)
        assert [record.iteration for record in result.losses] == list(range(1, 11))
        assert result.losses[:done] == list(state.records) and len(seen) == 10 - done
        if seen[0].record.size == state.records[-1].size:
            assert seen[0].record.total < state.records[-1].total
        assert result.losses[-1].total < 1.5 * expected.losses[-1].total


def test_the_time_goes_on_as_well():
    job = make_job()
    _, states = states_of(job)
    seconds = [record.seconds for record in run(job, resume=states[2]).losses]
    assert seconds == sorted(seconds) and seconds[2] == states[2].records[-1].seconds


@pytest.mark.parametrize("optimizer, kept", [("lbfgs-nnstyle", 2 * 7), ("adam", 4)])
def test_a_state_is_plain_arrays_of_the_host_on_any_device(optimizer, kept):
    job = make_job(optimizer=optimizer)
    _, states = states_of(job, engine=Engine(StrictDevice()))
    arrays = [states[-1].image, *states[-1].history.values()]
    assert len(states[-1].history) == kept
    assert all(type(array) is np.ndarray and array.dtype == np.float32 for array in arrays)
    assert not any(isinstance(array, StrictArray) for array in arrays)


@pytest.mark.parametrize("optimizer", OWN)
def test_on_a_device_too_the_resumed_run_is_the_uninterrupted_one(optimizer):
    """On the stand-in: a real GPU does not promise the same bits twice."""
    job = make_job(scales=2, iterations=5, optimizer=optimizer)
    expected, states = states_of(job, engine=Engine(StrictDevice()))
    for state in states[:-1]:
        assert same(run(job, Engine(StrictDevice()), resume=state), expected)


@pytest.mark.parametrize("optimizer", OWN)
def test_a_finished_state_gives_the_picture(optimizer):
    job = make_job(scales=2, optimizer=optimizer)
    expected, states = states_of(job)
    assert same(run(job, resume=states[-1]), expected)


def test_states_of_other_jobs_are_refused():
    job = make_job()
    _, states = states_of(job)
    with pytest.raises(InputError, match="belongs to another job"):
        run(make_job(size=64), resume=states[2])
    with pytest.raises(InputError, match="belongs to another job"):
        run(make_job(scales=2), resume=states[2])
    two_scales = states_of(make_job(scales=2))[1]
    with pytest.raises(InputError, match="belongs to another job"):
        run(job, resume=two_scales[2])
    with pytest.raises(InputError, match="belongs to another job"):
        run(job, resume=two_scales[5])
    assert two_scales[5].scale == 1


@pytest.mark.parametrize(
    "other",
    [
        {"beta": 1e5},
        {"grain": 5.0},
        {"pooling": "average"},
        {"iterations": 8},
        {"terms": [MeanAndVariance("conv1_1", 2.0)]},
    ],
)
def test_a_state_of_a_job_that_differs_in_anything_is_refused(other):
    _, states = states_of(make_job())
    with pytest.raises(InputError, match="another job"):
        run(make_job(**other), resume=states[2])


def test_a_state_of_a_job_with_other_pictures_is_refused():
    _, states = states_of(make_job())
    swapped = prepare(STYLE, CONTENT, tiny_weights(), size=72, iterations=7, optimizer="lbfgs-nnstyle")
    with pytest.raises(InputError, match="another job"):
        run(swapped, resume=states[2])


@pytest.mark.parametrize("wrong", [{"resume": "x"}, {"callback": 3}, {"engine": layers}])
def test_arguments_of_another_kind_are_refused(wrong):
    with pytest.raises(InputError):
        run(make_job(), **wrong)
