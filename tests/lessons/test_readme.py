"""What the README and the guides say runs, parses, and leads somewhere."""

import argparse
import ast
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nnstyle
from nnstyle.batch.arguments import make_parser as make_batch_parser
from nnstyle.benchmark.__main__ import make_parser as make_benchmark_parser
from nnstyle.benchmark.tiles import make_parser as make_tiles_parser
from nnstyle.cli.arguments import make_parser
from nnstyle.studio.__main__ import make_parser as make_studio_parser
from nnstyle.weights.__main__ import make_parser as make_weights_parser
from tests.campaigns import batch as batches
from tests.campaigns import fuzz, kills, long_life
from weights.compare import make_parser as make_compare_parser
from weights.neural_style import make_parser as make_neural_style_parser

ROOT = Path(__file__).parents[2]
README, CHANGELOG = ROOT / "README.md", ROOT / "CHANGELOG.md"
GUIDES = sorted((ROOT / "lessons/book/guide").glob("*.md"))
OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "weights/README.md", ROOT / "nnstyle/benchmark/README.md"]
PAGES = [README, *GUIDES, *OTHERS]  # what describes the present; the changelog speaks of the past, too

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PARSERS = {
    "nnstyle": make_parser(),
    "nnstyle.batch": make_batch_parser(),
    "nnstyle.benchmark": make_benchmark_parser(),
    "nnstyle.benchmark.tiles": make_tiles_parser(),
    "nnstyle.studio": make_studio_parser(),
    "nnstyle.weights": make_weights_parser(),
    "weights.compare": make_compare_parser(),
    "weights.neural_style": make_neural_style_parser(),
    "tests.campaigns.batch": batches.make_parser(),
    "tests.campaigns.fuzz": fuzz.make_parser(),
    "tests.campaigns.kills": kills.make_parser(),
    "tests.campaigns.long_life": long_life.make_parser(),
}
# Programs that are not ours. Only their first word is checked.
OTHER_PROGRAMS = ("ruff", "mypy", "dask", ".", ".ci/run")


def text_of(page):
    return page.read_text(encoding="utf-8")


def name_of(page):
    return page.relative_to(ROOT).as_posix()


# Commands


def blocks(text, language):
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text):
    """Every command on a page: the lines of shell blocks, and whole commands within the text."""
    lines = "".join(blocks(text, "sh")).replace("\\\n", "").splitlines()
    without_blocks = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines += re.findall(
        r"`((?:\.venv/bin/)?(?:nnstyle(?:-batch)?|python -m|python -c|\.venv/bin/pip) [^`]*)`", without_blocks
    )
    for line in lines:
        yield from (part.strip() for part in line.split(" && ") if part.strip())


def check_command(command):
    """Raise ValueError unless the program would accept this command."""
    words = [word.removeprefix(".venv/bin/") for word in shlex.split(command, comments=True)]
    if words[:2] == ["/usr/bin/time", "-v"]:
        words = words[2:]
    program, arguments = words[0], words[1:]
    if program in ("nnstyle", "nnstyle-batch"):
        check_module(program.replace("-", "."), arguments)
    elif program in ("python", "python3") and arguments[:1] == ["-m"]:
        check_module(arguments[1], arguments[2:])
    elif program == "python" and arguments[:1] == ["-c"]:
        check_code(arguments[1])
    elif program == "pip":
        check_extras(arguments)
    elif program not in OTHER_PROGRAMS:
        raise ValueError(f"an unknown program: {program}")


def check_module(module, arguments):
    """As `check_command`, for ``python -m``."""
    if module in PARSERS:
        parse(module, arguments)
    elif module in ("pytest", "sphinx"):
        check_paths([word for word in arguments if "/" in word and not word.endswith(("/html", "/handout"))])
    elif module.partition(".")[0] in ("lessons", "weights", "tests"):
        check_paths([module.replace(".", "/") + ".py"])
        check_options(arguments)
    elif (module, arguments) != ("venv", [".venv"]):
        raise ValueError(f"an unknown module: {module}")


def parse(module, arguments):
    """Let the real parser of a program read these arguments."""
    try:
        parsed = PARSERS[module].parse_args(arguments)
    except SystemExit as end:
        if end.code:
            raise ValueError(f"{module} does not take {arguments}") from None
        return  # --help
    if module in ("nnstyle", "nnstyle.batch"):
        nnstyle.Settings(
            **{k: v for k, v in vars(parsed).items() if k in nnstyle.Settings.__dataclass_fields__}
        )


def check_paths(paths):
    for path in paths:
        if not (ROOT / path).exists():
            raise ValueError(f"{path} does not exist")


def check_options(words):
    unknown = {word for word in words if word.startswith("--")} - known_options()
    if unknown:
        raise ValueError(f"unknown options: {unknown}")


