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
    ours = neural_style.make_objective(WEIGHTS, content, [style], recipe, ENGINE)
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
        _, wrong = neural_style.make_objective(WEIGHTS, content, [style], lighter, ENGINE)(image)
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


@pytest.mark.parametrize(
    "term", [neural_style.MeanContent(3.0), neural_style.MeanStyle("conv2_1", 3.0)], ids=["content", "style"]
)
def test_the_gradients_of_its_losses(term):
    target, features = (np.abs(picture) for picture in pictures((5, 6), (5, 6)))
    (term.set_target if term.name == "content" else term.add_target)(target)
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


def test_of_several_paintings_the_mean_of_their_gram_matrices_counts():
    content, first, second, image = pictures((20, 17), (20, 17), (22, 18), (20, 17))
    shares, recipe = np.array([0.75, 0.25]), Recipe(content_weight=0, tv_weight=0)
    objective = neural_style.make_objective(WEIGHTS, content, [first, second], recipe, ENGINE, shares)
    network = nnstyle.Network(WEIGHTS, "max", float, ENGINE)
    grams = []
    for picture in (image, first, second):
        features = network.forward(picture, neural_style.STYLE_LAYERS)[0].values()
        grams.append([F.reshape(-1, F.shape[2]).T @ F.reshape(-1, F.shape[2]) / F.size for F in features])

    def loss(shares):
        G, A, B = grams
        targets = [shares[0] * a + shares[1] * b for a, b in zip(A, B, strict=True)]
        return 100 * sum(((g - target) ** 2).mean() for g, target in zip(G, targets, strict=True))

    assert objective(image)[0] == pytest.approx(loss(shares), rel=1e-9)
    assert objective(image)[0] != pytest.approx(loss(shares[::-1]), rel=1e-3)


def test_its_adam_steps_as_kingma_and_ba_wrote_it():
    image, m, v, seen = np.ones((2, 3)), 0, 0, []
    for t in range(1, 6):
        g = bowl(image)[1]
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        image = image - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    last = neural_style.minimize_by_adam(bowl, np.ones((2, 3)), 5, 0.1, seen.append)
    assert np.allclose(last, image, rtol=1e-12) and last is seen[-1]
    assert not np.allclose(seen[-2], image)


def test_original_colours_are_the_photographs_with_another_brightness():
    photo = np.full((1, 2, 3), (120, 100, 80), np.uint8)
    picture = np.array([[[130, 130, 130], [100, 90, 140]]], np.uint8)
    kept = neural_style.with_original_colours(photo, picture).astype(float)
    assert np.abs(kept @ neural_style.BRIGHTNESS - picture @ neural_style.BRIGHTNESS).max() < 1
    differences = kept[..., 0] - kept[..., 1], kept[..., 1] - kept[..., 2]
    assert np.abs(np.subtract(differences, 20)).max() <= 1  # the picture's own are 0, and 10 and -50


@pytest.fixture
def files(tmp_path):
    """A network and two pictures, as files."""
    write_hdf5(tmp_path / "tiny.h5", WEIGHTS)
    for name, seed in (("photo", 0), ("painting", 1)):
        Image.fromarray(noise(48, 40, seed=seed)).save(tmp_path / f"{name}.png")
    Image.new("RGB", (48, 40), "red").save(tmp_path / "red.png")
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


@pytest.mark.parametrize(
    "more",
    [
        ["red.png", "--blend-weights", "2,1"],
        ["--init", "painting.png", "--original-colours"],
        ["--optimizer", "adam", "--learning-rate", "5"],
    ],
    ids=["several", "init", "adam"],
)
def test_what_artists_asked_of_it_changes_the_picture(files, monkeypatch, more):
    monkeypatch.chdir(files)
    argv = ["photo.png", "painting.png", "--weights", "tiny.h5", "--size", "40", "--style-weight", "1e6"]
    argv += [] if "--init" in more else ["--init", "image"]
    argv += ["--iterations", "12"]
    assert neural_style.main([*argv, "-o", "plain.png"]) == 0
    assert neural_style.main([*argv[:2], *more, *argv[2:], "-o", "wish.png"]) == 0
    assert (
        np.abs(
            np.subtract(*(np.asarray(Image.open(name), float) for name in ("plain.png", "wish.png")))
        ).max()
        > 2
    )


@pytest.mark.parametrize(
    "more",
    [
        ["--blend-weights", "1,2"],
        ["--blend-weights", "much"],
        ["--init", "nothing.png"],
        ["--torch", "--optimizer", "adam"],
    ],
    ids=["count", "no number", "no file", "torch"],
)
def test_what_makes_no_sense_gets_one_line(files, monkeypatch, capsys, more):
    monkeypatch.chdir(files)
    assert neural_style.main(["photo.png", "painting.png", "--weights", "tiny.h5", *more, "-o", "o.png"]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (files / "o.png").exists()


def test_a_picture_that_would_replace_an_input_is_refused(files, capsys):
    photo, painting = str(files / "photo.png"), str(files / "painting.png")
    assert neural_style.main([photo, painting, "--weights", str(files / "tiny.h5"), "-o", painting]) == 2
    assert capsys.readouterr().err.count("\n") == 1
