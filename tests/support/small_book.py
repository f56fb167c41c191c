"""Small books, made with the extensions of the real one."""

import subprocess
import sys
from pathlib import Path

BOOK = Path(__file__).parents[2] / "lessons" / "book"


def build(folder, pages, extensions, options=(), **settings):
    """Build pages ({name: text}) with these of the book's extensions: the folder of the result.

    Warnings are errors, raised as ValueError with what was said. `options` are more words of the command.
    """
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (source / name).write_text(text, encoding="utf-8")
    settings = {"html_theme": "basic", "exclude_patterns": ["conf.py"], **settings, "extensions": extensions}
    lines = ["import sys", f"sys.path[:0] = {[str(BOOK.parents[1]), str(BOOK)]!r}"]
    lines += [f"{name} = {value!r}" for name, value in settings.items()]
    (source / "conf.py").write_text("\n".join(lines), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        *options,
        str(source),
        str(folder / "built"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr)
    return folder / "built"
