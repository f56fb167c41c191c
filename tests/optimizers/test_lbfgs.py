"""Our own L-BFGS against SciPy's: on classic functions, and on a real stylization."""

import tracemalloc
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize

from nnstyle import InputError, NotFiniteError, stylize
from nnstyle.cli import SAMPLES
from nnstyle.optimizers import lbfgs, scipy_lbfgsb
from nnstyle.optimizers.lbfgs import Point, direction, remember, search
from tests.support.functions import Recorded, quadratic, rosenbrock


def beale(image):
    """Beale's function of each pair of neighbours; minimum 0 at (3, 1/2)."""
    x, y = image.reshape(-1, 2).T
    parts = [(c - x + x * y**n, y**n - 1, n * x * y ** (n - 1)) for n, c in ((1, 1.5), (2, 2.25), (3, 2.625))]
    loss = sum(float((p**2).sum()) for p, _, _ in parts)
    gradient = [sum(2 * p * by_x for p, by_x, _ in parts), sum(2 * p * by_y for p, _, by_y in parts)]
    return loss, np.stack(gradient, axis=-1).reshape(image.shape)


def powell(image):
    """Powell's singular function of each four: its Hessian at the minimum, 0, has no inverse."""
    a, b, c, d = image.reshape(-1, 4).T
    p, q, r, s = a + 10 * b, c - d, b - 2 * c, a - d
    loss = float((p**2 + 5 * q**2 + r**4 + 10 * s**4).sum())
    by_s = 40 * s**3
    gradient = [2 * p + by_s, 20 * p + 4 * r**3, 10 * q - 8 * r**3, -10 * q - by_s]
    return loss, np.stack(gradient, axis=-1).reshape(image.shape)


FUNCTIONS = {
    "quadratic": (quadratic, np.zeros((2, 3, 3))),
    "Rosenbrock": (rosenbrock, np.zeros((2, 3, 3))),
    "Beale": (beale, np.ones((2, 3, 2))),
    "Powell": (powell, np.tile([3.0, -1, 0, 1], 3).reshape(2, 2, 3)),
}


def losses_of(minimize, objective, start, iterations):
    """The loss after each iteration, and how many evaluations they took."""
    calls, losses = [], []

    def counted(image):
        calls.append(1)
        return objective(image)

    minimize(counted, start, iterations, callback=lambda image, loss, history: losses.append(loss))
    return losses, len(calls)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_functions_gradients_are_right(name):
    objective, start = FUNCTIONS[name]
    x = start.ravel() + np.random.default_rng(0).normal(size=start.size) / 10
    value = lambda x: objective(x.reshape(start.shape))[0]
    slope = lambda x: objective(x.reshape(start.shape))[1].ravel()
    assert scipy.optimize.check_grad(value, slope, x) < 1e-4


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_few_iterations_as_scipy_s(name):
    objective, start = FUNCTIONS[name]
    ours, _ = losses_of(lbfgs.minimize, objective, start, 400)
    its, _ = losses_of(scipy_lbfgsb.minimize, objective, start, 400)
    assert ours == sorted(ours, reverse=True)
    first = lambda losses: next(i for i, loss in enumerate(losses) if loss < 1e-10)
    assert first(ours) <= 1.3 * first(its) + 2


def test_it_holds_two_arrays_for_each_step_and_six_more():
    """A poster's arrays have 400 MB each. The six: start, image, gradient, direction, and the next image and gradient."""
    image = np.random.default_rng(0).uniform(1, 2, (300, 300, 3)).astype(np.float32)

    def objective(image):
        gradient = image * image
        gradient *= image
        return float(np.vdot(gradient, image)) / 4, gradient

    tracemalloc.start()
    lbfgs.minimize(objective, image.copy(), 6, history_size=2)
    peak = tracemalloc.get_traced_memory()[1] / image.nbytes
    tracemalloc.stop()
    assert 9.5 < peak < 10.5


@pytest.mark.slow
def test_as_low_as_scipy_s_in_a_real_stylization():
    how = {"size": 96, "iterations": 60}
    pictures = SAMPLES / "content.jpg", SAMPLES / "style.jpg"
    ours, its = (stylize(*pictures, optimizer=name, **how) for name in ("lbfgs-nnstyle", "lbfgs"))
    assert ours.settings.optimizer == "lbfgs-nnstyle" and len(ours.losses) == 60
    assert ours.losses[-1].total <= 1.1 * its.losses[-1].total
    assert np.abs(ours.image.astype(int) - its.image).mean() < 8  # levels of 255: the same picture


