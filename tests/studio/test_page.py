"""The page in a real browser: from drop to download by mouse and by keyboard alone, at all widths, in light and in dark."""

import contextlib
import http.server
import threading

import pytest
from PIL import Image

from nnstyle.cli.like import SAMPLES
from nnstyle.pictures import stored_settings
from tests.studio.conftest import picture_file
from tests.support import browser
from tests.support.patience import PATIENCE
from tests.support.pictures import bomb
from tests.support.served import AXE, drop, served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chromium():
    """A running browser, to which studio.example is this computer."""
    api = pytest.importorskip("playwright.sync_api")
    pytest.importorskip("axe_playwright_python")
    pytest.importorskip("uvicorn")
    if not browser.chromium():
        pytest.skip("there is no Chromium")
    rules = "--host-resolver-rules=MAP studio.example 127.0.0.1"
    with api.sync_playwright() as playwright, browser.launched(playwright, rules) as launched:
        yield launched


@pytest.fixture(scope="module")
def server(chromium, tmp_path_factory):
    """A server that most tests share."""
    with served(tmp_path_factory.mktemp("shared")) as server:
        yield server


@contextlib.contextmanager
def opened(chromium, server, expected_errors=(), **how):
    """A page in a window of its own. Nothing may go wrong in it but what is expected."""
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}} | how)
    context.set_default_timeout(PATIENCE * 1000)  # milliseconds
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto(server.address)
    page.locator("#photo-thumb").wait_for()
    yield page
    context.close()
    assert [line for line in wrong if not any(part in line for part in expected_errors)] == []


@pytest.fixture
def page(chromium, server):
    with opened(chromium, server) as page:
        yield page


def ask_for(page, size=64, iterations=4):
    page.get_by_label("Size in pixels").fill(str(size))
    page.get_by_label("Iterations", exact=True).fill(str(iterations))


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def paint(page):
    """Press Paint, and wait until the new picture is on the stage; return its number."""
    before = page.locator("#subtitle").inner_text()
    button(page, "Paint").click()
    return wait_for_another(page, before)


def wait_for_another(page, before):
    page.wait_for_function(
        "before => !['', before].includes(document.getElementById('subtitle').textContent)", arg=before
    )
    return number_on_stage(page)


def wait_until_finished(page):
    page.locator("#status", has_text="Finished after").wait_for()


def number_on_stage(page):
    return int(page.locator("#subtitle").inner_text().removeprefix("Picture "))


def downloaded(page, act, path):
    with page.expect_download() as waiting:
        act()
    waiting.value.save_as(path)
    return waiting.value.suggested_filename


# The way


def test_from_drop_to_download(page, tmp_path):
    drop(page, "photo-drop", "holiday.png", picture_file(40, 56, 1))
    page.locator("#photo-name", has_text="holiday.png").wait_for()
    drop(page, "paintings-drop", "waves.png", picture_file(60, 44, 2))
    page.locator("#paintings", has_text="waves.png").wait_for()
    assert "style.jpg" not in page.locator("#paintings").inner_text()  # the sample has made room
    drop(page, "paintings-drop", "dunes.png", picture_file(60, 44, 4))
    page.get_by_label("Share of dunes.png").wait_for()
    page.get_by_label("Share of waves.png").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.get_by_label("Style weight", exact=True).fill("1")
    page.get_by_label("Colours").select_option("luminance")
    ask_for(page, 64, 5)
    paint(page)
    assert page.locator("#stage-title").inner_text() == "holiday.png in the style of waves.png and dunes.png"
    wait_until_finished(page)
    page.locator("#losses svg[role=img]").wait_for()
    assert {"iteration", "loss, times its weight", "content", "style"} <= set(
        page.locator("#curves text").all_text_contents()
    )
    name = downloaded(page, page.get_by_role("link", name="Download").click, tmp_path / "x.png")
    assert name == "holiday-waves-and-1-more.png"
    stored = stored_settings(tmp_path / "x.png")
    assert (stored["content"], stored["style"]) == ("holiday.png", ["waves.png", "dunes.png"])
    assert (stored["style_weights"], stored["iterations"]) == ([7, 5], 5)
    assert stored["colour"] == "luminance"
    assert stored["beta"] == pytest.approx(2 * 1000 * (64 + 64) * (46 + 64))


