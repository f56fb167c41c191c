"""What the tests of batches share: workers in this process, and pictures to paint."""

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import noise


@pytest.fixture(scope="session")
def scheduler():
    """The address of a scheduler with two workers, all in this process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def album(tmp_path, monkeypatch):
    """The current folder, with photos/a.png, b.png, c.png, each its own, and two paintings, x.png and y.png."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    names = ["photos/a.png", "photos/b.png", "photos/c.png", "x.png", "y.png"]
    for seed, name in enumerate(names):
        smooth = Image.fromarray(noise(5, 7, seed=seed)).resize((56, 40), Image.Resampling.BICUBIC)
        smooth.save(tmp_path / name)
    return tmp_path


@pytest.fixture
def damaged(album):
    """The name of a photograph of which the end is missing."""
    whole = np.asarray(Image.open("photos/a.png"))
    Image.fromarray(whole).save("photos/damaged.png")
    content = (album / "photos/damaged.png").read_bytes()
    (album / "photos/damaged.png").write_bytes(content[: len(content) // 2])
    return "photos/damaged.png"
