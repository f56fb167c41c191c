"""The paper's figures in the book are what they say, and a change is noticed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lessons import paper_figures
from nnstyle.pictures import load_image, stored_settings

KEPT = Path(paper_figures.__file__).parent / "book" / "figures"
TINY = paper_figures.Inputs(size=48, iterations=3)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder of tiny pictures, made by the same code as the kept ones."""
    folder = tmp_path_factory.mktemp("tiny")
    paper_figures.make(TINY, folder, "figure1")
    return folder


@pytest.fixture
def copied(tiny, tmp_path):
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def test_the_kept_pictures_are_what_they_say():
    assert paper_figures.complaints(KEPT) == []


def test_no_picture_of_the_figures_is_missing():
    pictures = paper_figures.read_manifest(KEPT)["pictures"]
    for recipe in [*paper_figures.figure1(TINY), *paper_figures.figure3(TINY)]:
        assert recipe.file in pictures
    assert sum(name.startswith("figure2_") for name in pictures) >= 3
    assert {"figure1.webp", "figure3.webp"} <= pictures.keys()


def test_the_kept_pictures_are_large_and_converged():
    for name, entry in paper_figures.read_manifest(KEPT)["pictures"].items():
        stored = stored_settings(KEPT / name)
        if "made_of" in stored:
            continue
        assert stored["iterations"] >= 500 and entry["curve"][-1][0] >= 500
        assert max(entry["width"], entry["height"]) == stored["size"] >= 256
        *_, before, last = entry["curve"]
        assert abs(last[3] - before[3]) < 0.01
        if last[4] is not None:  # of two pictures it was not noted
            assert last[4] < 4


def test_the_page_gives_the_correlations_of_the_manifest():
    pictures = paper_figures.read_manifest(KEPT)["pictures"]
    text = " ".join((KEPT.parent / "figures.rst").read_text().split())
    last = [pictures[f"figure1_content_{layer}.webp"]["curve"][-1][3] for layer in paper_figures.LAYERS]
    assert f"correlations of pixels {last[0]:.3f}, {last[1]:.2f} and {last[2]:.2f}" in text
    assert f"straight lines ({last[3]:.2f})" in text
    assert f"made up ({last[4]:.2f})" in text


@pytest.mark.slow
def test_made_pictures_pass_the_check_and_a_second_time_are_the_same(tiny, tmp_path):
    assert paper_figures.complaints(tiny) == []
    paper_figures.make(TINY, tmp_path, "figure1")
    assert (tmp_path / "manifest.json").read_text() == (tiny / "manifest.json").read_text()
    for name in names(tiny):
        assert (tmp_path / name).read_bytes() == (tiny / name).read_bytes()


@pytest.mark.slow
def test_what_is_there_is_not_made_again_unless_its_settings_differ(copied, monkeypatch):
    painted, paint = [], paper_figures.paint

    def noting(recipe, *rest):
        painted.append(recipe.file)
        return paint(recipe, *rest)

    monkeypatch.setattr(paper_figures, "paint", noting)
    (copied / "figure1_content_conv2_1.webp").unlink()
    paper_figures.make(TINY, copied, "figure1")
    assert painted == ["figure1_content_conv2_1.webp"]
    paper_figures.make(replace(TINY, iterations=2), copied, "figure1_style_conv1_1")
    assert painted[1:] == ["figure1_style_conv1_1.webp"]


def test_an_altered_pixel_is_noticed(copied):
    path = copied / "figure1_style_conv1_1.webp"
    pixels, settings = load_image(path).copy(), stored_settings(path)
    pixels[:8, :8] = 255 - pixels[:8, :8]
    paper_figures.save(pixels, settings, path)
    assert paper_figures.complaints(copied) == [f"{path.name}: pixels_sha256 differs"]


def test_an_altered_setting_is_noticed(copied):
    path = copied / "figure1_style_conv1_1.webp"
    data = path.read_bytes()
    assert data.count(b'"iterations": 3,') == 1
    path.write_bytes(data.replace(b'"iterations": 3,', b'"iterations": 9,'))
    assert paper_figures.complaints(copied) == [f"{path.name}: settings_sha256 differs"]


def test_a_picture_without_its_command_is_noticed(copied):
    path = copied / "figure1_style_conv1_1.webp"
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    settings = stored_settings(path)
    del settings["command"]
    paper_figures.save(pixels, settings, path)
    paper_figures.enter(copied, path, [])
    assert f"{path.name} does not tell its command" in paper_figures.complaints(copied)


def test_a_missing_and_a_strange_file_are_noticed(copied):
    (copied / "figure1_style_conv1_1.webp").rename(copied / "other.webp")
    assert paper_figures.complaints(copied) == [
        "figure1_style_conv1_1.webp is missing",
        "other.webp is not in the manifest",
    ]


def test_a_sheet_of_other_pictures_is_noticed(copied):
    path = copied / "figure1_style_conv1_1.webp"
    pixels, settings = load_image(path), stored_settings(path)
    paper_figures.save(255 - pixels, settings, path)
    paper_figures.enter(copied, path, [])
    assert paper_figures.complaints(copied) == [f"figure1.webp was made of another {path.name}"]


def test_numbers_that_the_curves_do_not_give_are_noticed(copied):
    path = copied / "numbers.csv"
    path.write_text(path.read_text().replace("figure1_content_conv5_1,3,", "figure1_content_conv5_1,500,"))
    assert paper_figures.complaints(copied) == ["numbers.csv is not of these curves"]


def inner_products(gradient_of):
    """Of a change of the picture with a gradient, and of the amplitudes with the gradient by them."""
    rng = np.random.default_rng(0)
    waves = paper_figures.Frequencies(rng.normal(size=(6, 9, 3)))
    amplitudes, of_image = rng.normal(size=(2, 6, 9, 3))
    change = waves.image(amplitudes) - waves.start
    return np.vdot(change, of_image), np.vdot(amplitudes, gradient_of(waves, of_image))


def test_the_gradient_by_frequencies_is_the_adjoint_of_the_picture():
    by_pixels, by_amplitudes = inner_products(paper_figures.Frequencies.gradient)
    assert by_amplitudes == pytest.approx(by_pixels, rel=1e-6)


def test_a_gradient_that_forgets_the_units_is_not():
    def forgetful(waves, of_image):
        return waves.gradient(of_image) / waves.units

    by_pixels, by_amplitudes = inner_products(forgetful)
    assert by_amplitudes != pytest.approx(by_pixels, rel=0.01)


def test_the_command_checks_a_folder(copied, capsys):
    assert paper_figures.main(["--check", "--out", str(copied)]) == 0
    assert "all pictures are what they say" in capsys.readouterr().out
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["pictures"]["figure1.webp"]["width"] += 1
    (copied / "manifest.json").write_text(json.dumps(manifest))
    assert paper_figures.main(["--check", "--out", str(copied)]) == 1
    assert "figure1.webp: width differs" in capsys.readouterr().out