def test_the_recursion_gives_the_inverse_hessian_of_a_quadratic():
    """After as many independent exact steps as there are variables, it is Newton's direction."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    hessian, gradient, steps = root @ root.T + np.eye(5), rng.normal(size=5), deque()
    s = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    for i in range(5):  # conjugate steps: then the limited memory loses nothing
        for j in range(i):
            s[i] -= (s[i] @ hessian @ s[j]) / (s[j] @ hessian @ s[j]) * s[j]
        remember(steps, s[i], hessian @ s[i])
    newton = -np.linalg.solve(hessian, gradient)
    np.testing.assert_allclose(direction(gradient, steps), newton, rtol=1e-10)
    wrong = [replace(step, rho=2 * step.rho) for step in steps]  # the twin that must fail
    assert np.abs(direction(gradient, deque(wrong)) - newton).max() > 1e-2


@pytest.mark.parametrize("scale", [1e-6, 1, 1e2])
def test_a_step_fulfils_both_wolfe_conditions_however_far_off_the_first_one_is(scale):
    objective = lambda x: (float(np.cosh(x - 3).sum()), np.sinh(x - 3))
    start = np.zeros(4)
    here = Point(start, *objective(start))
    d = -here.gradient * scale / np.abs(here.gradient).max()
    there = search(objective, here, d, first=False)
    slope = here.gradient @ d
    assert there.loss <= here.loss + lbfgs.SUFFICIENT_DECREASE * there.step * slope
    assert objective(there.image)[1] @ d >= lbfgs.SUFFICIENT_CURVATURE * slope


def test_a_direction_that_goes_up_is_refused():
    here = Point(np.ones(3), *quadratic(np.ones(3)))
    assert search(quadratic, here, here.gradient, first=False) is None


def test_a_wrong_gradient_finds_no_lower_loss():
    """The twin that must fail: uphill called downhill."""
    uphill = lambda image: (quadratic(image)[0], -quadratic(image)[1])
    image, reason = lbfgs.minimize(uphill, np.zeros((2, 3, 3)), 50)
    assert not image.any() and reason.startswith("no lower loss was found (")


def test_the_image_keeps_its_shape_and_type_and_the_callback_sees_every_iteration():
    seen, start = [], np.zeros((2, 3, 3), np.float32)
    single = lambda image: (quadratic(image)[0], quadratic(image)[1].astype(np.float32))

    def callback(image, loss, history):
        seen.append((image, loss))

    image, reason = lbfgs.minimize(single, start, 7, callback=callback)
    assert image.shape == start.shape and image.dtype == np.float32 and not start.any()
    assert reason == "all iterations done" and len(seen) == 7
    np.testing.assert_array_equal(seen[-1][0], image)


def test_it_starts_anew_where_the_line_search_fails():
    calls, seen = [], []

    def disturbed(image):
        calls.append(1)
        loss, gradient = quadratic(image)
        return loss + 1e6 * (10 <= len(calls) < 35), gradient

    image, _ = lbfgs.minimize(disturbed, np.zeros((2, 3, 3)), 100, callback=lambda *_: seen.append(1))
    assert len(calls) > 50 and len(seen) > 20
    np.testing.assert_allclose(image, 3, atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_or_gradient_that_is_not_finite_ends_the_run(bad):
    with pytest.raises(NotFiniteError):
        lbfgs.minimize(lambda image: (bad, image), np.ones((2, 2, 3)), 5)
    with pytest.raises(NotFiniteError):
        lbfgs.minimize(lambda image: (1.0, image + bad), np.ones((2, 2, 3)), 5)


def test_bounds_are_refused():
    with pytest.raises(InputError, match="lbfgs"):
        lbfgs.minimize(quadratic, np.zeros((2, 3, 3)), 5, bounds=(0, 1))


# What the callback is told


@pytest.mark.parametrize("disturbance", [0, 1e6])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_at_every_callback_the_latest_evaluation_was_at_its_image(name, disturbance):
    """What an objective keeps of its latest call (its single losses) belongs to the image reported."""
    function, start = FUNCTIONS[name]
    recorded, seen = Recorded(function, disturbance), []

    def callback(image, loss, history):
        np.testing.assert_array_equal(recorded.image, image)
        assert recorded.loss == loss
        seen.append(loss)

    lbfgs.minimize(recorded, start, 60, callback=callback)
    assert len(seen) > 3


def cliff(x):
    """Falls with a slope of -1 up to 0.3, and is 1000 higher from there on."""
    return float(-x.sum() + 1000 * (x > 0.3).sum()), -np.ones_like(x)


def test_where_the_line_search_gives_up_the_latest_evaluation_was_at_the_point_it_returns():
    """The trials end at a step that was too long; the best one that was too short is taken."""
    recorded = Recorded(cliff)
    here = Point(np.zeros(1), *cliff(np.zeros(1)))
    there = search(recorded, here, np.ones(1), first=False)
    assert recorded.calls >= lbfgs.MOST_TRIALS  # it did give up
    assert 0 < there.image[0] <= 0.3 and there.loss < here.loss
    np.testing.assert_array_equal(recorded.image, there.image)
    assert recorded.loss == there.loss
    np.testing.assert_array_equal(there.gradient, [-1])


def test_a_record_does_not_mix_two_points_where_the_line_search_gives_up():
    recorded, seen = Recorded(cliff), []

    def callback(image, loss, history):
        seen.append(loss)
        np.testing.assert_array_equal(recorded.image, image)
        assert recorded.loss == loss == cliff(image)[0]

    image, reason = lbfgs.minimize(recorded, np.zeros(1), 5, callback=callback)
    assert seen and 0.29 < image[0] <= 0.3


def test_where_no_trial_was_short_enough_there_is_no_point():
    def wall(x):
        return (0.0 if not x.any() else 1000.0), -np.ones_like(x)

    assert search(wall, Point(np.zeros(2), *wall(np.zeros(2))), np.ones(2), first=False) is None


def test_a_true_return_value_of_the_callback_stops():
    seen = []

    def callback(image, loss, history):
        seen.append(image)
        return len(seen) == 3

    image, reason = lbfgs.minimize(rosenbrock, np.zeros((2, 3, 3)), 50, callback=callback)
    assert len(seen) == 3 and reason == "stopped by the callback"
    np.testing.assert_array_equal(image, seen[-1])


@pytest.mark.parametrize("error", [KeyboardInterrupt, StopIteration, ValueError])
def test_an_exception_from_the_callback_passes_through(error):
    def stop(image, loss, history):
        raise error

    with pytest.raises(error):
        lbfgs.minimize(quadratic, np.zeros((2, 2, 3)), 5, callback=stop)


# Going on from where a run was


@pytest.mark.parametrize("disturbance", [0, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_run_continued_with_its_memory_is_the_uninterrupted_one(dtype, disturbance):
    """Bit for bit, after every iteration: before and after ten steps are remembered, and after a restart."""

    def function(image):
        loss, gradient = rosenbrock(image.astype(np.float64))
        return loss, gradient.astype(dtype)

    recorded, points = Recorded(function, disturbance), []

    def keep(image, loss, history):
        points.append((image, loss, {k: a.copy() for k, a in history.items()}, recorded.calls))

    start = np.zeros((2, 3, 3), dtype)
    expected, _ = lbfgs.minimize(recorded, start, 25, callback=keep)
    assert len(points) == 25 and {len(history) for _, _, history, _ in points} >= {2, 10, 20}
    losses = [loss for _, loss, _, _ in points]
    for done, (image, _, history, calls) in enumerate(points, start=1):
        again, seen = Recorded(function, disturbance), []
        again.calls = calls - 1  # it evaluates the start once more
        callback = lambda image, loss, history, seen=seen: seen.append(loss)
        result, _ = lbfgs.minimize(again, image, 25 - done, callback=callback, history=history)
        np.testing.assert_array_equal(result, expected)
        assert seen == losses[done:]


@pytest.mark.parametrize("names", [["s0"], ["s0", "s1"], ["s0", "y1"], ["x", "m", "v", "t"]])
def test_what_is_no_history_of_its_own_is_refused(names):
    start = np.zeros((2, 3, 3))
    lbfgs.minimize(rosenbrock, start, 1, history={"y0": start + 1, "s0": start + 1})
    with pytest.raises(InputError, match="nothing that this optimizer remembers"):
        lbfgs.minimize(rosenbrock, start, 1, history=dict.fromkeys(names, start + 1))
    with pytest.raises(InputError, match="nothing that this optimizer remembers"):
        lbfgs.minimize(rosenbrock, start, 1, history={"y0": np.ones(()), "s0": np.ones(())})


def test_a_run_continued_without_its_memory_is_another_one():
    """The twin that must fail."""
    points = []
    expected, _ = lbfgs.minimize(
        rosenbrock, np.zeros((2, 3, 3)), 25, callback=lambda image, *_: points.append(image)
    )
    result, _ = lbfgs.minimize(rosenbrock, points[9], 15)
    assert (result != expected).any()
