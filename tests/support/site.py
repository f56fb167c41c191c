"""A folder of HTML pages: which there are, where their links lead, which lead nowhere."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

LINKS = {"href", "src", "poster"}


class Page(HTMLParser):
    """The links of one page, and the anchors that it offers."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in LINKS and value is not None:
                self.links.append(value)
            elif name == "srcset":
                self.links += [part.split()[0] for part in value.split(",")]
            elif name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value)


def pages_of(folder):
    """Every page of a site, in order."""
    return sorted(path for path in folder.rglob("*.html") if "_static" not in path.relative_to(folder).parts)


def dead_links(folder):
    """(page, link) for each link to a file or an anchor that is not there. Other sites are not asked."""
    pages = {path.resolve(): Page(path) for path in pages_of(folder)}
    for path, page in pages.items():
        for link in page.links:
            if not _leads_somewhere(link, path, pages):
                yield path.relative_to(folder.resolve()).as_posix(), link


def _leads_somewhere(link, path, pages):
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return False
    anchor = unquote(parts.fragment)
    return target not in pages or not anchor or anchor in pages[target].anchors


def outside(folder):
    """(page, address) of each script, style sheet or picture that a page takes from another site."""
    taken = re.compile(
        r"""<(?:script|img|iframe|source)\b[^>]*\bsrc(?:set)?=["']?((?:https?:)?//[^"'\s>]+)"""
    )
    styles = re.compile(
        r"""<link\b(?=[^>]*\brel=["']?stylesheet)[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]+)"""
    )
    for path in pages_of(folder):
        text = path.read_text(encoding="utf-8")
        for pattern in (taken, styles):
            for address in pattern.findall(text):
                yield path.relative_to(folder).as_posix(), address
