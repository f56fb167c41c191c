"""Runs by tiles: asked for, or where memory is short; and the optimizer that a large picture gets."""

import contextlib
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nnstyle
from lessons.strict_arrays import StrictDevice
from nnstyle import Engine, InputError, Term, prepare, run, stylize
from nnstyle.cli import main
from nnstyle.engine import devices
from nnstyle.inputs import JobPictures
from nnstyle.optimizers import FEW_STEPS, HISTORY_SIZE, OPTIMIZERS, lbfgs, usual_for_size, usual_history_size
from nnstyle.resources import bytes_needed, engine_for, pixels_at_once
from tests.support.command import files
from tests.support.pictures import noise, stored_settings
from tests.support.tiny import tiny_weights

MILLION = 1_000_000
# Their halo is 6 px, so that small pictures can be cut into tiles.
SHALLOW = {"content_layers": "conv2_2", "style_layers": ("conv1_1", "conv2_1")}
WEIGHTS = tiny_weights(widths=(64, 8, 8, 8, 8))  # as in a real network, conv1_1 needs the most memory


class Whole(Term):
    """A term of one's own that sees a whole layer."""

    name, layer, target = "whole", "conv1_1", "content"

    def set_target(self, features):
        pass

    def __call__(self, features):
        return float(features.mean()), np.full_like(features, 1 / features.size)


@pytest.fixture(scope="module")
def pictures():
    """Two smooth random pictures."""
    return [
        np.array(Image.fromarray(noise(*shape)).resize((120, 90), Image.Resampling.BICUBIC))
        for shape in ((5, 7), (9, 6))
    ]


def make_job(pictures, **settings):
    settings = {"size": 96, "iterations": 2, "scales": 1, "rescale": False, "border": 0} | SHALLOW | settings
    return prepare(*pictures, WEIGHTS, **settings)


@contextlib.contextmanager
def notes_ignored():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def mask():
    left = np.zeros((90, 120), np.uint8)
    left[:, :50] = 255
    return left


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_a_run_by_tiles_paints_the_same_picture_up_to_rounding(pictures, optimizer, pooling):
    content, style = pictures
    styles = [nnstyle.Style(style, mask=mask()), nnstyle.Style(content[::-1], weight=0.5)]
    options = {"optimizer": optimizer, "pooling": pooling, "tv_weight": 0.1, "border": 8} | SHALLOW
    job = prepare(content, styles, WEIGHTS, size=96, iterations=3, scales=1, rescale=False, **options)
    whole, by_tiles = run(job), run(job, Engine(tile=32))
    assert by_tiles.losses[0].total == pytest.approx(whole.losses[0].total, rel=1e-4)
    assert np.abs(by_tiles.image.astype(int) - whole.image).mean() < 0.5
    assert "tile" not in whole.made_with and by_tiles.made_with["tile"] == 32


def test_only_scales_that_need_it_are_painted_by_tiles(pictures, monkeypatch):
    painted = []

    class Watched(nnstyle.TiledObjective):
        def __call__(self, image):
            painted.append(image.shape[1])
            return super().__call__(image)

    monkeypatch.setattr(sys.modules["nnstyle.stylize"], "TiledObjective", Watched)
    result = run(make_job(pictures, size=176, scales=3, iterations=3), Engine(tile=48))
    assert set(painted) == {176} and [record.size for record in result.losses] == [44, 88, 176]
    painted.clear()
    with pytest.warns(UserWarning, match="a tile of 1024 px is no smaller than the picture"):
        result = run(make_job(pictures, size=64), Engine(tile=1024))
    assert not painted and "tile" not in result.made_with
    assert (
        stylize(
            *pictures, WEIGHTS, size=96, iterations=1, scales=1, rescale=False, tile=32, **SHALLOW
        ).made_with["tile"]
        == 32
    )


def test_the_memory_is_that_of_the_largest_window(pictures):
    """Tiles are of about equal length, and a halo ends at the picture's edge."""
    job = make_job(pictures, size=120)  # 120 x 90
    needed = lambda tile: bytes_needed(job, devices.CPU, False, 120, tile)
    assert pixels_at_once(job, 90, 120, None) == 90 * 120
    assert pixels_at_once(job, 90, 120, 50) == (46 + 6) * (40 + 12)  # 46 and 44 by 40, 40 and 40
    assert needed(50) - needed(60) == pytest.approx(20 * 64 * (52 * 52 - (46 + 6) * (60 + 6)))
    deeper = make_job(pictures, size=120, content_layers="conv3_1")
    assert pixels_at_once(deeper, 90, 120, 50) > pixels_at_once(job, 90, 120, 50)


def test_pictures_of_full_size_are_not_copied_and_stay_as_they_are(pictures):
    job = make_job(pictures, init="content", colour="luminance")
    before = [picture.copy() for picture in (job.content, job.styles[0].image)]
    inputs = JobPictures(job).at(job.settings)
    assert inputs.photo is job.content
    in_colours = make_job(pictures)
    assert JobPictures(in_colours).at(in_colours.settings).styles[0] is in_colours.styles[0].image
    run(job)
    for picture, earlier in zip((job.content, job.styles[0].image), before, strict=True):
        assert np.array_equal(picture, earlier)


