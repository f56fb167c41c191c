"""`prepare`: every check before a network is loaded, and a job that can be sent elsewhere."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image

from nnstyle import (
    ContentTerm,
    Engine,
    InputError,
    Job,
    Settings,
    Style,
    StyleTerm,
    Term,
    TotalVariationTerm,
    prepare,
    run,
    stylize,
)
from nnstyle.engine import devices
from nnstyle.pictures.preprocessing import TORCHVISION, parse_preprocessing
from nnstyle.resources import engine_for
from tests.support.pictures import noise
from tests.support.terms import MeanAndVariance
from tests.support.tiny import tiny_weights

CONTENT, STYLE = noise(48, 56), noise(60, 50, seed=1)
NARROW = noise(40, 80)  # 80 x 40: at half the size its short edge has 20 pixels


@pytest.fixture
def no_weights(monkeypatch):
    """Loading, let alone downloading, a network ends the test."""
    monkeypatch.setattr("nnstyle.job.load_weights", lambda *_: pytest.fail("a network was loaded"))


class Named(Term):
    """Anything, with attributes of one's choice."""

    def __init__(self, **attributes):
        for name, value in attributes.items():
            setattr(self, name, value)

    def __call__(self, features):
        return 0.0, 0 * features


WRONG = [
    ({"size": 31}, "size must be a whole number, at least 32"),
    ({"size": 20_000}, "the size must be from 32 to 10000 pixels, not 20000"),
    ({"alpha": "1"}, "alpha must be a finite number"),
    ({"content": "missing.png"}, "missing.png"),
    ({"content": None}, "picture|array"),
    ({"styles": "missing.png"}, "missing.png"),
    ({"styles": ["missing.png"]}, "missing.png"),
    ({"styles": Style("missing.png")}, "missing.png"),
    ({"styles": []}, "give from 1 to 1000 styles, not 0"),
    ({"styles": [STYLE] * 1001}, "give from 1 to 1000 styles, not 1001"),
    ({"styles": (Style(STYLE), STYLE, "missing.png")}, "missing.png"),
    (
        {"init": "black"},
        "init must be one of recoloured, content, noise, style, or a picture, and there is no 'black'",
    ),
    ({"styles": 5}, "a style is a path, a picture or an array"),
    ({"styles": None}, "a style is a path, a picture or an array"),
    ({"styles": {"a.png"}}, "a style is a path, a picture or an array"),
    ({"content": noise(20, 56), "size": 56}, "its short edge needs 32"),
    (
        {"content": NARROW, "size": 80, "scales": 2},
        "2 scales are too many.*use fewer: .*becomes 40 x 20 pixels at size 40",
    ),
    ({"rescale_over": "no such folder"}, "no such folder"),
    ({"alpha": 0.0, "beta": 0.0}, "nothing to optimize"),
    ({"alpha": 0.0, "layer_weights": (0, 0, 0, 0, 0)}, "nothing to optimize"),
    ({"alpha": 0.0, "beta": 0.0, "tv_weight": 1.0}, "nothing to optimize"),
    ({"alpha": 0.0, "beta": 0.0, "terms": [MeanAndVariance("conv1_1", 0.0)]}, "nothing to optimize"),
    ({"settings": Settings(size=64), "iterations": 3}, "either settings or single options, not both"),
    ({"content_layers": "conv9_9"}, "'conv9_9' is unknown: this network has conv1_1, conv1_2"),
    ({"weights": "vgg16", "style_layers": ["conv3_4"]}, "'conv3_4' is unknown"),
    ({"terms": [MeanAndVariance("conv6_1")]}, "'conv6_1' is unknown"),
    ({"terms": MeanAndVariance("conv1_1")}, "terms must be a list of terms"),
    ({"terms": [MeanAndVariance]}, "is no term: derive its class from nnstyle.Term"),
    ({"terms": [lambda features: (0, features)]}, "is no term: derive its class from nnstyle.Term"),
    ({"terms": [object()]}, "is no term"),
    ({"terms": [Named(target="photo")]}, "the target of 'loss' must be content, style or None, not 'photo'"),
    ({"terms": [Named(weight="1")]}, "the weights of 'loss' must be finite numbers, not '1'"),
    ({"terms": [Named(layer_weight=np.nan)]}, "the weights of 'loss' must be finite numbers"),
    ({"terms": [ContentTerm("conv1_1", 2.0)]}, "'content' must all have the same weight"),
    ({"terms": [StyleTerm("conv1_2", 2.0)]}, "'style' must all have the same weight"),
    ({"terms": [Named(weight=1.0), Named(weight=2.0)]}, "'loss' must all have the same weight"),
]