def tab_to(page, wanted, most=60):
    """Press Tab until an element has the focus; whatever has it on the way must show it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if page.evaluate("document.activeElement === document.body"):
            continue
        assert outline != "none", page.evaluate("document.activeElement.outerHTML")
        if wanted.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"no Tab leads to {wanted}")


def test_from_choosing_to_download_by_keyboard_alone(page, tmp_path):
    (tmp_path / "garden.png").write_bytes(picture_file(48, 64, 3))
    with page.expect_file_chooser() as waiting:  # from now on: the browser is told of it meanwhile
        tab_to(page, button(page, "Choose a photograph"))
        page.keyboard.press("Space")
    waiting.value.set_files(tmp_path / "garden.png")
    page.locator("#photo-name", has_text="garden.png").wait_for()
    tab_to(page, page.get_by_label("Style weight", exact=True))
    page.keyboard.press("ArrowRight")
    assert page.locator("#style-weight-value").inner_text() == "1.41 × the usual"
    tab_to(page, page.get_by_label("Size in pixels"))
    page.keyboard.type("64")  # a number that has been tabbed to is selected
    tab_to(page, page.get_by_label("Iterations", exact=True))
    page.keyboard.type("4")
    tab_to(page, button(page, "Paint a mask"))
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    tab_to(page, button(page, "Use this mask"))
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.id") == "mask-open"
    tab_to(page, button(page, "Paint"))
    before = page.locator("#subtitle").inner_text()
    page.keyboard.press("Enter")
    wait_for_another(page, before)
    wait_until_finished(page)
    split = page.get_by_label("Compare with the photograph")
    tab_to(page, split)
    page.keyboard.press("End")
    assert split.get_attribute("aria-valuetext") == "the photograph"
    tab_to(page, page.get_by_role("link", name="Download"))
    downloaded(page, lambda: page.keyboard.press("Enter"), tmp_path / "x.png")
    stored = stored_settings(tmp_path / "x.png")
    assert stored["content"] == "garden.png" and stored["size"] == 64 and all(stored["mask_sha256"])
    assert stored["beta"] == pytest.approx(2**0.5 * 1000 * (64 + 64) * (48 + 64))


def test_an_element_whose_focus_is_not_seen_is_found(page):
    with pytest.raises(AssertionError, match="colour"):
        page.evaluate("document.styleSheets[0].insertRule('#colour { outline: none !important }', 0)")
        tab_to(page, button(page, "Paint"))


def test_a_mask_is_drawn_with_the_mouse_and_says_where_the_photograph_stays(page, tmp_path):
    button(page, "Paint a mask").click()
    button(page, "Use this mask").click()
    page.locator("#mask-error", has_text="Nothing is drawn yet").wait_for()
    box = page.locator("#mask").bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + box["height"] - 10, steps=4)
    page.mouse.up()
    assert page.locator("#mask-error").inner_text() == ""
    button(page, "Use this mask").click()
    page.get_by_role("dialog").wait_for(state="hidden")
    ask_for(page)
    paint(page)
    wait_until_finished(page)
    downloaded(page, page.get_by_role("link", name="Download").click, tmp_path / "x.png")
    button(page, "Remove the mask").click()
    assert page.locator("#mask-state").inner_text() == "The whole picture is painted."
    with Image.open(tmp_path / "x.png") as picture, Image.open(SAMPLES / "content.jpg") as photo:
        same = photo.convert("RGB").resize(picture.size, Image.Resampling.LANCZOS)
        right, left = (60, 20), (16, 20)
        assert picture.getpixel(right) == same.getpixel(right)
        assert picture.getpixel(left) != same.getpixel(left)


def test_the_edge_follows_the_mouse(page):
    ask_for(page)
    paint(page)
    wait_until_finished(page)
    box = page.locator("#frame").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.up()
    page.mouse.move(box["x"] + 5, box["y"] + 60)
    assert abs(int(page.get_by_label("Compare with the photograph").input_value()) - 50) <= 1
    assert page.locator("#edge").is_visible()


# Steering


def test_stop_go_on_and_another_weight(page):
    ask_for(page, 64, 2000)
    paint(page)
    page.locator("#status", has_text="Iteration").wait_for()
    first = number_on_stage(page)
    button(page, "Stop").press("Enter")
    page.locator("#status", has_text="Stopped after").wait_for()
    assert page.evaluate("document.activeElement.id") == "stage-title"  # the button is gone
    button(page, "Go on").click()
    page.locator("#status", has_text="Iteration").wait_for()
    page.get_by_label("Change the style weight").fill("-1")
    assert page.locator("#live-weight-value").inner_text() == "0.5 × the usual"
    button(page, "Change it").click()
    page.locator("#why", has_text=f"from picture {first} as it was").wait_for()
    assert number_on_stage(page) == first + 1
    page.locator("#status", has_text="Iteration").wait_for()
    button(page, "Stop").click()
    page.locator("#status", has_text="Stopped after").wait_for()
    button(page, "Delete").wait_for()
    page.once("dialog", lambda dialog: dialog.accept())
    button(page, "Delete").click()
    page.get_by_role("button", name=f"Show picture {first + 1}:").wait_for(state="detached")


def test_again_and_more_like_this(page):
    page.get_by_label("Style scale").fill("0.5")
    page.get_by_label("Initial image", exact=True).select_option("noise")
    page.get_by_label("Seed of the noise").fill("5")
    ask_for(page, 64, 3)
    paint(page)
    wait_until_finished(page)
    number = number_on_stage(page)
    page.reload()
    page.locator("#photo-thumb").wait_for()
    assert page.get_by_label("Seed of the noise").input_value() == "5"  # a form outlives its page
    page.get_by_label("Seed of the noise").fill("9")
    ask_for(page, 512, 150)
    page.get_by_role("button", name=f"Again: picture {number}").click()
    values = [
        page.locator(f"#{name}").input_value()
        for name in ("seed", "size", "iterations", "style-scale", "init")
    ]
    assert values == ["5", "64", "3", "0.5", "noise"]
    page.get_by_role("button", name=f"More like this: picture {number}").click()
    texts = page.locator("#list .how")
    page.locator("#list .how", has_text="seed 6").wait_for()
    assert [text.partition(",")[2].split(",")[0] for text in texts.all_inner_texts()[:3]] == [
        " style weight 1\u00a0×",
        " style weight 2\u00a0×",
        " style weight 0.5\u00a0×",
    ]
    page.locator("#list li", has_text=f"{number + 3}, finished").wait_for()


def test_the_seed_is_shown_where_there_may_be_noise(page):
    seed = page.get_by_label("Seed of the noise")
    for init, is_shown in (("recoloured", True), ("content", True), ("noise", True), ("style", False)):
        page.get_by_label("Initial image", exact=True).select_option(init)
        assert seed.is_visible() == is_shown
    page.get_by_label("Initial image", exact=True).select_option("recoloured")
    seed.fill("7")
    ask_for(page, 64, 3)
    paint(page)
    wait_until_finished(page)
    page.locator("#list .how", has_text="seed 7").wait_for()


def test_one_waits_in_line_and_is_taken_out_of_it(page):
    ask_for(page, 64, 2000)
    paint(page)
    page.locator("#status", has_text="Iteration").wait_for()
    paint(page)
    page.locator("#status", has_text="Number 1 in line").wait_for()
    number = number_on_stage(page)
    button(page, "Take out of the line").click()
    page.locator("#announcement", has_text=f"Picture {number} is out of the line.").wait_for()
    page.get_by_role("button", name=f"Show picture {number}:").wait_for(state="detached")
    page.get_by_role("button", name=f"Show picture {number - 1}:").click()
    button(page, "Stop").click()
    page.locator("#status", has_text="Stopped after").wait_for()


def test_two_pages_and_none(chromium, server):
    with opened(chromium, server) as one, opened(chromium, server) as other:
        ask_for(one, 64, 2000)
        paint(one)
        one.locator("#status", has_text="Iteration").wait_for()
        number = number_on_stage(one)
        other.get_by_role("button", name=f"Show picture {number}:").click()
        other.locator("#status", has_text="Iteration").wait_for()
    with opened(chromium, server) as third:  # nobody has watched meanwhile, and it goes on
        third.locator("#subtitle", has_text=f"Picture {number}").wait_for()
        button(third, "Stop").click()
        third.locator("#status", has_text="Stopped after").wait_for()


def test_a_server_that_is_killed_and_started_again(chromium, tmp_path):
    lost = ("Failed to load resource", "net::ERR")
    with served(tmp_path, "--checkpoint", "0.2") as server, opened(chromium, server, lost) as page:
        ask_for(page, 64, 2000)
        paint(page)
        page.locator("#status", has_text="Iteration").wait_for()
        while not (tmp_path / "nnstyle-studio/0001.png.nnstyle").exists():
            page.wait_for_timeout(50)
        server.process.kill()
        page.locator("#connection", has_text="Not connected").wait_for()
        button(page, "Paint").click()
        page.locator("#form-error", has_text="does not answer").wait_for()
        server.process.communicate()
        with served(tmp_path, port=server.port) as again:
            page.locator("#connection", has_text="open the address").wait_for()  # it has another token
            page.goto(again.address)
            page.locator("#why", has_text="The server ended while it was being painted").wait_for()
            assert page.locator("#picture").evaluate("one => one.decode().then(() => one.naturalWidth)") > 32
            button(page, "Go on").click()
            page.locator("#status", has_text="Iteration").wait_for()
            again.process.terminate()
            page.locator("#connection", has_text="The server has ended").wait_for()
            again.process.communicate()


# What may be sent


def test_hostile_files_get_one_line_each_and_the_page_stays_as_it_was(page, chromium, server, tmp_path):
    with opened(chromium, server, ["400 (Bad Request)"]) as page:
        before = page.locator("#photo-name").inner_text()
        for name, data, words in (
            ("bomb.png", bomb(), "million pixels"),
            ("notes.txt", b"a text", "not a picture"),
            ("empty.png", b"", "not a picture"),
            ("torn.png", picture_file()[:300], "damaged"),
        ):
            drop(page, "photo-drop", name, data)
            page.locator("#form-error", has_text=words).wait_for()
            assert page.locator("#form-error").inner_text().startswith(f"{name}: ")
            assert page.locator("#photo-name").inner_text() == before
        files = ("one.txt", b"a text"), ("good.png", picture_file(40, 56, 8)), ("two.txt", b"a text")
        page.locator("#painting-file").set_input_files(
            [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
        )
        page.locator("#form-error", has_text="two.txt").wait_for()
        assert "one.txt" in page.locator("#form-error").inner_text()
        page.locator("#paintings", has_text="good.png").wait_for()
        name = "<img src=x onerror=document.title='run'>.png"
        drop(page, "photo-drop", f"../../{name}", picture_file(40, 56, 9))
        page.locator("#photo-name", has_text=name).wait_for()
        ask_for(page)
        paint(page)
        wait_until_finished(page)
        assert page.locator("#stage-title").inner_text().startswith(name)
        assert page.title() != "run" and page.locator("img[src=x]").count() == 0


VIOLATIONS = """() => new Promise(resolve => {
  const found = [];
  document.addEventListener("securitypolicyviolation", event => {
    found.push(event.effectiveDirective);
    if (found.length === 3) resolve(found);
  });
  for (const fill of [one => { one.textContent = "window.hasRun = true"; }, one => { one.src = "http://127.0.0.1:9/x.js"; }]) {
    const script = document.createElement("script");
    fill(script);
    document.body.append(script);
  }
  const image = document.createElement("img");
  image.src = "http://127.0.0.1:9/x.png";
  document.body.append(image);
})"""


def test_the_browser_keeps_to_what_the_page_may_load(chromium, server):
    with opened(chromium, server, ["Content Security Policy"]) as page:
        found = page.evaluate(VIOLATIONS)
        assert sorted(found) == ["img-src", "script-src-elem", "script-src-elem"]
        assert page.evaluate("window.hasRun") is None
        page.goto("about:blank")  # where no policy is, the script runs
        page.evaluate(
            "() => { const one = document.createElement('script');"
            " one.textContent = 'window.hasRun = true'; document.body.append(one) }"
        )
        assert page.evaluate("window.hasRun") is True


TRIED = """async studio => {
  const found = {};
  const json = {"Content-Type": "application/json"};
  for (const [name, how] of Object.entries({
    read: [studio + "/api/state", {credentials: "include"}],
    stop: [studio + "/api/paintings/999/stop", {method: "POST", mode: "no-cors", credentials: "include", body: "{}"}],
    order: [studio + "/api/paintings", {method: "POST", credentials: "include", body: "{}", headers: json}],
  })) {
    try { found[name] = (await fetch(...how)).status; } catch { found[name] = "refused"; }
  }
  const picture = new Image();
  picture.src = studio + "/static/icon.svg";
  found.picture = await picture.decode().then(() => "seen", () => "refused");
  return found;
}"""


class OtherSite(http.server.BaseHTTPRequestHandler):
    """Another server of this computer: the browser sends it the cookies of all of them."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>another site</title><iframe></iframe>")

    def log_message(self, *arguments):
        pass


