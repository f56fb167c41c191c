"""The contact sheet says what is there, and believes no name."""

import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from nnstyle.batch.order import Outcome
from nnstyle.batch.pairs import Pair
from tests.support.pictures import noise

pytest.importorskip("distributed")

from nnstyle.batch.report import write_report
from nnstyle.batch.work import Done
from nnstyle.batch.worker import THUMBNAIL, thumbnail_of

EVIL = '<script>alert("1")&<b>.png'


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def reports(tmp_path):
    """The folder of a batch with a picture, one that is kept, and one that failed."""
    Image.fromarray(noise(60, 40)).save(tmp_path / "kept.png")
    painted = Outcome(thumbnail=thumbnail_of(noise(300, 600)), iterations=3, job="j", seconds=1.5)
    style = Path("styles/x.png")
    all_done = [
        Done(Pair(Path("photos") / EVIL, style, "a #1?.png"), painted, "c"),
        Done(Pair(Path("b.png"), style, "kept.png"), Outcome(), "c", is_kept=True),
        Done(Pair(Path(EVIL), style, "c.png"), Outcome(reason=f"{EVIL} is not a picture")),
    ]
    write_report(tmp_path, all_done, 12.3456, "1 painted, 1 kept, 1 failed in 12 s")
    return tmp_path


def test_the_contact_sheet_shows_each_picture(reports):
    page = Page((reports / "report.html").read_text())
    images = page.all("img")
    assert [image["alt"] for image in images] == [
        f"{EVIL} in the style of x.png",
        "b.png in the style of x.png",
    ]
    sizes = []
    for image in images:
        kind, data = image["src"].split(",")
        assert kind == "data:image/jpeg;base64"
        sizes.append(Image.open(io.BytesIO(base64.b64decode(data))).size)
    assert sizes == [(THUMBNAIL, THUMBNAIL // 2), (40, 60)]
    links = [link["href"] for link in page.all("a")]
    assert links == ["report.json", "a%20%231%3F.png", "kept.png"]


def test_it_runs_nothing_and_loads_nothing(reports):
    text = (reports / "report.html").read_text()
    page = Page(text)
    assert not page.all("script") and not page.all("link") and "http" not in text
    assert f"{EVIL} is not a picture" in page.text and "1 failed in 12 s" in page.text


def test_the_json_has_all(reports):
    report = json.loads((reports / "report.json").read_text())
    assert report["counts"] == {"painted": 1, "kept": 1, "failed": 1} and report["seconds"] == 12.346
    painted, kept, failed = report["pictures"]
    assert painted["output"] == "a #1?.png" and painted["iterations"] == 3 and painted["job"] == "j"
    assert kept["status"] == "kept" and failed["reason"] == f"{EVIL} is not a picture"