def test_what_a_scale_needed_is_freed_before_the_pictures_of_the_next_are_made(pictures, monkeypatch):
    happened = []
    clear, at = Engine.clear, JobPictures.at
    monkeypatch.setattr(Engine, "clear", lambda self: (happened.append("clear"), clear(self))[1])
    monkeypatch.setattr(
        JobPictures, "at", lambda self, scale: (happened.append(scale.size), at(self, scale))[1]
    )
    run(make_job(pictures, scales=2, iterations=2))
    for size in (48, 96):
        assert happened[happened.index(size) - 1] == "clear"


def test_where_memory_is_short_the_largest_tile_is_taken_that_fits(pictures, free):
    job = make_job(pictures, size=3000, optimizer="adam")
    by_tile = {
        tile: bytes_needed(job, devices.CPU, False, 3000, tile) for tile in (None, 2048, 1024, 512, 256)
    }
    assert list(by_tile.values()) == sorted(by_tile.values(), reverse=True)
    for tile, needed in by_tile.items():
        free(needed)
        if tile is None:
            assert engine_for(job).tile is None
            continue
        with pytest.warns(UserWarning, match=f"little memory is free: .* in tiles of {tile} px"):
            engine = engine_for(job)
        assert engine.tile == tile and not engine.low_memory
    free(needed - 1)
    with pytest.raises(InputError, match="of memory on the processor"):
        engine_for(job)
    free(needed - 1, with_swap=1e12)  # rather than nine tenths of a whole picture in swap
    with pytest.warns(UserWarning, match="in tiles of 256 px, which takes about 1.6 times as long"):
        assert engine_for(job).tile == 256


def test_what_was_asked_for_is_kept(pictures, free):
    job = make_job(pictures, size=3000, optimizer="adam")
    free(1e12)
    assert engine_for(job, tile=64).tile == 64
    free(bytes_needed(job, devices.CPU, True, 3000))
    engine = engine_for(job, low_memory=True)
    assert engine.low_memory and engine.tile is None
    for how in {"low_memory": False}, {"tile": 3000}:
        with pytest.raises(
            InputError, match="of memory on the processor.*: choose --tile 2048 or --size"
        ) as caught:
            engine_for(job, **how)
    advised = int(str(caught.value).split("--size ")[2])
    assert engine_for(make_job(pictures, size=advised, optimizer="adam"), tile=3000).tile == 3000


def test_a_term_of_ones_own_that_sees_a_whole_layer_has_no_tiles(pictures, free):
    job = prepare(*pictures, WEIGHTS, size=3000, rescale=False, terms=[Whole()], optimizer="adam")
    small = prepare(
        *pictures, WEIGHTS, size=96, scales=2, iterations=2, rescale=False, terms=[Whole()], border=0
    )
    message = "the term 'whole' cannot be computed by tiles"
    with pytest.raises(InputError, match=message):
        engine_for(job, tile=64)
    with pytest.raises(InputError, match=message) as caught:
        run(small, Engine(tile=32))
    assert not hasattr(caught.value, "result")  # before anything was painted
    with pytest.raises(InputError, match=message):  # before the network is looked for
        stylize(*pictures, "missing.h5", terms=[Whole()], tile=64)
    free(bytes_needed(job, devices.CPU, True, 3000))
    with pytest.warns(UserWarning, match="little memory is free"):
        engine = engine_for(job)
    assert engine.low_memory and engine.tile is None


@pytest.mark.parametrize("tile", [15, 0, True, "64", 64.5])
def test_a_tile_is_a_number_of_pixels(tile):
    with pytest.raises(InputError, match="a tile must have at least 16 px"):
        Engine(tile=tile)
    with pytest.raises(InputError, match="a tile must have at least 16 px"):  # before anything is read
        stylize("missing.jpg", "missing.jpg", tile=tile)


