"""The line and the thread that paints: stop, go on, another style weight, more like this, and a server that ends."""

import threading
from functools import partial

import numpy as np
import pytest
from PIL import Image

import nnstyle
from nnstyle import InputError
from nnstyle.engine import devices
from nnstyle.pictures import stored_settings
from nnstyle.resources import bytes_needed
from nnstyle.studio import studio as module
from nnstyle.studio.order import Order
from nnstyle.studio.painting import FAILED, FINISHED, PAINTING, STOPPED, WAITING
from nnstyle.studio.studio import Busy, NotThere
from tests.studio.conftest import order_of, paint, picture_file, wait_for

LONG = {"size": 48, "iterations": 20, "scales": 1}


@pytest.fixture(autouse=True)
def first_is_held(monkeypatch):
    """The first painting of more than 8 iterations stays at its second until it is asked to end."""
    released = []
    real = module.Run.on_iteration

    def on_iteration(self, event):
        if not released and event.record.iteration == 2 and event.job.settings.iterations > 8:
            wait_for(lambda: self.why)
            released.append(True)
        return real(self, event)

    monkeypatch.setattr(module.Run, "on_iteration", on_iteration)


def begin(studio, **changes):
    """Order a long painting, and wait until it is under way: it is held there until it is asked to end."""
    painting = studio.order(Order.parse(order_of(studio, **LONG | changes)))
    wait_for(lambda: painting.records)
    return painting


def stop(studio, painting):
    studio.stop(painting.number)
    wait_for(painting.is_settled)


# A picture


def test_a_picture_is_the_package_s_own_with_its_settings_inside(studio):
    studio.start()
    painting = paint(studio, size=64, style_scale=0.9, beta_per_pixel=500.0)
    assert (painting.state, painting.why) == (FINISHED, "")
    assert [row[0] for row in painting.records] == [1, 2, 3]
    path = studio.folder.output(1)
    content, style = studio.samples
    same = nnstyle.stylize(
        content.path, style.path, studio.weights, size=64, iterations=3, style_scale=0.9, beta_per_pixel=500.0
    )
    assert np.array_equal(np.array(Image.open(path)), same.image)
    stored = stored_settings(path)
    assert (stored["content"], stored["style"]) == ("content.jpg", ["style.jpg"])
    assert {name: stored[name] for name in ("size", "iterations", "beta")} == {
        name: same.made_with[name] for name in ("size", "iterations", "beta")
    }
    assert not studio.folder.checkpoint(1).exists()


def test_all_that_can_be_ordered_reaches_the_job(studio):
    mask, init = (studio.give(picture_file(40, 56, seed), "x.png").id for seed in (1, 2))
    content, style = (picture.id for picture in studio.samples)
    asked = order_of(
        studio,
        styles=[{"picture": style, "weight": 2}, {"picture": content}],
        mask=mask,
        init=init,
        colour="luminance",
        seed=3,
        scales=1,
    )
    order = Order.parse(asked)
    assert Order.parse(order.as_json()) == order
    described = order.prepare(studio.folder, studio.weights).describe()
    assert described["style_weights"] == [2, 1] and described["colour"] == "luminance"
    assert (described["seed"], described["scales"]) == (3, 1)
    assert all(described["mask_sha256"]) and described["init_sha256"]


