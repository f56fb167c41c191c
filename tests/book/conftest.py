"""What the tests of the book share: its built pages, and a browser."""

import os
import sys
from pathlib import Path

import pytest

from tests.support import browser, site, small_book

BOOK = os.environ.get("NNSTYLE_TEST_BOOK")
sys.path.append(str(small_book.BOOK))  # the book's modules name each other as Sphinx finds them


def pytest_generate_tests(metafunc):
    """A test that asks for `page_of_the_book` runs once for each page."""
    if "page_of_the_book" in metafunc.fixturenames:
        pages = pages_to_look_at(Path(BOOK)) if BOOK else []
        names = [page.relative_to(BOOK).as_posix() for page in pages]
        metafunc.parametrize("page_of_the_book", pages, ids=names)


def pages_to_look_at(book):
    """All pages, but of those of source code, which are made alike, only the three longest."""
    pages = site.pages_of(book)
    sources = [page for page in pages if book / "_modules/nnstyle" in page.parents]
    sources.sort(key=lambda page: page.stat().st_size)
    return [page for page in pages if page not in sources[:-3]]


@pytest.fixture(scope="session")
def book():
    """The folder of the built book."""
    if not BOOK:
        pytest.skip("the environment variable NNSTYLE_TEST_BOOK names no built book")
    return Path(BOOK)


@pytest.fixture(scope="session")
def chromium():
    """A running browser."""
    api = pytest.importorskip("playwright.sync_api")
    pytest.importorskip("axe_playwright_python")
    if not browser.chromium():
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright, browser.launched(playwright) as launched:
        yield launched


@pytest.fixture
def window(chromium):
    """An empty page in it, on a screen of two pixels a point."""
    context = chromium.new_context(device_scale_factor=2)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def seen():
    """The looks of texts whose contrast has been judged."""
    return []
