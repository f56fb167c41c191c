"""Several paintings, their weights and masks, and a picture to start from, on the command line."""

import numpy as np
import pytest
from PIL import Image

from nnstyle import Style, stylize
from nnstyle.cli import main
from tests.support.command import SMALL
from tests.support.pictures import noise, stored_settings

HOW = {"size": 48, "iterations": 3, "border": 0}


@pytest.fixture
def pictures(folder, monkeypatch):
    """The current folder, with content.png, style.png, other.png, a mask and a folder of both paintings."""
    monkeypatch.chdir(folder)
    Image.fromarray(noise(50, 60, seed=5) // 2).save("other.png")
    mask = np.zeros((40, 56), np.uint8)
    mask[:, 28:] = 255
    Image.fromarray(mask).save("right.png")
    Image.fromarray(255 - mask).save("left.png")
    (folder / "both").mkdir()
    for name in ("style.png", "other.png"):
        (folder / "both" / name).write_bytes((folder / name).read_bytes())
    return folder


def painted(*arguments):
    """The picture that a command line gives."""
    assert main([*arguments, *SMALL, "-q", "-o", "out.png"]) == 0
    with Image.open("out.png") as image:
        return np.array(image)


def test_several_paintings_with_weights(pictures):
    expected = stylize("content.png", [Style("style.png", 3), Style("other.png", 1)], **HOW).image
    given = ["content.png", "style.png", "other.png", "--style-weights", "3,1"]
    np.testing.assert_array_equal(painted(*given), expected)
    stored = stored_settings(pictures / "out.png")
    assert stored["style"] == ["style.png", "other.png"] and stored["style_weights"] == [3, 1]


def test_options_may_stand_between_them(pictures):
    plain = painted("content.png", "style.png", "other.png", "--seed", "3")
    np.testing.assert_array_equal(painted("content.png", "style.png", "--seed", "3", "other.png"), plain)


def test_a_folder_is_one_style(pictures):
    both = painted("content.png", "both")
    np.testing.assert_array_equal(both, painted("content.png", "other.png", "style.png"))
    assert (both != painted("content.png", "style.png")).any()


def test_a_mask_for_each_painting(pictures):
    given = ["content.png", "style.png", "other.png", "--mask", "left.png", "--mask", "right.png"]
    styles = [Style("style.png", mask="left.png"), Style("other.png", mask="right.png")]
    np.testing.assert_array_equal(painted(*given), stylize("content.png", styles, **HOW).image)
    assert stored_settings(pictures / "out.png")["mask"] == ["left.png", "right.png"]


def test_one_mask_for_all(pictures):
    image = painted("content.png", "style.png", "other.png", "--mask", "right.png")
    styles = [Style("style.png", mask="right.png"), Style("other.png", mask="right.png")]
    np.testing.assert_array_equal(image, stylize("content.png", styles, **HOW).image)


def test_a_picture_to_start_from(pictures):
    first = painted("content.png", "style.png")
    (pictures / "out.png").rename("first.png")
    on = painted("content.png", "style.png", "--init", "first.png")
    assert (
        abs(on.astype(int) - first).mean() < abs(on.astype(int) - painted("content.png", "other.png")).mean()
    )
    painted("content.png", "style.png", "--init", "first.png")
    stored = stored_settings(pictures / "out.png")
    assert stored["init"] == "first.png" and len(stored["init_sha256"]) == 64
