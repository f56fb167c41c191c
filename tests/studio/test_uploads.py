"""Pictures that are given: bounded in bytes and pixels before they are decoded, and their names never become paths."""

import re

import pytest

import nnstyle.pictures.decode
import nnstyle.studio.folder
from nnstyle import InputError
from nnstyle.studio.folder import MOST_LETTERS, Folder, label
from tests.studio.conftest import order_of, picture_file
from tests.support.pictures import bomb

KNOWN_FILES = re.compile(
    r"\.lock|[0-9]{4,9}\.(json|png|webp|png\.nnstyle)|inputs|inputs/[0-9a-f]{64}(\.json|-small\.webp|\.png|\.jpg|)"
)


def give(client, data, name="photo.png", **headers):
    return client.ask("POST", f"/api/pictures?name={name}", [data], **headers)


def strange_files(path):
    """Whatever lies in a folder and has no name of the studio's own making."""
    for file in path.rglob("*"):
        name = file.relative_to(path).as_posix()
        if not KNOWN_FILES.fullmatch(name):
            yield name


def test_a_picture_that_is_given_can_be_seen(client, studio):
    answer = give(client, picture_file(), "My%20photo.png")
    assert answer.status == 201 and answer.json["name"] == "My photo.png"
    small = client.get(f"/api/pictures/{answer.json['id']}")
    assert small.status == 200 and small.body[:4] == b"RIFF"
    assert answer.json in client.get("/api/state").json["pictures"]


def test_the_same_file_is_kept_once(client, studio):
    ids = {give(client, picture_file(), name).json["id"] for name in ("a.png", "b.png")}
    assert len(ids) == 1 and len(studio.folder.pictures) == 3


# Bytes


@pytest.fixture
def limit(monkeypatch):
    """Files may have 10,000 bytes."""
    pytest.importorskip("starlette")
    monkeypatch.setattr("nnstyle.studio.app.MOST_UPLOAD", 10_000)


PARTS = [bytes(1000)] * 200


def test_a_body_that_is_too_large_is_not_read_to_its_end_whatever_it_says(client, studio, limit):
    answer = client.ask("POST", "/api/pictures", PARTS)
    assert answer.status == 413 and answer.read == 11
    answer = client.ask("POST", "/api/pictures", PARTS, Content_Length="1000")
    assert answer.status == 413 and answer.read == 11
    assert len(studio.folder.pictures) == 2


@pytest.mark.parametrize("length", ["10001", "999999999999999999999", "-1", "1e3", "x", "²"])
def test_a_body_that_says_that_it_is_too_large_is_not_read(client, limit, length):
    answer = client.ask("POST", "/api/pictures", PARTS, Content_Length=length)
    assert answer.status == 413 and answer.read == 0


def test_without_the_limit_all_of_it_would_be_read(client):
    answer = client.ask("POST", "/api/pictures", PARTS)
    assert answer.status == 400 and answer.read == 200  # it is no picture


def test_other_requests_are_bounded_too(client, studio):
    from nnstyle.studio.app import MOST_JSON

    padding = b" " * MOST_JSON
    assert client.post("/api/paintings", padding + b"{}").status == 413
    assert client.post("/api/paintings", b"{}").status == 400


# Pixels


def test_a_bomb_is_refused_before_it_is_decoded(client, studio, monkeypatch):
    decoded = []
    real = nnstyle.pictures.decode.to_rgb
    monkeypatch.setattr("nnstyle.pictures.decode.to_rgb", lambda image: decoded.append(image) or real(image))
    answer = give(client, bomb())
    assert answer.status == 400 and "million pixels" in answer.error and decoded == []
    give(client, picture_file())  # what can be decoded would be noticed
    assert len(decoded) == 1


