"""L-BFGS on known functions, and the promises about when it stops."""

import numpy as np
import pytest
import scipy.optimize

from nnstyle import NotFiniteError
from nnstyle.optimizers.scipy_lbfgsb import minimize
from tests.support.functions import Recorded, quadratic, rosenbrock


@pytest.mark.parametrize("objective, minimum", [(quadratic, 3), (rosenbrock, 1)])
def test_it_finds_the_minimum(objective, minimum):
    image, _ = minimize(objective, np.zeros((2, 3, 3)), 200)
    np.testing.assert_allclose(image, minimum, atol=1e-6)


def test_the_image_keeps_its_shape_and_type_and_the_callback_sees_every_iteration():
    seen = []
    start = np.zeros((2, 3, 3), np.float32)

    def callback(image, loss, history):
        seen.append((image, loss))

    image, reason = minimize(quadratic, start, 7, callback=callback)
    assert image.shape == start.shape and image.dtype == np.float32 and not start.any()
    assert reason == "all iterations done"
    losses = [loss for _, loss in seen]
    assert len(losses) == 7 and losses == sorted(losses, reverse=True)
    np.testing.assert_array_equal(seen[-1][0], image)


def test_small_gains_do_not_end_a_run():
    """SciPy's own tests would stop at once: the loss changes in its ninth digit only."""

    def flat(image):
        loss, gradient = rosenbrock(image)
        return 1e9 + loss, gradient

    seen = []
    minimize(flat, np.zeros((2, 3, 3)), 60, callback=lambda *_: seen.append(1))
    assert len(seen) == 60


def test_it_starts_anew_where_the_line_search_fails():
    """For a while every point looks higher than the last: SciPy alone would end there."""
    calls, seen = [], []

    def disturbed(image):
        calls.append(1)
        loss, gradient = quadratic(image)
        return loss + 1e6 * (10 <= len(calls) < 50), gradient

    image, _ = minimize(disturbed, np.zeros((2, 3, 3)), 100, callback=lambda *_: seen.append(1))
    assert len(calls) > 50 and len(seen) > 20
    np.testing.assert_allclose(image, 3, atol=1e-4)


def test_it_gives_up_where_starting_anew_gains_nothing():
    def grainy(image):
        loss, gradient = quadratic(image)
        return float(np.float32(1e4 + loss)), gradient  # seven digits, as a float32 loss has

    seen = []
    image, reason = minimize(grainy, np.zeros((4, 4, 3)), 300, callback=lambda *_: seen.append(1))
    assert quadratic(image)[0] < 1e-2
    assert len(seen) < 100 and reason.startswith("no lower loss was found (")


def test_a_run_that_stops_says_why():
    seen = []
    _, reason = minimize(quadratic, np.full((2, 3, 3), 3.0), 50, callback=lambda *_: seen.append(1))
    assert not seen and reason.startswith("no lower loss was found (")


def test_bounds_hold_at_every_point_that_is_tried():
    low, high = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 4.0])  # one pair a channel

    def watched(image):
        assert (image >= low).all() and (image <= high).all()
        return quadratic(image)

    image, _ = minimize(watched, np.full((2, 2, 3), [0.5, 1.5, 2.5]), 100, bounds=(low, high))
    np.testing.assert_allclose(image, np.broadcast_to([1, 2, 3], (2, 2, 3)), atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_or_gradient_that_is_not_finite_ends_the_run(bad):
    with pytest.raises(NotFiniteError):
        minimize(lambda image: (bad, image), np.zeros((2, 2, 3)), 5)
    with pytest.raises(NotFiniteError):
        minimize(lambda image: (1.0, image + bad), np.zeros((2, 2, 3)), 5)


def test_an_exception_from_the_callback_passes_through():
    def stop(image, loss, history):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize(quadratic, np.zeros((2, 2, 3)), 5, callback=stop)


def test_stop_iteration_from_the_callback_passes_through_as_well():
    """SciPy alone would take it for a wish to stop, and nobody would hear of it."""

    def callback(image, loss, history):
        next(iter([]))

    with pytest.raises(StopIteration):
        minimize(quadratic, np.zeros((2, 2, 3)), 5, callback=callback)


def test_a_true_return_value_of_the_callback_stops():
    seen = []

    def callback(image, loss, history):
        seen.append(image)
        assert history is None  # SciPy does not hand its steps out
        return len(seen) == 3

    image, reason = minimize(rosenbrock, np.zeros((2, 3, 3)), 50, callback=callback)
    assert len(seen) == 3 and reason == "stopped by the callback"
    np.testing.assert_array_equal(image, seen[-1])


@pytest.mark.parametrize("disturbance", [0, 1e6])
@pytest.mark.parametrize("bounds", [None, (-1, 0.9)])
def test_at_every_callback_the_latest_evaluation_was_at_its_image(disturbance, bounds):
    """What an objective keeps of its latest call (its single losses) belongs to the image reported."""
    recorded, seen = Recorded(rosenbrock, disturbance), []

    def callback(image, loss, history):
        np.testing.assert_array_equal(recorded.image, image)
        assert recorded.loss == loss
        seen.append(loss)

    minimize(recorded, np.zeros((2, 3, 3)), 40, bounds=bounds, callback=callback)
    assert len(seen) > 3


def test_so_it_is_even_if_scipy_evaluates_elsewhere_first(monkeypatch):
    """Which points SciPy evaluates, and in which order, is its own affair."""

    def restless(function, x, callback, **_):
        loss = function(x + 1)[0]
        function(x)
        callback(intermediate_result=scipy.optimize.OptimizeResult(x=x + 1, fun=loss))
        return scipy.optimize.OptimizeResult(x=x + 1, fun=loss, nit=1, message="")

    monkeypatch.setattr(scipy.optimize, "minimize", restless)
    recorded, seen = Recorded(quadratic), []

    def callback(image, loss, history):
        np.testing.assert_array_equal(recorded.image, image)
        assert recorded.loss == loss
        seen.append(loss)

    minimize(recorded, np.zeros((2, 3, 3)), 2, callback=callback)
    assert len(seen) == 2


def test_it_goes_on_from_an_image():
    """With no memory of steps: not the same path, but the same minimum."""
    seen = []
    minimize(rosenbrock, np.zeros((2, 3, 3)), 20, callback=lambda image, loss, _: seen.append((image, loss)))
    later = []
    image, _ = minimize(
        rosenbrock, seen[9][0], 200, callback=lambda image, loss, _: later.append(loss), history=None
    )
    assert max(later) < seen[9][1]
    np.testing.assert_allclose(image, 1, atol=1e-6)
