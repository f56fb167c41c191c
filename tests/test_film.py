"""The film of the way to a picture, read back: number, size, duration and pixels of its frames."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import nnstyle
from nnstyle import Film, InputError, Settings, prepare, run
from nnstyle.film import DURATION, LAST_DURATION
from nnstyle.pictures.resize import scale_to
from tests.support.command import files
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

FORMATS = [".webp", ".gif", ".png"]


def frames_of(path):
    """What a viewer shows: [(milliseconds, uint8 array (H, W, 3))]."""
    shown = []
    with Image.open(path) as image:
        assert image.n_frames == 1 or image.info["loop"] == 0  # for ever
        for index in range(image.n_frames):
            image.seek(index)
            pixels = np.array(image.convert("RGB"))
            shown.append((image.info.get("duration"), pixels))
    return shown


def event(iteration, iterations=10, size=(48, 64), image=None):
    """An event of a run that never was: by default each picture has a grey of its own."""
    image = np.full((*size, 3), 20 * iteration % 251, np.uint8) if image is None else image
    job = SimpleNamespace(settings=Settings(iterations=iterations), content=np.zeros((*size, 3), np.uint8))
    return SimpleNamespace(record=SimpleNamespace(iteration=iteration), job=job, image=lambda: image)


def filmed(events, **options):
    film = Film(**options)
    for each in events:
        assert film(each) is None  # a true value would end the work
    return film


def test_each_iteration_of_all_scales_is_a_frame_of_the_picture_s_size(tmp_path):
    job = prepare(noise(70, 72), noise(72, 70, seed=1), tiny_weights(), size=72, iterations=6, scales=2)
    film, images = Film(), []

    def callback(event):
        film(event)
        images.append(event.image())

    result = run(job, callback=callback)
    assert {image.shape for image in images} == {(35, 36, 3), (70, 72, 3)}
    frames = frames_of(film.save(tmp_path / "walk.png"))
    assert [duration for duration, _ in frames] == [DURATION] * 5 + [LAST_DURATION]
    for (_, frame), image in zip(frames, images, strict=True):
        np.testing.assert_array_equal(frame, scale_to(image, 70, 72))
    np.testing.assert_array_equal(frames[-1][1], result.image)
    assert (frames[0][1] != frames[1][1]).any()


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_has_all_frames(tmp_path, ending):
    film = filmed(map(event, range(1, 11)))
    assert film.save(tmp_path / f"walk{ending}") == tmp_path / f"walk{ending}"
    frames = frames_of(tmp_path / f"walk{ending}")
    assert [duration for duration, _ in frames] == [DURATION] * 9 + [LAST_DURATION]
    for iteration, (_, frame) in enumerate(frames, start=1):
        assert frame.shape == (48, 64, 3)
        np.testing.assert_allclose(frame, 20 * iteration, atol=2)


@pytest.mark.parametrize(("ending", "most"), [(".webp", 6), (".gif", 6), (".png", 0)])
def test_the_colours_are_those_of_the_picture(tmp_path, ending, most):
    """In a GIF as well, whose 256 colours are chosen from frames of the whole way."""
    pictures = [
        np.array(Image.fromarray(noise(3, 4, seed=seed)).resize((64, 48), Image.Resampling.BICUBIC))
        for seed in range(12)
    ]
    film = filmed(event(i, 12, image=picture) for i, picture in enumerate(pictures, start=1))
    frames = frames_of(film.save(tmp_path / f"walk{ending}"))
    for (_, frame), picture in zip(frames, pictures, strict=True):
        # Dithering is right on average, over some pixels.
        blurred = [np.array(Image.fromarray(p).reduce(8)).astype(float) for p in (frame, picture)]
        assert abs(blurred[0] - blurred[1]).mean() <= most


def test_what_does_not_change_does_not_flicker_in_a_gif(tmp_path):
    """With a palette for each frame it would: the colours below take the places of those above."""
    sky = np.array(Image.fromarray(noise(2, 3)).resize((64, 24), Image.Resampling.BICUBIC))
    pictures = [np.vstack([sky, noise(24, 64, seed=seed) // (seed + 1)]) for seed in range(3)]
    film = filmed(event(i, 3, image=picture) for i, picture in enumerate(pictures, start=1))
    frames = [frame for _, frame in frames_of(film.save(tmp_path / "walk.gif"))]
    for later in frames[1:]:
        np.testing.assert_array_equal(later[:24], frames[0][:24])
        assert (later[24:] != frames[0][24:]).any()


def test_a_picture_that_stays_the_same_stays_as_long(tmp_path):
    film = filmed(event(i, 3, image=noise(48, 64, seed=i // 2)) for i in (1, 2, 3))
    for ending in (".gif", ".png"):
        durations = [duration for duration, _ in frames_of(film.save(tmp_path / f"walk{ending}"))]
        assert durations == [DURATION, DURATION + LAST_DURATION]


@pytest.mark.parametrize("iterations", [1, 2, 99, 100, 101, 250, 1000])
def test_the_frames_are_bounded_and_even(iterations):
    seen = []

    def watched(number):
        shown = event(number, iterations)
        return SimpleNamespace(**vars(shown) | {"image": lambda: seen.append(number) or shown.image()})

    film = filmed(map(watched, range(1, iterations + 1)))
    assert len(film.all_frames()) == len(seen) == min(iterations, 100)
    assert seen[0] == 1 and seen[-1] == iterations
    steps = np.diff(seen)
    assert len(seen) < 3 or steps.max() - steps.min() <= 1


def test_what_is_kept_is_decided_once_in_a_run(monkeypatch):
    """And again if the next run has more iterations."""
    decided = []

    def watched(first, last, count):
        decided.append((last, count))
        return linspace(first, last, count)

    linspace = np.linspace
    monkeypatch.setattr("numpy.linspace", watched)
    film, frames = Film(frames=5), []
    for iterations in (17, 33):
        job = event(1, iterations).job
        for number in range(1, iterations + 1):
            film(SimpleNamespace(**vars(event(number)) | {"job": job}))
            frames.append(film.frames)
        assert list(film.frames) == list(range(1, iterations + 1, (iterations - 1) // 4))
    assert decided == [(17, 5), (33, 5)]
    assert all(each is frames[0] for each in frames[:17])  # no copies
    assert all(each is frames[-1] for each in frames[17:])


@pytest.mark.parametrize("last", [1, 6, 499, 500])
def test_a_run_that_ends_early_ends_with_its_last_picture(tmp_path, last):
    pictures = {i: noise(48, 64, seed=i) for i in range(last - 1, last + 1)}
    film = filmed(event(i, 1000, image=pictures.get(i)) for i in range(1, last + 1))
    assert len(film.all_frames()) <= 51
    duration, frame = frames_of(film.save(tmp_path / "walk.png"))[-1]
    np.testing.assert_array_equal(frame, pictures[last])
    assert duration == LAST_DURATION or last == 1  # one frame alone has no duration


def test_a_large_picture_makes_a_film_of_512_px(tmp_path):
    film = filmed([event(1, 2, (1500, 3000)), event(2, 2, (1500, 3000), image=noise(750, 1500))])
    assert [frame.shape for frame in film.all_frames()] == [(256, 512, 3)] * 2
    small = filmed([event(1, 1, (20, 3000))], size=64)
    assert small.all_frames()[0].shape == (1, 64, 3)


def test_sixteen_bits_and_transparency_are_shown_as_a_page_shows_them():
    deep = noise(48, 64).astype(np.uint16) * 257
    np.testing.assert_array_equal(filmed([event(1, image=deep)]).all_frames()[0], noise(48, 64))
    cut_out = np.dstack([noise(48, 64), np.full((48, 64), 255, np.uint8)])
    cut_out[:10, :, 3] = 0
    (frame,) = filmed([event(1, image=cut_out)]).all_frames()
    assert (frame[:10] == 255).all() and (frame[10:] == noise(48, 64)[10:]).all()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("walk.mp4", "must end in .webp, .gif, .png"),
        ("walk", "must end in"),
        ("missing/walk.gif", "missing does not exist"),
        ("folder.gif", "is a folder"),
        (None, "a film needs a path"),
    ],
)
def test_a_place_where_no_film_can_be_is_named(tmp_path, monkeypatch, path, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(InputError, match=words):
        filmed([event(1)]).save(path)
    assert files(tmp_path) == {}


def test_a_film_without_an_iteration_is_refused(tmp_path):
    with pytest.raises(InputError, match="was it given as the callback"):
        Film().save(tmp_path / "walk.webp")


def greys(film):
    return [int(frame[0, 0, 0]) for frame in film.all_frames()]


def test_another_run_begins_anew():
    film = filmed(map(event, range(1, 8)))
    film(event(1))
    assert greys(film) == [20]
    film(event(2, size=(48, 65)))  # another picture, resumed
    assert greys(film) == [40] and film.all_frames()[0].shape == (48, 65, 3)


def test_a_run_that_goes_on_from_before_drops_what_came_after():
    film = filmed(map(event, range(1, 8)))
    film(event(4))
    assert greys(film) == [20, 40, 60, 80]


@pytest.mark.parametrize("options", [{"size": 0}, {"size": "512"}, {"frames": 1}, {"frames": 2.5}])
def test_numbers_that_make_no_film(options):
    with pytest.raises(InputError, match="must be a whole number, at least"):
        Film(**options)


@pytest.mark.parametrize("replace", [True, False])
def test_an_earlier_film_is_replaced_only_where_that_is_wanted(tmp_path, replace):
    (tmp_path / "walk.gif").write_bytes(b"old")
    path = filmed(map(event, range(1, 4))).save(tmp_path / "walk.gif", replace)
    assert path.name == ("walk.gif" if replace else "walk-unfinished.gif")
    assert ((tmp_path / "walk.gif").read_bytes() == b"old") == (not replace)
    assert len(frames_of(path)) == 3


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_a_film_that_cannot_be_written_leaves_the_earlier_one(tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    (tmp_path / "walk.gif").write_bytes(b"old")
    film = filmed(map(event, range(1, 4)))
    monkeypatch.setattr("nnstyle.files.complete", fail)
    with pytest.raises(type(error)):
        film.save(tmp_path / "walk.gif")
    assert files(tmp_path) == {"walk.gif": b"old"}


def test_the_encoder_s_lack_of_memory_is_a_memory_error(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("out of memory")

    film = filmed([event(1)])
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(MemoryError):
        film.save(tmp_path / "walk.webp")


def test_a_resumed_run_goes_on_with_its_film(tmp_path):
    film = Film()
    job = prepare(noise(40, 48), noise(48, 44), tiny_weights(), size=48, iterations=5)
    states = []

    def stop(event):
        film(event)
        states.append(event.state())
        return event.record.iteration == 2

    run(job, callback=stop)
    result = nnstyle.run(job, callback=film, resume=states[-1])
    assert len(film.frames) == 5
    np.testing.assert_array_equal(film.all_frames()[-1], result.image)
    assert io.BytesIO(film.save(tmp_path / "walk.webp").read_bytes()).read(4) == b"RIFF"
