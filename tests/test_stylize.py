"""`stylize` from end to end, small."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import nnstyle
from nnstyle import Network, Objective, Settings, Style, set_targets, stylize
from nnstyle.inputs import initial_image
from nnstyle.objective import paper_terms
from nnstyle.optimizers.scipy_lbfgsb import minimize
from nnstyle.pictures import recolour
from tests.support.terms import MeanAndVariance
from tests.support.tiny import tiny_weights

SMALL = {"size": 40, "iterations": 4, "border": 0}


@pytest.fixture(scope="module")
def pictures():
    """Two smooth random pictures of different shapes."""
    rng = np.random.default_rng(2)
    coarse = [rng.integers(0, 256, size=shape, dtype=np.uint8) for shape in ((6, 8, 3), (9, 7, 3))]
    return [
        np.array(Image.fromarray(c).resize((size, 64), Image.Resampling.BICUBIC))
        for c, size in zip(coarse, (80, 52), strict=True)
    ]


def test_the_result_is_a_picture_with_one_record_an_iteration(pictures):
    result = stylize(*pictures, **SMALL)
    assert result.image.shape == (32, 40, 3) and result.image.dtype == np.uint8
    assert [record.iteration for record in result.losses] == [1, 2, 3, 4]
    totals = [record.total for record in result.losses]
    assert totals == sorted(totals, reverse=True) and totals[-1] < totals[0]
    last, settings = result.losses[-1], result.settings
    assert settings.beta == 1000 * 32 * 40  # the default grows with the picture
    assert last.total == pytest.approx(
        settings.alpha * last.losses["content"] + settings.beta * last.losses["style"]
    )
    assert result.reason == "all iterations done"


@pytest.mark.parametrize("preprocessing", ["caffe", "torchvision"])
def test_adam_s_rate_is_in_levels_whatever_the_unit_of_the_network(pictures, preprocessing):
    """Its first step moves each number by the rate, to all sides; torchvision's unit is 58 levels or so."""
    how = {"optimizer": "adam", "learning_rate": 6, "init": "content", "iterations": 1, "scales": 1}
    result = stylize(*pictures, preprocessing=preprocessing, **SMALL | how)
    content = nnstyle.pictures.resize(pictures[0], SMALL["size"])
    moved = np.abs(result.image.astype(int) - content)[(content > 6) & (content < 249)]
    assert np.median(moved) == 6 and moved.max() == 6


def test_adam_keeps_pixels_within_their_range(pictures):
    """As the network sees them: what leaves it is clipped in any case."""
    how = {"optimizer": "adam", "learning_rate": 40, "scales": 1, **SMALL}

    def range_of(**settings):
        states = []
        stylize(*pictures, callback=lambda event: states.append(event.state()), **how, **settings)
        mean = np.array(nnstyle.load_weights().preprocessing.mean)
        images = [array + mean for state in states for array in (state.image, state.history["x"])]
        return np.min(images), np.max(images)

    low, high = range_of(bounded=True)
    assert low >= -1e-4 and high <= 255 + 1e-4
    low, high = range_of()  # the twin that must fail
    assert low < -10 and high > 265


@pytest.mark.parametrize(
    "settings",
    [{}, {"init": "noise", "seed": 3}, {"optimizer": "adam"}, {"pooling": "average", "bounded": True}],
)
def test_the_same_input_gives_the_same_picture_bit_for_bit(pictures, settings):
    first, second = (stylize(*pictures, **SMALL, **settings) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    assert [record.total for record in first.losses] == [record.total for record in second.losses]


@pytest.mark.slow
def test_the_number_of_threads_does_not_show_in_the_picture(pictures):
    results = [stylize(*pictures, size=70, iterations=3, threads=threads) for threads in (1, 2, 5)]
    assert all(np.array_equal(results[0].image, other.image) for other in results[1:])


@pytest.mark.slow
def test_several_threads_may_stylize_at_once(pictures):
    jobs = [{"size": size, "iterations": 3, "threads": 2} for size in (40, 52, 64)]
    expected = [stylize(*pictures, **job).image for job in jobs]
    with ThreadPoolExecutor(len(jobs)) as pool:
        results = [pool.submit(stylize, *pictures, **job) for job in jobs]
    for result, image in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.result().image, image)


