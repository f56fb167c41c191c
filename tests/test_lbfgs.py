"""L-BFGS where the picture is, against SciPy's: on classic functions, and on a real stylization."""

import numpy as np
import pytest
import scipy.optimize

from nnstyle import InputError, lbfgs, optimizer, stylize
from nnstyle.cli import SAMPLES
from nnstyle.lbfgs import Point, direction, remember, search
from nnstyle.optimizer import NotFiniteError

from .test_optimizer import quadratic, rosenbrock


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

    minimize(counted, start, iterations, callback=lambda image, loss: losses.append(loss))
    return losses, len(calls)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_functions_gradients_are_right(name):
    objective, start = FUNCTIONS[name]
    x = start.ravel() + np.random.default_rng(0).normal(size=start.size) / 10
    value = lambda x: objective(x.reshape(start.shape))[0]  # noqa: E731
    slope = lambda x: objective(x.reshape(start.shape))[1].ravel()  # noqa: E731
    assert scipy.optimize.check_grad(value, slope, x) < 1e-4


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_few_iterations_as_scipy_s(name):
    objective, start = FUNCTIONS[name]
    ours, _ = losses_of(lbfgs.minimize, objective, start, 400)
    its, _ = losses_of(optimizer.minimize, objective, start, 400)
    assert ours == sorted(ours, reverse=True)
    first = lambda losses: next(i for i, loss in enumerate(losses) if loss < 1e-10)  # noqa: E731
    assert first(ours) <= 1.3 * first(its) + 2


def test_as_low_as_scipy_s_in_a_real_stylization():
    how = {"size": 96, "iterations": 60}
    pictures = SAMPLES / "content.jpg", SAMPLES / "style.jpg"
    ours, its = (stylize(*pictures, optimizer=name, **how) for name in ("lbfgs-device", "lbfgs"))
    assert ours.settings.optimizer == "lbfgs-device" and len(ours.losses) == 60
    assert ours.losses[-1].total <= 1.1 * its.losses[-1].total
    assert np.abs(ours.image.astype(int) - its.image).mean() < 8  # levels of 255: the same picture


def test_the_recursion_gives_the_inverse_hessian_of_a_quadratic():
    """After as many independent exact steps as there are variables, it is Newton's direction."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    hessian, gradient, steps = root @ root.T + np.eye(5), rng.normal(size=5), []
    s = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    for i in range(5):  # conjugate steps: then the limited memory loses nothing
        for j in range(i):
            s[i] -= (s[i] @ hessian @ s[j]) / (s[j] @ hessian @ s[j]) * s[j]
        remember(steps, s[i], hessian @ s[i])
    newton = -np.linalg.solve(hessian, gradient)
    np.testing.assert_allclose(direction(gradient, steps), newton, rtol=1e-10)
    wrong = [(s, y, 2 * rho, ratio) for s, y, rho, ratio in steps]  # the twin that must fail
    assert np.abs(direction(gradient, wrong) - newton).max() > 1e-2


@pytest.mark.parametrize("scale", [1e-6, 1, 1e2])
def test_a_step_fulfils_both_wolfe_conditions_however_far_off_the_first_one_is(scale):
    objective = lambda x: (float(np.cosh(x - 3).sum()), np.sinh(x - 3))  # noqa: E731
    start = np.zeros(4)
    here = Point(start, *objective(start))
    d = -here.gradient * scale / np.abs(here.gradient).max()
    there = search(objective, here, d, first=False)
    slope = here.gradient @ d
    assert there.loss <= here.loss + lbfgs.ENOUGH_LOWER * there.step * slope
    assert objective(there.image)[1] @ d >= lbfgs.ENOUGH_FLATTER * slope


def test_a_direction_that_goes_up_is_refused():
    here = Point(np.ones(3), *quadratic(np.ones(3)))
    assert search(quadratic, here, here.gradient, first=False) is None


def test_a_wrong_gradient_finds_no_lower_loss():
    """The twin that must fail: uphill called downhill."""
    uphill = lambda image: (quadratic(image)[0], -quadratic(image)[1])  # noqa: E731
    image, reason = lbfgs.minimize(uphill, np.zeros((2, 3, 3)), 50)
    assert not image.any() and reason.startswith("no lower loss was found (")


def test_the_image_keeps_its_shape_and_type_and_the_callback_sees_every_iteration():
    seen, start = [], np.zeros((2, 3, 3), np.float32)
    single = lambda image: (quadratic(image)[0], quadratic(image)[1].astype(np.float32))  # noqa: E731
    image, reason = lbfgs.minimize(single, start, 7, callback=lambda image, loss: seen.append((image, loss)))
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