def test_another_site_in_the_same_browser_learns_and_changes_nothing(chromium, server):
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OtherSite)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    expected = ["CORS", "Failed to load resource", "frame", "Framing"]
    studio = f"http://127.0.0.1:{server.port}"
    try:
        with opened(chromium, server, expected) as page:
            assert page.evaluate(TRIED, studio) == {"read": 200, "stop": 400, "order": 400, "picture": "seen"}
            page.goto(f"http://127.0.0.1:{site.server_port}/")
            assert set(page.evaluate(TRIED, studio).values()) == {"refused"}
            page.evaluate("address => { document.querySelector('iframe').src = address }", server.address)
            page.wait_for_timeout(500)
            assert not any(frame.locator("#photo-thumb").count() for frame in page.frames)
    finally:
        site.shutdown()
        site.server_close()


def test_another_name_for_this_computer_opens_nothing(chromium, server):
    page = chromium.new_context().new_page()
    answer = page.goto(server.address.replace("127.0.0.1", "studio.example"))
    assert answer.status == 421
    assert page.goto(server.address.replace("127.0.0.1", "localhost")).status == 200
    page.context.close()


# What everybody can read and use


def problems(page):
    """What is wrong with the page as it is now, at each width, in light and in dark."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(browser.axe())
    yield from browser.problems_of_layout(page)
    for width in browser.WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in browser.THEMES:
            page.emulate_media(color_scheme=theme)
            for found in page.evaluate(AXE):
                yield f"{width} px, {theme}: {found}"
            for found in page.evaluate(browser.DRAWN_TEXT):
                yield f"{width} px, {theme}, in a drawing: {found}"


def test_every_state_of_the_page_can_be_read_and_used(chromium, tmp_path):
    with served(tmp_path) as server, opened(chromium, server) as page:
        assert not [f"first visit: {found}" for found in problems(page)]
        page.set_viewport_size({"width": 1280, "height": 900})
        button(page, "Paint a mask").click()
        page.get_by_role("dialog").wait_for()
        assert not [f"mask: {found}" for found in problems(page)]
        page.set_viewport_size({"width": 1280, "height": 900})
        button(page, "Cancel").click()
        drop(page, "paintings-drop", "a.png", picture_file(60, 44, 2))
        drop(page, "paintings-drop", "b.png", picture_file(60, 44, 3))
        page.locator("#paintings", has_text="b.png").wait_for()
        ask_for(page, 64, 2000)
        paint(page)
        page.locator("#losses").wait_for()
        paint(page)
        page.get_by_role("button", name="Show picture 1:").click()
        page.get_by_text("Settings", exact=True).click()
        page.get_by_label("Compare with the photograph").fill("40")
        assert not [f"being painted: {found}" for found in problems(page)]


def test_what_cannot_be_read_or_used_is_found(page):
    page.evaluate(browser.axe())
    page.evaluate(
        "() => { document.querySelector('label[for=colour]').remove();"
        " document.styleSheets[0].insertRule('#photo-name { color: #bbb !important }', 0) }"
    )
    page.emulate_media(color_scheme="light")
    rules = {found.partition(":")[0] for found in page.evaluate(AXE)}
    assert rules == {"select-name", "color-contrast"}