@pytest.mark.parametrize("wrong, message", WRONG)
def test_what_cannot_be_used_is_found_before_a_network_is_loaded(no_weights, tmp_path, wrong, message):
    given = {"content": CONTENT, "styles": STYLE, "weights": "vgg19"} | wrong
    with pytest.raises(InputError, match=message):
        prepare(**given)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"threads": "2"}, "threads must be a whole number, not '2'"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"progress": 1}, "progress must be True or False, not 1"),
        ({"threads": 1.5}, "threads must be a whole number"),
        ({"low_memory": "no"}, "low_memory must be True or False"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda"),
        *[(how, message) for how, message in WRONG if not {"styles", "content", "settings"} & set(how)],
    ],
)
def test_so_it_is_by_stylize(no_weights, wrong, message):
    with pytest.raises(InputError, match=message):
        stylize(CONTENT, STYLE, **{"weights": "vgg19"} | wrong)


def test_files_that_are_no_pictures_are_found_before_a_network_is_loaded(no_weights, tmp_path):
    Image.fromarray(CONTENT).save(tmp_path / "content.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "content.png").read_bytes()[:3000])
    (tmp_path / "text.png").write_text("not a picture")
    for name in ("cut.png", "text.png"):
        for given in ((tmp_path / name, STYLE), (CONTENT, tmp_path / name)):
            with pytest.raises(InputError, match=name):
                prepare(*given, "vgg19")


def test_unknown_options_are_a_mistake_in_the_program(no_weights):
    for function in (prepare, stylize):
        with pytest.raises(TypeError, match="itertions"):
            function(CONTENT, STYLE, itertions=3)


def test_a_layer_that_this_very_network_lacks_is_found_when_it_is_loaded():
    with pytest.raises(InputError, match="'conv5_2' is unknown: this network has conv1_1"):
        prepare(CONTENT, STYLE, tiny_weights(), style_layers=["conv5_2"])
    with pytest.raises(InputError, match="'conv4_2' is unknown"):
        prepare(CONTENT, STYLE, tiny_weights(last="conv2_1"), style_layers=["conv1_1"])


def test_weights_that_cannot_be_loaded():
    for wrong in ("missing.h5", 5, None):
        with pytest.raises(InputError):
            prepare(CONTENT, STYLE, wrong)


# What a job is


def test_a_job_has_everything_decided_that_does_not_depend_on_the_device(tmp_path):
    for name, picture in (("photo.png", CONTENT), ("painting.png", STYLE)):
        Image.fromarray(picture).save(tmp_path / name)
    weights = tiny_weights()
    paths = tmp_path / "photo.png", tmp_path / "painting.png"
    job = prepare(*paths, weights, size=56, terms=[TotalVariationTerm(0.5)])
    assert job.content.shape == (48, 56, 3) and job.content.dtype == np.uint8
    assert [style.image.shape for style in job.styles] == [(56, 47, 3)]
    assert job.settings.scales == 1
    assert job.settings.beta == 4000 * (48 + 64) * (56 + 64) and job.settings.layer_weights == (0.2,) * 5
    assert job.settings.optimizer is None and job.weights is weights
    assert (job.content_name, job.style_names) == ("photo.png", ("painting.png",))
    assert isinstance(job.terms, tuple) and len(job.terms) == 1
    described = json.loads(json.dumps(job.describe()))
    assert described["content"] == "photo.png" and described["style"] == ["painting.png"]
    assert described["weights_sha256"] == weights.sha256 and described["size"] == 56
    assert str(tmp_path) not in json.dumps(described)  # where files are is nobody's business


@pytest.mark.parametrize("weights", ["pocket", tiny_weights()])
def test_a_preprocessing_of_the_user_s_goes_before_the_file_s(weights):
    job = prepare(CONTENT, STYLE, weights, size=56, preprocessing="torchvision")
    assert job.weights.preprocessing == TORCHVISION
    assert parse_preprocessing(job.describe()["preprocessing"]) == TORCHVISION
    assert job.weights.preprocessing_reason == "given by the user"
    as_it_is = prepare(CONTENT, STYLE, weights, size=56)
    assert as_it_is.weights.preprocessing != TORCHVISION and as_it_is.digest != job.digest


def test_pictures_without_a_file_have_no_name():
    job = prepare(CONTENT, Image.fromarray(STYLE), tiny_weights(), size=56)
    assert (job.content_name, job.style_names) == ("", ("",))
    assert job.describe()["content"] == ""


def test_settings_may_be_given_as_one():
    settings = Settings(size=56, iterations=2, beta=5.0)
    one, other = (
        prepare(CONTENT, STYLE, tiny_weights(), **how)
        for how in ({"settings": settings}, {"size": 56, "iterations": 2, "beta": 5.0})
    )
    assert one.settings == other.settings
    np.testing.assert_array_equal(one.content, other.content)


@pytest.mark.parametrize("given", [[STYLE], (STYLE,), Style(STYLE), [Style(STYLE)], Image.fromarray(STYLE)])
def test_one_style_may_be_given_in_many_ways(given):
    expected = prepare(CONTENT, STYLE, tiny_weights(), size=56).styles[0].image
    (style,) = prepare(CONTENT, given, tiny_weights(), size=56).styles
    assert isinstance(style, Style)
    np.testing.assert_array_equal(style.image, expected)


def test_the_caller_s_pictures_may_change_afterwards():
    content, style = CONTENT.copy(), STYLE.copy()
    job = prepare(content, style, tiny_weights(), size=56)
    before = job.content.copy(), job.styles[0].image.copy()
    content[...], style[...] = 0, 0
    np.testing.assert_array_equal(job.content, before[0])
    np.testing.assert_array_equal(job.styles[0].image, before[1])


def test_terms_may_come_from_a_generator():
    job = prepare(CONTENT, STYLE, tiny_weights(), terms=(MeanAndVariance(n) for n in ("conv1_1", "conv2_1")))
    assert [term.layer for term in job.terms] == ["conv1_1", "conv2_1"]


# Running it elsewhere


@pytest.mark.parametrize("optimizer", ["lbfgs", "lbfgs-nnstyle"])
def test_a_pickled_job_paints_the_same_picture(optimizer):
    job = prepare(
        CONTENT,
        STYLE,
        tiny_weights(),
        terms=[MeanAndVariance("conv2_1", 10.0)],
        **{"size": 76, "iterations": 4, "scales": 2, "init": "noise", "optimizer": optimizer},
    )
    pickled = pickle.dumps(job)
    expected = run(job)
    copy = pickle.loads(pickled)
    assert isinstance(copy, Job) and copy.describe() == job.describe()
    for result in (run(copy), run(job)):  # a job is as it was after a run
        np.testing.assert_array_equal(result.image, expected.image)
        assert [r.losses for r in result.losses] == [r.losses for r in expected.losses]
    assert "mean and variance" in expected.losses[0].losses
    with pytest.raises(ValueError, match="read-only"):
        copy.weights["conv1_1"][0][...] = 0


def test_stylize_is_run_of_prepare():
    how = {"size": 56, "iterations": 3}
    expected = stylize(CONTENT, STYLE, tiny_weights(), **how)
    result = run(prepare(CONTENT, STYLE, tiny_weights(), **how))
    np.testing.assert_array_equal(result.image, expected.image)
    assert result.settings == expected.settings and result.reason == expected.reason


def test_the_optimizer_is_the_device_s_unless_told_or_bounded():
    def used(**settings):
        return run(
            prepare(CONTENT, STYLE, tiny_weights(), size=56, iterations=1, **settings)
        ).settings.optimizer

    assert devices.find("cpu").optimizer == used() == "lbfgs"
    assert used(optimizer="lbfgs-nnstyle") == "lbfgs-nnstyle"
    assert used(bounded=True) == "lbfgs"


def test_terms_of_one_name_must_have_one_target(no_weights):
    terms = [Named(name="mine", target="style", layer="conv1_1"), Named(name="mine", layer="conv1_1")]
    with pytest.raises(InputError, match="same target"):
        prepare(noise(64, 64), STYLE, size=96, scales=2, terms=terms)


def test_pictures_to_rescale_over_are_read_before_a_network_is_loaded(no_weights, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.jpg"):
        prepare(CONTENT, STYLE, size=48, rescale_over=tmp_path)


def test_a_layer_of_weight_0_need_not_be_there():
    weights = tiny_weights(last="conv2_1")
    how = {"size": 48, "iterations": 1, "alpha": 0.0, "layer_weights": (1, 0, 0, 0, 0)}
    assert run(prepare(CONTENT, STYLE, weights, **how)).image.shape == (41, 48, 3)
    with pytest.raises(InputError, match="conv4_2"):
        prepare(CONTENT, STYLE, weights, **how | {"alpha": 1.0})


def test_a_job_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        prepare(CONTENT, STYLE, tiny_weights(), size=48).content[0] = 0


def test_a_job_tells_of_its_own_terms():
    terms = [MeanAndVariance("conv1_1", 5.0)]
    plain, own = (prepare(CONTENT, STYLE, tiny_weights(), size=48, terms=t) for t in ((), terms))
    assert "terms" not in plain.describe() and plain.digest != own.digest
    assert own.describe()["terms"][0]["class"] == "MeanAndVariance"
    assert own.describe()["terms"][0]["weight"] == 5.0


def test_a_style_term_of_ones_own_can_be_pickled_and_gets_the_engine():
    job = prepare(
        CONTENT, STYLE, tiny_weights(), size=48, iterations=2, beta=0.0, terms=[StyleTerm("conv1_1", 1e4)]
    )
    with Engine() as engine:
        counted = []
        gram_matrix = engine.gram_matrix
        engine.gram_matrix = lambda features: counted.append(1) or gram_matrix(features)
        assert run(pickle.loads(pickle.dumps(job)), engine).image.shape == (41, 48, 3)
    assert len(counted) >= 3  # the target, and each evaluation


def test_settings_of_another_kind_are_refused(no_weights):
    with pytest.raises(InputError, match="must be nnstyle.Settings"):
        prepare(CONTENT, STYLE, settings={"size": 64})


def test_memory_is_counted_for_the_largest_picture(monkeypatch):
    asked = []

    def is_memory_short(device, needed, threads):
        asked.append(needed)
        return False

    # Of the class: undone on an object, it would stay there, and hide the class's own.
    monkeypatch.setattr(type(devices.CPU), "is_memory_short", is_memory_short)
    wide = noise(60, 320)
    job = prepare(wide, noise(1100, 1100, seed=1), tiny_weights(), size=320, style_scale=3)
    engine_for(job)
    # With a border of 32 px on every side. The style image only goes through the network, and is kept.
    assert asked == [devices.CPU.bytes_needed(job.weights, 1024, 1024, optimizer=None) + 3 * 1024**2]
