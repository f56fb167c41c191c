"""Adam against values by hand, a loop written from the paper, and PyTorch; and the average of its iterates."""

import math

import numpy as np
import pytest

from lessons.strict_arrays import StrictArray
from nnstyle import InputError, NotFiniteError
from nnstyle.optimizers import adam
from nnstyle.optimizers.adam import AVERAGE_DECAY, minimize, moving_average
from tests.support.functions import Recorded, quadratic, rosenbrock


def with_gradients(*gradients):
    """An objective with these gradients, one after the other, wherever it is evaluated."""
    gradients = iter(gradients)
    return lambda image: (1.0, np.full_like(image, next(gradients)))


def iterates_of(objective, start, iterations, **how):
    """Adam's iterates, and the averages that it shows."""
    iterates, averages = [], []

    def callback(image, loss, history):
        iterates.append(history["x"])
        averages.append(image)

    minimize(objective, start, iterations, callback=callback, **how)
    return np.array(iterates), np.array(averages)


def by_loops(gradients, x, rate, corrected=True):
    """Algorithm 1 of Kingma and Ba for one variable, and the average of its iterates, in Python's floats."""
    m = v = total = 0.0
    iterates, averages = [], []
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        m_hat = m / (1 - 0.9**t) if corrected else m
        v_hat = v / (1 - 0.999**t) if corrected else v
        x = x - rate * m_hat / (math.sqrt(v_hat) + 1e-8)
        total = AVERAGE_DECAY * total + (1 - AVERAGE_DECAY) * x
        iterates.append(x)
        averages.append(total / (1 - AVERAGE_DECAY**t))
    return iterates, averages


# The update


def test_the_first_two_steps_by_hand():
    """Gradients 2 and -1: the means are 2, then 0.08 / 0.19; those of squares 4, then 0.004996 / 0.001999."""
    (first, second), _ = iterates_of(with_gradients(2.0, -1.0, 0.0), np.full(1, 5.0), 2, learning_rate=3.0)
    assert first[0] == pytest.approx(5 - 3)
    assert first[0] - second[0] == pytest.approx(3 * 0.42105263 / 1.58090164, rel=1e-6)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_it_equals_the_loop(dtype, tolerance):
    gradients = np.random.default_rng(0).normal(3, 10, size=(40, 2, 3, 3)).astype(dtype)
    iterates, averages = iterates_of(
        with_gradients(*gradients, 0.0), np.ones((2, 3, 3), dtype), 40, learning_rate=2.0
    )
    assert iterates.dtype == averages.dtype == dtype
    for place in np.ndindex(2, 3, 3):
        expected = by_loops(gradients[:, *place].astype(float), 1.0, 2.0)
        np.testing.assert_allclose(iterates[:, *place], expected[0], rtol=tolerance, atol=40 * tolerance)
        np.testing.assert_allclose(averages[:, *place], expected[1], rtol=tolerance, atol=40 * tolerance)


def test_without_the_correction_the_first_step_would_be_three_times_too_long():
    """The twin that must fail: means that begin at 0 are too small, that of the squares by far."""
    (right, *_), _ = by_loops([4.0, 4.0], 0.0, 1.0)
    (wrong, *_), _ = by_loops([4.0, 4.0], 0.0, 1.0, corrected=False)
    (ours, *_), _ = iterates_of(with_gradients(4.0, 4.0, 4.0), np.zeros(1), 2, learning_rate=1.0)
    assert ours == pytest.approx(right) and right == pytest.approx(-1)
    assert wrong == pytest.approx(-0.1 / math.sqrt(0.001)) and abs(wrong - ours) > 2


def test_the_moving_average_is_the_weighted_mean():
    values = np.random.default_rng(0).normal(size=30)
    average, uncorrected = 0.0, 0.0
    for t, value in enumerate(values, start=1):
        average = moving_average(average, value, 0.9, t)
        uncorrected += 0.1 * (value - uncorrected)
        weights = 0.9 ** np.arange(t)[::-1]
        assert average == pytest.approx(np.average(values[:t], weights=weights))
        assert t > 1 or abs(uncorrected - value) > 0.5 * abs(value)  # the twin that must fail