WRONG = {
    "content": ["", "x", 7, None, "0" * 64],
    "styles": [[], None, "x", [{}], [{"picture": "../x"}], [{"picture": "0" * 64, "path": "x"}], [{"picture": "0" * 64}] * 9],
    "mask": ["x", 7, "0" * 64],
    "init": ["x", None, [], "../x", "/etc/passwd", "0" * 64],
    "size": [1, "x", None, 48.5, 1e99, True, 20000],
    "iterations": [0, 2001, "x"],
    "beta_per_pixel": [-1, "x", float("nan"), float("inf")],
    "style_scale": [0, -1, float("nan"), "x", 1000],
    "colour": ["x", None, []],
    "seed": [-1, 1.5],
    "device": ["cuda"],
    "weights": ["/etc/passwd"],
    "rescale_over": ["/"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_order_is_one_line(studio, name, value):
    with pytest.raises(InputError) as caught:
        studio.order(Order.parse(order_of(studio) | {name: value}))
    assert "\n" not in str(caught.value) and str(studio.folder.path) not in str(caught.value)
    assert studio.paintings == {}
    studio.order(Order.parse(order_of(studio)))


@pytest.mark.parametrize("data", [None, [], 7, "x"])
def test_what_is_no_order_is_one_line(data):
    with pytest.raises(InputError):
        Order.parse(data)


def test_a_complaint_has_the_user_s_name_of_a_picture(studio):
    strip = studio.give(picture_file(4, 400), "A strip.png").id
    with pytest.raises(InputError) as caught:
        studio.order(Order.parse(order_of(studio, mask=strip)))
    assert "A strip.png" in str(caught.value) and strip not in str(caught.value)


def test_a_picture_that_only_tiles_could_paint_is_taken(studio, free):
    order = Order.parse(order_of(studio, size=1000))
    needed = partial(bytes_needed, order.prepare(studio.folder, studio.weights), devices.CPU, size=1000)
    by_tiles = needed(low_memory=False, tile=256)
    assert by_tiles < needed(low_memory=True)
    free(by_tiles)
    studio.order(order)
    free(by_tiles - 1)
    with pytest.raises(
        InputError, match=r"memory on the processor, and .* are free: choose size \d+$"
    ) as caught:
        studio.order(order)
    advised = int(str(caught.value).rpartition(" ")[2])
    assert advised > 900
    studio.order(order.changed(size=advised))


# The line


def test_one_is_painted_at_a_time_and_others_wait_in_line(studio):
    first, second, third = (studio.order(Order.parse(order_of(studio))) for _ in range(3))
    assert studio.line == [1, 2, 3] and {one.state for one in studio.paintings.values()} == {WAITING}
    studio.stop(second.number)
    assert 2 not in studio.paintings and not studio.folder.about(2).exists()
    running, most = set(), []
    real = module.run

    def counted(*arguments):
        running.add(threading.get_ident())
        most.append(len(running))
        try:
            return real(*arguments)
        finally:
            running.discard(threading.get_ident())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run", counted)
        studio.start()
        wait_for(lambda: first.is_settled() and third.is_settled())
    assert most == [1, 1] and third.state == FINISHED


def test_the_line_and_the_list_are_bounded(studio, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    orders = [Order.parse(order_of(studio)) for _ in range(3)]
    for order in orders[:2]:
        studio.order(order)
    with pytest.raises(Busy, match="wait in line"):
        studio.order(orders[2])
    with pytest.raises(Busy, match="wait in line"):
        studio.more_like(1)
    monkeypatch.setattr(module, "MOST_WAITING", 20)
    studio.order(orders[2])
    monkeypatch.setattr(module, "MOST_PAINTINGS", 3)
    with pytest.raises(Busy, match="delete some"):
        studio.order(orders[0])


def test_one_that_fails_says_why_and_does_not_stop_the_next(studio, monkeypatch):
    for error in (MemoryError(), OSError(28, "No space left on device"), RuntimeError("what?")):
        monkeypatch.setattr(module, "engine_for", lambda *_, error=error: (_ for _ in ()).throw(error))
        if not studio.thread.is_alive():
            studio.start()
        painting = paint(studio)
        assert painting.state == FAILED and painting.why.endswith(".") and "\n" not in painting.why
    monkeypatch.undo()
    assert paint(studio).state == FINISHED


def test_a_picture_so_far_that_cannot_be_kept_does_not_stop_the_next_either(studio, monkeypatch):
    def fail(*_):
        error = RuntimeError("what?")
        error.result = "no result"  # keeping it raises another error
        raise error

    monkeypatch.setattr(module, "run", fail)
    studio.start()
    painting = paint(studio)
    assert painting.state == FAILED and "what?" in painting.why
    monkeypatch.undo()
    assert paint(studio).state == FINISHED


def test_a_checkpoint_that_cannot_be_written_is_told_at_once(studio, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_checkpoint", full)
    studio.checkpoint = 1e-9
    told = []
    monkeypatch.setattr(studio, "changed", lambda painting: told.append((painting.state, *painting.notes)))
    studio.start()
    painting = paint(studio)
    note = "the checkpoint cannot be written: No space left on device"
    assert painting.state == FINISHED and painting.notes == [note] and (PAINTING, note) in told


def test_a_picture_whose_files_cannot_be_removed_stays_in_the_list(studio, monkeypatch):
    studio.start()
    painting = paint(studio)

    def refused(number):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(studio.folder, "remove", refused)
    with pytest.raises(PermissionError):
        studio.remove(painting.number)
    assert painting.number in studio.paintings
    monkeypatch.undo()
    studio.remove(painting.number)
    assert painting.number not in studio.paintings


def test_what_is_not_there_or_not_to_be_done_is_said(studio):
    painting = studio.order(Order.parse(order_of(studio)))
    for action in (studio.stop, studio.go_on, studio.remove, studio.more_like):
        with pytest.raises(NotThere):
            action(99)
    with pytest.raises(Busy):
        studio.go_on(painting.number)
    with pytest.raises(Busy):
        studio.remove(painting.number)
    with pytest.raises(Busy):
        studio.change_weight(painting.number, 100.0)
    studio.start()
    wait_for(painting.is_settled)
    with pytest.raises(Busy):
        studio.stop(painting.number)
    studio.remove(painting.number)
    assert not list(studio.folder.path.glob("0001*"))


# Steering


def test_a_picture_that_is_stopped_is_kept_and_goes_on(studio):
    studio.start()
    painting = begin(studio)
    stop(studio, painting)
    reached = len(painting.records)
    assert painting.state == STOPPED and reached == 2
    stored = stored_settings(studio.folder.output(1))
    assert stored["iterations"] == reached and stored["unfinished"]["iterations"] == 20
    studio.go_on(painting.number)
    wait_for(painting.is_settled)
    assert painting.state == FINISHED and [row[0] for row in painting.records] == list(range(1, 21))
    assert stored_settings(studio.folder.output(1))["iterations"] == 20


def test_a_checkpoint_that_does_not_fit_is_begun_anew_with_a_note(studio):
    studio.start()
    painting = begin(studio)
    stop(studio, painting)
    studio.folder.checkpoint(1).write_bytes(b"damage")
    studio.go_on(painting.number)
    wait_for(painting.is_settled)
    assert painting.state == FINISHED and "begun anew" in painting.notes[0]
    assert str(studio.folder.path) not in painting.notes[0]


def test_at_full_size_another_picture_goes_on_with_the_new_weight_from_where_this_one_is(studio):
    studio.start()
    first = begin(studio)
    studio.change_weight(first.number, 77.0)
    wait_for(first.is_settled)
    second = studio.paintings[2]
    wait_for(second.is_settled)
    assert first.state == STOPPED and "another style weight" in first.why
    assert second.state == FINISHED and second.follows == 1 and "picture 1 as it was" in second.why
    settings = second.order.settings
    assert settings.beta_per_pixel == 77.0 and settings.scales == 1
    assert settings.iterations == 20 - 2
    start = np.array(Image.open(studio.folder.picture(second.order.init).path))
    assert np.array_equal(start, np.array(Image.open(studio.folder.output(1))))
    stored = stored_settings(studio.folder.output(2))
    assert stored["init_sha256"] and np.isclose(stored["beta"], 77.0 * (48 + 64) * (34 + 64))


def test_at_a_coarse_scale_the_picture_begins_again_with_the_new_weight(studio):
    studio.start()
    first = begin(studio, size=96, scales=2)
    waiting = studio.order(Order.parse(order_of(studio)))
    studio.change_weight(first.number, 77.0)
    second = wait_for(lambda: studio.paintings.get(3))
    wait_for(lambda: 1 not in studio.paintings)
    assert not list(studio.folder.path.glob("0001*"))
    assert second.order == first.order.changed(beta_per_pixel=77.0) and "Begun again" in second.why
    wait_for(second.is_settled)
    wait_for(waiting.is_settled)
    assert second.revision < waiting.revision  # the new one has come first


def test_of_several_requests_the_latest_counts_but_for_the_end_of_the_server(studio):
    studio.start()
    first = begin(studio)
    with studio.lock:  # it computes no further meanwhile
        studio.change_weight(first.number, 77.0)
        studio.change_weight(first.number, 88.0)
    second = wait_for(lambda: studio.paintings.get(2))
    assert second.order.settings.beta_per_pixel == 88.0
    wait_for(second.is_settled)
    third = begin(studio, iterations=2000)
    with studio.lock:
        studio.change_weight(third.number, 77.0)
        studio.stop(third.number)
    wait_for(third.is_settled)
    assert third.why == module.STOPPED_BY_USER and not studio.line and studio.latest == third.number
    fourth = begin(studio, iterations=2000)
    with studio.lock:
        studio.now.end(module.STOPPED_BY_SERVER)
        studio.change_weight(fourth.number, 77.0)
    wait_for(fourth.is_settled)
    assert fourth.why == module.STOPPED_BY_SERVER and not studio.line


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_cannot_be_changes_nothing(studio, weight):
    studio.start()
    painting = begin(studio)
    with pytest.raises(InputError):
        studio.change_weight(painting.number, weight)
    assert painting.state == PAINTING
    stop(studio, painting)


@pytest.mark.parametrize("init", ["recoloured", "noise"])
def test_more_like_this_is_less_and_more_painting_and_finer_strokes_or_another_noise(studio, init):
    order = Order.parse(order_of(studio, init=init, size=96))
    studio.order(order)
    less, more, third = (painting.order for painting in studio.more_like(1))
    usual = order.beta_per_pixel(studio.weights)
    assert usual == (30 if init == "noise" else 4000)  # this network states none
    assert [one.settings.beta_per_pixel for one in (less, more)] == [usual / 2, usual * 2]
    assert third == (order.changed(seed=1) if init == "noise" else order.changed(style_scale=2**-0.75))


def test_of_variations_only_those_that_can_be_painted_are_ordered(studio):
    studio.order(Order.parse(order_of(studio)))
    assert len(studio.more_like(1)) == 2  # finer strokes would need a painting of less than 32 px


def test_no_number_is_given_twice(studio):
    studio.order(Order.parse(order_of(studio)))
    studio.stop(1)
    assert studio.order(Order.parse(order_of(studio))).number == 2


def test_somebody_else_s_files_are_not_replaced(make_studio):
    folder = make_studio().folder.path
    files = {"0007.png": b"mine", "12.txt": b"mine", "0013.json": b"[]"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    studio = make_studio()
    studio.start()
    assert paint(studio).number == 14
    assert {name: (folder / name).read_bytes() for name in files} == files


# A server that ends


def test_closing_keeps_the_picture_and_its_state_and_another_goes_on(make_studio):
    studio = make_studio()
    studio.start()
    painting = begin(studio)
    waiting = studio.order(Order.parse(order_of(studio)))
    studio.close()
    reached = len(painting.records)
    assert painting.state == STOPPED and "server was stopped" in painting.why
    assert stored_settings(studio.folder.output(1))["iterations"] == reached
    again = make_studio()
    one, other = again.paintings.values()
    assert (one.state, one.why, one.records) == (STOPPED, painting.why, painting.records)
    assert other.state == STOPPED and "waited in line" in other.why and other.order == waiting.order
    again.start()
    again.go_on(1)
    wait_for(one.is_settled)
    assert one.state == FINISHED and len(one.records) == 20
    assert paint(again).number == 3


def test_after_a_kill_the_checkpoint_tells_how_far_it_was(make_studio):
    studio = make_studio(checkpoint=1e-9)
    studio.start()
    painting = begin(studio)
    wait_for(studio.folder.checkpoint(1).exists)
    about = studio.folder.about(
        1
    ).read_bytes()  # written before the first iteration: nothing is written at a kill
    stop(studio, painting)
    studio.folder.output(1).unlink()
    studio.close()
    studio.folder.about(1).write_bytes(about)
    again = make_studio()
    one = again.paintings[1]
    assert one.state == STOPPED and "server ended" in one.why
    assert one.records and one.records == painting.records[: len(one.records)]


def test_nothing_is_shown_to_nobody(studio, monkeypatch):
    made = []
    real = module.small_picture
    monkeypatch.setattr(module, "small_picture", lambda *how: made.append(how) or real(*how))
    studio.start()
    paint(studio)
    assert made == []
    with studio.watched_by(lambda: None):
        paint(studio)
    assert made


def test_pictures_are_made_for_the_page_now_and_then_and_at_each_scale(studio, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 1e9)
    sizes = []
    real = module.Run.show
    monkeypatch.setattr(
        module.Run, "show", lambda self, event: sizes.append(event.record.size) or real(self, event)
    )
    studio.start()
    with studio.watched_by(lambda: None):
        paint(studio, size=128, scales=2, iterations=8)
    assert sizes == [64, 128]
