"""From every public function a way leads to the lesson that derives it."""

import inspect
import re
from pathlib import Path

import pytest

import nnstyle
from nnstyle import (
    backend,
    devices,
    images,
    layers,
    lbfgs,
    losses,
    objective,
    optimizer,
    winograd,
    winograd_whole,
)

LESSONS = Path(__file__).parents[1] / "lessons"
PUBLIC = [
    *(getattr(nnstyle, name) for name in ("Network", "Settings", "load_weights", "stylize")),
    *(nnstyle.Network.forward, nnstyle.Network.backward, objective.Objective, optimizer.minimize),
    *(lbfgs.direction, backend.library_of, devices.find, winograd_whole.winograd_conv_whole),
    *(images.load_image, images.resize, images.preprocess, images.deprocess, winograd.winograd_conv),
    *(layers.conv, layers.relu, layers.max_pool, layers.average_pool),
    *(layers.conv_backward, layers.relu_backward, layers.max_pool_backward, layers.average_pool_backward),
    *(losses.content_loss, losses.gram_matrix, losses.style_loss, losses.total_variation),
]


@pytest.mark.parametrize("item", PUBLIC, ids=lambda item: item.__qualname__)
def test_its_docstring_names_a_lesson_that_speaks_of_it(item):
    numbers = re.findall(r"lesson (\d+)", inspect.getdoc(item))
    assert numbers
    for number in numbers:
        (lesson,) = LESSONS.glob(f"l{number:0>2}_*.py")
        assert re.search(rf"\b{item.__name__}\b", lesson.read_text())


@pytest.mark.parametrize("lesson", sorted(LESSONS.glob("l??_*.py")), ids=lambda lesson: lesson.stem)
def test_a_lesson_is_short_and_has_all_its_parts(lesson):
    text = lesson.read_text()
    assert text.count("\n") <= 250
    for heading in ("What could go wrong", "Exercises", "Where next"):
        assert f"# {heading}\n# {'-' * len(heading)}\n" in text
    assert text.count(".. exercise::") == text.count(".. solution::") >= 2
