"""The comparison of networks and settings: what it paints, and its sheet."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnstyle.weights.formats.hdf5 import write_hdf5
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights
from weights import compare

SIZE = 200


@pytest.fixture
def inputs(tmp_path):
    """A network and two pictures, as files."""
    write_hdf5(tmp_path / "tiny.h5", tiny_weights())
    for name, seed in (("photo", 0), ("painting", 1)):
        Image.fromarray(noise(SIZE, SIZE + 8, seed=seed)).save(tmp_path / f"{name}.png")
    return tmp_path


def test_a_candidate_is_a_network_with_options_of_the_command_line(inputs):
    one = compare.candidate(
        f"'{inputs / 'tiny.h5'}' --layer-weights 1,0,2 --style-layers conv1_1,conv2_1,conv3_1 --beta 7", 64, 3
    )
    assert one.weights.name == "tiny" and one.settings["layer_weights"] == (1, 0, 2)
    assert (one.settings["size"], one.settings["iterations"], one.settings["beta"]) == (64, 3, 7)


def test_the_losses_of_both_experiments_are_those_that_they_are_named_after(inputs, monkeypatch):
    asked = []
    monkeypatch.setattr(
        compare.nnstyle,
        "stylize",
        lambda *a, **how: asked.append(how) or compare.argparse.Namespace(image=a[0]),
    )
    one = compare.candidate(f"{inputs / 'tiny.h5'} --beta 7 --layer-weights 1,1,1,1,2", 64, 3)
    picture = noise(40, 48)
    compare.resynthesize(one, picture)
    compare.reconstruct(one, picture)
    texture, content = asked
    assert texture["alpha"] == 0 and texture["beta"] is None and texture["layer_weights"] == (1, 1, 1, 1, 2)
    assert content["beta"] == 0 and content["alpha"] == 1
    assert all(how["init"] == "noise" and how["size"] == 48 for how in asked)


@pytest.mark.slow
def test_everything_at_once(inputs, capsys):
    network, photo, painting = (str(inputs / name) for name in ("tiny.h5", "photo.png", "painting.png"))
    argv = [network, f"{network} --layer-weights 1,1,1,1,1", "--pairs", photo, painting]
    argv += ["--textures", painting, "--contents", photo, "--size", "208", "--content-size", "144"]
    argv += ["--iterations", "1", "--threads", "1", "--width", "100", "-o", str(inputs / "sheet.jpg")]
    compare.main(argv)
    printed = capsys.readouterr().out.splitlines()
    means = [text.split()[1:] for text in printed if text.startswith("mean")]
    assert [len(numbers) for numbers in means] == [4, 2]
    assert np.isfinite(np.array([*means[0], *means[1]], float)).all()
    with Image.open(inputs / "sheet.jpg") as sheet:
        # A row for the pair, of 100 x 96, and one for the texture, which is a square.
        assert sheet.size == (4 + 4 * 104, 28 + 96 + 4 + 100 + 4)


def test_a_sheet_shows_each_picture_where_it_belongs():
    red, green = (np.full((20, 40, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 255, 0)))
    sheet = np.array(compare.contact_sheet([[red, None], [green, red]], ["a", "b"], 40))
    first, second = compare.TITLE + 10, compare.TITLE + 34
    assert [*sheet[first, 24]] == [255, 0, 0] and [*sheet[first, 68]] == [255] * 3
    assert [*sheet[second, 24]] == [0, 255, 0] and [*sheet[second, 68]] == [255, 0, 0]


def test_a_texture_is_the_middle_of_a_picture_at_the_size_of_the_pairs(inputs):
    texture = compare.read_texture(inputs / "photo.png", 208)
    assert np.array_equal(texture, noise(SIZE, SIZE + 8)[4:196, 8:200])
    with pytest.raises(compare.nnstyle.InputError, match="needs 192 px each way"):
        compare.read_texture(inputs / "photo.png", 190)


@pytest.mark.parametrize(
    "which", ["photo.png", "painting.png", "tiny.h5", "link.png", "sheet.xyz", "missing/sheet.jpg"]
)
def test_a_sheet_that_cannot_be_or_would_replace_an_input_is_refused(inputs, capsys, which):
    (inputs / "link.png").symlink_to("photo.png")
    if which == "tiny.h5":  # through a link, as a sheet must end like a picture
        (inputs / "sheet.png").symlink_to("tiny.h5")
        which = "sheet.png"
    before = {path.name: path.read_bytes() for path in inputs.iterdir()}
    argv = [str(inputs / "tiny.h5"), "--pairs", str(inputs / "photo.png"), str(inputs / "painting.png")]
    assert compare.main([*argv, "-o", str(inputs / which)]) == 2
    shown = capsys.readouterr()
    assert not shown.out and shown.err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in inputs.iterdir()} == before


def test_a_candidate_s_settings_are_those_given_and_the_others_defaults(inputs):
    """Layer weights that are not given are left to what the network's file states."""
    one = compare.candidate(f"'{inputs / 'tiny.h5'}' --no-rescale", 64, 3)
    assert one.settings["rescale"] is False and one.settings["layer_weights"] is None
    assert set(one.settings) == {field.name for field in compare.dataclasses.fields(compare.Settings)}


