"""Who may ask: this computer's own pages with the token, and nobody else. Without the guard, all of it would be answered."""

import hmac
from pathlib import Path

import pytest

import nnstyle.studio
from tests.studio.conftest import HOST, TOKEN, Client, order_of

HOSTILE = {
    "another host": {"Host": "studio.example:8765"},
    "a host that begins alike": {"Host": "127.0.0.1.example:8765"},
    "a host behind a user": {"Host": "127.0.0.1:8765@studio.example"},
    "two hosts": {"Host": [HOST, HOST]},
    "no host": {"Host": None},
    "another site": {"Origin": "https://studio.example"},
    "a site without a name": {"Origin": "null"},
    "another server of this computer": {"Origin": "http://127.0.0.1:9999"},
    "another scheme": {"Origin": f"https://{HOST}"},
    "another site, as the browser says": {"Sec_Fetch_Site": "cross-site"},
    "another port, as the browser says": {"Sec_Fetch_Site": "same-site"},
    "no cookie": {"Cookie": None},
    "another cookie": {"Cookie": "nnstyle-studio-8765=guessed"},
    "the cookie of another server": {"Cookie": f"nnstyle-studio-9999={TOKEN}"},
    "a cookie that begins alike": {"Cookie": f"nnstyle-studio-8765={TOKEN[:-1]}"},
    "a cookie that is longer": {"Cookie": f"nnstyle-studio-8765={TOKEN}x"},
    "a cookie that is none": {"Cookie": "=;;;\xff"},
}


@pytest.mark.parametrize("headers", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_hostile_request_is_refused_and_would_be_answered_without_the_guard(
    client, studio, method, headers
):
    def answer(who, headers):
        if method == "GET":
            return who.get("/api/state", **headers)
        return who.post("/api/paintings", order_of(studio), **headers)

    assert answer(client, headers).status in (403, 421)
    assert not studio.paintings
    assert answer(client, {}).status in (200, 201)
    if headers != HOSTILE["a cookie that is none"]:  # no server would hand it on
        assert answer(Client(client.app.app), headers).status in (200, 201)


def test_whoever_changes_something_says_where_from(client, studio):
    assert client.post("/api/paintings", order_of(studio), Origin=None).status == 403
    assert client.get("/api/state", Origin=None).status == 200


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "localhost:9000"])
def test_this_computer_has_two_names_and_tunnels_may_have_other_ports(client, host):
    cookie = f"nnstyle-studio-{host.rpartition(':')[2]}={TOKEN}"
    assert client.get("/api/state", Host=host, Origin=f"http://{host}", Cookie=cookie).status == 200


@pytest.mark.parametrize("other", ['set={"a":1}', "a[0]=1", "a=b c", "alone", "a=\xff"])
def test_odd_cookies_of_other_servers_keep_nobody_out(client, other):
    own = client.headers["Cookie"]
    for cookie in (f"{other}; {own}", f"{own}; {other}"):
        assert client.get("/api/state", Cookie=cookie).status == 200
        assert client.get("/api/state", Cookie=cookie.replace(TOKEN, "guessed")).status == 403


# The token


def test_the_address_with_the_token_opens_the_page_and_sets_a_cookie_that_no_script_and_no_other_site_gets(
    client,
):
    answer = client.get(f"/?token={TOKEN}", Cookie=None, Origin=None)
    assert answer.status == 200 and "<h1>nnstyle" in answer.body.decode()
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict"} <= set(attributes)
    assert client.get("/api/state", Cookie=cookie).status == 200
    assert "set-cookie" not in client.get("/").headers


@pytest.mark.parametrize("query", ["", "?token=", "?token=x", f"?token={TOKEN}&token={TOKEN}", "?token=%ff"])
def test_another_token_opens_nothing(client, query):
    answer = client.get(f"/{query}", Cookie=None, Origin=None)
    assert answer.status == 403 and "address that the server printed" in answer.body.decode()
    assert "set-cookie" not in answer.headers


def test_the_token_opens_the_page_alone(client):
    assert client.get(f"/api/state?token={TOKEN}", Cookie=None).status == 403
    assert client.get(f"/static/studio.js?token={TOKEN}", Cookie=None).status == 403


def test_a_link_to_the_page_may_stand_on_another_site_but_no_picture_of_it(client):
    cross = {"Cookie": None, "Origin": None, "Sec_Fetch_Site": "cross-site"}
    assert client.get(f"/?token={TOKEN}", Sec_Fetch_Mode="navigate", **cross).status == 200
    assert client.get(f"/?token={TOKEN}", Sec_Fetch_Mode="no-cors", **cross).status == 403
    assert client.get("/", Sec_Fetch_Mode="navigate", **cross).status == 403
    assert (
        client.get(
            "/api/state", Sec_Fetch_Mode="navigate", **cross | {"Cookie": client.headers["Cookie"]}
        ).status
        == 403
    )


def test_tokens_are_compared_in_constant_time(client, monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(
        "nnstyle.studio.guard.hmac.compare_digest", lambda *pair: compared.append(pair) or real(*pair)
    )
    client.get("/api/state", Cookie="nnstyle-studio-8765=guessed")
    client.get("/?token=guessed", Cookie=None)
    assert compared == [(b"guessed", TOKEN.encode())] * 2


def test_each_start_has_its_own_token():
    pytest.importorskip("starlette")
    from nnstyle.studio.guard import new_token

    tokens = {new_token() for _ in range(50)}
    assert len(tokens) == 50 and min(map(len, tokens)) >= 43  # 32 bytes in base64


# What every answer says to the browser


@pytest.mark.parametrize(
    "path", ["/", "/static/studio.js", "/api/state", "/api/paintings/9/small", "/nothing"]
)
def test_a_page_loads_nothing_from_elsewhere_and_stands_in_no_frame(client, path):
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_refusal_has_these_headers_too_and_other_applications_have_not(client):
    assert "content-security-policy" in client.get("/", Cookie=None).headers
    assert "content-security-policy" not in Client(client.app.app).get("/").headers


def test_the_files_of_the_page_name_no_other_site():
    for path in Path(nnstyle.studio.__file__).with_name("static").iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text and "https:" not in text and 'src="//' not in text, path.name
        assert " style=" not in text and "onclick=" not in text and "<script>" not in text


def test_a_websocket_is_refused(client):
    import asyncio

    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(client.app({"type": "websocket", "path": "/", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
