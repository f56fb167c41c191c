"""What the tests of the studio share: one in a folder of its own, and somebody who asks it."""

import io
import json
import time

import pytest
from PIL import Image

from nnstyle.engine import devices
from nnstyle.studio.folder import Folder
from nnstyle.studio.order import Order
from nnstyle.studio.studio import Studio
from tests.support import asgi
from tests.support.patience import PATIENCE
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

TOKEN = "the-token"
HOST = "127.0.0.1:8765"
SMALL = {"size": 48, "iterations": 3}


def picture_file(height=40, width=56, seed=0):
    """The bytes of a PNG."""
    memory = io.BytesIO()
    Image.fromarray(noise(height, width, seed=seed)).save(memory, "PNG")
    return memory.getvalue()


def wait_for(condition, seconds=PATIENCE):
    """Wait until a condition is true, and return what it gave."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def open_studio(path, **how):
    """A studio in a folder, with a network of a few channels."""
    return Studio(Folder(path), tiny_weights(), devices.find("cpu"), threads=1, **how)


@pytest.fixture(scope="session")
def small_samples(tmp_path_factory):
    """A folder with sample pictures that take no time."""
    folder = tmp_path_factory.mktemp("samples")
    for seed, name in enumerate(("content.jpg", "style.jpg")):
        (folder / name).write_bytes(picture_file(seed=100 + seed))
    return folder


@pytest.fixture
def make_studio(tmp_path, monkeypatch, small_samples):
    """Open studios in one folder, one after the other. All are closed in the end."""
    monkeypatch.setattr("nnstyle.studio.studio.SAMPLES", small_samples)
    opened = []

    def make(**how):
        for studio in opened:
            studio.close()
        opened.append(open_studio(tmp_path / "studio", **how))
        return opened[-1]

    yield make
    for studio in opened:
        studio.close()


@pytest.fixture
def studio(make_studio):
    """A studio that paints nothing before it is started."""
    return make_studio()


def order_of(studio, **changes):
    """An order of the samples, small."""
    content, style = (picture.id for picture in studio.samples)
    return {"content": content, "styles": [{"picture": style}], **SMALL} | changes


def paint(studio, **changes):
    """Order a picture of the samples, and wait until nothing happens to it any more."""
    painting = studio.order(Order.parse(order_of(studio, **changes)))
    wait_for(painting.is_settled)
    return painting


class Client:
    """Somebody with the token, who asks from the page. Headers that are given take precedence."""

    def __init__(self, app):
        self.app = app
        self.headers = {"Host": HOST, "Origin": f"http://{HOST}", "Cookie": f"nnstyle-studio-8765={TOKEN}"}

    def ask(self, method, path, parts=(b"",), **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return asgi.ask(self.app, method, path, self.headers | named, parts)

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, data, **headers):
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        return self.ask("POST", path, [text], **{"Content_Type": "application/json"} | headers)


@pytest.fixture
def client(studio):
    """Somebody who asks the studio."""
    pytest.importorskip("starlette")
    from nnstyle.studio.app import make_app

    return Client(make_app(studio, TOKEN))