@pytest.fixture
def gallery(inputs):
    """Finished pictures, plain ones, of the pairs photo x painting and painting x photo."""
    for name, colour in (("red", "red"), ("green", "lime"), ("blue", "blue")):
        (inputs / name).mkdir()
        Image.new("RGB", (104, 100), colour).save(inputs / name / "photo_painting.png")
    Image.new("RGB", (50, 50), "red").save(inputs / "red" / "painting_photo.png")
    Image.new("RGB", (50, 50), "lime").save(inputs / "green" / "painting_photo.png")
    return inputs


def blind(folder, *more, candidates=("red", "green", "blue"), networks=(), pairs=2):
    """Make blind sheets of the gallery; return the exit status."""
    photo, painting = str(folder / "photo.png"), str(folder / "painting.png")
    argv = [*networks, *(str(folder / name / "{photo}_{painting}.png") for name in candidates)]
    for pair in [(photo, painting), (painting, photo)][:pairs]:
        argv += ["--pairs", *pair]
    argv += ["--blind", str(folder / "key.json"), "-o", str(folder / "sheet.png"), "--size", "104"]
    return compare.main([*argv, *more])


def cell(sheet, place, columns):
    """The colour in the middle of one cell of a blind sheet with pictures of 104 x 100."""
    x = compare.MARGIN + place % columns * (104 + compare.MARGIN) + 52
    y = place // columns * (compare.TITLE + 100 + compare.MARGIN) + compare.TITLE + 50
    return sheet.getpixel((x, y))


COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def test_blind_sheets_show_what_the_key_says_and_nothing_else(gallery):
    assert blind(gallery) == 0
    key = compare.json.loads((gallery / "key.json").read_text())
    assert [[*letters] for letters in key.values()] == [["A", "B", "C"], ["A", "B"]]
    for number, (pair, columns) in enumerate([("photo_painting", 3), ("painting_photo", 2)], 1):
        with Image.open(gallery / f"sheet-{number}.png") as sheet:
            assert not sheet.info
            for place, path in enumerate(key[pair].values(), 2):
                assert cell(sheet, place, columns) == COLOURS[Path(path).parent.name]
    assert not (gallery / "sheet.png").exists()


def test_the_order_on_blind_sheets_is_another_each_time_and_for_each_pair():
    candidates = [compare.Finished(name, "anywhere.png", 64) for name in "abcdefgh"]
    pairs = [(f"{number}.png", "painting.png") for number in range(20)]
    everywhere = lambda seed: compare.shuffled(candidates, pairs, seed)
    orders = lambda seed: [[one.label for one in these.values()] for these in everywhere(seed).values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare.Finished, "has", lambda self, pair: True)
        assert orders(1) == orders(1) != orders(2)
        assert orders(None) != orders(None)
        assert len({tuple(order) for order in orders(1)}) > 15
        assert all(sorted(order) == list("abcdefgh") for order in orders(1))


def test_blind_sheets_replace_nothing(gallery, capsys):
    assert blind(gallery) == 0
    for missing in ("key.json", "sheet-1.png"):
        (gallery / missing).unlink()
        before = {path.name: path.read_bytes() for path in gallery.glob("*.*")}
        assert blind(gallery) == 2 and "is there already" in capsys.readouterr().err
        assert {path.name: path.read_bytes() for path in gallery.glob("*.*")} == before


def test_a_network_and_finished_pictures_stand_side_by_side(gallery, monkeypatch):
    painted = compare.argparse.Namespace(image=np.full((100, 104, 3), 7, np.uint8))
    monkeypatch.setattr(compare.nnstyle, "stylize", lambda *_, **__: painted)
    assert blind(gallery, networks=[str(gallery / "tiny.h5")], candidates=["red"]) == 0
    key = compare.json.loads((gallery / "key.json").read_text())["photo_painting"]
    with Image.open(gallery / "sheet-1.png") as sheet:
        colours = {key[letter]: cell(sheet, place, 2) for place, letter in enumerate(key, 2)}
    assert colours[str(gallery / "tiny.h5")] == (7, 7, 7) and len(set(colours.values())) == 2