def test_the_option_paints_by_tiles_and_the_picture_says_so(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    small = ["content.png", "style.png", "--size", "96", "--iterations", "2", "--scales", "1"]
    small += ["--border", "0", "--content-layers", "conv2_2", "--style-layers", "conv1_1,conv2_1"]
    assert main([*small, "--tile", "32", "-o", "x.png"]) == 0
    assert stored_settings("x.png")["tile"] == 32
    assert main(["show", "x.png"]) == 0
    assert "  tile " in capsys.readouterr().out
    assert main(["--like", "x.png", "-q", "-o", "y.png"]) == 0
    assert Path("x.png").read_bytes() == Path("y.png").read_bytes()
    before = files(folder)
    assert main([*small, "--weights", "missing.h5", "--tile", "8"]) == 2
    assert "a tile must have at least 16 px" in capsys.readouterr().err.splitlines()[-1]
    assert files(folder) == before


def test_a_checkpoint_goes_on_with_another_tile(pictures):
    job, states = make_job(pictures, iterations=4, optimizer="lbfgs-nnstyle"), []
    whole = run(job, callback=lambda event: states.append(event.state()))
    resumed = run(job, Engine(tile=32), resume=states[1])
    assert len(resumed.losses) == 4
    assert resumed.made_with["tile"] == 32
    assert resumed.losses[-1].total == pytest.approx(whole.losses[-1].total, rel=1e-2)


# Large pictures


def test_a_large_picture_is_painted_by_the_optimizer_with_less_memory(pictures, monkeypatch):
    monkeypatch.setattr("nnstyle.optimizers.MOST_PIXELS_FOR_SCIPY", 50 * 70)
    used = lambda **settings: run(make_job(pictures, **settings)).settings.optimizer
    assert used(size=64) == "lbfgs"  # 64 x 48
    with pytest.warns(UserWarning, match="by our own L-BFGS .*--optimizer lbfgs-nnstyle"):
        assert used(size=96) == "lbfgs-nnstyle"
    assert used(size=96, optimizer="lbfgs") == "lbfgs"  # asked for
    assert used(size=96, bounded=True) == "lbfgs"  # ours knows no bounds
    # At small scales, too, so that the scales of one picture are painted alike
    with pytest.warns(UserWarning, match="by our own L-BFGS"):
        assert used(size=96, scales=2) == "lbfgs-nnstyle"


@pytest.mark.parametrize(
    "device, optimizer, steps",
    [("cpu", None, FEW_STEPS), ("cpu", "lbfgs-nnstyle", 4), (StrictDevice(), None, 4)],
    ids=["processor", "asked for", "GPU"],
)
def test_a_very_large_picture_remembers_few_steps(pictures, monkeypatch, device, optimizer, steps):
    for limit in "MOST_PIXELS_FOR_SCIPY", "MOST_PIXELS_FOR_TEN_STEPS":
        monkeypatch.setattr(f"nnstyle.optimizers.{limit}", 50 * 70)
    states, job = [], make_job(pictures, iterations=4, optimizer=optimizer)
    with notes_ignored():
        run(job, Engine(device), lambda event: states.append(event.state()))
    assert max(len(state.history) // 2 for state in states) == steps


def test_what_is_usual_for_a_size():
    assert [usual_for_size("lbfgs", pixels) for pixels in (1, 4.5e6, 4.6e6)] == ["lbfgs"] * 2 + [
        "lbfgs-nnstyle"
    ]
    assert usual_for_size("adam", 1e9) == "adam"
    assert [usual_history_size(pixels) for pixels in (1, 9e6, 9.1e6)] == [HISTORY_SIZE] * 2 + [FEW_STEPS]


def test_our_own_l_bfgs_remembers_as_many_steps_as_it_is_told():
    lowest = np.linspace(-1, 1, 12).reshape(2, 2, 3)
    curvature = np.linspace(1, 30, 12).reshape(2, 2, 3)
    objective = lambda x: (0.5 * np.sum(curvature * (x - lowest) ** 2), curvature * (x - lowest))
    for size in (1, 2, HISTORY_SIZE):
        lengths = []
        image, _ = lbfgs.minimize(
            objective,
            np.full((2, 2, 3), 5.0),
            40,
            callback=lambda _, __, history, lengths=lengths: lengths.append(len(history) // 2),
            history_size=size,
        )
        assert max(lengths) == size
        np.testing.assert_allclose(image, lowest, atol=1e-2)


def test_a_small_picture_painted_again_in_large_leaves_the_optimizer_open(folder, monkeypatch):
    monkeypatch.chdir(folder)
    small = ["content.png", "style.png", "-q", "--iterations", "1", "--scales", "1", "--border", "0"]
    assert main([*small, "--size", "48", "-o", "x.png"]) == 0
    assert stored_settings("x.png")["optimizer"] == "lbfgs"
    monkeypatch.setattr("nnstyle.optimizers.MOST_PIXELS_FOR_SCIPY", 50 * 50)
    assert main(["--like", "x.png", "-q", "--size", "80", "-o", "y.png"]) == 0
    assert stored_settings("y.png")["optimizer"] == "lbfgs-nnstyle"
    # and one that was asked for stays
    assert main([*small, "--size", "48", "--optimizer", "adam", "-o", "x.png"]) == 0
    assert main(["--like", "x.png", "-q", "--size", "80", "-o", "y.png"]) == 0
    assert stored_settings("y.png")["optimizer"] == "adam"


@pytest.mark.parametrize("optimizer", ["lbfgs", None])
def test_what_scipy_s_vectors_are_too_large_for_is_told_which_are_not(pictures, free, optimizer):
    job = make_job(pictures, size=1600, optimizer=optimizer)
    free(bytes_needed(job, devices.CPU, False, 1600, 256, "lbfgs-nnstyle") + MILLION)
    with pytest.raises(InputError, match="choose --optimizer lbfgs-nnstyle or --size"):
        engine_for(job, tile=256)
