"""Notes: heard by the listener of their own thread, and warnings where there is none."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nnstyle.notes import heard_by, note
from nnstyle.pictures import load_image
from tests.support.patience import PATIENCE


def test_without_a_listener_a_note_is_a_warning_at_the_line_that_caused_it():
    def function_of_ours():
        note("few colours")

    with pytest.warns(UserWarning, match="few colours") as caught:
        function_of_ours()
    assert caught[0].filename == __file__


def test_the_listener_hears_it_and_nobody_is_warned():
    heard = []
    with heard_by(heard.append):
        note("one")
        with heard_by(lambda message: heard.append(message.upper())):
            note("two")
        note("three")
    assert heard == ["one", "TWO", "three"]  # pytest makes an error of every warning here
    with pytest.warns(UserWarning, match="four"):
        note("four")


def test_the_listener_goes_even_if_the_block_fails():
    heard = []
    with pytest.raises(ZeroDivisionError), heard_by(heard.append):
        raise ZeroDivisionError
    with pytest.warns(UserWarning, match="later"):
        note("later")
    assert not heard


def test_each_thread_hears_its_own_notes():
    both_listen = threading.Barrier(2, timeout=PATIENCE)
    transparent = [np.full((4, 5, 4), alpha, np.uint8) for alpha in (100, 200)]

    def work(number):
        heard = []
        with heard_by(heard.append):
            both_listen.wait()
            for _ in range(number + 1):
                note(f"from {number}")
                load_image(transparent[number])
            both_listen.wait()
        return heard

    filters, show = list(warnings.filters), warnings.showwarning
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, range(2))
    assert len(first) == 2 and first[0] == "from 0" and "white" in first[1]
    assert len(second) == 4 and second[::2] == ["from 1"] * 2
    # The filters of the whole process are left alone.
    assert list(warnings.filters) == filters and warnings.showwarning is show


def test_a_listener_is_not_heard_in_a_thread_that_has_none():
    heard = []

    def work():
        with pytest.raises(UserWarning, match="alone"):  # as an error: so these tests are set up
            note("alone")

    with heard_by(heard.append), ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
    assert not heard


def test_a_warning_names_the_line_outside_of_the_package():
    transparent = np.zeros((40, 40, 4), np.uint8)
    with pytest.warns(UserWarning, match="transparent") as caught:
        load_image(transparent)
    assert caught[0].filename == __file__
