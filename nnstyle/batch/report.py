"""What became of a batch: JSON for programs, a contact sheet in HTML for people."""

import base64
import html
import json
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_over
from ..pictures import load_image
from ..version import __version__
from .work import Done
from .worker import thumbnail_of

JSON, HTML = "report.json", "report.html"
STYLE = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
ul { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); list-style: none; padding: 0; }
figure { margin: 0; }
img { display: block; height: auto; max-width: 100%; }
figcaption, td { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid; padding: .3rem 1rem .3rem 0; text-align: left; vertical-align: top; }
"""
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{words}. <a href="report.json">report.json</a> tells more of each.</p>
{body}</main>
</body>
</html>
"""


def status_of(done: Done) -> str:
    """In one word."""
    if done.is_kept:
        return "kept"
    return "failed" if done.outcome.reason else "painted"


def described(done: Done) -> dict[str, Any]:
    """What is known of a picture, as JSON has it. The journal has the same."""
    outcome = done.outcome
    told: dict[str, Any] = {
        "output": done.pair.output,
        "photo": str(done.pair.photo),
        "style": str(done.pair.style),
        "status": status_of(done),
        "seconds": round(outcome.seconds, 3),
        "worker": outcome.worker,
    }
    if outcome.notes:
        told["notes"] = list(outcome.notes)
    if outcome.reason:
        return told | {"reason": outcome.reason}
    return told | {"iterations": outcome.iterations, "job": outcome.job, "checksum": done.checksum}


def write_report(folder: Path, all_done: Sequence[Done], seconds: float, words: str) -> None:
    """Write both reports.

    Parameters
    ----------
    folder : Path
        Of the batch.
    all_done : sequence of Done
    seconds : float
        That the batch took.
    words : str
        A line about it.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    statuses = [status_of(done) for done in all_done]
    report = {
        "nnstyle": __version__,
        "seconds": round(seconds, 3),
        "counts": {status: statuses.count(status) for status in ("painted", "kept", "failed")},
        "pictures": [described(done) for done in all_done],
    }
    write_over(folder / JSON, json.dumps(report, indent=1).encode() + b"\n")
    write_over(folder / HTML, contact_sheet(folder, all_done, words).encode())


def contact_sheet(folder: Path, all_done: Sequence[Done], words: str) -> str:
    """A page with all pictures, small, and the reasons of those that failed. It loads nothing from elsewhere."""
    figures = [figure(folder, done) for done in all_done if not done.outcome.reason]
    failed = [row(done) for done in all_done if done.outcome.reason]
    body = f"<ul>\n{''.join(figures)}</ul>\n" if figures else ""
    if failed:
        head = "<tr><th>photograph</th><th>painting</th><th>reason</th></tr>\n"
        body += f"<h2>Not painted</h2>\n<table>\n{head}{''.join(failed)}</table>\n"
    title = f"{len(figures)} picture{'' if len(figures) == 1 else 's'}"
    return PAGE.format(title=title, style=STYLE, words=html.escape(words), body=body)


def figure(folder: Path, done: Done) -> str:
    """A picture, small, that leads to the picture itself."""
    name, photo, style = done.pair.output, done.pair.photo.name, done.pair.style.name
    source = base64.b64encode(thumbnail(folder, done)).decode()
    alt = html.escape(f"{photo} in the style of {style}")
    return (
        f'<li><figure><a href="{html.escape(urllib.parse.quote(name))}">'
        f'<img src="data:image/jpeg;base64,{source}" alt="{alt}"></a>\n'
        f"<figcaption>{html.escape(name)}</figcaption></figure></li>\n"
    )


def thumbnail(folder: Path, done: Done) -> bytes:
    """A small JPEG: the worker's, or made of the file of an earlier run."""
    if done.outcome.thumbnail:
        return done.outcome.thumbnail
    try:
        return thumbnail_of(load_image(folder / done.pair.output))
    except InputError:  # gone since
        return b""


def row(done: Done) -> str:
    """A picture that failed."""
    cells = (str(done.pair.photo), str(done.pair.style), done.outcome.reason)
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>\n"
