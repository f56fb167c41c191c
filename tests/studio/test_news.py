"""What an open page is told: all that there is, then what changes, and nothing is kept for pages that read slowly."""

import asyncio
import json

import pytest

from nnstyle.checkpoint import Record
from nnstyle.settings import Settings
from nnstyle.studio.order import Order
from nnstyle.studio.painting import row_of
from tests.studio.conftest import order_of, wait_for

app = pytest.importorskip("nnstyle.studio.app")


def parsed(text):
    """(kind, data) of a server-sent event."""
    kind, data = text.strip().split("\n")
    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def first(studio, count):
    """So many pieces of news, as one page gets them."""
    found, stream = [], app.news(studio)
    async for text in stream:
        found.append(parsed(text))
        if len(found) == count:
            break
    await stream.aclose()
    return found


def test_a_page_that_opens_gets_the_list_and_then_only_what_changes(studio):
    for _ in range(2):
        studio.order(Order.parse(order_of(studio)))
    seen = app.Seen()
    ((kind, news),) = seen.news(studio)
    assert kind == "list" and news["numbers"] == news["line"] == [1, 2] and len(news["changed"]) == 2
    assert seen.news(studio) == []
    studio.stop(2)
    studio.order(Order.parse(order_of(studio, colour="match")))
    ((_, news),) = seen.news(studio)
    assert news["numbers"] == [1, 3] and [one["order"]["colour"] for one in news["changed"]] == ["match"]


def test_two_pages_get_the_same_losses_whatever_their_pace(studio):
    quick, slow, found = app.Seen(), app.Seen(), []
    studio.start()
    painting = studio.order(Order.parse(order_of(studio, iterations=20)))
    while not painting.is_settled():
        with studio.lock:
            found += [data for kind, data in quick.news(studio) if kind == "progress"]
            late = [data for kind, data in slow.news(studio) if kind == "progress"] if len(found) == 3 else []
        if late:
            assert late[0]["first"] == 0 and len(late[0]["records"]) >= len(found)
    rows = [row for data in found for row in data["records"]]
    assert rows == painting.records[: len(rows)] and all(
        data["left"] is None or data["left"] >= 0 for data in found
    )
    wait_for(lambda: studio.now is None)


def test_a_stream_ends_with_the_studio_and_nobody_watches_any_more(studio):
    async def watch():
        task = asyncio.ensure_future(first(studio, 99))
        while not studio.watchers:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(studio.close)
        assert not await asyncio.wait_for(asyncio.shield(_ended(task)), 10)
        return task.result()

    async def _ended(task):
        await task

    found = asyncio.run(watch())
    assert [kind for kind, _ in found] == ["list", "closing"] and not studio.watchers


def test_there_are_so_many_streams_and_no_more(client, studio, monkeypatch):
    monkeypatch.setattr(app, "MOST_WATCHERS", 2)
    with studio.watched_by(lambda: 1), studio.watched_by(lambda: 2):
        assert client.get("/api/events").status == 503
    studio.close()
    assert client.get("/api/events").status == 200  # a stream that ends at once


def test_what_is_not_finite_is_no_json_and_is_not_told():
    settings = Settings()
    assert row_of(Record(1, 64, float("inf"), {"content": float("nan")}, 0.0), settings)[2:] == [
        0.0,
        0.0,
        0.0,
    ]
    assert row_of(Record(1, 64, 3.0, {"content": 1.0}, 0.0), settings)[2:] == [1.0, 2.0, 3.0]


# Other requests


def test_what_the_page_may_do(client, studio):
    number = client.post("/api/paintings", order_of(studio)).json["number"]
    address = f"/api/paintings/{number}"
    assert client.get(f"{address}/picture").status == client.get(f"{address}/small").status == 404
    assert client.post(f"{address}/weight", {"beta_per_pixel": 3}).status == 409  # it waits
    assert client.ask("DELETE", address).status == 409
    studio.start()
    wait_for(studio.paintings[number].is_settled)
    picture = client.get(f"{address}/picture")
    assert picture.body == studio.folder.output(number).read_bytes()
    assert picture.headers["content-disposition"] == 'attachment; filename="content-style.png"'
    assert client.get(f"{address}/small").body[:4] == b"RIFF"
    assert len(client.get(f"{address}/losses").json) == 3
    assert client.post(f"{address}/stop", {}).status == 409
    assert client.post(f"{address}/more", {}).json == {"ordered": [2, 3]}
    assert client.ask("DELETE", address).status == 200
    assert client.get(f"{address}/picture").status == 404


@pytest.mark.parametrize(
    "data", [{}, [], {"beta_per_pixel": "7"}, {"beta_per_pixel": True}, b"NaN", b'{"beta_per_pixel": NaN}']
)
def test_a_weight_is_a_number(client, studio, data):
    client.post("/api/paintings", order_of(studio))
    assert client.post("/api/paintings/1/weight", data).status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 20_000, b"\xff"])
def test_what_is_no_json_gets_one_line(client, body):
    answer = client.post("/api/paintings", body)
    assert answer.status == 400 and "no JSON" in answer.error


def test_a_form_of_another_site_cannot_send_json(client, studio):
    assert client.post("/api/paintings", order_of(studio), Content_Type="text/plain").status == 400
    assert client.post("/api/paintings", order_of(studio)).status == 201


def test_an_unknown_action_is_none(client, studio):
    client.post("/api/paintings", order_of(studio))
    assert client.post("/api/paintings/1/explode", {}).status == 404
