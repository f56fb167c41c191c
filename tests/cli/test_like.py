"""``--like``: the same picture again to the last byte, what may be given anew, and what is said to differ."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nnstyle.cli
from nnstyle import stored_settings
from nnstyle.cli import main
from nnstyle.pictures import save_image
from tests.support.command import files, make_pictures
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg

PICTURES = ["content.png", "style.png"]
SMALL = ["--size", "48", "--iterations", "3"]


@pytest.fixture
def nnstyle_in(folder, monkeypatch, capsys):
    """Run `main` in the folder: (status, lines on standard error without the iterations)."""
    monkeypatch.chdir(folder)

    def call(*words):
        status = main([*map(str, words)])
        return status, [line for line in capsys.readouterr().err.splitlines() if not line.startswith("iter")]

    return call


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """The bytes of a picture painted with the defaults, of 48 px."""
    folder = tmp_path_factory.mktemp("painted")
    make_pictures(folder)
    paths = [str(folder / name) for name in (*PICTURES, "x.png")]
    assert main([*paths[:2], *SMALL, "-o", paths[2]]) == 0
    return (folder / "x.png").read_bytes()


@pytest.fixture
def picture(folder, nnstyle_in, painted):
    """That picture: x.png in the folder, which is the current one."""
    (folder / "x.png").write_bytes(painted)
    return folder / "x.png"


@pytest.fixture
def prepared(monkeypatch):
    """The jobs that were made; none is painted."""
    jobs, original = [], nnstyle.cli.prepare

    def prepare(*given, **options):
        jobs.append(original(*given, **options))
        return jobs[-1]

    def run(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(nnstyle.cli, "prepare", prepare)
    monkeypatch.setattr(nnstyle.cli, "run", run)
    return jobs


def change(path, **settings):
    """Store other settings in a picture; None removes one."""
    stored = stored_settings(path) | settings
    with Image.open(path) as image:
        image.load()
    save_image(noise(*image.size[::-1]), path, {k: v for k, v in stored.items() if v is not ...})


MANY = """--size 64 --style-scale .8 --alpha 2 --beta 9e4 --init noise --grain 7 --seed 3 --scales 1 --optimizer lbfgs-nnstyle --pooling max
    --tv-weight .1 --border 7 --style-layers conv1_1,conv2_1 --layer-weights .25,.75 --no-rescale"""


OVER = "--style-scale 1.3 --weights tiny.h5 --rescale-over over --preprocessing bgr,1,2,3,.5 --bounded"
STATING = "--weights stating.h5"  # it states what is not the default
ADAM = "--optimizer adam --learning-rate 3"
AS_IF_IT_DID_NOT = f"{STATING} --pooling max --layer-weights .2,.2,.2,.2,.2 --beta-per-pixel 4000"


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        ("", ".png"),
        (MANY, ".jpg"),
        *[
            pytest.param(options, ending, marks=pytest.mark.slow)
            for options, ending in (
                ("", ".jpg"),
                (MANY, ".png"),
                (OVER, ".png"),
                (OVER, ".jpg"),
                ("--optimizer adam", ".png"),
                (ADAM, ".png"),
                (MANY, ".webp"),
                (MANY, ".tif"),
                (STATING, ".png"),
                (AS_IF_IT_DID_NOT, ".png"),
            )
        ],
    ],
)
def test_the_same_settings_make_the_same_bytes(folder, nnstyle_in, options, ending):
    write_vgg(folder / "tiny.h5", tiny_weights())
    stated = {"pooling": "average", "beta_per_pixel": 7.0, "style_layer_weights": [0.5, 0.2, 0.1, 0.1, 0.1]}
    write_vgg(folder / "stating.h5", tiny_weights(seed=1), **stated)
    (folder / "over").mkdir()
    shutil.copy(folder / "style.png", folder / "over")
    assert nnstyle_in(*PICTURES, *SMALL, *options.split(), "-o", f"x{ending}")[0] == 0
    before = files(folder)
    assert nnstyle_in("--like", f"x{ending}") == (0, [])
    (new,) = files(folder).keys() - before.keys()
    assert new == f"content-style{ending}" and files(folder)[new] == before[f"x{ending}"]


def test_the_sample_is_found_again(tmp_path, nnstyle_in, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert nnstyle_in(*SMALL)[0] == 0
    assert nnstyle_in("--like", "stylized.png", "-o", "again.png") == (0, [])
    assert Path("again.png").read_bytes() == Path("stylized.png").read_bytes()


def test_pictures_lie_beside_it_or_in_the_current_folder(folder, picture, nnstyle_in, monkeypatch):
    before = picture.read_bytes()
    (folder / "here").mkdir()
    shutil.move(folder / "style.png", folder / "here")
    monkeypatch.chdir(folder / "here")
    assert nnstyle_in("--like", "../x.png", "-o", "y.png") == (0, [])
    assert (folder / "here" / "y.png").read_bytes() == before


def test_of_two_pictures_of_one_name_the_right_one_is_taken(folder, picture, nnstyle_in, monkeypatch):
    before = picture.read_bytes()
    (folder / "here").mkdir()
    for name in PICTURES:
        shutil.move(folder / name, folder / "here")
    shutil.copy(folder / "here" / "style.png", folder / "content.png")
    (folder / "style.png").write_text("no picture at all")
    monkeypatch.chdir(folder / "here")
    assert nnstyle_in("--like", "../x.png", "-o", "y.png") == (0, [])
    assert (folder / "here" / "y.png").read_bytes() == before


def test_the_picture_itself_is_not_taken_for_its_photograph(folder, picture, nnstyle_in):
    picture.rename(folder / "content.png")
    status, (line,) = nnstyle_in("--like", "content.png")
    assert status == 2 and "the photograph 'content.png' is neither beside content.png nor in" in line


@pytest.mark.parametrize("name", ["../content.png", "/etc/passwd", "..", ".", "", None, 7, "a\0b", "\ud800"])
def test_a_name_leads_to_no_other_folder(folder, picture, nnstyle_in, monkeypatch, prepared, name):
    inner = folder / "inner"
    inner.mkdir()
    for each in ("x.png", "style.png"):
        shutil.move(folder / each, inner)
    change(inner / "x.png", content=name)
    monkeypatch.chdir(inner)
    status, (line,) = nnstyle_in("--like", "x.png")
    assert status == 2 and prepared == [] and "give the pictures" in line
    assert "the photograph" in line or "does not name its photograph" in line


def test_what_is_not_found_may_be_given(folder, picture, nnstyle_in):
    before = picture.read_bytes()
    for name in PICTURES:
        (folder / name).rename(folder / f"renamed-{name}")
    status, (line,) = nnstyle_in("--like", "x.png")
    assert status == 2 and "give the pictures, --like PICTURE CONTENT STYLE" in line
    status, lines = nnstyle_in("--like", "x.png", "renamed-content.png", "renamed-style.png", "-o", "y.png")
    assert (status, lines) == (0, [])
    assert stored_settings("y.png")["content"] == "renamed-content.png"
    with Image.open("x.png") as one, Image.open("y.png") as other:
        assert one.tobytes() == other.tobytes() and picture.read_bytes() == before


def test_a_network_that_is_not_found_may_be_given(folder, nnstyle_in):
    write_vgg(folder / "tiny.h5", tiny_weights())
    assert nnstyle_in(*PICTURES, *SMALL, "--weights", "tiny.h5", "-o", "x.png")[0] == 0
    (folder / "tiny.h5").rename(folder / "renamed.h5")
    status, (line,) = nnstyle_in("--like", "x.png")
    assert status == 2 and "the network 'tiny.h5' is neither" in line and "give it with --weights" in line
    assert nnstyle_in("--like", "x.png", "--weights", "renamed.h5", "-o", "y.png") == (0, [])
    with Image.open("x.png") as one, Image.open("y.png") as other:
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("file", [..., "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"])
def test_a_known_network_is_asked_for_by_its_name(picture, nnstyle_in, monkeypatch, file):
    asked = []
    monkeypatch.setattr(nnstyle.cli, "prepare", lambda *given, **_: asked.append(given[2]) or exit_here())
    change(picture, weights="vgg19_weights_tf_dim_ordering_tf_kernels_notop", weights_file=file)
    nnstyle_in("--like", "x.png")
    assert asked == ["vgg19"]


def exit_here():
    raise KeyboardInterrupt


def test_options_go_before_what_is_stored(picture, nnstyle_in, prepared):
    options = "--alpha 3 --seed 5 --init content --border 3 --style-scale 1.5 --optimizer lbfgs-nnstyle"
    nnstyle_in("--like", "x.png", *options.split(), "--layer-weights", "1,1,1,1,1", "--pooling", "max")
    settings = prepared[0].settings
    assert (settings.alpha, settings.seed, settings.init, settings.border) == (3, 5, "content", 3)
    assert (settings.style_scale, settings.optimizer) == (1.5, "lbfgs-nnstyle")
    assert (settings.layer_weights, settings.pooling) == ((1,) * 5, "max")
    assert (settings.size, settings.iterations) == (48, 3)


def canvas(job):
    return job.settings.canvas_pixels(*job.content.shape[:2])


def per_pixel(job):
    return job.settings.beta / canvas(job)


@pytest.mark.slow
@pytest.mark.parametrize("beta", [[], ["--beta-per-pixel", "300"], ["--beta", "123456"]])
@pytest.mark.parametrize("other", [["--size", "200"], ["--border", "0"], ["style.png", "style.png"]])
def test_another_canvas_keeps_the_style_weight_of_each_pixel(nnstyle_in, prepared, beta, other):
    nnstyle_in(*PICTURES, *SMALL, *beta)
    save_described(prepared[0])
    nnstyle_in("--like", "x.png", *other)
    assert canvas(prepared[1]) != canvas(prepared[0])
    assert per_pixel(prepared[1]) == pytest.approx(per_pixel(prepared[0]), rel=1e-12)


def save_described(job, **more):
    save_image(
        job.content, "x.png", job.describe() | {"nnstyle": nnstyle.__version__, "device": "cpu"} | more
    )


@pytest.mark.parametrize(
    "size, given, expected", [(48, [], 2), (48, ["--scales", "1"], 2), (200, ["--scales", "1"], 1)]
)
def test_scales_are_decided_anew_where_they_were_those_of_the_size(
    nnstyle_in, prepared, size, given, expected
):
    nnstyle_in(*PICTURES, "--size", size, *given)
    save_described(prepared[0])
    nnstyle_in("--like", "x.png", "--size", "210")
    assert prepared[1].settings.scales == expected


@pytest.mark.parametrize("given", [["--beta", "5"], ["--beta-per-pixel", "7"]])
def test_either_beta_may_be_given(nnstyle_in, prepared, given):
    nnstyle_in(*PICTURES, *SMALL, "--beta", "99", "-o", "x.png")
    save_described(prepared[0])
    assert nnstyle_in("--like", "x.png", *given)[1] == [
        "nnstyle: interrupted before the first iteration: nothing was written"
    ]
    if given[0] == "--beta":
        assert prepared[1].settings.beta == 5
    else:
        assert per_pixel(prepared[1]) == pytest.approx(7)


def test_other_style_layers_need_no_weights(nnstyle_in, prepared):
    nnstyle_in(*PICTURES, *SMALL, "--layer-weights", "1,2,3,4,5", "-o", "x.png")
    save_described(prepared[0])
    nnstyle_in("--like", "x.png", "--style-layers", "conv1_1,conv2_1")
    assert prepared[1].settings.layer_weights == (0.5, 0.5)


def test_a_picture_of_a_version_without_grain_gets_none(folder, nnstyle_in, prepared):
    nnstyle_in(*PICTURES, "--size", "96", "--scales", "2", "--iterations", "2", "-o", "x.png")
    save_described(prepared[0])
    nnstyle_in("--like", "x.png")
    change("x.png", grain=...)
    nnstyle_in("--like", "x.png")
    assert [job.settings.grain for job in prepared] == [10, 10, 0]


def test_nor_does_it_where_it_is_painted_again_at_more_scales(folder, picture, nnstyle_in, prepared):
    nnstyle_in("--like", "x.png", "--size", "192")
    change(picture, grain=...)
    nnstyle_in("--like", "x.png", "--size", "192")
    assert [(job.settings.scales, job.settings.grain) for job in prepared] == [(2, 10), (2, 0)]


@pytest.mark.parametrize("rate", [[], ["--learning-rate", "3"]])
def test_another_optimizer_needs_no_learning_rate(folder, nnstyle_in, prepared, rate):
    write_vgg(folder / "tiny.h5", tiny_weights())
    nnstyle_in(*PICTURES, *SMALL, "--weights", "tiny.h5", "--optimizer", "adam", *rate)
    save_described(prepared[0])
    nnstyle_in("--like", "x.png", "--optimizer", "lbfgs")
    assert prepared[1].settings.learning_rate is None and prepared[1].settings.optimizer == "lbfgs"


def test_another_network_decides_for_itself_what_was_left_open(folder, picture, nnstyle_in, prepared):
    write_vgg(folder / "tiny.h5", tiny_weights(), pooling="max", beta_per_pixel=9.0)
    nnstyle_in("--like", "x.png", "--weights", "tiny.h5")
    assert prepared[0].settings.pooling == "max" and per_pixel(prepared[0]) == 9


def test_what_differs_is_said_each_in_a_line(folder, picture, nnstyle_in, prepared):
    for name, seed in zip(PICTURES, (5, 6)):
        Image.fromarray(noise(40, 56, seed=seed)).save(folder / name)
    change(
        picture, nnstyle="0.2.0", device="cuda", weights_sha256="0", new_setting=3, terms=[{"class": "Mine"}]
    )
    lines = nnstyle_in("--like", "x.png")[1]
    assert lines[:-1] == [
        "nnstyle: note: content.png is not the photograph of x.png, or has changed",
        "nnstyle: note: style.png is not the painting of x.png, or has changed",
        "nnstyle: note: the network pocket is not that of x.png, or has changed",
        f"nnstyle: note: x.png was painted by nnstyle 0.2.0, this is {nnstyle.__version__}",
        "nnstyle: note: x.png was painted on cuda, this is cpu",
        "nnstyle: note: x.png was painted with losses of its author's own, which are not stored",
        "nnstyle: note: x.png has settings that this version does not know: ['new_setting']",
    ]


def test_pictures_are_compared_at_the_size_that_they_had(picture, nnstyle_in, prepared):
    lines = nnstyle_in("--like", "x.png", "--size", "60", "--style-scale", "2")[1]
    assert len(prepared) == 1 and len(lines) == 1  # that it was interrupted


def test_a_note_about_a_picture_is_made_once(folder, nnstyle_in):
    with Image.open("content.png") as image:
        image.putalpha(100)
    image.save("content.png")
    nnstyle_in(*PICTURES, *SMALL, "-o", "x.png")
    _, lines = nnstyle_in("--like", "x.png", "--transparency", "white")
    assert len([line for line in lines if "transparent" in line]) == 1


@pytest.mark.slow
def test_an_unfinished_picture_is_painted_to_the_end(folder, nnstyle_in, monkeypatch):
    original = nnstyle.cli.run
    options = [*PICTURES, "--size", "96", "--iterations", "6", "--scales", "2", "-o"]
    assert nnstyle_in(*options, "whole.png")[0] == 0

    def run(job, engine, callback, resume):
        def on_iteration(event):
            callback(event)
            if event.record.iteration == 2:
                raise KeyboardInterrupt

        return original(job, engine, on_iteration, resume)

    with monkeypatch.context() as patch:
        patch.setattr(nnstyle.cli, "run", run)
        assert nnstyle_in(*options, "part.png")[0] == 130
    assert stored_settings("part.png")["size"] == 48
    status, lines = nnstyle_in("--like", "part.png", "-o", "again.png")
    assert (status, lines) == (0, ["nnstyle: note: part.png is unfinished: this paints it to the end"])
    assert (folder / "again.png").read_bytes() == (folder / "whole.png").read_bytes()


def test_one_painting_may_be_stored_by_its_name_alone(picture, nnstyle_in):
    """As earlier versions did."""
    stored, lists = stored_settings(picture), ("style_scales", "style_weights", "mask", "mask_sha256")
    change(picture, style="style.png", style_sha256=stored["style_sha256"][0], **dict.fromkeys(lists, ...))
    assert nnstyle_in("--like", "x.png", "-o", "y.png") == (0, [])


@pytest.fixture
def several(folder, nnstyle_in):
    """x.png painted from three paintings, two of them in a folder, with masks, weights and an initial image."""
    (folder / "van.gogh").mkdir()
    for name, seed in (("van.gogh/a.png", 1), ("van.gogh/b.png", 2), ("start.png", 3)):
        Image.fromarray(noise(50, 50, seed=seed)).save(folder / name)
    for name, white in (("left.png", slice(0, 28)), ("right.png", slice(20, 56))):
        mask = np.zeros((40, 56), np.uint8)
        mask[:, white] = 255
        Image.fromarray(mask).save(folder / name)
    masks = "--mask left.png --mask right.png --style-weights 3,1"
    options = f"van.gogh {masks} --init start.png --bits 16 --colour match --border 0".split()
    assert nnstyle_in(*PICTURES, *options, *SMALL, "-o", "x.png")[0] == 0
    return folder / "x.png"


def test_several_paintings_with_all_that_goes_with_them_make_the_same_bytes(folder, several, nnstyle_in):
    status, (line,) = nnstyle_in("--like", "x.png")
    assert status == 2 and "the painting 'a.png' is neither beside x.png nor" in line
    assert nnstyle_in("--like", "x.png", *PICTURES, "van.gogh", "-o", "y.png") == (0, [])
    assert (folder / "y.png").read_bytes() == several.read_bytes()
    for path in (folder / "van.gogh").iterdir():
        shutil.move(path, folder)
    assert nnstyle_in("--like", "x.png") == (0, [])
    assert (folder / "content-style-and-2-more.png").read_bytes() == several.read_bytes()


@pytest.mark.parametrize(
    ("ending", "options"),
    [(".png", []), pytest.param(".jpg", [], marks=pytest.mark.slow), (".png", ["--transparency", "white"])],
)
def test_a_cut_out_makes_the_same_bytes(folder, nnstyle_in, ending, options):
    with Image.open("content.png") as image:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save("content.png")
    assert nnstyle_in(*PICTURES, *SMALL, *options, "-o", f"x{ending}")[0] == 0
    status, lines = nnstyle_in("--like", f"x{ending}", "-o", f"y{ending}")
    assert status == 0 and not [line for line in lines if "x." in line]
    assert (folder / f"y{ending}").read_bytes() == (folder / f"x{ending}").read_bytes()
    assert nnstyle_in("--like", f"x{ending}", "-o", "z.jpg")[0] == 0


def test_another_alpha_channel_is_another_photograph(picture, nnstyle_in, prepared):
    with Image.open("content.png") as image:
        image.putalpha(100)
    image.save("content.png")
    lines = nnstyle_in("--like", "x.png")[1]
    assert any("content.png is not the photograph of x.png" in line for line in lines)


def test_weights_and_masks_may_be_given(folder, several, nnstyle_in, prepared):
    shutil.copy(folder / "left.png", folder / "other.png")
    given = ["--style-weights", "1,1", "--mask", "other.png", "--init", "noise"]
    lines = nnstyle_in("--like", "x.png", *PICTURES, "van.gogh", *given)[1]
    assert [style.weight for style in prepared[0].styles] == [1, 0.5, 0.5]
    assert prepared[0].mask_names == ("other.png",) * 3 and prepared[0].settings.init == "noise"
    assert lines[:-1] == ["nnstyle: note: other.png is not the mask of x.png, or has changed"]


def test_other_masks_and_initial_images_are_said(folder, several, nnstyle_in, prepared):
    for name in ("right.png", "start.png"):
        Image.fromarray(noise(40, 56, seed=9)).save(folder / name)
    lines = nnstyle_in("--like", "x.png", *PICTURES, "van.gogh", "--size", "60")[1]
    assert lines[:-1] == [
        "nnstyle: note: start.png is not the initial image of x.png, or has changed",
        "nnstyle: note: right.png is not the mask of x.png, or has changed",
    ]


@pytest.mark.parametrize("name", ["left.png", "start.png"])
def test_a_mask_or_an_initial_image_that_is_missing_is_named(folder, several, nnstyle_in, name):
    (folder / name).unlink()
    status, (line,) = nnstyle_in("--like", "x.png", *PICTURES, "van.gogh")
    how = "--mask" if name == "left.png" else "--init"
    assert status == 2 and f"'{name}' is neither beside" in line and line.endswith(f"give it with {how}")


def test_another_number_of_paintings_is_said(folder, several, nnstyle_in, prepared):
    lines = nnstyle_in("--like", "x.png", *PICTURES)[1]
    assert lines[:-1] == [
        "nnstyle: note: x.png was painted from 3 paintings, this is from 1 painting, without its masks"
    ]
    assert prepared[0].mask_names == ("",) and prepared[0].settings.colour == "match"


def test_a_picture_of_before_is_painted_too(picture, nnstyle_in):
    change(picture, weights_file=..., border=..., device=...)
    status, (line,) = nnstyle_in("--like", "x.png", "-o", "y.png")
    assert (status, line) == (0, "nnstyle: note: x.png was painted on what it does not say, this is cpu")


def test_it_is_not_replaced_itself(picture, nnstyle_in):
    before = picture.read_bytes()
    status, (line,) = nnstyle_in("--like", "x.png", "-o", "x.png")
    assert status == 2 and "would replace an input" in line and picture.read_bytes() == before


@pytest.mark.parametrize("words", ["content.png", "missing.png", "."])
def test_what_cannot_be_painted_again_takes_one_line(folder, nnstyle_in, words):
    before = files(folder)
    status, (line,) = nnstyle_in("--like", words)
    assert status == 2 and line.startswith(f"nnstyle: {words}") and files(folder) == before


ODD = [
    None,
    True,
    -1,
    1e400,
    float("nan"),
    "",
    "x\x1b[2J\n",
    [],
    {},
    [[]],
    {"size": 9},
    "a" * 10_000,
    10**400,
    [1, "a"],
]


@pytest.mark.parametrize("share", [45, pytest.param(5, marks=pytest.mark.slow)])
def test_settings_that_somebody_made_up_take_one_line(picture, nnstyle_in, prepared, share):
    """Odd values in many places: each gets one line of complaint, without a letter that a terminal obeys."""
    usual = stored_settings(picture)
    names = [*usual, "unfinished", "terms", "init_sha256"]
    for name, value in list(itertools.product(names, ODD))[::share]:
        save_image(noise(32, 48), picture, usual | {name: value})
        status, lines = nnstyle_in("--like", "x.png")
        assert status in (2, 130), (name, value)
        assert len([line for line in lines if ": note: " not in line]) == 1, (name, value, lines)
        assert all(line.isprintable() and len(line) < 700 for line in lines), (name, value, lines)


def test_unusable_settings_are_named_with_their_picture(picture, nnstyle_in):
    change(picture, alpha=-3)
    line = "nnstyle: x.png: the settings in it cannot be used: alpha must be a finite number, not negative, not -3"
    assert nnstyle_in("--like", "x.png") == (2, [line])


def test_a_picture_without_anything_inside_but_braces(folder, nnstyle_in):
    make_pictures(folder)
    save_image(noise(32, 48), folder / "x.png", {})
    status, (line,) = nnstyle_in("--like", "x.png")
    assert status == 2 and line.startswith("nnstyle: x.png does not name its photograph")
    assert json.loads("{}") == stored_settings("x.png")
