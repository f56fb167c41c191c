"""From pixels to what the network is fed, and back; and pictures brought to a size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nnstyle import InputError
from nnstyle.pictures import Preprocessing, deprocess, fit, in_8_bits, pixel_range, preprocess, resize
from tests.support.pictures import noise

PICTURES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3)))
MEANS = st.tuples(*[st.floats(-255, 255)] * 3)
SCALE = st.floats(1 / 512, 8) | st.floats(-8, -1 / 512)
PREPROCESSINGS = st.builds(
    Preprocessing, st.sampled_from(["RGB", "BGR"]), MEANS, SCALE | st.tuples(SCALE, SCALE, SCALE)
)


@given(PICTURES, PREPROCESSINGS)
def test_deprocess_undoes_preprocess(picture, preprocessing):
    values = preprocess(picture, preprocessing)
    assert values.shape == picture.shape and values.dtype == np.float32
    restored = deprocess(values, preprocessing)
    assert restored.dtype == np.uint8
    np.testing.assert_array_equal(restored, picture)


def test_rgb_keeps_the_order_and_bgr_turns_it_round():
    pixel = np.array([[[10, 20, 30]]], np.uint8)
    np.testing.assert_array_equal(
        preprocess(pixel, Preprocessing("RGB", (1.0, 2.0, 3.0), 2.0)), [[[18, 36, 54]]]
    )
    np.testing.assert_array_equal(
        preprocess(pixel, Preprocessing("BGR", (1.0, 2.0, 3.0), 2.0)), [[[58, 36, 14]]]
    )


def test_a_scale_of_three_numbers_has_one_for_each_channel_of_the_network():
    pixel = np.array([[[10, 20, 30]]], np.uint8)
    np.testing.assert_array_equal(
        preprocess(pixel, Preprocessing("BGR", (0.0,) * 3, (1.0, 2.0, 4.0))), [[[30, 40, 40]]]
    )


def test_the_default_is_that_of_keras():
    np.testing.assert_allclose(
        preprocess(np.zeros((1, 1, 3), np.uint8), Preprocessing()), [[[-103.939, -116.779, -123.68]]]
    )


def test_the_type_asked_for_is_the_type_returned():
    assert preprocess(noise(4, 5), Preprocessing(), np.float64).dtype == np.float64


IDENTITY = Preprocessing("RGB", (0.0,) * 3, 1.0)


@given(arrays.arrays(np.float32, (3, 4, 3), elements=st.floats(-1000, 1000, width=32)))
def test_values_are_clipped_and_rounded_never_stretched(values):
    expected = np.rint(np.minimum(np.maximum(values, 0), 255))
    np.testing.assert_array_equal(deprocess(values, IDENTITY), expected)


def test_a_picture_of_few_tones_keeps_its_few_tones():
    values = np.full((4, 4, 3), 100.0)
    values[0] = 101.4
    assert set(deprocess(values, IDENTITY).ravel().tolist()) == {100, 101}


@given(PICTURES, PREPROCESSINGS)
def test_the_pixel_range_holds_every_picture_and_no_more(picture, preprocessing):
    low, high = pixel_range(preprocessing)
    values = preprocess(picture, preprocessing, np.float64)
    assert (low <= values).all() and (values <= high).all()
    ends = {tuple(deprocess(end.reshape(1, 1, 3), preprocessing).ravel().tolist()) for end in (low, high)}
    assert all(channel in (0, 255) for end in ends for channel in end)


@given(height=st.integers(1, 300), width=st.integers(1, 300), size=st.integers(32, 200))
def test_resizing_gives_the_long_edge_and_keeps_the_aspect_within_a_pixel(height, width, size):
    picture = np.zeros((height, width, 3), np.uint8)
    ideal = size * min(height, width) / max(height, width)
    if ideal < 31.5:
        with pytest.raises(InputError, match=f"{width} x {height} .* short edge needs 32"):
            resize(picture, size)
    elif ideal > 31.5:
        result = resize(picture, size)
        short, long = (0, 1) if height <= width else (1, 0)
        assert result.shape[long] == size and result.dtype == np.uint8
        assert abs(result.shape[short] - ideal) <= 1


@pytest.mark.parametrize("size", [-1, 0, 31, 10_001, 10**9])
def test_a_size_out_of_bounds_is_refused(size):
    with pytest.raises(InputError, match="from 32 to 10000"):
        resize(noise(64, 64), size)


def test_a_picture_of_the_size_asked_for_is_left_as_it_is():
    np.testing.assert_array_equal(resize(noise(48, 64), 64), noise(48, 64))


def test_a_smooth_picture_survives_scaling_down_and_up():
    ramp = np.linspace(0, 255, 128).astype(np.uint8)[:, None, None].repeat(96, axis=1).repeat(3, axis=2)
    again = resize(resize(ramp, 64), 128)
    assert abs(again.astype(int) - ramp).max() <= 3


def test_scaling_down_averages_instead_of_dropping_pixels():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[::2] = 255
    assert abs(resize(stripes, 64)[2:-2].astype(int) - 128).max() <= 2


@given(PICTURES, st.integers(1, 40), st.integers(1, 40))
def test_fitting_gives_exactly_the_size_asked_for(picture, height, width):
    assert fit(picture, height, width).shape == (height, width, 3)


def test_fitting_crops_around_the_centre():
    picture = np.zeros((40, 120, 3), np.uint8)
    picture[:, 40:80] = 255
    np.testing.assert_array_equal(fit(picture, 40, 40), 255)


def test_equal_numbers_make_equal_preprocessings_whatever_holds_them():
    expected = Preprocessing("RGB", (1.0, 2.0, 3.0), (1.0, 2.0, 4.0))
    for sequence in (list, tuple, np.array, lambda numbers: np.array(numbers, np.float32)):
        other = Preprocessing("RGB", sequence([1, 2, 3]), sequence([1, 2, 4]))
        assert other == expected and hash(other) == hash(expected)
    assert Preprocessing(scale=np.float32(0.5)) == Preprocessing(scale=0.5)


@pytest.mark.parametrize(
    "values",
    [
        {"channel_order": "GRB"},
        {"channel_order": None},
        {"mean": "grey"},
        {"mean": None},
        {"mean": (1, 2)},
        {"mean": (1, [2], 3)},
        {"mean": (1, 2, np.nan)},
        {"scale": "1"},
        {"scale": 0},
        {"scale": (1, 0, 1)},
    ],
    ids=repr,
)
def test_a_preprocessing_that_makes_no_sense_is_refused(values):
    with pytest.raises(InputError, match=next(iter(values))):
        Preprocessing(**values)


@pytest.mark.parametrize("size", ["512", None, 31, 10_001, float("nan"), 1j])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(InputError, match="the size must be from 32 to 10000"):
        resize(noise(40, 56), size)


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_16_bits_have_65536_levels_and_8_are_those_rounded(order):
    preprocessing = Preprocessing(order, (100.0, 110.0, 120.0), 0.5)
    levels = np.linspace(-20, 275, 3000).reshape(10, 100, 3)
    deep = deprocess(preprocess(levels, preprocessing, np.float64), preprocessing, 16)
    assert deep.dtype == np.uint16
    np.testing.assert_array_equal(deep, np.rint(levels.clip(0, 255) * 257))
    assert abs(in_8_bits(deep) - levels.clip(0, 255)).max() <= 0.5 + 1 / 514
    bytes_ = noise(40, 56)
    np.testing.assert_array_equal(in_8_bits(bytes_.astype(np.uint16) * 257), bytes_)
    assert in_8_bits(bytes_) is bytes_
