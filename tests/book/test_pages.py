"""The built book in a browser: nothing cut off, no picture missing, all texts readable; and no dead link."""

import base64
import re

import pytest
from PIL import Image

from tests.support import browser, site

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # a GIF
HEAD = '<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width">'


@pytest.fixture
def page_with(tmp_path, window):
    """Open a page with this body."""

    def opened(body):
        path = tmp_path / "page.html"
        path.write_text(f"{HEAD}<body>{body}</body></html>", encoding="utf-8")
        browser.open_page(window, path)
        return window

    return opened


def test_no_link_is_dead(book):
    assert not list(site.dead_links(book))


def test_nothing_comes_from_elsewhere(book):
    assert not list(site.outside(book))


def test_a_page_can_be_read(page_of_the_book, window, seen):
    browser.open_page(window, page_of_the_book)
    assert not [
        *browser.problems_of_layout(window),
        *browser.problems_of_pictures(window),
        *browser.problems_of_contrast(window, seen),
    ]


def sharpness(page):
    """How many pixels the finer file of each figure of a page has for one of the other: 1 where there is none."""
    for tag in re.findall(
        r'<img[^>]*class ?= ?"[^"]*sphx-glr-single-img[^>]*>', page.read_text(encoding="utf-8")
    ):
        name, finer = re.search(r'src="([^"]+)"', tag)[1], re.search(r", (\S+) 2\.00x", tag)
        widths = []
        for file in (name, finer[1] if finer else name):
            with Image.open(page.parent / file) as picture:
                widths.append(picture.width)
        yield widths[1] / widths[0]


def test_figures_have_twice_the_resolution_for_fine_screens(book):
    found = [ratio for page in site.pages_of(book) for ratio in sharpness(page)]
    if not found:
        pytest.skip("this book was built without figures")
    assert min(found) > 1.95


def test_a_figure_of_one_resolution_is_found(tmp_path):
    for name, width in (("a.png", 10), ("b.png", 20)):
        Image.new("L", (width, 4)).save(tmp_path / name)
    page = tmp_path / "page.html"
    tag = '<img src="a.png" srcset="a.png%s" class = "sphx-glr-single-img" alt="">'
    page.write_text(tag % ", b.png 2.00x" + tag % "" + '<img src="a.png">')
    assert list(sharpness(page)) == [2, 1]


# What these checks must find


@pytest.fixture
def small_site(tmp_path):
    """A folder with one page, which a test may spoil."""
    (tmp_path / "index.html").write_text('<h1 id="top">A book</h1>')
    (tmp_path / "a picture.gif").write_bytes(PIXEL)
    (tmp_path / "page.html").write_text(
        '<a href="index.html#top"></a> <a href="#here" id="here"></a> <a href="https://example.org/gone"></a> '
        '<img src="a%20picture.gif" srcset="a%20picture.gif 1x, a%20picture.gif 2x">'
    )
    return tmp_path


@pytest.mark.parametrize(
    ("tag", "link"),
    [
        ('<a href="gone.html">', "gone.html"),
        ('<a href="index.html#gone">', "index.html#gone"),
        ('<a href="#gone">', "#gone"),
        ('<img src="gone.png">', "gone.png"),
        ('<img srcset="a%20picture.gif, gone.png 2x">', "gone.png"),
        ('<script src="gone.js">', "gone.js"),
    ],
)
def test_a_dead_link_is_found(small_site, tag, link):
    assert not list(site.dead_links(small_site))
    with (small_site / "page.html").open("a") as page:
        page.write(tag)
    assert list(site.dead_links(small_site)) == [("page.html", link)]


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://example.org/x"></script>',
        '<img alt="" src="https://example.org/x">',
        '<link rel="stylesheet" type="text/css" href="https://example.org/x">',
    ],
)
def test_what_comes_from_elsewhere_is_found(small_site, tag):
    assert not list(site.outside(small_site))
    (small_site / "page.html").write_text(tag)
    assert list(site.outside(small_site)) == [("page.html", "https://example.org/x")]


WIDE = '<div style="width: 700px; height: 9px"></div>'


def test_a_page_that_scrolls_sideways_is_found(page_with):
    assert not list(browser.problems_of_layout(page_with(f'<p style="overflow-x: auto">{"word " * 99}</p>')))
    first, *_ = browser.problems_of_layout(page_with(WIDE))
    assert first.startswith("at 390 px it scrolls sideways")


def test_what_is_cut_off_is_found(page_with):
    box = f'<main style="overflow-x: %s">{WIDE}</main>'
    assert not list(browser.problems_of_layout(page_with(box % "auto")))
    (only,) = browser.problems_of_layout(page_with(box % "hidden"))
    assert only.startswith('at 390 px something is cut off: <div style="width: 700px')


def test_a_missing_picture_is_found(page_with, tmp_path):
    (tmp_path / "there.gif").write_bytes(PIXEL)
    (tmp_path / "broken.gif").write_bytes(b"GIF")
    assert not list(browser.problems_of_pictures(page_with('<img src="there.gif">')))
    window = page_with(
        '<img src="there.gif"><img src="broken.gif"><img src="there.gif" srcset="gone.gif 2x">'
    )
    assert [one.rpartition("/")[2] for one in browser.problems_of_pictures(window)] == [
        "broken.gif",
        "gone.gif",
    ]


def test_pale_text_is_found_in_either_theme(page_with):
    style = "<style>body { color: black; background: white } span { color: #444 } %s</style>"
    dark = "@media (prefers-color-scheme: dark) { body { color: white; background: black } %s }"
    text = "<p>Some <span>words</span></p>"
    good = style % (dark % "span { color: #ddd }") + text
    pale = style % (dark % "span { color: #ddd }" + "span { color: #bbb }") + text
    dim = style % (dark % "") + text
    assert not list(browser.problems_of_contrast(page_with(good)))
    for body, theme in ((pale, "light"), (dim, "dark")):
        (found,) = browser.problems_of_contrast(page_with(body))
        assert found.startswith(f"{theme}: <span>") and "insufficient color contrast" in found


def test_pale_text_of_a_drawing_is_found(page_with):
    style = "<style>body { color: black; background: white } text { fill: %s } "
    dark = "@media (prefers-color-scheme: dark) { body { color: white; background: #131416 } }</style>"
    drawing = '<figure><svg role="img" aria-label="word"><text y="20">word</text></svg></figure>'
    assert not list(browser.problems_of_contrast(page_with(style % "currentColor" + dark + drawing)))
    for fill, theme in (("#bbb", "light"), ("#333", "dark")):
        (found,) = browser.problems_of_contrast(page_with(style % fill + dark + drawing))
        assert found.startswith(f"{theme}, in a drawing: word: ")


def test_a_look_is_judged_once_and_where_it_can_be_seen(page_with):
    box = '<pre style="width: 5em; overflow: auto">%s<span style="color: #bbb">far</span>%s</pre>'
    seen = []
    window = page_with(box % ("word " * 99, '\n<span style="color: #bbb">near</span>'))
    assert len(list(browser.problems_of_contrast(window, seen))) == 1
    assert seen and not list(browser.problems_of_contrast(window, seen))