@pytest.mark.parametrize("last", [1, 2, 3])
def test_at_a_full_disk_nothing_of_a_picture_is_left(client, studio, monkeypatch, last):
    before, written, real = sorted(studio.folder.path.rglob("*")), [], nnstyle.studio.folder.write_over

    def write(path, data):
        written.append(path)
        if len(written) == last:
            raise OSError(28, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(nnstyle.studio.folder, "write_over", write)
    answer = give(client, picture_file(seed=9))
    assert answer.status == 507 and "No space left" in answer.error
    assert len(written) == last and sorted(studio.folder.path.rglob("*")) == before
    assert give(client, picture_file(seed=9)).status == 201


@pytest.mark.parametrize(
    "data",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS", picture_file()[:200], b"\x89PNG" * 50],
)
def test_what_is_no_picture_gets_one_line_and_leaves_nothing(client, studio, data):
    before = sorted(studio.folder.path.rglob("*"))
    answer = give(client, data)
    assert answer.status == 400 and "\n" not in answer.error and answer.error
    assert sorted(studio.folder.path.rglob("*")) == before


# Names

NAMES = [
    "../../escaped.png",
    "/etc/passwd",
    "..\\..\\escaped.png",
    ".lock",
    "0001.json",
    "a\0b",
    "\n\u202e",
    "x" * 5000,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_and_never_a_path(client, studio, name):
    from urllib.parse import quote

    answer = give(client, picture_file(seed=len(name)), quote(name))
    shown = answer.json["name"]
    assert answer.status == 201 and shown == label(name)
    assert "/" not in shown and "\\" not in shown and shown.isprintable() and 0 < len(shown) <= 80
    assert not list(strange_files(studio.folder.path))
    assert {path.name for path in studio.folder.path.parent.iterdir()} == {"studio"}
    assert client.post("/api/paintings", order_of(studio, content=answer.json["id"])).status == 201


def test_a_file_of_a_strange_name_is_found(studio):
    (studio.folder.inputs / "photo.png").write_bytes(b"")
    assert list(strange_files(studio.folder.path)) == ["inputs/photo.png"]


# Ids

IDS = [
    "..",
    "../0001.json",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cx",
    "0" * 64,
    "A" * 64,
    "x%00",
    "-1",
    "1e0",
    "%D9%A1",
    "9" * 30,
]


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize(
    "address", ["pictures/{}", "paintings/{}/small", "paintings/{}/picture", "paintings/{}/losses"]
)
def test_a_hostile_id_leads_nowhere(client, studio, id, address):
    assert client.get(f"/api/{address.format(id)}").status == 404


def test_a_good_id_leads_somewhere(client, studio):
    client.post("/api/paintings", order_of(studio))
    assert client.get("/api/paintings/1/losses").json == []
    assert client.get(f"/api/pictures/{studio.samples[0].id}").status == 200


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/..%2fapp.py"]
)
def test_only_the_page_s_own_files_are_handed_out(client, path):
    assert client.get(path).status == 404
    assert client.get("/static/studio.css").status == 200


# The folder


def test_there_is_room_for_so_many_and_those_that_are_needed_stay(client, studio, monkeypatch):
    monkeypatch.setattr("nnstyle.studio.folder.MOST_PICTURES", 4)
    first, second, third = (give(client, picture_file(seed=seed)).json["id"] for seed in (1, 2, 3))
    samples = {picture.id for picture in studio.samples}
    assert set(studio.folder.pictures) == samples | {second, third}
    assert not list(studio.folder.inputs.glob(f"{first}*"))
    for id in (second, third):
        assert client.post("/api/paintings", order_of(studio, content=id)).status == 201
    answer = give(client, picture_file(seed=4))
    assert answer.status == 400 and "too many pictures" in answer.error


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b'{"name": 1}', b"[" * 5000, b" " * (MOST_LETTERS + 1)]
)
def test_a_damaged_file_of_the_folder_is_passed_over(make_studio, damage):
    studio = make_studio()
    path = studio.give(picture_file(), "photo.png").path
    path.with_suffix(".json").write_bytes(damage)
    (studio.folder.path / "0007.json").write_bytes(damage)
    again = make_studio()
    assert len(again.folder.pictures) == 2 and again.paintings == {}


def test_a_name_in_a_file_of_the_folder_leads_nowhere_either(make_studio):
    studio = make_studio()
    about = studio.give(picture_file(), "photo.png").path.with_suffix(".json")
    about.write_text('{"name": "../../x", "ending": "/../../../etc/passwd"}')
    assert len(make_studio().folder.pictures) == 2  # there is no such file
    about.write_text('{"name": "../../x", "ending": ".png"}')
    assert {picture.name for picture in make_studio().folder.pictures.values()} >= {"x"}


def test_a_folder_belongs_to_one_studio(studio):
    with pytest.raises(InputError, match="another studio uses"):
        Folder(studio.folder.path)
    studio.close()
    Folder(studio.folder.path).close()


def test_a_folder_that_cannot_be_is_one_line(tmp_path, unwritable_folder):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", unwritable_folder / "x", "a\0b"):
        with pytest.raises(InputError, match="cannot be used"):
            Folder(path)
