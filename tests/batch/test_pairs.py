"""Which photograph in which style, under which name."""

from pathlib import Path

import pytest

from nnstyle import InputError
from nnstyle.batch.arguments import make_parser
from nnstyle.batch.pairs import pairs_of


def pairs(*words):
    return pairs_of(make_parser().parse_intermixed_args([*words, "-o", "out"]))


def names(*words):
    return [pair.output for pair in pairs(*words)]


def test_every_photograph_in_every_style(album):
    found = pairs("photos/a.png", "photos/b.png", "--styles", "x.png", "y.png")
    assert [(pair.photo.name, pair.style.name, pair.output) for pair in found] == [
        ("a.png", "x.png", "a-x.png"),
        ("a.png", "y.png", "a-y.png"),
        ("b.png", "x.png", "b-x.png"),
        ("b.png", "y.png", "b-y.png"),
    ]


def test_a_folder_of_photographs_is_all_of_them_and_a_folder_of_paintings_one_style(album):
    (album / "photos/notes.txt").write_text("no picture")
    assert names("photos", "--styles", "photos") == ["a-photos.png", "b-photos.png", "c-photos.png"]


def test_a_pattern_makes_the_names(album):
    pattern = "{number} {style}_{photo}.webp"
    expected = ["1 x_a.webp", "2 x_b.webp", "3 x_c.webp"]
    assert names("photos", "--styles", "x.png", "--name", pattern) == expected
    many = names(*["photos"] * 4, "--styles", "x.png", "--name", "{number}.jpg")
    assert many[0] == "01.jpg" and many[-1] == "12.jpg"


def test_a_table_has_pairs_relative_to_itself(album):
    (album / "lists").mkdir()
    table = album / "lists/pairs.csv"
    table.write_text(
        'style,photo,output\n../x.png,../photos/a.png,\n../y.png,"gone, or never there.png",b.jpg\n'
    )
    first, second = pairs("--pairs", "lists/pairs.csv")
    assert (first.photo, first.style, first.output) == (
        Path("lists/../photos/a.png"),
        Path("lists/../x.png"),
        "a-x.png",
    )
    # What a row names need not be there: that picture alone will fail.
    assert second.photo == Path("lists/gone, or never there.png") and second.output == "b.jpg"


def test_a_table_of_a_spreadsheet_begins_with_a_byte_order_mark(album):
    (album / "pairs.csv").write_text("photo,style\nphotos/a.png,x.png\n", encoding="utf-8-sig")
    assert names("--pairs", "pairs.csv") == ["a-x.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--styles x.png", "give at least one PHOTO"),
        ("photos", "give at least one painting"),
        ("gone.png --styles x.png", "gone.png does not exist"),
        ("photos --styles gone.png", "gone.png does not exist"),
        ("empty --styles x.png", "no picture in the folder empty"),
        ("photos --styles x.png --name {photo}", "must end in .png"),
        ("photos --styles x.png --name {photo}.gif", "must end in .png"),
        ("photos --styles x.png --name {photo.parent}.png", "not 'photo.parent'"),
        ("photos --styles x.png --name {photo!r}.png", "{photo}, {style} and {number}"),
        ("photos --styles x.png --name {photo:>9}.png", "{photo}, {style} and {number}"),
        ("photos --styles x.png --name {}.png", "not ''"),
        ("photos --styles x.png --name {photo.png", "is no pattern"),
        ("photos --styles x.png --name {style}/{photo}.png", "another folder"),
        ("photos --styles x.png --name ..\\{photo}.png", "another folder"),
        ("photos --styles x.png --name .{photo}.png", "hidden"),
        ("photos --styles x.png --name {photo}\n.png", "cannot be printed"),
        ("photos --styles x.png --name " + "x" * 252 + ".png", "255 bytes"),
        ("photos --styles x.png y.png --name {photo}.png", "would be called a.png"),
        ("photos photos/a.png --styles x.png", "add {number} to --name"),
        ("photos --styles x.png --pairs pairs.csv", "not both"),
        ("--pairs gone.csv", "gone.csv cannot be read"),
        ("--pairs photos", "cannot be read"),
        ("--pairs x.png", "not a table"),
        ("--pairs empty.csv", "must name its columns"),
        ("--pairs no_rows.csv", "from 1 to 100000 pictures, not 0"),
        ("--pairs no_names.csv", "must name its columns"),
        ("--pairs unknown.csv", "not 'photo,style,size'"),
        ("--pairs twice.csv", "must name its columns"),
        ("--pairs short.csv", "short.csv, line 3"),
        ("--pairs long.csv", "long.csv, line 2"),
        ("--pairs quote.csv", "not a table"),
        ("--pairs away.csv", "another folder"),
        ("--pairs capitals.csv", "would be called X.PNG"),
    ],
)
def test_what_cannot_be_used_is_refused(album, words, message):
    (album / "empty").mkdir()
    for name, text in {
        "pairs": "photo,style\nphotos/a.png,x.png\n",
        "empty": "",
        "no_rows": "photo,style\n",
        "no_names": "photos/a.png,x.png\n",
        "unknown": "photo,style,size\na.png,x.png,64\n",
        "twice": "photo,style,style\na.png,x.png,y.png\n",
        "short": "photo,style\na.png,x.png\nb.png\n",
        "long": "photo,style\na.png,x.png,y.png\n",
        "quote": 'photo,style\n"a.png,x.png\n',
        "away": "photo,style,output\na.png,x.png,../x.png\n",
        "capitals": "photo,style,output\na.png,x.png,x.png\nb.png,x.png,X.PNG\n",
    }.items():
        (album / f"{name}.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        pairs(*words.split(" "))
    assert message in str(caught.value)
