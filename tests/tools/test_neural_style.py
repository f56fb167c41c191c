"""The yardstick jcjohnson/neural-style: its losses and its optimizer, computed twice and compared."""

import numpy as np
import pytest
from PIL import Image

import nnstyle
from nnstyle import check_gradient
from nnstyle.weights.formats.hdf5 import write_hdf5
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights
from weights import neural_style
from weights.neural_style import Recipe

WEIGHTS = tiny_weights("vgg16", widths=(8, 12, 16, 16, 16))
ENGINE = nnstyle.Engine(threads=1)
HEAVY = {
    "content_weight": 30,
    "style_weight": 2000,
    "tv_weight": 0.01,
}  # each of them can be seen in the gradient


def pictures(*sizes, seed=0):
    """Preprocessed pictures, float64."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(*size, 3)) for size in sizes]


def relative(ours, theirs):
    """Norm of the difference relative to the norm."""
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def both(recipe, content, style):
    """The loss as this package and as PyTorch computes it; and the module torch."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    ours = neural_style.make_objective(WEIGHTS, content, style, recipe, ENGINE)
    return torch, ours, neural_style.make_torch_loss(torch, WEIGHTS, content, style, recipe)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_the_engine_and_pytorch_agree_about_loss_and_gradient(pooling):
    content, style, image = pictures((40, 33), (35, 44), (40, 33))
    torch, ours, theirs = both(Recipe(pooling=pooling, **HEAVY), content, style)
    x = neural_style.as_torch_image(torch, image).requires_grad_()
    their_loss = theirs(x)
    their_loss.backward()
    loss, gradient = ours(image)
    assert loss == pytest.approx(their_loss.item(), rel=1e-9)
    assert relative(gradient, neural_style.as_image(x.grad)) < 1e-9
    for name in HEAVY:  # an objective without one of its terms is noticed
        lighter = Recipe(pooling=pooling, **HEAVY | {name: 0})
        _, wrong = neural_style.make_objective(WEIGHTS, content, style, lighter, ENGINE)(image)
        assert relative(wrong, neural_style.as_image(x.grad)) > 1e-2


@pytest.mark.parametrize("init", ["random", "image"])
def test_the_engine_and_pytorch_take_the_same_way(init):
    content, style = pictures((40, 33), (35, 44))
    recipe = Recipe(init=init, **HEAVY)
    torch, ours, theirs = both(recipe, content, style)
    start = neural_style.start_image(content, recipe).astype(float)
    way, their_way = [], []
    last = neural_style.minimize(ours, start, 6, way.append)
    their_last = neural_style.minimize_torch(torch, theirs, start, 6, their_way.append)
    assert len(way) == len(their_way) == 6 and last is way[-1]
    for image, other in zip([*way, last], [*their_way, their_last], strict=True):
        assert relative(image - start, other - start) < 1e-4
    assert relative(way[0] - start, way[1] - start) > 0.5  # and it leads somewhere


def bowl(image):
    """A badly scaled quadratic."""
    scales = np.arange(1, image.size + 1).reshape(image.shape)
    return float((scales * image**2).sum() / 2), scales * image


def test_steps_are_whole_but_for_the_first():
    seen, start = [], np.ones((2, 3))
    neural_style.minimize(bowl, start, 1, seen.append)
    gradient = bowl(start)[1]
    assert np.allclose(seen[0], start - gradient / np.abs(gradient).sum())
    final = neural_style.minimize(bowl, start, 60)
    assert bowl(final)[0] < 1e-8 * bowl(start)[0]


def test_a_step_without_curvature_is_not_remembered():
    seen, slope = [], np.full((2, 3), 0.5)
    neural_style.minimize(lambda image: (0.0, slope), np.zeros((2, 3)), 3, seen.append)
    # Along the gradient again, as nothing was learned.
    assert np.allclose(seen[1] - seen[0], -slope) and np.allclose(seen[2] - seen[1], -slope)


@pytest.mark.parametrize("term", [neural_style.MeanContent(3.0), neural_style.MeanStyle("conv2_1", 3.0)])
def test_the_gradients_of_its_losses(term):
    target, features = (np.abs(picture) for picture in pictures((5, 6), (5, 6)))
    term.set_target(target)
    check_gradient(term, features)
    for factor in (0.5, 1.01):  # the twins that must fail
        with pytest.raises(AssertionError):
            check_gradient(lambda x, factor=factor: (term(x)[0], factor * term(x)[1]), features)


def test_only_the_gradient_of_the_smoothness_counts():
    (image,) = pictures((5, 6))
    loss, gradient = neural_style.Smoothness(1.0)(image)
    down, right = image[1:, :-1] - image[:-1, :-1], image[:-1, 1:] - image[:-1, :-1]
    moved, half = image.copy(), lambda d, r: ((d**2).sum() + (r**2).sum()) / 2
    moved[2, 3, 1] += 1e-6
    change = half(moved[1:, :-1] - moved[:-1, :-1], moved[:-1, 1:] - moved[:-1, :-1]) - half(down, right)
    assert loss == 0 and gradient[2, 3, 1] == pytest.approx(change / 1e-6, rel=1e-4)
    assert 1.01 * gradient[2, 3, 1] != pytest.approx(change / 1e-6, rel=1e-4)
    assert gradient[-1, -1].tolist() == [0, 0, 0]  # the corner has no neighbour that it is compared with


@pytest.fixture
def files(tmp_path):
    """A network and two pictures, as files."""
    write_hdf5(tmp_path / "tiny.h5", WEIGHTS)
    for name, seed in (("photo", 0), ("painting", 1)):
        Image.fromarray(noise(48, 40, seed=seed)).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.mark.parametrize("more", [[], ["--torch", "--init", "image", "--pooling", "average"]])
def test_the_command_writes_a_picture_and_says_how_long_it_took(files, capsys, more):
    if more:
        pytest.importorskip("torch")
    argv = [files / "photo.png", files / "painting.png", "-o", files / "out.png"]
    argv += ["--weights", files / "tiny.h5"]
    argv += ["--size", "40", "--iterations", "12", "--threads", "1", *more]
    assert neural_style.main([*map(str, argv)]) == 0
    assert "s in all" in (printed := capsys.readouterr().out) and "s per iteration" in printed
    with Image.open(files / "out.png") as picture:
        assert picture.size == (33, 40)
        assert np.std(picture) > 0  # no even grey any more


def test_a_picture_that_would_replace_an_input_is_refused(files, capsys):
    photo, painting = str(files / "photo.png"), str(files / "painting.png")
    assert neural_style.main([photo, painting, "--weights", str(files / "tiny.h5"), "-o", painting]) == 2
    assert capsys.readouterr().err.count("\n") == 1
