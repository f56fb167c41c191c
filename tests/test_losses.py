"""Equations (1) to (6) by hand, against loops, and against centred differences."""

import numpy as np
import pytest

from nnstyle import Engine, losses
from tests.support import loops
from tests.support.checks import gradient_error, numerical_gradient, relative_error


@pytest.fixture
def rng():
    return np.random.default_rng(3)


# Two filters, three positions: F = [[1, 2, 3], [4, 0, -1]] in the paper's N x M form.
F = np.array([[1.0, 2.0, 3.0], [4.0, 0.0, -1.0]])
P = np.array([[1.0, 0.0, 3.0], [2.0, 0.0, 1.0]])
G = np.array([[14.0, 1.0], [1.0, 17.0]])  # F F^T


def as_features(matrix):
    """The paper's N x M matrix as our feature map of one row: (1, M, N)."""
    return matrix.T[None].copy()


def test_equations_1_and_2_by_hand():
    loss, gradient = losses.content_loss(as_features(F), as_features(P))
    assert loss == (2**2 + 2**2 + 2**2) / 2
    np.testing.assert_array_equal(gradient, as_features(np.array([[0, 2, 0], [2, 0, -2]])))


def test_equation_3_by_hand():
    np.testing.assert_array_equal(losses.gram_matrix(as_features(F)), G)


def test_equations_4_and_6_by_hand():
    A = np.array([[13.0, 1.0], [1.0, 15.0]])
    loss, gradient = losses.style_loss(as_features(F), A)
    assert loss == pytest.approx((1**2 + 2**2) / (4 * 2**2 * 3**2), rel=1e-15)
    by_hand = np.array([[1.0, 2.0, 3.0], [8.0, 0.0, -2.0]]) / (2**2 * 3**2)  # (G - A) F / (N^2 M^2)
    np.testing.assert_allclose(gradient, as_features(by_hand), rtol=1e-15)


def test_the_style_loss_of_two_gram_matrices_by_hand():
    A = np.array([[13.0, 1.0], [1.0, 15.0]])
    loss, gradient = losses.gram_loss(G, A, 3)
    assert loss == pytest.approx((1**2 + 2**2) / (4 * 2**2 * 3**2), rel=1e-15)
    np.testing.assert_allclose(gradient, (G - A) / (2 * 2**2 * 3**2), rtol=1e-15)


def test_total_variation_by_hand():
    loss, gradient = losses.total_variation(np.array([[[1.0], [3.0]], [[4.0], [4.0]]]))
    assert loss == 3**2 + 1**2 + 2**2 + 0**2
    np.testing.assert_array_equal(gradient[..., 0], [[-6 - 4, -2 + 4], [6, 2]])


def test_gram_matrix_and_total_variation_equal_loops(rng):
    features = rng.normal(size=(4, 3, 5))
    np.testing.assert_allclose(losses.gram_matrix(features), loops.gram_matrix(features), rtol=1e-12)
    assert losses.total_variation(features)[0] == pytest.approx(loops.total_variation(features), rel=1e-12)


def test_a_style_image_of_another_size_is_compared_per_position(rng):
    features, style = rng.normal(size=(4, 3, 5)), rng.normal(size=(6, 7, 5))
    loss, _ = losses.style_loss(features, losses.gram_matrix(style), style_positions=6 * 7)
    difference = losses.gram_matrix(features) / 12 - losses.gram_matrix(style) / 42
    assert loss == pytest.approx((difference**2).sum() / (4 * 5**2), rel=1e-12)
    # The same texture on twice the area is the same style.
    doubled = np.concatenate([features, features])
    assert losses.style_loss(doubled, losses.gram_matrix(features), style_positions=12)[0] == pytest.approx(
        0, abs=1e-25
    )


def test_a_shuffle_of_positions_keeps_the_gram_matrix(rng):
    features = rng.normal(size=(4, 3, 5))
    shuffled = rng.permutation(features.reshape(12, 5)).reshape(4, 3, 5)
    np.testing.assert_allclose(
        losses.gram_matrix(shuffled), losses.gram_matrix(features), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_is_kept(dtype):
    features = np.ones((3, 4, 2), dtype)
    assert losses.gram_matrix(features).dtype == dtype
    gradients = [
        losses.content_loss(features, features * 2)[1],
        losses.style_loss(features, losses.gram_matrix(features), 7)[1],
        losses.total_variation(features)[1],
    ]
    assert all(gradient.dtype == dtype for gradient in gradients)


def loss_functions(rng):
    """Each loss as a function of the features alone."""
    target, style = rng.normal(size=(4, 3, 5)), rng.normal(size=(5, 2, 5))
    return {
        "content": lambda x: losses.content_loss(x, target),
        "style": lambda x: losses.style_loss(x, losses.gram_matrix(style), 10),
        "total variation": losses.total_variation,
    }


@pytest.mark.parametrize("name", ["content", "style", "total variation"])
def test_gradient(rng, name):
    function, x = loss_functions(rng)[name], rng.normal(size=(4, 3, 5))
    assert relative_error(function(x)[1], numerical_gradient(lambda z: function(z)[0], x)) <= 1e-6


@pytest.mark.parametrize("name", ["content", "style", "total variation"])
@pytest.mark.parametrize("factor", [2, 0.5])
def test_a_wrong_factor_2_is_caught(rng, name, factor):
    function, x = loss_functions(rng)[name], rng.normal(size=(4, 3, 5))
    wrong = factor * function(x)[1]
    assert relative_error(wrong, numerical_gradient(lambda z: function(z)[0], x)) >= 0.49


@pytest.mark.parametrize("engine", [losses, Engine(threads=1)], ids=["plain", "fast"])
def test_gradient_of_the_gram_matrix(rng, engine):
    x = rng.normal(size=(4, 3, 5))
    forward = lambda x: (engine.gram_matrix(x), x)
    assert gradient_error(forward, engine.gram_matrix_backward, x, rng) <= 1e-6
    one_sided = lambda dG, x: engine.gram_matrix_backward(dG, x) - x @ dG
    assert gradient_error(forward, one_sided, x, rng) > 1e-2  # the twin that must fail
