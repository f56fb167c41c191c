"""The fast convolution against the loops it must equal, and the threads it runs on."""

import threading

import numpy as np
import pytest

from nnstyle import Engine
from nnstyle.engine import cpu, winograd
from nnstyle.engine.winograd import winograd_conv
from nnstyle.engine.winograd_1d import F_4_3, F_6_3, cheaper
from tests.support.convolutions import (
    TOLERANCE,
    assert_same_bits_for_any_number_of_threads,
    compare_with_loops,
    example,
)


@pytest.fixture(params=[F_6_3, F_4_3], ids=["F(6, 3)", "F(4, 3)"])
def identity(request, monkeypatch):
    """Each identity in turn, for maps of any size."""
    monkeypatch.setattr(winograd, "cheaper", lambda height, width: request.param)
    return request.param


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("height", range(1, 22, 2))
def test_every_odd_size(height, dtype, identity):
    with Engine(threads=2) as engine:
        for width in range(1, 22, 2):
            compare_with_loops(winograd_conv, engine, height, width, 1 + width % 9, 1 + height % 9, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("c_in", range(1, 10))
def test_every_pair_of_channels(c_in, dtype, identity):
    with Engine(threads=2) as engine:
        for c_out in range(1, 10):
            compare_with_loops(winograd_conv, engine, 7, 4, c_in, c_out, dtype)


def test_an_engine_chooses_by_the_number_of_channels(monkeypatch):
    calls = []
    monkeypatch.setattr(cpu, "winograd_conv_narrow", lambda x, *_, **__: calls.append(x.shape[-1]))
    engine = Engine(threads=1)
    for inputs, outputs in ((3, 32), (16, 8)):
        x, kernel, bias, dy = example(5, 4, inputs, outputs)
        engine.conv(x, kernel, bias)
        engine.conv_backward(dy, kernel)
    assert calls == [32, 16]  # back from 32, forward from 16; not from 3, nor back from 8


def test_the_one_dimensional_identity(identity):
    rng = np.random.default_rng(0)
    x, k = rng.standard_normal(identity.n), rng.standard_normal(3)
    y = identity.AT @ ((identity.G @ k) * (identity.BT @ x))
    plainly = [x[i : i + 3] @ k for i in range(identity.tile)]
    np.testing.assert_allclose(y, plainly, rtol=0, atol=1e-12)
    bt, at = identity.matrices(float, flipped=True)
    y = at @ ((identity.G @ k[::-1]) * (bt @ x))
    np.testing.assert_allclose(y, plainly, rtol=0, atol=1e-12)


def test_points_in_the_wrong_order_are_caught(identity, monkeypatch):
    """The twin that must fail: without the reordering, the gradient's kernel is not flipped."""
    monkeypatch.setattr(identity, "matrices", lambda dtype, flipped: (identity.BT, identity.AT))
    with Engine(threads=1) as engine, pytest.raises(AssertionError):
        compare_with_loops(winograd_conv, engine, 7, 5, 3, 4, np.float64)


def test_small_maps_are_cut_into_small_tiles():
    assert [cheaper(n, n) for n in (1, 16, 32, 64, 1000)] == [F_4_3, F_4_3, F_4_3, F_6_3, F_6_3]


def test_a_map_without_width_or_height(identity):
    with Engine(threads=1) as engine:
        for size in ((0, 5), (5, 0)):
            assert winograd_conv(np.ones((*size, 3)), np.ones((3, 3, 3, 4)), engine).shape == (*size, 4)


def test_many_blocks_equal_one(identity, monkeypatch):
    x, kernel, bias, _ = example(50, 33, 5, 4)
    with Engine(threads=1) as engine:
        whole = winograd_conv(x, kernel, engine, bias)
        monkeypatch.setattr(winograd, "BLOCK_BYTES", 1)
        monkeypatch.setattr(winograd, "PIECE", 7)
        np.testing.assert_allclose(winograd_conv(x, kernel, engine, bias), whole, rtol=0, atol=1e-12)


def test_the_same_bits_for_any_number_of_threads(identity):
    assert_same_bits_for_any_number_of_threads(winograd_conv)


@pytest.mark.parametrize("shared", [True, False])
def test_several_callers_at_once(shared):
    examples = [example(20 + 3 * n, 31, 4 + n, 6, np.float32) for n in range(6)]
    with Engine(threads=2) as common:
        expected = [winograd_conv(x, kernel, common, bias) for x, kernel, bias, _ in examples]
        wrong = []

        def caller(n):
            x, kernel, bias, _ = examples[n]
            with Engine(threads=2) as own:
                for _ in range(10):
                    y = winograd_conv(x, kernel, common if shared else own, bias)
                    if not np.array_equal(y, expected[n]):
                        wrong.append(n)

        callers = [threading.Thread(target=caller, args=(n,)) for n in range(6)]
        for thread in callers:
            thread.start()
        for thread in callers:
            thread.join()
    assert not wrong
