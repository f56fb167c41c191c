"""Pages as a reader sees them: Chromium without a window, driven by playwright."""

import contextlib
import os
import shutil
from pathlib import Path

WIDTHS = {390: "a telephone", 1280: "a laptop"}
THEMES = "light", "dark"

# Elements that stick out to the right of the window, and that no box of their own lets one scroll to.
CUT_OFF = """() => {
  const edge = document.documentElement.clientWidth + 1;
  const scrolls = element => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  const found = [];
  for (const element of document.querySelectorAll("main *, article *, body > *")) {
    const box = element.getBoundingClientRect();
    if (box.right <= edge || box.width < 2 || box.height < 2) continue;
    let outer = element.parentElement;
    while (outer && !scrolls(outer)) outer = outer.parentElement;
    const style = getComputedStyle(element);
    if (outer && outer !== document.documentElement && outer !== document.body) continue;
    if (style.visibility === "hidden" || style.position === "fixed") continue;
    found.push(element.outerHTML.slice(0, 120));
  }
  return found.slice(0, 3);
}"""

MISSING_PICTURES = """async () => {
  const pictures = [...document.images];
  for (const picture of pictures) picture.loading = "eager";
  await Promise.all(pictures.map(picture => picture.decode().catch(() => null)));
  return pictures.filter(picture => picture.naturalWidth === 0).map(picture => picture.currentSrc || picture.src);
}"""

# axe takes half a minute for a lesson's thousand words of code. So it is shown one text of each look (its
# colour, size and weight, and all that lies behind it), the leftmost, and no look twice. An element
# of its own is put around that text: axe looks at whole elements, with all that is in them.
LOOKS = """seen => {
  const behind = element => {
    const all = new Set();
    for (let outer = element; outer; outer = outer.parentElement) {
      const style = getComputedStyle(outer);
      all.add([style.backgroundColor, style.backgroundImage, style.opacity].join(" "));
    }
    return [...all].join(" ");
  };
  const looks = new Map();
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].find(node => node.nodeType === 3 && node.data.trim());
    if (!text || !element.checkVisibility({visibilityProperty: true})) continue;
    if (element.namespaceURI !== "http://www.w3.org/1999/xhtml") continue;
    const style = getComputedStyle(element);
    const look = [style.color, style.fontSize, style.fontWeight, behind(element)].join(" ");
    const edge = element.getBoundingClientRect().right;
    if (!seen.includes(look) && !(looks.get(look)?.edge <= edge)) looks.set(look, {text, edge});
  }
  window.toJudge = [...looks.values()].map(({text}) => {
    const around = document.createElement("judged-text");
    text.replaceWith(around);
    around.append(text);
    return around;
  });
  return [...looks.keys()];
}"""
CONTRAST = """async () => {
  const options = {runOnly: ["color-contrast"], resultTypes: ["violations"]};
  const {violations} = await axe.run({include: window.toJudge}, options);
  const place = node => document.querySelector(node.target[0]).parentElement.closest(":not(judged-text)").outerHTML.slice(0, 80);
  const fault = node => node.any.map(check => check.message).join(" ");
  return violations.flatMap(rule => rule.nodes.map(node => `${place(node)}: ${fault(node)}`));
}"""

# axe does not look into drawings: their texts, against the page behind them.
DRAWN_TEXT = """() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const linear = numbers(colour).slice(0, 3).map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = element => {
    const colour = getComputedStyle(element).backgroundColor;
    return numbers(colour)[3] !== 0 || !element.parentElement ? colour : behind(element.parentElement);
  };
  const ratios = [...document.querySelectorAll("svg[role=img] text")].map(text => {
    const [pale, dim] = [light(getComputedStyle(text).fill), light(behind(text))].sort((a, b) => b - a);
    return [(pale + 0.05) / (dim + 0.05), text.textContent];
  });
  return ratios.filter(([ratio]) => ratio < 4.5).map(([ratio, text]) => `${text}: ${ratio.toFixed(2)}`);
}"""


def chromium():
    """The path of an installed Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def launched(playwright, *arguments):
    """A browser, started with these arguments, closed in the end."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    arguments = [*arguments, "--no-sandbox"] if root else [*arguments]
    browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
    try:
        yield browser
    finally:
        browser.close()


def axe():
    """The program that measures contrast, as JavaScript."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def open_page(page, path):
    """Go to a file, with all that is folded away unfolded and nothing that moves."""
    page.goto(path.resolve().as_uri(), wait_until="load")
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")


def problems_of_layout(page):
    """What is wrong with the open page at each width: it scrolls sideways, or cuts something off."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        across = page.evaluate("document.documentElement.scrollWidth")
        if across > width:
            yield f"at {width} px it scrolls sideways: {across} px"
        for element in page.evaluate(CUT_OFF):
            yield f"at {width} px something is cut off: {element}"


def problems_of_pictures(page):
    """Pictures of the open page that the browser cannot show."""
    for address in page.evaluate(MISSING_PICTURES):
        yield f"no picture: {address}"


def problems_of_contrast(page, seen=None):
    """Text of the open page that can hardly be read, in light and in dark.

    `seen` is a list of the looks of texts that were judged on other pages. Those of this page are added.
    """
    seen = [] if seen is None else seen
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        for found in page.evaluate(DRAWN_TEXT):
            yield f"{theme}, in a drawing: {found}"
        looks = page.evaluate(LOOKS, seen)
        if looks:
            seen += looks
            page.evaluate(axe())
            for found in page.evaluate(CONTRAST):
                yield f"{theme}: {found}"
