"""``python -m tests.studio.screenshots``: the pictures of the page in the README and the guide, taken anew.

It takes the sample pictures and the settings of a first visit, waits in the middle and near the end of the painting, and writes
``weights/gallery/studio.webp`` and ``studio-dark.webp``. It needs the extras ``studio`` and ``book``, and Chromium.
"""

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.support import browser
from tests.support.served import served

GALLERY = Path(__file__).parents[2] / "weights/gallery"
SIZE = {"width": 1280, "height": 1195}
PATIENCE = 600_000  # milliseconds


def main():
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), threads=2) as server,
        sync_playwright() as playwright,
        browser.launched(playwright) as chromium,
    ):
        page = chromium.new_page(viewport=SIZE)
        page.set_default_timeout(PATIENCE)
        page.goto(server.address)
        page.get_by_role("button", name="Paint", exact=True).click()
        page.wait_for_function(
            "() => document.getElementById('status').textContent.match(/Iteration (9|1.)[0-9] of/)"
        )
        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme="dark")
        page.evaluate("document.getElementById('stage').scrollIntoView()")
        page.wait_for_timeout(1500)
        save(page, "studio-dark.webp")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(SIZE)
        page.wait_for_function(
            "() => document.getElementById('status').textContent.match(/Iteration 14[0-9] of/)"
        )
        page.get_by_label("Compare with the photograph").fill("36")
        page.evaluate("window.scrollTo(0, 0)")
        save(page, "studio.webp")


def save(page, name):
    """Write what the page shows as WebP."""
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").save(GALLERY / name, quality=82, method=6)


if __name__ == "__main__":
    main()
