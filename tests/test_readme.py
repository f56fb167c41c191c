"""The README's Python runs as it stands (on small pictures), and its options exist."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from nnstyle.arguments import make_parser
from nnstyle.benchmark.__main__ import make_parser as make_benchmark_parser
from nnstyle.weights.__main__ import make_parser as make_weights_parser

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_python_of_the_readme_runs(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name, picture in (("photo.jpg", "content.png"), ("painting.jpg", "style.png")):
        with Image.open(picture) as image:
            image.save(name)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(code.replace("size=512, iterations=300", "size=48, iterations=2").replace("256", "48"), names)
    assert names["result"].image.shape == (34, 48, 3) and len(names["result"].losses) == 2
    assert names["gradient"].shape == names["image"].shape and np.isfinite(names["gradient"]).all()


def commands_of(parser):
    """The parsers of its commands."""
    (commands,) = parser._subparsers._group_actions
    return commands.choices.values()


def test_every_option_of_the_readme_exists():
    parsers = [make_parser(), make_benchmark_parser(), *commands_of(make_weights_parser())]
    known = {flag for parser in parsers for action in parser._actions for flag in action.option_strings}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", README))
    assert named and named <= known