@pytest.mark.parametrize("factor", [1e-3, 1e6])
def test_steps_do_not_depend_on_the_unit_of_the_loss(factor):
    scaled = lambda image: tuple(factor * value for value in rosenbrock(image))
    expected, _ = iterates_of(rosenbrock, np.zeros((2, 3, 3)), 20, learning_rate=0.1)
    ours, _ = iterates_of(scaled, np.zeros((2, 3, 3)), 20, learning_rate=0.1)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_the_rate_may_differ_between_channels():
    rate = np.array([1.0, 2.0, 4.0])
    (first,), _ = iterates_of(with_gradients(1.0, 1.0), np.zeros((2, 2, 3)), 1, learning_rate=rate)
    np.testing.assert_allclose(first, np.broadcast_to(-rate, (2, 2, 3)))


@pytest.mark.parametrize("objective, minimum, rate", [(quadratic, 3, 0.05), (rosenbrock, 1, 0.01)])
def test_it_finds_the_minimum(objective, minimum, rate):
    image, reason = minimize(objective, np.zeros((2, 3, 3)), 5000, learning_rate=rate)
    np.testing.assert_allclose(image, minimum, atol=1e-3)
    assert reason == "all iterations done"


def test_pytorch_takes_the_same_steps():
    torch = pytest.importorskip("torch")
    x = torch.zeros(2, 3, 3, dtype=torch.float64, requires_grad=True)
    optimizer, expected = torch.optim.Adam([x], lr=0.1), []
    for _ in range(60):
        x.grad = torch.from_numpy(rosenbrock(x.detach().numpy())[1])
        optimizer.step()
        expected.append(x.detach().clone().numpy())
    iterates, _ = iterates_of(rosenbrock, np.zeros((2, 3, 3)), 60, learning_rate=0.1)
    np.testing.assert_allclose(iterates, expected, rtol=1e-8)


def test_on_a_gpu_s_arrays_it_is_the_same():
    """Arrays that refuse NumPy's functions, bounds and rates among them."""
    rng = np.random.default_rng(0)
    start, lowest = rng.normal(size=(2, 3, 4, 3)).astype(np.float32)
    low, high, rate = np.float32([[-1, -0.5, 0], [1, 1, 2], [0.1, 0.2, 0.3]])

    def minimized(to_device):
        there = to_device(lowest)
        function = lambda image: (float(((image - there) * (image - there)).sum()), 2 * (image - there))
        limits = to_device(low), to_device(high)
        return minimize(function, to_device(start), 9, bounds=limits, learning_rate=to_device(rate))[0]

    np.testing.assert_array_equal(minimized(StrictArray).get(), minimized(np.asarray))


# The average


def test_the_average_lowers_the_noise():
    """Near a minimum each step is as long as ever: the iterates jump about it, and their average does not."""
    rng = np.random.default_rng(0)

    def noisy(image):
        return 1.0, image - 3 + rng.normal(size=image.shape)

    iterates, averages = iterates_of(noisy, np.full((4, 4, 3), 3.0), 400, learning_rate=5.0)
    noise, left = (np.std(images[100:] - 3) for images in (iterates, averages))
    assert left < 0.6 * noise


def test_without_an_average_it_would_not(monkeypatch):
    """The twin that must fail."""
    monkeypatch.setattr(adam, "AVERAGE_DECAY", 0.0)
    iterates, averages = iterates_of(rosenbrock, np.zeros((2, 3, 3)), 30, learning_rate=0.5)
    np.testing.assert_allclose(averages, iterates, rtol=1e-12)


# Bounds


def test_bounds_hold_at_every_point_and_in_every_picture():
    low, high = np.float32([0.0, 1.1, 2.3]), np.float32([1.0, 2.7, 4.0])  # one pair a channel
    seen = []

    def watched(image):
        assert (image >= low).all() and (image <= high).all()
        loss, gradient = quadratic(image)
        return loss, gradient.astype(np.float32)

    def callback(image, loss, history):
        assert (image >= low).all() and (image <= high).all()
        seen.append(image)

    start = np.full((2, 2, 3), [-7, 9, 2.5], np.float32)
    image, _ = minimize(watched, start, 200, (low, high), callback, learning_rate=0.3)
    assert len(seen) == 200
    np.testing.assert_allclose(image, np.broadcast_to([1, 2.7, 3], (2, 2, 3)), atol=1e-2)
    free, _ = minimize(quadratic, start.astype(float), 200, learning_rate=0.3)  # the twin that must fail
    assert (free > high).any()


# What the callback is told, and how it ends


