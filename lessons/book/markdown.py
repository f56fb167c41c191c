"""The text of a lesson as Markdown, for its notebook. It knows the markup that lessons use, and no other."""

import base64
import re
from pathlib import Path

BOOK = Path(__file__).parent
STYLES = BOOK / "static" / "book.css"
DIRECTIVE = re.compile(r"\.\. ([\w:-]+)::(?: +(.*))?$")
OPTION = re.compile(r":([\w-]+):(?: +(.*))?$")
UNDERLINE = re.compile(r"([=\-~^])\1{2,}$")
LEVELS = "=-~^"  # the underlines of headings, from the title down
# What the theme's colours are in a notebook, which is white.
THEME = {
    "brand-primary": "#0a4bff",
    "brand-visited": "#872ee0",
    "problematic": "#b30000",
    "foreground-primary": "#000",
    "foreground-secondary": "#5a5c63",
    "foreground-muted": "#6b6f76",
    "foreground-border": "#878787",
    "background-primary": "#fff",
    "background-secondary": "#f8f9fb",
    "background-border": "#eeebee",
}


class UnknownMarkup(ValueError):
    """A directive or role that no notebook can show yet."""


def markdown(text, pictures=None):
    """Turn reStructuredText into Markdown. The files of its pictures are put into `pictures`: {name: path or SVG}."""
    return "\n".join(_blocks(text.splitlines(), {} if pictures is None else pictures)).strip()


def _blocks(lines, pictures):
    """The lines of Markdown for these lines."""
    made, i = [], 0
    while i < len(lines):
        line = lines[i]
        directive = DIRECTIVE.match(line.strip())
        underline = i + 1 < len(lines) and UNDERLINE.match(lines[i + 1])
        if directive or line.strip() == ".." or re.match(r"\.\. ", line.strip()):
            body, after = _body(lines, i)
            if directive:
                made += ["", *_directive(directive[1], directive[2] or "", body, pictures), ""]
            i = after
        elif underline and line.strip():
            made += ["", f"{'#' * (LEVELS.index(underline[1]) + 1)} {_inline(line)}"]
            i += 2
        else:  # a paragraph: its roles may go over several lines
            end = i
            while end < len(lines) and lines[end].strip() and not re.match(r"\s*\.\. ", lines[end]):
                end += 1
            paragraph = lines[i : max(end, i + 1)]
            made += _inline("\n".join(paragraph)).split("\n")
            i = max(end, i + 1)
    return made


def _body(lines, i):
    """The lines that belong to the directive at line i, without their indent, and where they end."""
    indent = len(lines[i]) - len(lines[i].lstrip())
    end = i + 1
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" " * (indent + 1))):
        end += 1
    body = lines[i + 1 : end]
    inner = min((len(line) - len(line.lstrip()) for line in body if line.strip()), default=0)
    return [line[inner:] for line in body], end


def _directive(name, argument, body, pictures):
    options = {}
    while body and (match := OPTION.match(body[0])):
        end = next((i for i, line in enumerate(body[1:], 1) if not line.startswith(" ")), len(body))
        options[match[1]] = " ".join([match[2] or "", *(line.strip() for line in body[1:end])]).strip()
        body = body[end:]
    content = "\n".join(body).strip("\n")
    if name == "math":
        formula = "\n".join(part for part in (argument, content.strip()) if part)
        return ["$$", *formula.splitlines(), "$$"]
    if name == "exercise":
        return ["**Exercise.**", "", *_blocks(content.splitlines(), pictures)]
    if name == "solution":
        return ["**Solution.**"]
    if name in ("note", "tip", "warning", "admonition", "topic"):
        inside = _blocks(
            [argument, "", *content.splitlines()] if argument else content.splitlines(), pictures
        )
        return [f"> {line}" for line in inside]
    if name == "drawing":
        pictures[f"{argument}.svg"] = standalone(BOOK / "drawings" / f"{argument}.svg")
        caption = " ".join(_inline(content).split())
        return [f"![{options['alt']}](attachment:{argument}.svg)", "", f"*{caption}*" if caption else ""]
    if name in ("figure", "image"):
        path = BOOK / argument.lstrip("/") if argument.startswith("/") else BOOK / "chapters" / argument
        pictures[path.name] = path.resolve()
        caption = " ".join(_inline(content).split())
        return [f"![{options.get('alt', '')}](attachment:{path.name})", "", f"*{caption}*" if caption else ""]
    if name == "code-block":
        return [f"```{argument}", *content.splitlines(), "```"]
    if name == "literalinclude":
        return ["```python", *_excerpt(BOOK / "chapters" / argument, options), "```"]
    if name == "list-table":
        return _table(content, int(options.get("header-rows", 0)))
    if name == "slider":
        return [
            "*(In the book, two sliders choose among pictures here.)*",
            "",
            f"*{' '.join(_inline(content).split())}*",
        ]
    if name in ("rst-class", "contents", "toctree"):
        return []
    raise UnknownMarkup(f"a notebook cannot show the directive {name}")


