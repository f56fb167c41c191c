"""Arrays given as pictures: the usual mistakes are named, with what to do."""

import numpy as np
import pytest

from nnstyle import InputError
from nnstyle.cli import main
from nnstyle.pictures import load_image
from tests.support.pictures import noise


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_from_0_to_255_are_named(dtype):
    with pytest.raises(InputError, match="from 0 to 1, not from 0 to 255: divide them by 255") as caught:
        load_image(noise(40, 40).astype(dtype))
    assert "\n" not in str(caught.value)
    assert load_image(noise(40, 40).astype(dtype) / 255).shape == (40, 40, 3)  # as the message says


@pytest.mark.parametrize("values", [-3, 256, np.nan, np.inf])
def test_other_floats_get_no_such_advice(values):
    array = noise(40, 40).astype(float)
    array[3, 4] = values
    with pytest.raises(InputError, match="from 0 to 1, not from") as caught:
        load_image(array)
    assert "divide" not in str(caught.value)


@pytest.mark.parametrize("channels", [None, 3, 4])
def test_uint16_is_read_from_0_to_65535(channels):
    array = noise(40, 40, channels).astype(np.uint16) * 257
    if channels == 4:
        array[..., 3] = 65535
    expected = array[..., :3] // 257 if channels else np.stack([array // 257] * 3, axis=-1)
    np.testing.assert_array_equal(load_image(array), expected)
    np.testing.assert_array_equal(load_image(array - (array > 0)), expected)  # rounded


@pytest.mark.parametrize("white", [1, 255, 1023, 4095])
def test_fewer_bits_in_uint16_are_not_taken_for_black(white):
    """They would be painted far too dark, and nobody would know why."""
    array = np.linspace(0, white, 1600).round().astype(np.uint16).reshape(40, 40)
    with pytest.raises(InputError, match=f"from 0 to 65535, but the largest here is {white}: .* divided by"):
        load_image(array)
    assert load_image(array / white).max() == 255


@pytest.mark.parametrize(("dtype", "advised"), [(np.int64, True), (np.uint32, True), (bool, False)])
def test_other_types_are_named(dtype, advised):
    array = noise(40, 40).astype(dtype)
    with pytest.raises(
        InputError, match=f"uint8, uint16, or floats from 0 to 1, not {array.dtype}"
    ) as caught:
        load_image(array)
    assert (".astype(np.uint8)" in str(caught.value)) == advised
    with pytest.raises(InputError) as caught:
        load_image(1000 * array.astype(np.int64))
    assert ".astype" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://example.com/photo.jpg", "HTTPS://example.com/" + "x" * 1000])
def test_a_url_is_named(url, folder, monkeypatch, capsys):
    with pytest.raises(InputError, match="is a URL: download it first") as caught:
        load_image(url)
    assert len(str(caught.value)) < 200
    monkeypatch.chdir(folder)
    assert main([url, "style.png"]) == 2 and main(["content.png", url]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all("is a URL: download it first" in line for line in lines)
    assert not (folder / "stylized.png").exists()