def test_the_image_keeps_its_shape_and_type_and_the_callback_sees_every_iteration():
    seen, start = [], np.zeros((2, 3, 3), np.float32)
    single = lambda image: (quadratic(image)[0], quadratic(image)[1].astype(np.float32))

    def callback(image, loss, history):
        seen.append((image, image.copy(), {name: np.copy(array) for name, array in history.items()}, history))

    image, reason = minimize(single, start, 7, callback=callback)
    assert image.shape == start.shape and image.dtype == np.float32 and not start.any()
    assert reason == "all iterations done" and len(seen) == 7
    np.testing.assert_array_equal(seen[-1][0], image)
    for shown, at_once, copied, history in seen:  # nothing that was handed out has changed
        np.testing.assert_array_equal(shown, at_once)
        assert all(np.array_equal(history[name], array) for name, array in copied.items())


def test_at_every_callback_the_latest_evaluation_was_at_the_iterate():
    """What an objective keeps of its latest call (its single losses) belongs to the loss reported."""
    recorded, seen = Recorded(rosenbrock), []

    def callback(image, loss, history):
        np.testing.assert_array_equal(recorded.image, history["x"])
        assert recorded.loss == loss
        seen.append(loss)

    minimize(recorded, np.zeros((2, 3, 3)), 30, callback=callback, learning_rate=0.1)
    assert len(seen) == 30 and recorded.calls == 31


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_or_gradient_that_is_not_finite_ends_the_run(bad):
    with pytest.raises(NotFiniteError):
        minimize(lambda image: (bad, image), np.ones((2, 2, 3)), 5)
    with pytest.raises(NotFiniteError):
        minimize(lambda image: (1.0, image + bad), np.ones((2, 2, 3)), 5)


def test_a_true_return_value_of_the_callback_stops():
    seen = []

    def callback(image, loss, history):
        seen.append(image)
        return len(seen) == 3

    image, reason = minimize(rosenbrock, np.zeros((2, 3, 3)), 50, callback=callback)
    assert len(seen) == 3 and reason == "stopped by the callback"
    np.testing.assert_array_equal(image, seen[-1])


@pytest.mark.parametrize("error", [KeyboardInterrupt, StopIteration, ValueError])
def test_an_exception_from_the_callback_passes_through(error):
    def stop(image, loss, history):
        raise error

    with pytest.raises(error):
        minimize(quadratic, np.zeros((2, 2, 3)), 5, callback=stop)


# Going on from where a run was


def states_of(dtype, iterations=25):
    """The result of a run, and after each iteration the image, loss and history as a state keeps them."""
    points = []

    def keep(image, loss, history):
        points.append((image, loss, {name: np.asarray(array, dtype) for name, array in history.items()}))

    expected, _ = minimize(in_type(dtype), np.zeros((2, 3, 3), dtype), iterations, callback=keep)
    return expected, points


def in_type(dtype):
    return lambda image: (rosenbrock(image / 1.0)[0], rosenbrock(image / 1.0)[1].astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_run_continued_with_its_history_is_the_uninterrupted_one(dtype):
    """Bit for bit, after every iteration."""
    expected, points = states_of(dtype)
    for done, (image, _, history) in enumerate(points, start=1):
        seen = []
        callback = lambda image, loss, history, seen=seen: seen.append(loss)
        result, _ = minimize(in_type(dtype), image, 25 - done, callback=callback, history=history)
        np.testing.assert_array_equal(result, expected)
        assert seen == [loss for _, loss, _ in points[done:]]


@pytest.mark.parametrize(
    "change",
    [
        {"t": np.float32(0)},
        {"t": np.float32(-1)},
        {"t": np.ones((2, 3, 3))},
        {"v": np.float32(1)},
        {"x": np.ones((3, 2, 3))},
        {"s0": np.ones((2, 3, 3))},
    ],
)
def test_what_is_no_history_of_adam_s_is_refused(change):
    image, _, history = states_of(np.float64)[1][9]
    minimize(rosenbrock, image, 1, history=history)
    for wrong in (history | change, {name: history[name] for name in "xmv"}, {"s0": image, "y0": image}):
        with pytest.raises(InputError, match="nothing that this optimizer remembers"):
            minimize(rosenbrock, image, 1, history=wrong)


@pytest.mark.parametrize("forgotten", ["x", "m", "v", "t", "all"])
def test_a_run_that_forgets_a_part_of_it_is_another_one(forgotten):
    """The twins that must fail."""
    expected, points = states_of(np.float64)
    image, _, history = points[9]
    wrong = {"x": image, "m": 0 * image, "v": history["v"] + 1, "t": np.ones(())}
    history = None if forgotten == "all" else history | {forgotten: wrong[forgotten]}
    result, _ = minimize(in_type(np.float64), image, 15, history=history)
    assert (result != expected).any()
