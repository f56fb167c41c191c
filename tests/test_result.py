"""`Result` and `Event`: a picture saved from Python is the command line's, and a notebook shows it."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnstyle import InputError, Record, Result, Settings, prepare, run, stylize
from nnstyle.cli import main
from nnstyle.pictures.resize import scale_to
from tests.support.command import SMALL, files
from tests.support.pictures import noise, stored_settings
from tests.support.tiny import tiny_weights

HOW = {"size": 48, "iterations": 3, "border": 0}


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".tif"])
def test_the_file_is_that_of_the_command_line(folder, monkeypatch, ending):
    monkeypatch.chdir(folder)
    assert main(["content.png", "style.png", *SMALL, "--quiet", "--device", "cpu", "-o", f"a{ending}"]) == 0
    # A JPEG has no transparency, which the command line knows beforehand.
    transparency = "white" if ending == ".jpg" else "keep"
    result = stylize("content.png", "style.png", transparency=transparency, **HOW)
    assert result.save(f"b{ending}") == Path(f"b{ending}")
    assert (folder / f"a{ending}").read_bytes() == (folder / f"b{ending}").read_bytes()
    assert stored_settings(f"b{ending}") == json.loads(json.dumps(result.made_with))
    assert result.made_with["losses"]["iteration"] == 3 and result.made_with["device"] == "cpu"


@pytest.mark.parametrize(
    ("path", "words"),
    [("x.gif", "must end in"), ("missing/x.png", "missing does not exist"), (3, "the output must be a path")],
)
def test_a_place_where_no_picture_can_be_is_named(tmp_path, monkeypatch, path, words):
    monkeypatch.chdir(tmp_path)
    result = Result(noise(40, 48), [], Settings(), "")
    with pytest.raises(InputError, match=words):
        result.save(path)
    (tmp_path / "x.png").write_bytes(b"old")
    assert result.save("x.png").name == "x.png"
    assert list(files(tmp_path)) == ["x.png"]
    with Image.open("x.png") as image:
        np.testing.assert_array_equal(np.array(image), noise(40, 48))


def test_the_picture_so_far_is_a_result_with_its_own_settings(tmp_path):
    job = prepare(noise(70, 72), noise(72, 70), tiny_weights(), size=72, iterations=6, scales=2)
    results = []
    final = run(job, callback=lambda event: results.append((event, event.result())))
    for number, (event, result) in enumerate(results, start=1):
        stored = stored_settings(result.save(tmp_path / f"{number}.png"))
        assert [record.iteration for record in result.losses] == list(range(1, number + 1))
        assert stored["iterations"] == stored["losses"]["iteration"] == number
        assert stored["size"] == stored["losses"]["size"] == max(result.image.shape) == event.record.size
        with Image.open(tmp_path / f"{number}.png") as image:
            np.testing.assert_array_equal(np.array(image), event.image())
        assert ("unfinished" in stored) == (number < 6)
        assert result.reason == "unfinished"
    assert results[-1][1].made_with == final.made_with
    assert results[0][1].settings.scales == 1 and results[0][0].job is job


def test_pictures_of_all_scales_have_one_size_where_that_is_wanted():
    job = prepare(noise(70, 72), noise(72, 70), tiny_weights(), size=72, iterations=4, scales=2)
    pairs = []
    run(job, callback=lambda event: pairs.append((event.image(), event.image(full_size=True))))
    assert [image.shape for image, _ in pairs] == [(35, 36, 3)] * 2 + [(70, 72, 3)] * 2
    for image, full in pairs:
        assert full.shape == (70, 72, 3) and full.dtype == np.uint8
        if image.shape == full.shape:
            np.testing.assert_array_equal(full, image)
        else:  # it is the same picture
            reduced = np.array(Image.fromarray(full).resize((36, 35), Image.Resampling.BOX)).astype(float)
            assert np.corrcoef(reduced.ravel(), image.ravel())[0, 1] > 0.95


def test_an_edge_is_enlarged_without_wrapping_around():
    edge = np.zeros((4, 8, 4), np.uint8)
    edge[..., 3] = 255
    edge[:, 4:] = 255
    large = scale_to(edge, 16, 32)
    assert large.dtype == np.uint8 and large.shape == (16, 32, 4)
    assert (large[:, :12, :3] < 20).all() and (large[:, 20:] > 235).all()


def test_a_notebook_shows_the_picture():
    result = Result(noise(40, 48), [Record(1, 48, 5.0, {}, 0.1)], Settings(), "")
    with Image.open(io.BytesIO(result._repr_png_())) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.array(image), noise(40, 48))
    assert repr(result) == "<Result: 48 x 40 px after 1 iterations, loss 5>"
    assert repr(Result(noise(40, 48), [], Settings(), "")) == "<Result: 48 x 40 px after 0 iterations>"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_large_picture_is_shown_smaller(dtype):
    """Jupyter refuses outputs of more than 3 MB, which base64 makes a third larger."""
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (2000, 1500, 3), dtype)
    data = Result(image, [], Settings(), "")._repr_png_()
    with Image.open(io.BytesIO(data)) as shown:
        assert shown.size == (600, 800) and shown.mode == "RGB"
    assert len(data) * 4 / 3 < 3e6