def standalone(path):
    """A drawing that can be looked at without the page's style sheet, as SVG."""
    styles = STYLES.read_text(encoding="utf-8")
    rules = re.findall(r"^\.drawing ((?:text|\.)[^{]*\{[^}]*\})", styles, re.MULTILINE)
    rules = "svg { --ink: #000; color: #000 }\n" + "\n".join(rules).replace(".drawing ", "")
    rules = re.sub(r"var\(--color-([a-z-]+)\)", lambda match: THEME.get(match[1], "#000"), rules)
    svg = path.read_text(encoding="utf-8")
    return re.sub(r"(<svg [^>]*>)", lambda match: f"{match[1]}<style>{rules}</style>", svg, count=1)


def attachment(name, picture):
    """A picture as a notebook keeps it: {type: base64}."""
    kind = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg"}
    data = picture.encode() if isinstance(picture, str) else Path(picture).read_bytes()
    return {kind[Path(name).suffix]: base64.b64encode(data).decode()}


def _excerpt(path, options):
    """The lines that a ``literalinclude`` shows."""
    lines = path.resolve().read_text(encoding="utf-8").splitlines()
    for option, offset in (("start-at", 0), ("start-after", 1)):
        if option in options:
            lines = lines[next(i for i, line in enumerate(lines) if options[option] in line) + offset :]
    for option, offset in (("end-at", 1), ("end-before", 0)):
        if option in options:
            lines = lines[: next(i for i, line in enumerate(lines) if options[option] in line) + offset]
    return lines


def _table(content, header_rows):
    """A ``list-table``."""
    rows = []
    for row in re.split(r"^\* - ?", content, flags=re.MULTILINE)[1:]:
        cells = re.split(r"^  - ?", row, flags=re.MULTILINE)
        rows.append([" ".join(_inline(cell).split()) for cell in cells])
    if not header_rows:
        rows.insert(0, [""] * len(rows[0]))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def _inline(text):
    """Roles, literals and links within a paragraph."""
    kept = []

    def keep(piece):
        kept.append(piece)
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r"``(.+?)``", lambda match: keep(f"`{match[1]}`"), text, flags=re.DOTALL)
    text = re.sub(
        r":math:`(.+?)`", lambda match: keep(f"${' '.join(match[1].split())}$"), text, flags=re.DOTALL
    )
    text = re.sub(r":(\w[\w:]*):`([^`]+)`", lambda match: keep(_role(match[1], match[2])), text)
    text = re.sub(
        r"`([^`<]+?)\s*<([^`>]+)>`__?",
        lambda match: keep(f"[{' '.join(match[1].split())}]({match[2]})"),
        text,
    )
    text = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", lambda match: keep(f"`{match[1]}`"), text)
    text = text.replace("$", r"\$").replace("\\ ", "")
    return re.sub("\0(\\d+)\0", lambda match: kept[int(match[1])], text)


def _role(role, content):
    """What is read where a role stands."""
    shown, _, target = re.match(r"([^<]*?)\s*(<([^>]*)>)?$", content, re.DOTALL).groups()
    shown = " ".join(shown.split())
    if role in ("func", "class", "meth", "mod", "attr", "data", "obj"):
        return f"`{shown.rpartition('.')[2] if shown.startswith('~') else shown}`"
    if role == "doc":
        if target is None:
            number = re.search(r"\b([la])(\d+)_", shown)
            if not number:
                return shown.rpartition("/")[2]
            digits = int(number[2])
            return f"lesson {digits}" if number[1] == "l" else f"appendix {chr(ord('A') + digits - 1)}"
        return shown
    if role == "numref":
        return shown if target else f"the drawing {shown.removeprefix('drawing-')}"
    if role in ("ref", "term", "eq", "download"):
        return shown
    if role == "code":
        return f"`{shown}`"
    raise UnknownMarkup(f"a notebook cannot show the role {role}")
