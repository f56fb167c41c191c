"""Known networks are fetched from a real server: whole and right, or not at all."""

import hashlib
import threading
from concurrent.futures import ProcessPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context

import numpy as np
import pytest

from nnstyle import InputError, load_weights
from nnstyle.weights import download, known, loading
from nnstyle.weights.__main__ import main
from tests.support.patience import PATIENCE
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg


class Handler(BaseHTTPRequestHandler):
    """Serves the server's content; the first folder of the path says how well."""

    def do_GET(self):
        server, how = self.server, self.path.split("/")[1]
        server.asked.append(how)
        if how == "missing":
            self.send_error(404)
            return
        content = server.content if how != "wrong" else bytes(len(server.content))
        self.send_response(200)
        if how == "large":
            self.send_header("Content-Length", str(1 << 40))
        elif how not in ("silent", "endless"):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if how in ("large", "endless"):
            self.serve_too_much()
            return
        half = len(content) // 2
        self.wfile.write(content[:half])
        if how == "together":
            server.together.wait()
        if how != "cut":
            self.wfile.write(content[half:])

    def serve_too_much(self):
        """50 MB, unless nobody listens any more."""
        try:
            for _ in range(50):
                self.server.sent += self.wfile.write(bytes(1_000_000))
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of a small network, known by the name of "tiny", and an empty cache."""
    content = write_vgg(tmp_path / "tiny.h5", tiny_weights()).read_bytes()
    cache = tmp_path / "cache"
    monkeypatch.setenv("NNSTYLE_CACHE", str(cache))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.asked, server.cache, server.sent = content, [], cache, 0
        server.together = threading.Barrier(2, timeout=PATIENCE)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def know(monkeypatch, server, *hows):
    """Make "tiny" known, at these addresses."""
    monkeypatch.setitem(known.KNOWN, "tiny", tiny_network(server, *hows))


def tiny_network(server, *hows):
    address, digest = f"http://127.0.0.1:{server.server_port}", hashlib.md5(server.content).hexdigest()
    folders = tuple(f"{address}/{how}/" for how in hows)
    return known.Known("tiny.h5", folders, len(server.content), f"md5:{digest}", "none")


def in_cache(server):
    return {path.name: path.read_bytes() for path in server.cache.glob("*")}


def test_it_is_downloaded_once(server, monkeypatch):
    know(monkeypatch, server, "good")
    for _ in range(2):
        loaded = load_weights("tiny")
    assert server.asked == ["good"] and in_cache(server) == {"tiny.h5": server.content}
    for name, arrays in tiny_weights().items():
        assert all(np.array_equal(a, b.astype(np.float32)) for a, b in zip(loaded[name], arrays, strict=True))


@pytest.mark.parametrize("bad", ["missing", "wrong", "cut"])
def test_the_second_address_is_asked_where_the_first_fails(server, monkeypatch, bad):
    know(monkeypatch, server, bad, "good")
    assert download.fetch("tiny").read_bytes() == server.content
    assert server.asked == [bad, "good"] and list(in_cache(server)) == ["tiny.h5"]


@pytest.mark.parametrize(
    ("bad", "words"),
    [("missing", "status 404"), ("wrong", "not the file that it should be"), ("cut", "cut|not the file")],
)
def test_where_all_fail_nothing_stays_and_the_way_out_is_told(server, monkeypatch, bad, words):
    know(monkeypatch, server, bad)
    with pytest.raises(InputError, match=words) as refusal:
        load_weights("tiny")
    assert in_cache(server) == {}
    message = str(refusal.value)
    assert "\n" not in message and "--weights pocket" in message
    assert f"/{bad}/tiny.h5" in message and str(server.cache) in message


@pytest.mark.parametrize("how", ["large", "endless"])
def test_what_is_too_large_is_not_taken(server, monkeypatch, how):
    """Whether the server tells its size or not."""
    know(monkeypatch, server, how)
    with pytest.raises(InputError, match="not the file that it should be"):
        load_weights("tiny")
    assert server.sent < 20_000_000 and in_cache(server) == {}


def test_a_server_need_not_tell_the_size(server, monkeypatch):
    """As where the bytes come in pieces; of a file that is larger than what is taken at once."""
    monkeypatch.setattr(download, "CHUNK", 1000)
    know(monkeypatch, server, "silent")
    assert download.fetch("tiny").read_bytes() == server.content


def test_a_known_file_is_not_tried_in_another_process(server, monkeypatch):
    know(monkeypatch, server, "good")
    monkeypatch.setattr(loading, "try_to_read", lambda path: pytest.fail("it was tried"))
    load_weights("tiny")


def test_without_a_connection(server, monkeypatch):
    know(monkeypatch, server, "good")
    server.shutdown()
    server.server_close()
    with pytest.raises(InputError, match="127.0.0.1:.*: no connection"):
        download.fetch("tiny")


def test_a_file_damaged_in_the_cache_is_fetched_anew(server, monkeypatch):
    know(monkeypatch, server, "good")
    download.fetch("tiny").write_bytes(b"damaged")
    assert download.fetch("tiny").read_bytes() == server.content


def test_a_cache_that_cannot_be_written(server, monkeypatch, unwritable_folder):
    know(monkeypatch, server, "good", "good")
    monkeypatch.setenv("NNSTYLE_CACHE", str(unwritable_folder / "cache"))
    with pytest.raises(InputError, match="cannot be kept in .*NNSTYLE_CACHE"):
        download.fetch("tiny")


def test_certificates_that_are_missing_are_no_fault_of_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NNSTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
    monkeypatch.setitem(
        known.KNOWN, "tiny", known.Known("tiny.h5", ("https://127.0.0.1:1/",), 1, "md5:" + "0" * 32, "none")
    )
    with pytest.raises(InputError, match="tiny cannot be downloaded .*nowhere.pem.* --weights pocket"):
        download.fetch("tiny")


def wait_for_both(barrier):
    barrier.wait(PATIENCE)


def fetch_in_a_process(network):
    known.KNOWN["tiny"] = network
    return download.fetch("tiny").read_bytes()


@pytest.mark.slow
def test_two_processes_at_once(server):
    """Both have started before either downloads, and each waits for the other halfway through the file."""
    network, context = tiny_network(server, "together"), get_context("spawn")
    both = context.Barrier(2)
    with ProcessPoolExecutor(2, context, initializer=wait_for_both, initargs=(both,)) as pool:
        results = list(pool.map(fetch_in_a_process, [network, network]))
    assert results == [server.content] * 2 and in_cache(server) == {"tiny.h5": server.content}
    assert server.asked == ["together"] * 2


def test_the_cache_has_a_place_of_its_own_on_this_platform(monkeypatch):
    monkeypatch.delenv("NNSTYLE_CACHE", raising=False)
    assert download.cache_folder().name == "nnstyle"


def test_the_cache_is_told_in_full(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for given, folder in (("here", tmp_path / "here"), ("~/there", tmp_path / "home" / "there")):
        monkeypatch.setenv("NNSTYLE_CACHE", given)
        assert download.cache_folder() == folder


def test_the_command_fetches_and_lists(server, monkeypatch, capsys):
    know(monkeypatch, server, "good")
    assert main([]) == 0
    before = capsys.readouterr().out
    assert main(["fetch", "tiny"]) == 0
    path = str(server.cache / "tiny.h5")
    assert capsys.readouterr().out == f"tiny: {path}\n"
    assert main([]) == 0
    after = capsys.readouterr().out
    assert f"fetch puts it at {path}" in before and f"is at {path}" in after
    for network in known.KNOWN.values():
        for fact in (f"{network.size:,}", network.checksum, network.licence):
            assert fact in after
