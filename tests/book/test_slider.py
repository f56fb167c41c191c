"""Pictures chosen by two sliders: by mouse and keyboard, with labels, and without scripts a table."""

import pytest
from PIL import Image

from tests.support import browser
from tests.support.small_book import BOOK, build

SLIDER = """Title
=====

.. slider:: picture_{row}_{column}.png
   :rows: low = conv1_1, high = conv5_1
   :rows-label: Style up to
   :columns: 1 = strong, 2 = medium, 3 = weak
   :columns-label: Style
   :start: high, 2
   :alt: A picture, {row}, {column}

   A *caption*.
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A book of one page, with a slider."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("slider")
    (folder / "source").mkdir()
    for i, row in enumerate(("low", "high")):
        for column in (1, 2, 3):
            Image.new("RGB", (6, 4), (100 * i, 80 * column, 0)).save(
                folder / f"source/picture_{row}_{column}.png"
            )
    static = {"html_static_path": [str(BOOK / "static")], "html_css_files": ["book.css"]}
    return build(folder, {"index.rst": SLIDER}, ["slider"], **static)


def shown(window):
    """The alternative texts of the pictures that are to be seen."""
    return window.evaluate("[...document.images].filter(one => one.checkVisibility()).map(one => one.alt)")


def test_one_picture_is_shown_and_the_keyboard_chooses_others(built, window):
    browser.open_page(window, built / "index.html")
    assert shown(window) == ["A picture, conv5_1, medium"]
    rows, columns = window.get_by_label("Style up to"), window.get_by_label("Style", exact=True)
    assert rows.get_attribute("aria-valuetext") == "conv5_1"
    rows.focus()
    window.keyboard.press("ArrowLeft")
    assert shown(window) == ["A picture, conv1_1, medium"]
    window.keyboard.press("Tab")
    window.keyboard.press("End")
    assert shown(window) == ["A picture, conv1_1, weak"]
    assert columns.get_attribute("aria-valuetext") == "weak"
    assert window.locator("output").all_inner_texts() == ["conv1_1", "weak"]
    assert not [*browser.problems_of_layout(window), *browser.problems_of_pictures(window)]


def test_without_scripts_all_are_shown(built, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built / "index.html").as_uri())
    boxes = [box for one in page.locator("img").all() if (box := one.bounding_box())]
    assert len(boxes) == 6 and len({round(box["y"]) for box in boxes}) == 2
    context.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("   :alt: A picture, {row}, {column}\n", ""),
        (":start: high, 2", ":start: high, 9"),
        ("high = conv5_1", "absent = conv5_1"),
    ],
)
def test_a_wrong_slider_is_an_error(tmp_path, built, old, new):
    assert old in SLIDER
    with pytest.raises(ValueError, match="a slider needs|:start: is|image file not readable"):
        build(tmp_path, {"index.rst": SLIDER.replace(old, new)}, ["slider"])
