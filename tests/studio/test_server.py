"""The program: what it says at the beginning, what a signal or a kill leaves, and what is missing."""

import http.client
import json
import signal
import socket

import pytest

from nnstyle.pictures import stored_settings
from nnstyle.studio import __main__ as program
from tests.studio.conftest import wait_for
from tests.support.command import start
from tests.support.patience import PATIENCE
from tests.support.served import served


class Page:
    """A page that is open at a server."""

    def __init__(self, server):
        self.port = server.port
        self.headers = {
            "Cookie": f"nnstyle-studio-{self.port}={server.token}",
            "Content-Type": "application/json",
        }
        self.headers["Origin"] = f"http://127.0.0.1:{self.port}"

    def ask(self, method, path, data=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", int(self.port), timeout=PATIENCE)
        body = None if data is None else json.dumps(data)
        connection.request(method, path, body, self.headers | headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text

    def stream(self):
        """The news, as an open page gets them."""
        connection = http.client.HTTPConnection("127.0.0.1", int(self.port), timeout=PATIENCE)
        connection.request("GET", "/api/events", headers=self.headers | {"Connection": "close"})
        return connection.getresponse()

    def order(self, **changes):
        samples = json.loads(self.ask("GET", "/api/state")[1])["samples"]
        order = {
            "content": samples[0],
            "styles": [{"picture": samples[1]}],
            "size": 64,
            "iterations": 2000,
            "scales": 1,
        }
        status, text = self.ask("POST", "/api/paintings", order | changes)
        assert status == 201, text
        return json.loads(text)["number"]

    def iterations(self, number):
        return len(json.loads(self.ask("GET", f"/api/paintings/{number}/losses")[1]))


# What is missing or wrong: one line


WITHOUT = """
import sys
sys.modules[%r] = None  # as if it were not installed
from nnstyle.studio.__main__ import main
sys.exit(main(["--folder", "x", "--port", "0"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_one_line_says_what_to_install(tmp_path, missing):
    with start(tmp_path, program=("-c", WITHOUT % missing)) as process:
        output, errors = process.communicate(timeout=PATIENCE)
    (line,) = errors.splitlines()
    assert process.returncode == 2 and output == "" and line.endswith("pip install 'nnstyle[studio]'")
    assert not (tmp_path / "x").exists()


def test_a_port_that_is_taken_is_one_line(capsys, tmp_path):
    pytest.importorskip("uvicorn")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert program.main(["--folder", str(tmp_path), "--port", str(port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"port {port} is taken" in line and "--port" in line


@pytest.mark.parametrize(
    "arguments", [["--port", "65536"], ["--port", "-1"], ["--port", "x"], ["--host", "0.0.0.0"], ["--checkpoint", "nan"], ["x"]]
)  # fmt: skip
def test_a_wrong_option_is_one_line(capsys, arguments):
    assert program.main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_wrong_network_or_folder_is_one_line(capsys, tmp_path):
    pytest.importorskip("uvicorn")
    (tmp_path / "file").write_text("")
    for arguments in (["--weights", "nothing.h5"], ["--folder", str(tmp_path / "file")], ["--device", "tpu"]):
        assert program.main(["--port", "0", "--folder", str(tmp_path / "x"), *arguments]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_full_disk_is_one_line(capsys, tmp_path, monkeypatch):
    pytest.importorskip("uvicorn")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nnstyle.studio.folder.write_over", full)
    for _ in range(2):  # the second time, the folder would be in use had the first not left it
        assert program.main(["--port", "0", "--folder", str(tmp_path / "x")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "nothing can be written to the folder" in line and "No space left" in line


# A server


@pytest.mark.slow
def test_it_listens_on_this_computer_alone_and_ctrl_c_saves_the_picture_for_another_server(tmp_path):
    pytest.importorskip("uvicorn")
    with served(tmp_path) as server:
        page, process = Page(server), server.process
        assert page.ask("GET", "/api/state")[0] == 200
        assert page.ask("GET", "/api/state", Host="studio.example")[0] == 421
        with pytest.raises(OSError), socket.create_connection((outer_address(), int(page.port)), 3):
            pass
        number = page.order()
        wait_for(lambda: page.iterations(number) > 1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT
    assert "saving the picture so far" in errors and "Traceback" not in errors
    reached = stored_settings(tmp_path / "nnstyle-studio/0001.png")["iterations"]
    assert 1 < reached < 2000
    with served(tmp_path) as server:
        page, process = Page(server), server.process
        assert page.iterations(1) == reached
        assert page.ask("POST", "/api/paintings/1/go-on", {})[0] == 202
        wait_for(lambda: page.iterations(1) > reached + 1)
        stream = page.stream()
        assert stream.readline() == b"event: list\n"
        process.send_signal(signal.SIGTERM)
        assert stream.read().endswith(
            b"event: closing\ndata: {}\n\n"
        )  # it does not keep the server from ending
        stream.close()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    assert stored_settings(tmp_path / "nnstyle-studio/0001.png")["iterations"] > reached


def outer_address():
    """Another address of this computer: Linux has all of 127.0.0.0/8."""
    return "127.0.0.2"