def test_paths_pil_images_and_arrays_are_the_same_to_it(pictures, tmp_path):
    expected = stylize(*pictures, **SMALL).image
    for name, picture in zip(("content.png", "style.png"), pictures, strict=True):
        Image.fromarray(picture).save(tmp_path / name)
    paths = tmp_path / "content.png", str(tmp_path / "style.png")
    np.testing.assert_array_equal(stylize(*paths, **SMALL).image, expected)
    np.testing.assert_array_equal(stylize(*map(Image.fromarray, pictures), **SMALL).image, expected)


def test_open_files_and_bytes_are_the_same_to_it_too(pictures, tmp_path):
    expected = stylize(*pictures, **SMALL).image
    paths = [tmp_path / "content.png", tmp_path / "style.png"]
    for pixels, path in zip(pictures, paths, strict=True):
        Image.fromarray(pixels).save(path)
    data = [path.read_bytes() for path in paths]
    np.testing.assert_array_equal(stylize(*data, **SMALL).image, expected)
    np.testing.assert_array_equal(stylize(*map(io.BytesIO, data), **SMALL).image, expected)
    with open(paths[0], "rb") as content, open(paths[1], "rb") as style:
        np.testing.assert_array_equal(stylize(content, [style], **SMALL).image, expected)


def test_the_callback_sees_each_picture_and_can_end_the_work(pictures):
    seen = []

    def callback(event):
        seen.append((event.record, event.image()))
        if event.record.iteration == 3:
            raise StopAsyncIteration("enough")

    with pytest.raises(StopAsyncIteration, match="enough") as caught:
        stylize(*pictures, **SMALL, callback=callback)
    assert len(seen) == 3 and seen[-1][1].shape == (32, 40, 3)
    np.testing.assert_array_equal(caught.value.result.image, seen[-1][1])


@pytest.mark.slow
def test_the_style_of_the_style_image_is_approached_from_noise(pictures):
    settings = {"size": 48, "iterations": 60, "init": "noise", "alpha": 0.0, "border": 0}
    losses = stylize(*pictures, **settings).losses
    assert losses[-1].losses["style"] < losses[0].losses["style"] / 20


def test_the_content_of_the_content_image_is_approached_from_noise(pictures):
    result = stylize(
        *pictures, size=48, iterations=80, init="noise", border=0, beta=0.0, content_layers=["conv1_1"]
    )
    content = np.array(Image.fromarray(pictures[0]).resize((48, 38), Image.Resampling.LANCZOS))
    assert np.abs(result.image.astype(float) - content).mean() < 12  # of 255; noise is about 85 away


def test_weights_may_be_an_object_or_a_name_and_layers_must_exist(pictures):
    by_name, by_object = (
        stylize(*pictures, weights, **SMALL) for weights in ("pocket", nnstyle.load_weights())
    )
    np.testing.assert_array_equal(by_name.image, by_object.image)
    with pytest.raises(nnstyle.InputError, match="conv5_2.*this network has conv1_1"):
        stylize(*pictures, style_layers=["conv5_2"], **SMALL)


def test_a_list_with_one_style_and_a_style_object_are_the_same_to_it(pictures):
    content, style = pictures
    expected = stylize(content, style, tiny_weights(), **SMALL).image
    for given in ([style], (style,), Style(style), [Style(Image.fromarray(style))]):
        np.testing.assert_array_equal(stylize(content, given, tiny_weights(), **SMALL).image, expected)


def test_initial_images():
    rng = np.random.default_rng(5)
    content, style = (
        rng.integers(0, 256, size=shape, dtype=np.uint8) for shape in ((40, 50, 3), (64, 33, 3))
    )
    make = lambda **settings: initial_image(content, style, Settings(**settings))
    np.testing.assert_array_equal(make(init="content"), content)
    np.testing.assert_array_equal(make(), recolour(content, style))
    assert make(init="style").shape == content.shape
    noise = make(init="noise", seed=1)
    assert noise.shape == content.shape and 0 <= noise.min() < 5 and 250 < noise.max() <= 255
    np.testing.assert_array_equal(noise, make(init="noise", seed=1))
    assert (noise != make(init="noise", seed=2)).all()


