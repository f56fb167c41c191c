"""The fast convolution for a GPU against the loops it must equal."""

import numpy as np
import pytest

from nnstyle import Engine
from nnstyle.arrays import to_host
from nnstyle.engine import winograd_whole
from nnstyle.engine.winograd_whole import winograd_conv_whole
from tests.support import loops
from tests.support.convolutions import assert_close, example


@pytest.mark.parametrize("size", [1, 4, 6, 7, 13])
@pytest.mark.parametrize("block_bytes", [1, 1e9])
def test_winograd_on_whole_arrays(device, size, block_bytes, monkeypatch):
    monkeypatch.setattr(winograd_whole, "BLOCK_BYTES", block_bytes)
    x, kernel, bias, dy = example(size, 20 - size, 3, 5)
    there = [device.to_device(array) for array in (x, kernel, bias, dy)]
    with Engine(device) as engine:
        y = winograd_conv_whole(there[0], there[1], engine, there[2])
        dx = winograd_conv_whole(there[3], there[1], engine, gradient=True)
        assert_close(to_host(y), loops.conv(x, kernel, bias), np.float64)
        assert_close(to_host(dx), loops.conv_backward(dy, kernel), np.float64)
        unflipped = winograd_conv_whole(there[3], there[1][::-1, ::-1], engine, gradient=True)
        if size > 1:
            assert np.abs(to_host(unflipped) - loops.conv_backward(dy, kernel)).max() > 1e-2


@pytest.mark.parametrize("channels", [(3, 16), (16, 3), (4, 15), (16, 17)])
def test_whatever_way_a_convolution_is_done(device, channels):
    x, kernel, bias, dy = example(5, 7, *channels)
    there = [device.to_device(array) for array in (x, kernel, bias, dy)]
    with Engine(device) as engine:
        assert_close(to_host(engine.conv(*there[:3])[0]), loops.conv(x, kernel, bias), np.float64)
        dx, wrong = (
            to_host(engine.conv_backward(there[3], its_kernel))
            for its_kernel in (there[1], there[1][::-1, ::-1])
        )
        expected = loops.conv_backward(dy, kernel)
        assert_close(dx, expected, np.float64)
        assert np.abs(wrong - expected).max() > 1e-2
