"""`nnstyle.check_gradient`: what is right passes and is printed, what is wrong fails."""

import re

import numpy as np
import pytest

from nnstyle import Network, Objective, StyleTerm, check_gradient, layers, losses, set_targets
from tests.support.checks import away_from_zero, distinct
from tests.support.terms import MeanAndVariance
from tests.support.tiny import tiny_weights


@pytest.fixture
def rng():
    return np.random.default_rng(17)


@pytest.fixture
def conv(rng):
    """A convolution of three channels to three as a function of x alone."""
    kernel, bias = rng.normal(size=(3, 3, 3, 3)), rng.normal(size=3)
    return lambda x: layers.conv(x, kernel, bias)


@pytest.fixture
def x(rng):
    return rng.normal(size=(5, 4, 3))


def test_it_prints_and_returns_the_error_of_a_right_gradient(x, capsys):
    error = check_gradient(losses.total_variation, x)
    printed = capsys.readouterr().out
    assert re.fullmatch(r"gradient right: largest relative error \d\.\de-\d\d, allowed 1e-06\n", printed)
    assert 0 <= error <= 1e-6 and f"{error:.1e}" in printed


def test_every_operation_passes(x, conv, rng):
    check_gradient(conv, x, layers.conv_backward)
    check_gradient(layers.relu, away_from_zero(rng, (5, 4, 3)), layers.relu_backward)
    check_gradient(layers.max_pool, distinct(rng, (5, 4, 3)), layers.max_pool_backward)
    check_gradient(layers.average_pool, x, layers.average_pool_backward)
    check_gradient(lambda x: (losses.gram_matrix(x), x), x, losses.gram_matrix_backward)


def test_every_loss_and_term_passes(x, rng):
    target, gram = rng.normal(size=(5, 4, 3)), losses.gram_matrix(rng.normal(size=(6, 7, 3)))
    check_gradient(lambda x: losses.content_loss(x, target), x)
    check_gradient(lambda x: losses.style_loss(x, gram, 42), x)
    check_gradient(lambda G: losses.gram_loss(G, gram, 42), rng.normal(size=(3, 3)))
    for term in (StyleTerm("conv1_1"), MeanAndVariance("conv1_1")):
        term.set_target(target)
        check_gradient(term, x)


def test_a_whole_objective_passes_and_one_with_a_dropped_layer_fails(rng):
    network = Network(tiny_weights(), "average", np.float64, layers)
    terms = [StyleTerm("conv1_1", 1e3), StyleTerm("conv2_1", 1e3), MeanAndVariance("conv2_2", 10.0)]
    set_targets(terms, network, *rng.normal(size=(2, 12, 12, 3)))
    objective, image = Objective(network, terms), rng.normal(size=(12, 12, 3))
    check_gradient(objective, image, coordinates=60, tolerance=1e-4)
    without = Objective(network, terms[1:])
    with pytest.raises(AssertionError, match="gradient wrong"):
        check_gradient(
            lambda image: (objective(image)[0], without(image)[1]), image, coordinates=60, tolerance=1e-4
        )


# What is wrong


def doubled(x):
    return losses.total_variation(x)[0], 2 * losses.total_variation(x)[1]


def halved(x):
    return losses.total_variation(x)[0], losses.total_variation(x)[1] / 2


def flat(x):
    return losses.total_variation(x)[0], losses.total_variation(x)[1].ravel()


def not_a_number(x):
    loss, gradient = losses.total_variation(x)
    gradient[2, 1, 0] = np.nan
    return loss, gradient


def one_is_wrong(x):
    loss, gradient = losses.total_variation(x)
    gradient[2, 1, 0] += 1e-4
    return loss, gradient


@pytest.mark.parametrize("wrong", [doubled, halved, not_a_number, one_is_wrong])
def test_a_wrong_gradient_fails_and_says_so(x, wrong, capsys):
    with pytest.raises(AssertionError, match=r"gradient wrong: largest relative error (\d|nan)"):
        check_gradient(wrong, x)
    assert capsys.readouterr().out.startswith("gradient WRONG: largest relative error")


def test_a_gradient_of_another_shape_fails(x):
    with pytest.raises(AssertionError, match=r"its shape is \(60,\), that of x is \(5, 4, 3\)"):
        check_gradient(flat, x)


def unflipped(dy, kernel):
    return layers.conv(dy, kernel.transpose(0, 1, 3, 2), 0)[0]


def untransposed(dy, kernel):
    return layers.conv(dy, kernel[::-1, ::-1], 0)[0]


@pytest.mark.parametrize("wrong", [unflipped, untransposed])
def test_a_wrong_kernel_fails(x, conv, wrong):
    with pytest.raises(AssertionError, match="gradient wrong"):
        check_gradient(conv, x, wrong)


def test_a_gradient_that_is_right_only_where_all_derivatives_are_1_fails(x, rng):
    matrix = rng.normal(size=(3, 3))

    def mixed(x):
        return x @ matrix, None

    check_gradient(mixed, x, lambda dy, _: dy @ matrix.T)
    with pytest.raises(AssertionError, match="gradient wrong"):
        check_gradient(mixed, x, lambda dy, _: dy * matrix.sum(axis=1))


def test_a_changed_gram_matrix_with_the_old_gradient_fails(x):
    """What an exercise invites to do: a covariance in place of the Gram matrix."""

    def covariance(x):
        centred = x - x.mean((0, 1))
        return losses.gram_matrix(centred), x

    with pytest.raises(AssertionError, match="gradient wrong"):
        check_gradient(covariance, x, losses.gram_matrix_backward)


def test_a_wrong_term_fails(x, rng):
    term = MeanAndVariance("conv1_1", factor_of_variance=2)
    term.set_target(rng.normal(size=(5, 4, 3)))
    with pytest.raises(AssertionError, match="gradient wrong"):
        check_gradient(term, x)


# What proves nothing


def test_float32_is_refused(x):
    with pytest.raises(ValueError, match="x must be float64, not float32"):
        check_gradient(losses.total_variation, x.astype(np.float32))


def test_where_all_derivatives_are_0_nothing_is_proved():
    with pytest.raises(ValueError, match="every derivative is 0"):
        check_gradient(losses.total_variation, np.ones((4, 4, 3)))
    with pytest.raises(ValueError, match="every derivative is 0"):
        check_gradient(layers.relu, -np.ones((4, 4, 3)), layers.relu_backward)


def test_an_operation_that_is_not_a_number_fails(x):
    def broken(x):
        return np.nan * x, None

    with pytest.raises(AssertionError, match="error nan"):
        check_gradient(broken, x, lambda dy, cache: dy)


# How it works


def test_x_stays_as_it_is_even_if_the_function_writes_over_it(x):
    def careless(x):
        loss, gradient = (x**2).sum(), 2 * x
        x[...] = 0
        return loss, gradient

    before = x.copy()
    check_gradient(careless, x)
    np.testing.assert_array_equal(x, before)


def test_as_many_coordinates_as_wanted_are_checked(x):
    calls = []

    def counted(x):
        calls.append(1)
        return losses.total_variation(x)

    check_gradient(counted, x, coordinates=7)
    assert len(calls) == 1 + 2 * 7
    calls.clear()
    check_gradient(counted, x)
    assert len(calls) == 1 + 2 * x.size


def test_the_tolerance_is_the_callers(x):
    with pytest.raises(AssertionError, match="allowed 1e-20"):
        check_gradient(losses.total_variation, x, tolerance=1e-20)
    assert check_gradient(one_is_wrong, x, tolerance=1e-2) > 1e-6