def check_code(code):
    """What ``python -c`` imports from the package is there."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "nnstyle":
            module = __import__(node.module, fromlist=["it"])
            for alias in node.names:
                getattr(module, alias.name)


def check_extras(arguments):
    for extras in re.findall(r"\[(.*?)\]", " ".join(arguments)):
        unknown = set(extras.split(",")) - set(EXTRAS)
        if unknown:
            raise ValueError(f"pyproject.toml has no extra {unknown}")


COMMANDS = sorted({(name_of(page), command) for page in PAGES for command in commands(text_of(page))})


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_would_be_accepted(page, command):
    check_command(command)


def test_there_are_commands_to_check():
    assert {page for page, _ in COMMANDS} >= {name_of(page) for page in PAGES if "```sh" in text_of(page)}
    assert len(COMMANDS) > 40


@pytest.mark.parametrize(
    "command",
    [
        "nnstyle PHOTO.jpg PAINTING.jpg --first-image noise",
        "nnstyle PHOTO.jpg PAINTING.jpg --size",
        "nnstyle-batch PHOTOS --styles PAINTING.jpg -o FOLDER --names {photo}.png",
        "nnstyle-batch PHOTOS --styles PAINTING.jpg",
        "nnstyle PHOTO.jpg PAINTING.jpg --bounded --optimizer lbfgs-nnstyle",
        "python -m nnstyle.benchmark --network pocket",
        "python -m nnstyle.studio --host 0.0.0.0",
        "python -m nnstyle.weights explain FILE",
        "python -m lessons.l99_nothing",
        "python -m lessons.l08_content --seize 128",
        "python -m pytest tests/nowhere",
        "python -m nowhere",
        'python -c "from nnstyle.weights import nothing"',
        ".venv/bin/pip install -q -e '.[everything]'",
        "stylise PHOTO.jpg",
    ],
)
def test_a_wrong_command_is_found(command, capsys):
    with pytest.raises((ValueError, AttributeError)):
        check_command(command)


# Options


def options_of(parser):
    """All options of a parser and of its commands."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options_of(command)


def known_options():
    known = {flag for parser in PARSERS.values() for flag in options_of(parser)}
    for script in ("weights/train_pocket.py", "lessons/tools.py"):  # the first needs PyTorch
        known |= set(re.findall(r'"(--[a-z-]+)"', (ROOT / script).read_text()))
    return known


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_option_named_exists(page):
    text = "\n".join(line for line in text_of(page).splitlines() if not line.startswith(("ruff", "dask")))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text))
    assert named <= known_options()


def test_an_option_that_is_gone_is_not_known():
    assert "--init" in known_options() and "--first-image" not in known_options()


# Links


def links(text):
    """Targets of links and pictures, without those in code."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(text, folder):
    """Relative links that lead nowhere, seen from a folder."""
    for link in links(text):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = folder / path
        if path and not target.exists():
            yield link
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8") if path else text):
            yield link


@pytest.mark.parametrize("page", [*PAGES, CHANGELOG], ids=name_of)
def test_every_relative_link_leads_somewhere(page):
    assert not list(dead_links(text_of(page), page.parent))


def test_pages_have_links():
    assert all(links(text_of(page)) for page in PAGES)


def test_dead_links_are_found(tmp_path):
    (tmp_path / "here.md").write_text("# One heading, here\n")
    text = '[a](here.md) [b](here.md#one-heading-here) [c](gone.md) [d](here.md#gone) <img src="gone.jpg"> [e](#no)\n'
    assert list(dead_links(text, tmp_path)) == ["gone.md", "here.md#gone", "#no", "gone.jpg"]


# Python


@pytest.mark.parametrize("page", [README, *GUIDES], ids=name_of)
def test_the_python_of_a_page_runs(page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name, picture in (("photo.jpg", "content.png"), ("painting.jpg", "style.png")):
        with Image.open(picture) as image:
            image.save(name)
    names = {}
    for code in blocks(text_of(page), "python"):
        small = code.replace("size=512, iterations=200", "size=64, iterations=2").replace("256", "64")
        exec(small.replace("% 20", "% 2"), names)
    if "result" in names:
        assert names["result"].image.shape == (46, 64, 3) and len(names["result"].losses) == 2
    if page == README:
        assert names["gradient"].shape == names["image"].shape and np.isfinite(names["gradient"]).all()


# The whole


def quoted_headings(text):
    """(number of a lesson, a heading of it that is quoted)."""
    for number, rest in re.findall(r"In lesson (\d+), ((?:.|\n  )*)", text):
        yield from ((int(number), heading) for heading in re.findall(r'"([^"]+)"', rest))


def missing_headings(text):
    for number, heading in quoted_headings(text):
        (lesson,) = (ROOT / "lessons").glob(f"l{number:02}_*.py")
        if not re.search(rf"^# {re.escape(heading)}\n# --", lesson.read_text(), re.MULTILINE):
            yield number, heading


def test_the_sections_that_a_class_may_skip_are_there():
    text = text_of(ROOT / "lessons/book/guide/teaching.md")
    assert len(list(quoted_headings(text))) > 5 and not list(missing_headings(text))
    assert list(missing_headings('- In lesson 3, "The equation" and "No such\n  section".')) == [
        (3, "No such\n  section")
    ]


def test_the_readme_is_short():
    assert text_of(README).count("\n") <= 150


def test_the_lines_that_ci_runs_are_whole_commands_of_the_readme():
    shell = "".join(blocks(text_of(README), "sh")).splitlines()
    patterns = re.findall(r"line '([^']+)'", (ROOT / ".ci/run").read_text())
    assert len(patterns) == 4
    for pattern in patterns:
        first = next(line for line in text_of(README).splitlines() if re.search(pattern, line))
        assert first in shell and not first.endswith("\\")


def test_the_changelog_begins_with_this_version():
    versions = re.findall(r"^## \[([^\]]+)\]", text_of(CHANGELOG), re.MULTILINE)
    assert [version for version in versions if version != "Unreleased"][0] == nnstyle.__version__