def test_a_finished_picture_gets_the_size_of_the_others(gallery):
    one = compare.Finished("red", str(gallery / "red" / "{photo}_{painting}.png"), 96)
    assert one.paint(gallery / "painting.png", gallery / "photo.png").shape == (92, 96, 3)


RANKS = {
    "one": {"photo_painting": ["A", "B", "C"], "painting_photo": ["B", "A"]},
    "two": {"photo_painting": ["B", "A", "C"]},
}


@pytest.fixture
def ranked(tmp_path):
    """A key and two judges' ranks, as files."""
    key = {
        "photo_painting": {"A": "red", "B": "green", "C": "blue"},
        "painting_photo": {"A": "green", "B": "red"},
    }
    for name, content in {"key": key, **RANKS}.items():
        (tmp_path / f"{name}.json").write_text(compare.json.dumps(content))
    return tmp_path


def test_ranks_are_averaged_for_each_pair_and_over_all(ranked, capsys):
    assert compare.main(["--ranks", *(str(ranked / f"{name}.json") for name in ("key", "one", "two"))]) == 0
    tables, name = {}, None
    for text in capsys.readouterr().out.splitlines()[1:]:
        if text.startswith(" "):
            mean, wins, _, judged, candidate = text.split()
            tables[name][candidate] = float(mean), int(wins), int(judged)
        else:
            tables[name := text] = {}
    assert tables == {
        "photo_painting": {"red": (1.5, 1, 2), "green": (1.5, 1, 2), "blue": (3, 0, 2)},
        "painting_photo": {"red": (1, 1, 1), "green": (2, 0, 1)},
        "all pairs": {"red": (1.33, 2, 3), "green": (1.67, 1, 3), "blue": (3, 0, 2)},
    }


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ({"elsewhere": ["A"]}, "the key has no pair 'elsewhere'"),
        ({"photo_painting": ["A", "B"]}, "photo_painting should be an order of A, B, C"),
        ({"photo_painting": ["A", "A", "B"]}, "should be an order of"),
        ({"photo_painting": "ABC"}, "should be an order of"),
        ({"photo_painting": [["A"], {}, 3]}, "should be an order of"),
        (["A"], "should hold an object"),
        ("not JSON", "is not JSON"),
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "is not JSON"),
    ],
)
def test_ranks_that_cannot_be_are_refused_in_one_line(ranked, capsys, ranks, message):
    path = ranked / "judge.json"
    if isinstance(ranks, bytes):
        path.write_bytes(ranks)
    elif ranks is not None:
        path.write_text(ranks if isinstance(ranks, str) else compare.json.dumps(ranks))
    assert compare.main(["--ranks", str(ranked / "key.json"), str(path)]) == 2
    shown = capsys.readouterr()
    assert not shown.out and message in shown.err and shown.err.count("\n") == 1


@pytest.mark.parametrize("key", [{"pair": ["A"]}, {"pair": {"A": 1}}, []])
def test_a_file_that_is_no_key_is_refused(ranked, capsys, key):
    (ranked / "key.json").write_text(compare.json.dumps(key))
    assert compare.main(["--ranks", str(ranked / "key.json"), str(ranked / "one.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "name at least one candidate"),
        (["--ranks", "key.json"], "at least one judge"),
        (["pocket", "--ranks", "key.json", "judge.json"], "no candidates"),
        (["pocket", "--blind", "key.json"], "--blind takes --pairs"),
        (["{folder}/red/{photo}_{painting}.png", "--textures", "{folder}/photo.png"], "need networks"),
        (["{folder}/none.png", "--pairs", "{folder}/photo.png", "{folder}/painting.png"], "no such picture"),
        (["'tiny.h5"], "quoted as in a shell"),
        ([""], "should be a network"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(gallery, capsys, argv, message):
    assert compare.main([text.replace("{folder}", str(gallery)) for text in argv]) == 2
    shown = capsys.readouterr()
    assert not shown.out and message in shown.err and shown.err.count("\n") == 1


def test_pairs_that_cannot_be_judged_are_refused(gallery, capsys):
    assert blind(gallery, candidates=["red", "blue"]) == 2
    assert "painting_photo has 1 candidates" in capsys.readouterr().err
    again = ["--pairs", str(gallery / "photo.png"), str(gallery / "painting.png")]
    assert blind(gallery, *again, pairs=1) == 2
    assert "two pairs have the same name" in capsys.readouterr().err
    assert not [*gallery.glob("key.json"), *gallery.glob("sheet*")]
