"""The scripts that draw the two sample pictures, at a small size."""

import numpy as np
import pytest
from PIL import Image

from lessons.scenes import landscape, render
from lessons.scenes.scene import View
from nnstyle.pictures import load_image


@pytest.mark.slow
def test_the_painting_is_drawn():
    light = render.render_painting(32, oversample=1.0)
    assert light.shape == (25, 32, 3) and light.min() >= 0 and light.max() <= 1 and light.std() > 0.05


@pytest.mark.slow
def test_the_landscape_has_a_sky():
    """All of it takes a minute at any size: it has as many trees."""
    assert callable(render.render_landscape)
    sky = landscape.paint_sky(View(24, 16), np.random.default_rng(2))
    assert sky.shape == (10, 24, 3) and sky.min() >= 0 and sky.std() > 0.01


def test_a_picture_fits_the_limit_and_keeps_its_shape(tmp_path):
    light = np.random.default_rng(0).random((600, 800, 3))
    data = render.to_jpeg(render.to_image(light, 400))
    (tmp_path / "x.jpg").write_bytes(data)
    assert load_image(tmp_path / "x.jpg").shape == (300, 400, 3) and len(data) <= render.LIMIT


@pytest.mark.parametrize("name", ["content.jpg", "style.jpg"])
def test_the_package_has_both_pictures(name):
    path = render.SAMPLES / name
    assert path.stat().st_size <= render.LIMIT
    with Image.open(path) as image:
        assert image.format == "JPEG" and max(image.size) in (960, 1024)
