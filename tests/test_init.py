"""Starting from a picture of the user's."""

import numpy as np
import pytest
from PIL import Image

from nnstyle import prepare, stylize
from nnstyle.inputs import JobPictures
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

CONTENT, STYLE = noise(48, 56), noise(64, 50, seed=1)
HOW = {"size": 56, "border": 0}


@pytest.fixture
def first(tmp_path):
    path = tmp_path / "first.png"
    Image.fromarray(noise(96, 112, seed=7)).save(path)
    return path


def test_the_work_begins_there(first):
    """Without a loss to speak of, the picture stays what it was."""
    seen = stylize(CONTENT, STYLE, tiny_weights(), init=first, alpha=1e-9, beta=0.0, iterations=1, **HOW)
    expected = np.array(Image.open(first).resize((56, 48), Image.Resampling.LANCZOS)).astype(int)
    assert abs(seen.image - expected).mean() < 3 < abs(CONTENT - expected).mean()


def test_at_each_scale_it_is_scaled_and_cropped(tmp_path):
    wide = np.zeros((60, 300, 3), np.uint8)
    wide[:, 120:180] = 200  # the middle
    Image.fromarray(wide).save(tmp_path / "wide.png")
    job = prepare(CONTENT, STYLE, tiny_weights(), init=tmp_path / "wide.png", size=112)
    assert job.initial.shape == (96, 112, 3) and not job.initial.flags.writeable
    for scale in job.settings.each_scale():
        inputs = JobPictures(job).at(scale)
        assert inputs.initial.shape == inputs.content.shape
        assert inputs.initial[:, inputs.initial.shape[1] // 2].mean() > 190


def test_another_picture_is_another_job(first, tmp_path):
    Image.fromarray(noise(96, 112, seed=8)).save(tmp_path / "other.png")
    jobs = [
        prepare(CONTENT, STYLE, tiny_weights(), init=path, **HOW) for path in (first, tmp_path / "other.png")
    ]
    assert jobs[0].digest != jobs[1].digest
    assert jobs[0].describe()["init"] == "first.png"


def test_a_file_named_like_a_choice_needs_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise(96, 112, seed=7)).save("noise.png")
    (tmp_path / "noise.png").rename("noise")
    assert prepare(CONTENT, STYLE, tiny_weights(), init="noise", **HOW).initial is None
    assert prepare(CONTENT, STYLE, tiny_weights(), init="./noise", **HOW).initial is not None