# Terms of one's own


@pytest.mark.parametrize("optimizer", ["lbfgs", "lbfgs-nnstyle", "adam"])
@pytest.mark.parametrize("size, scales", [(80, 1), (81, 2)])
def test_a_term_of_ones_own_is_minimized_and_recorded(pictures, optimizer, size, scales):
    how = {"size": size, "scales": scales, "iterations": 16, "optimizer": optimizer, "alpha": 0.0}
    how |= {"border": 0}
    term = MeanAndVariance("conv2_1", weight=1e5)
    without = stylize(*pictures, tiny_weights(), **how, beta=1.0)
    result = stylize(*pictures, tiny_weights(), **how, beta=1.0, terms=[term])
    assert list(result.losses[-1].losses) == ["style", "mean and variance"]
    assert list(without.losses[-1].losses) == ["style"]
    last_scale = [record.losses["mean and variance"] for record in result.losses if record.size == size]
    assert last_scale[-1] < last_scale[0] / 2
    first, last = result.losses[0], result.losses[-1]
    # At the smaller of two scales it weighs as much less as there are fewer pixels, as beta does.
    pixels = (32 * 40) / (65 * 81) if scales == 2 else 1
    assert first.total == pytest.approx(
        pixels * (first.losses["style"] + 1e5 * first.losses["mean and variance"]), rel=1e-6
    )
    assert last.total == pytest.approx(
        last.losses["style"] + 1e5 * last.losses["mean and variance"], rel=1e-6
    )
    assert (result.image != without.image).any()
    assert term.weight == 1e5 and not hasattr(term, "mean")  # the caller's term stays as it was


def test_terms_of_ones_own_may_be_all_there_is(pictures):
    """Even if they compare with no picture."""
    own = MeanAndVariance("conv1_1")
    result = stylize(*pictures, tiny_weights(), terms=[own], alpha=0.0, beta=0.0, **SMALL)
    assert list(result.losses[-1].losses) == ["mean and variance"]
    own.target, own.mean, own.variance = None, 0.0, 0.0
    result = stylize(*pictures, tiny_weights(), terms=[own], alpha=0.0, beta=0.0, **SMALL)
    totals = [record.total for record in result.losses]
    assert totals[-1] < totals[0]


def test_more_style_terms_of_the_papers_weight_are_a_part_of_the_style_loss_at_every_scale(pictures):
    content, style = pictures[0][:, :64], pictures[1][:52]
    more = nnstyle.StyleTerm("conv1_2", 1e4, 0.5)
    how = {"beta": 1e4, "iterations": 4, "scales": 2, "rescale": False}
    result = stylize(content, style, tiny_weights(), size=71, terms=[more], **how)  # 35 is not 71 / 2
    assert [list(record.losses) for record in result.losses] == [["content", "style"]] * 4


def test_golden_trace():
    """Six iterations in float64, as they were when the gradient checks above all passed."""
    rng = np.random.default_rng(0)
    content, style, start = (rng.normal(size=(18, 20, 3)) for _ in range(3))
    weights = tiny_weights()
    network = Network(weights, "max", np.float64)
    terms = paper_terms(Settings(alpha=1.0, beta=1e3).decided(weights, 18, 20))
    set_targets(terms, network, content, style)
    objective, trace = Objective(network, terms), []

    def callback(image, loss, memory):
        trace.append((loss, objective.losses["content"], objective.losses["style"]))

    minimize(objective, start, 6, callback=callback)
    np.testing.assert_allclose(trace, GOLDEN, rtol=1e-6)


GOLDEN = [  # (total, content, style), with max-pooling
    (17.994829890450998, 1.145171748650325, 0.016849658141800675),
    (6.1325545612237455, 0.5398320073641154, 0.0055927225538596305),
    (5.756553951159732, 0.5447723158111898, 0.005211781635348542),
    (4.546104471591935, 0.5801423813739116, 0.003965962090218023),
    (3.400208757057403, 0.6208247640286805, 0.0027793839930287225),
    (2.5513026498927647, 0.5015332280790044, 0.0020497694218137605),
]
