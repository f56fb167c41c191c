"""L-BFGS on known functions, and the promises about when it stops."""

import numpy as np
import pytest
import scipy.optimize

from nnstyle.optimizer import NotFiniteError, minimize


def quadratic(image):
    """Curved a hundred times more steeply in some directions than in others; minimum 0 at 3."""
    curvature = np.geomspace(1, 100, image.size).reshape(image.shape)
    return float((curvature * (image - 3) ** 2).sum() / 2), curvature * (image - 3)


def rosenbrock(image):
    flat = image.ravel()
    return scipy.optimize.rosen(flat), scipy.optimize.rosen_der(flat).reshape(image.shape)


@pytest.mark.parametrize("objective, minimum", [(quadratic, 3), (rosenbrock, 1)])
def test_it_finds_the_minimum(objective, minimum):
    image, _ = minimize(objective, np.zeros((2, 3, 3)), 200)
    np.testing.assert_allclose(image, minimum, atol=1e-6)


def test_the_image_keeps_its_shape_and_type_and_the_callback_sees_every_iteration():
    seen = []
    start = np.zeros((2, 3, 3), np.float32)
    image, reason = minimize(quadratic, start, 7, callback=lambda image, loss: seen.append((image, loss)))
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
    def stop(image, loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize(quadratic, np.zeros((2, 2, 3)), 5, callback=stop)
