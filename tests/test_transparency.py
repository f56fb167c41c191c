"""A cut-out stays a cut-out: painted inside, its alpha channel as it was."""

import numpy as np
import pytest
from PIL import Image

from nnstyle import Style, prepare, run, stylize
from nnstyle.cli import main
from nnstyle.inputs import JobPictures
from tests.support.command import SMALL
from tests.support.pictures import noise, stored_settings
from tests.support.tiny import tiny_weights

STYLE = noise(64, 50, seed=1)
HOW = {"size": 56, "iterations": 3, "border": 0}


@pytest.fixture
def cut_out(folder, monkeypatch):
    """The current folder, with disc.png: reddish inside a disc of soft edge, garish green where it is transparent."""
    monkeypatch.chdir(folder)
    y, x = np.mgrid[:48, :56]
    distance = np.hypot(y - 23.5, x - 27.5)
    alpha = np.clip(255 * (18 - distance) / 4, 0, 255).astype(np.uint8)
    colours = np.where(alpha[..., np.newaxis] > 0, noise(48, 56) // 4 + (150, 40, 40), (0, 255, 0))
    Image.fromarray(np.dstack([colours.astype(np.uint8), alpha])).save("disc.png")
    return alpha


def test_its_alpha_channel_is_as_it_was(cut_out):
    image = stylize("disc.png", STYLE, tiny_weights(), **HOW).image
    assert image.shape == (48, 56, 4) and image.dtype == np.uint8
    np.testing.assert_array_equal(image[..., 3], cut_out)


def test_sixteen_bits_have_it_too(cut_out):
    image = stylize("disc.png", STYLE, tiny_weights(), bits=16, **HOW).image
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image[..., 3], cut_out.astype(int) * 257)


def test_what_is_hidden_does_not_show_at_the_edges(cut_out):
    """Neither the green that is under the transparent parts nor white."""
    job = prepare("disc.png", STYLE, tiny_weights(), **HOW)
    edge = (cut_out > 0) & (cut_out < 255)
    colours = job.content[edge].astype(int)
    assert (colours[:, 0] > 120).all() and (colours[:, 1] < 130).all()
    assert job.content[0, 0, 1] < 130  # continued into the corner


def test_only_what_is_visible_has_a_style(cut_out):
    job = prepare(
        "disc.png", [STYLE, Style(STYLE, mask=np.full((48, 56), 255, np.uint8))], tiny_weights(), **HOW
    )
    for mask in JobPictures(job).at(next(job.settings.each_scale())).visible_masks():
        np.testing.assert_allclose(mask[..., 0], cut_out / 255)


def test_scales_and_events_have_it(cut_out):
    sizes = []

    def look(event):
        sizes.append(event.image().shape)

    job = prepare("disc.png", STYLE, tiny_weights(), scales=2, size=112, iterations=2, border=0)
    result = run(job, callback=look)
    assert sizes == [(48, 56, 4), (96, 112, 4)] and result.image.shape == (96, 112, 4)


def test_white_paints_all_of_it(cut_out):
    with pytest.warns(UserWarning, match="taken as white"):
        image = stylize("disc.png", STYLE, tiny_weights(), transparency="white", **HOW).image
    assert image.shape == (48, 56, 3)


def test_an_opaque_picture_has_no_alpha_channel(folder):
    with Image.open(folder / "content.png") as picture:
        picture.convert("RGBA").save(folder / "opaque.png")
    expected = stylize(folder / "content.png", STYLE, tiny_weights(), **HOW).image
    np.testing.assert_array_equal(
        stylize(folder / "opaque.png", STYLE, tiny_weights(), **HOW).image, expected
    )


def test_two_cut_outs_of_one_picture_are_two_jobs(cut_out):
    whole = prepare("disc.png", STYLE, tiny_weights(), **HOW)
    with Image.open("disc.png") as picture:
        alpha = picture.getchannel("A").point(lambda value: value * 3 // 4)
        picture.putalpha(alpha)
        picture.save("fainter.png")
    assert whole.digest != prepare("fainter.png", STYLE, tiny_weights(), **HOW).digest


@pytest.mark.parametrize("ending, mode", [("png", "RGBA"), ("webp", "RGBA"), ("tif", "RGBA"), ("jpg", "RGB")])
def test_files_of_the_command_line(cut_out, capsys, ending, mode):
    assert main(["disc.png", "style.png", *SMALL, "-o", f"out.{ending}"]) == 0
    with Image.open(f"out.{ending}") as image:
        assert image.mode == mode
    assert ("taken as white" in capsys.readouterr().err) == (ending == "jpg")
    if ending == "jpg":
        assert stored_settings("out.jpg")["transparency"] == "white"


def test_a_jpeg_cannot_keep_it(cut_out, folder, capsys):
    before = sorted(folder.iterdir())
    assert main(["disc.png", "style.png", *SMALL, "--transparency", "keep", "-o", "out.jpg"]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and sorted(folder.iterdir()) == before


def test_a_mask_is_black_where_it_is_transparent():
    mask = np.full((48, 56, 4), 255, np.uint8)
    mask[:, 28:, 3] = 0
    job = prepare(noise(48, 56), Style(STYLE, mask=mask), tiny_weights(), **HOW)
    assert (job.styles[0].mask[:, :28] == 255).all() and (job.styles[0].mask[:, 28:] == 0).all()
