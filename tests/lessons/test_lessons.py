"""From every public function a way leads to the lesson that derives it."""

import inspect
import re
from pathlib import Path

import pytest

import nnstyle
from nnstyle import arrays, layers, losses, optimizers, pictures, weights
from nnstyle.engine import devices, im2row, winograd, winograd_whole

LESSONS = Path(__file__).parents[2] / "lessons"
PUBLIC = [
    *(nnstyle.Network, nnstyle.Settings, nnstyle.load_weights, nnstyle.stylize, nnstyle.Engine),
    *(nnstyle.Network.forward, nnstyle.Network.backward, nnstyle.Objective, nnstyle.Term),
    *(optimizers.scipy_lbfgsb.minimize, optimizers.lbfgs.direction),
    *(optimizers.adam.minimize, optimizers.adam.moving_average),
    *(arrays.array_module, arrays.to_host, devices.find),
    *(im2row.im2row, im2row.transposed_kernel, winograd.winograd_conv, winograd_whole.winograd_conv_whole),
    *(pictures.load_image, pictures.resize, pictures.preprocess, pictures.deprocess),
    *(layers.conv, layers.relu, layers.max_pool, layers.average_pool),
    *(layers.conv_backward, layers.relu_backward, layers.max_pool_backward, layers.average_pool_backward),
    *(losses.content_loss, losses.gram_matrix, losses.style_loss, losses.total_variation),
    *(pictures.recolour, weights.rescale),
]


def lessons_named_in(docstring):
    """The texts of the lessons and appendices that it names: "lesson 9", "appendix B"."""
    for kind, number in re.findall(r"\b(lesson|appendix) (\d+|[A-Z])\b", docstring):
        beginning = f"l{number:0>2}" if kind == "lesson" else f"a{ord(number) - ord('A') + 1}"
        (lesson,) = LESSONS.glob(f"{beginning}_*.py")
        yield lesson.read_text()


@pytest.mark.parametrize("item", PUBLIC, ids=lambda item: item.__qualname__)
def test_its_docstring_names_a_lesson_that_speaks_of_it(item):
    lessons = list(lessons_named_in(inspect.getdoc(item)))
    assert lessons
    for text in lessons:
        assert re.search(rf"\b{item.__name__}\b", text)


def test_gradient_checking_is_the_subject_of_a_lesson():
    module = inspect.getmodule(nnstyle.check_gradient)
    (text,) = lessons_named_in(module.__doc__)
    assert "nnstyle.check_gradient(" in text


@pytest.mark.parametrize("lesson", sorted(LESSONS.glob("[la]*[0-9]_*.py")), ids=lambda lesson: lesson.stem)
def test_a_lesson_has_all_its_parts(lesson):
    text = lesson.read_text()
    for heading in ("What could go wrong", "Exercises", "Where next"):
        assert f"# {heading}\n# {'-' * len(heading)}\n" in text
    assert text.count(".. exercise::") == text.count(".. solution::") >= 2
