"""The convolution for few channels against the loops it must equal."""

import numpy as np
import pytest

from nnstyle import Engine
from nnstyle.engine import cpu, winograd_narrow
from nnstyle.engine.winograd_narrow import NARROW, narrow_points, winograd_conv_narrow
from tests.support.convolutions import (
    TOLERANCE,
    assert_same_bits_for_any_number_of_threads,
    compare_with_loops,
    example,
)


@pytest.mark.parametrize("piece_bytes", [1, 1e6])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("height", range(1, 22, 2))
def test_every_odd_size_whatever_the_piece(height, dtype, piece_bytes, monkeypatch):
    monkeypatch.setattr(winograd_narrow, "PIECE_BYTES", piece_bytes)
    with Engine(threads=2) as engine:
        for width in range(1, 22, 2):
            compare_with_loops(
                winograd_conv_narrow, engine, height, width, 1 + width % 9, 1 + height % 9, dtype
            )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("c_in", range(1, 10))
def test_every_pair_of_channels(c_in, dtype):
    with Engine(threads=2) as engine:
        for c_out in range(1, 10):
            compare_with_loops(winograd_conv_narrow, engine, 7, 4, c_in, c_out, dtype)


@pytest.mark.parametrize("piece_bytes", [1000, 3000, 10_000])
def test_pieces_of_every_width(piece_bytes, monkeypatch):
    monkeypatch.setattr(winograd_narrow, "PIECE_BYTES", piece_bytes)
    with Engine(threads=2) as engine:
        for width in range(1, 40):
            compare_with_loops(winograd_conv_narrow, engine, 7, width, 2, 3, np.float64)


def test_a_kernel_that_is_not_flipped_is_caught(monkeypatch):
    """The twin that must fail: the gradient's kernel with its channels exchanged, but not flipped."""

    def unflipped(kernel, gradient):
        return narrow_points(kernel.swapaxes(2, 3) if gradient else kernel, False)

    monkeypatch.setattr(winograd_narrow, "narrow_points", unflipped)
    with Engine(threads=1) as engine, pytest.raises(AssertionError):
        compare_with_loops(winograd_conv_narrow, engine, 7, 5, 3, 4, np.float64)


def test_a_map_without_width_or_height():
    with Engine(threads=1) as engine:
        for size in ((0, 5), (5, 0)):
            x, kernel = np.ones((*size, 3)), np.ones((3, 3, 3, 4))
            assert winograd_conv_narrow(x, kernel, engine).shape == (*size, 4)


def test_the_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(winograd_narrow, "PIECE_BYTES", 30_000)
    assert_same_bits_for_any_number_of_threads(winograd_conv_narrow)


def test_little_memory_gives_the_same_bits():
    x, kernel, bias, dy = example(20, 70, 16, 24, np.float32)
    with Engine(threads=2) as usual, Engine(threads=2, low_memory=True) as low:
        for run in (
            lambda engine: winograd_conv_narrow(x, kernel, engine, bias),
            lambda engine: winograd_conv_narrow(dy, kernel, engine, gradient=True),
        ):
            np.testing.assert_array_equal(run(usual), run(low))


def test_nothing_is_computed_from_memory_that_was_not_written():
    """What is not a number, left where a piece's rows are written, must not show, not even as a warning."""
    x, kernel, bias, _ = example(13, 300, 16, 17, np.float32)
    with Engine(threads=1) as engine, np.errstate(all="raise"):
        expected = winograd_conv_narrow(x, kernel, engine, bias)
        for _ in range(3):
            spoilt = [engine.empty((size,), np.float32) for size in (30_000, 60_000, 120_000)]
            for memory in spoilt:
                memory[:] = np.nan
            del spoilt, memory
            np.testing.assert_array_equal(winograd_conv_narrow(x, kernel, engine, bias), expected)


@pytest.mark.parametrize(
    "c_in, c_out", [(16, NARROW), (NARROW, 100), (100, NARROW), (NARROW + 1, NARROW + 1)]
)
def test_an_engine_chooses_by_the_smaller_number_of_channels(c_in, c_out, monkeypatch):
    calls = []
    for name in ("winograd_conv", "winograd_conv_narrow"):
        monkeypatch.setattr(cpu, name, lambda *_, name=name: calls.append(name))
    x, kernel, bias, _ = example(5, 4, c_in, c_out)
    Engine(threads=1).conv(x, kernel, bias)
    assert calls == ["winograd_conv_narrow" if min(c_in, c_out) <= NARROW else "winograd_conv"]
