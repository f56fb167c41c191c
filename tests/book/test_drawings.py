"""The book's drawings follow its theme, keep to themselves, and their numbers are right."""

import importlib.util
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import nnstyle
from nnstyle import Settings, layers, losses
from nnstyle.network import CONVOLUTIONS_PER_BLOCK, LAYERS
from nnstyle.optimizers import lbfgs
from tests.support.lessons import parts_of

LESSONS = Path(__file__).parents[2] / "lessons"
BOOK = LESSONS / "book"
DRAWINGS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(BOOK.glob("drawings/*.svg"))}
STYLES = (BOOK / "static/book.css").read_text(encoding="utf-8")

# Drawn, and not yet placed in a lesson.
TO_BE_PLACED = {
    *("shared-weights", "sliding-window", "pooling", "backward-graph", "finite-difference"),
    *("vgg-stack", "receptive-field", "content-search", "gram-matrix", "lbfgs"),
    *("pipeline", "coarse-to-fine", "winograd"),
}

SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan"}
# Only what places a shape, and the class that styles it. Colours are not among them.
ATTRIBUTES = {
    *("viewBox", "class", "transform", "d", "points", "x", "y", "dx", "dy", "x1", "y1", "x2", "y2"),
    *("width", "height", "rx", "ry", "cx", "cy", "r"),
}
LARGEST = 20_000  # bytes


def check_drawing(svg):
    """Raise ValueError unless this is a drawing that can stand in a page, in any theme."""
    if len(svg.encode()) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} bytes")
    if re.search(r"<[?!](?!--)", svg):
        raise ValueError("it has a declaration, which may not stand within a page")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no XML: {error}") from None
    if root.tag != f"{SVG}svg" or not svg.startswith("<svg "):
        raise ValueError("it does not begin with <svg>")
    if not re.fullmatch(r"0 0 480 [0-9.]+", root.get("viewBox", "")):
        raise ValueError("its viewBox is not 480 wide")
    if {"width", "height"} & set(root.attrib):
        raise ValueError("its size is fixed")
    for element in root.iter():
        name = element.tag.removeprefix(SVG)
        if name not in ELEMENTS:
            raise ValueError(f"<{name}> has no place here")
        for attribute in set(element.attrib) - ATTRIBUTES:
            raise ValueError(f"<{name}> has {attribute}: give it a class")


def classes_of(svg):
    """The classes that a drawing uses."""
    return {word for value in re.findall(r'class="([^"]*)"', svg) for word in value.split()}


def styled_classes(styles):
    """The classes that the style sheet describes for drawings."""
    selectors = " ".join(re.findall(r"^(\.drawing .*?)\{", styles, re.MULTILINE))
    return set(re.findall(r"\.([a-z][a-z-]*)", selectors))


def colours_of(styles):
    """All values of properties that colour something, in the rules for drawings."""
    rules = re.findall(r"^\.drawing.*?\{(.*?)\}", styles, re.MULTILINE | re.DOTALL)
    return re.findall(
        r"(?:^|[;\s])(?:--ink|fill|stroke|color|background|background-color|border[a-z-]*)\s*:\s*([^;]+?)\s*(?=;|$)",
        ";".join(rules),
    )


def is_of_the_theme(colour):
    return bool(re.fullmatch(r"currentColor|none|var\(--(ink|color-[a-z-]+)\)", colour))


def texts(svg):
    """The texts of a drawing in the order of its source, without what is between the lines."""
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def shapes(svg, tag):
    """The shapes of a drawing, each with its own classes and those of the groups that it is in."""
    found = []

    def walk(element, classes):
        classes = classes | set(element.get("class", "").split())
        if element.tag == f"{SVG}{tag}":
            found.append((element, classes))
        for child in element:
            walk(child, classes)

    walk(ElementTree.fromstring(svg), set())
    return found


def names_placed(lessons):
    """How often each drawing is placed in these sources."""
    return Counter(name for text in lessons for name in re.findall(r"\.\. drawing:: (\S+)", text))


def sources():
    paths = [*LESSONS.glob("*.py"), *LESSONS.glob("*.rst"), *BOOK.glob("*.rst"), *BOOK.glob("guide/*.md")]
    return [path.read_text(encoding="utf-8") for path in paths]


# What holds for all of them


def test_there_are_drawings():
    assert DRAWINGS


@pytest.mark.parametrize("name", DRAWINGS)
def test_it_can_stand_in_a_page(name):
    check_drawing(DRAWINGS[name])


FINE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 100">{}</svg>'


@pytest.mark.parametrize(
    "inside",
    [
        '<rect class="box" fill="#ff0000" x="0"/>',
        '<rect style="fill: red" x="0"/>',
        '<path stroke="black" d="M0 0h9"/>',
        '<path id="arrow" d="M0 0h9"/>',
        '<rect onclick="run()" x="0"/>',
        "<script>run()</script>",
        "<style>.box { fill: red }</style>",
        '<image href="https://example.org/picture.png"/>',
        '<a href="https://example.org"><text x="0" y="0">there</text></a>',
        '<use href="other.svg"/>',
        "<g><text>not closed</g>",
        "<!DOCTYPE svg>",
        f"<text>{'long' * 5000}</text>",
    ],
)
def test_a_bad_drawing_is_found(inside):
    check_drawing(FINE.format('<rect class="box" x="0" y="0" width="9" height="9"/>'))
    with pytest.raises(ValueError):
        check_drawing(FINE.format(inside))


@pytest.mark.parametrize(
    "svg",
    [
        FINE.format("").replace(' viewBox="0 0 480 100"', ""),
        FINE.format("").replace("<svg ", '<svg width="480" '),
        '<?xml version="1.0"?>' + FINE.format(""),
        FINE.format("").replace("svg", "html"),
    ],
)
def test_a_bad_frame_is_found(svg):
    check_drawing(FINE.format(""))
    with pytest.raises(ValueError):
        check_drawing(svg)


@pytest.mark.parametrize("name", DRAWINGS)
def test_its_classes_have_a_style(name):
    assert classes_of(DRAWINGS[name]) <= styled_classes(STYLES)


def test_a_class_without_style_would_be_found():
    assert "line" in styled_classes(STYLES)
    assert not classes_of('<path class="line lien"/>') <= styled_classes(STYLES)


def test_the_styles_have_the_colours_of_the_theme_only():
    colours = colours_of(STYLES)
    assert "currentColor" in colours and "var(--color-brand-primary)" in colours
    assert all(map(is_of_the_theme, colours))


@pytest.mark.parametrize(
    "colour", ["red", "#fff", "rgb(0, 0, 0)", "var(--paint, red)", "var(--color-x, red)"]
)
def test_a_colour_of_its_own_would_be_found(colour):
    twin = STYLES.replace(".drawing .thin {", f".drawing .thin {{ stroke: {colour};")
    assert twin != STYLES
    assert not all(map(is_of_the_theme, colours_of(twin)))


def test_all_are_placed_in_the_book():
    placed = set(names_placed(sources()))
    assert set(DRAWINGS) <= placed | TO_BE_PLACED
    assert placed <= set(DRAWINGS)


def test_a_drawing_that_is_placed_is_found():
    assert names_placed(["# .. drawing:: gram-matrix\n#    :alt: F\n", "drawing:: not-this"]) == {
        "gram-matrix": 1
    }


def doctree(directive):
    """What docutils makes of a page with this directive."""
    core = pytest.importorskip("docutils.core")
    specification = importlib.util.spec_from_file_location("drawing", BOOK / "drawing.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    module.directives.register_directive("drawing", module.Drawing)
    return core.publish_doctree(directive, settings_overrides={"report_level": 5})


def test_the_directive_puts_the_drawing_into_the_page_with_its_caption():
    page = doctree('.. drawing:: lbfgs\n   :alt: Boxes & "arrows"\n   :name: here\n\n   One.\n\n   Two.\n')
    (figure,) = page.findall(lambda node: node.tagname == "figure")
    svg, caption = figure.children
    start = '<svg role="img" aria-label="Boxes &amp; &quot;arrows&quot;" '
    assert svg.astext() == DRAWINGS["lbfgs"].replace("<svg ", start, 1)
    assert caption.astext() == "One. Two." and figure["names"] == ["here"]


@pytest.mark.parametrize("wrong", [".. drawing:: lbfgs\n\n   One.", ".. drawing:: none\n   :alt: none\n"])
def test_a_drawing_without_words_or_file_is_an_error(wrong):
    page = doctree(wrong)
    assert any(node.tagname == "system_message" for node in page.findall())
    assert not any(node.tagname == "figure" for node in page.findall())


# What the single ones say


def has_run(words, run):
    """Whether these words follow one another somewhere."""
    run = [str(word).replace("-", "\N{MINUS SIGN}") for word in np.ravel(run)]
    return any(words[i : i + len(run)] == run for i in range(len(words) - len(run) + 1))


def test_numbers_that_do_not_follow_one_another_are_found():
    assert has_run(["a", "1", "\N{MINUS SIGN}2", "3"], [[1, -2], [3]][0])
    assert not has_run(["1", "3", "2"], [1, 2])


def test_the_sliding_window_computes_a_convolution():
    words = texts(DRAWINGS["sliding-window"])
    x = np.array([[2, 2, 1, 0, 0], [2, 1, 0, 0, 1], [2, 1, 0, 1, 2], [1, 0, 0, 2, 2], [0, 0, 1, 2, 2]])
    kernel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    y = layers.conv(x[..., None], kernel[..., None, None], np.zeros(1, int))[0][..., 0]
    assert has_run(words, x) and has_run(words, kernel) and has_run(words, y)
    assert not has_run(words, y.T)
    worked = "".join(words[words.index("picture times kernel, nine products added up:") + 1 :])
    products = re.findall(r"(\d) · (?:\((.\d)\)|(\d))", worked)
    products = [(int(a), int((b or c).replace("\N{MINUS SIGN}", "-"))) for a, b, c in products]
    window = np.pad(x, 1)[0:3, 2:5]  # of the output in row 0, column 2
    assert products == list(zip(window.ravel(), kernel.ravel()))
    assert sum(a * b for a, b in products) == y[0, 2] == 5 and worked.endswith("= 5")


def test_the_gram_matrix_is_one():
    words = texts(DRAWINGS["gram-matrix"])
    F = np.array([[2, 0, 1, 3, 0, 0], [1, 0, 2, 1, 1, 1], [0, 3, 0, 0, 1, 1]])
    G = losses.gram_matrix(F.T.reshape(2, 3, 3))
    assert all(has_run(words, row.reshape(2, 3)) for row in F)  # the feature maps
    assert has_run(words, F) and has_run(words, F.T) and has_run(words, G)
    assert " + ".join(f"{a} · {b}" for a, b in zip(F[0], F[1])) + f" = {G[0, 1]}" in words
    assert not has_run(words, G + np.eye(3, dtype=int))


def test_the_graph_has_the_losses_of_the_paper():
    words = texts(DRAWINGS["backward-graph"])
    wanted = ["forward", "losses", "backward", "image x"]
    for name in LAYERS["vgg19"]:
        if name in Settings.style_layers:
            wanted += [name, "style loss"]
        if name in Settings.content_layers:
            wanted += [name, "content loss"]
    assert [word for word in words if word in wanted] == wanted


def check_stack(svg):
    """Raise ValueError unless these are VGG-19's convolutions, to scale."""
    blocks = [(box, classes) for box, classes in shapes(svg, "rect") if "tint" in classes]
    key, blocks = blocks[-2:], blocks[:-2]
    names = [name for name in LAYERS["vgg19"] if name.startswith("conv")]
    words = texts(svg)
    if [word for word in words if re.fullmatch(r"(conv|pool)[1-5]\S*", word)] != LAYERS["vgg19"]:
        raise ValueError("other layers")
    if len(blocks) != len(names) or [classes & {"ink-purple", "ink-blue"} for _, classes in key] != [
        {"ink-purple"},
        {"ink-blue"},
    ]:
        raise ValueError("other blocks")
    for name, (box, classes) in zip(names, blocks):
        block = int(name[4])
        size, channels = 224 >> block - 1, min(64 << block - 1, 512)
        if (float(box.get("height")), float(box.get("width"))) != (size / 2, channels / 6.4):
            raise ValueError(f"{name} is not to scale")
        if f"{size} × {size} px, {channels} channels" not in words:
            raise ValueError(f"{name}'s size is not said")
        if ("ink-purple" in classes, "ink-blue" in classes) != (
            name in Settings.style_layers,
            name in Settings.content_layers,
        ):
            raise ValueError(f"{name} has the wrong mark")


def test_the_stack_of_vgg_is_to_scale():
    svg = DRAWINGS["vgg-stack"]
    check_stack(svg)
    assert sum(CONVOLUTIONS_PER_BLOCK["vgg19"]) == 16
    for right, wrong in (
        ("conv3_4", "conv3_5"),
        ('width="80"', 'width="81"'),
        ("56 × 56", "54 × 54"),
        ("ink-blue", "ink-purple"),
    ):
        assert right in svg
        with pytest.raises(ValueError):
            check_stack(svg.replace(right, wrong))


def test_the_pooled_numbers_are_right():
    words = texts(DRAWINGS["pooling"])
    x = np.array([[1, 3, 2, 0], [0, 8, 4, 2], [5, 1, 0, 3], [8, 2, 1, 0]])[..., None]
    dy = np.array([[4, 8], [-4, 12]])[..., None]
    for pool, backward in (
        (layers.max_pool, layers.max_pool_backward),
        (layers.average_pool, layers.average_pool_backward),
    ):
        y, cache = pool(x)
        dx = backward(dy, cache)
        assert np.array_equal(y, y.astype(int)) and has_run(words, [*x.ravel(), *y.ravel().astype(int)])
        assert has_run(words, [*dx.ravel(), *dy.ravel()])
        assert not has_run(words, [*dx.ravel() + 1, *dy.ravel()])


def two_loops(formulas, gradient, pairs):
    """The direction of L-BFGS as the drawing's own formulas compute it."""
    first, again, scale, newest, result = map(as_python, formulas)
    known = {"g": gradient, "q": gradient.copy(), "a": {}}
    s, y = pairs[-1]
    newest = newest.partition("of the newest")[0]
    for index in reversed(range(len(pairs))):
        values = dict(zip("sy", pairs[index]), q=known["q"])
        for line in first.split("then"):
            exec(line.strip(), values)
        known["a"][index], known["q"] = values["a"], values["q"]
    values = {"s": s, "y": y, "q": known["q"]}
    exec(newest.strip(), values)
    exec(scale, values)
    r = values["r"]
    for index, (s, y) in enumerate(pairs):
        values = {"s": s, "y": y, "a": known["a"][index], "r": r}
        for line in again.split("then"):
            exec(line.strip(), values)
        r = values["r"]
    values = {"r": r}
    exec(result, values)
    return values["d"]


def as_python(formula):
    """A formula of the drawing of L-BFGS as lines of Python, which "then" separates."""
    for sign, code in {
        " · ": " @ ",
        "−": "-",
        "←": "=",
        ", ": " ",
        "a y": "a * y",
        ") s": ") * s",
        "γ q": "γ * q",
    }.items():
        formula = formula.replace(sign, code)
    return formula


def formulas_of_lbfgs():
    words = texts(DRAWINGS["lbfgs"])
    begin = ("a = ", "b = ", "r = ", "γ = ", "d = ")
    return [next(word for word in words if word.startswith(each)) for each in begin]


def lbfgs_error(formulas):
    """How far the drawing's direction is from the package's."""
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(3, 6))
    pairs = [(s, np.arange(1, 7) * s) for s in steps]  # the curvatures of a quadratic
    gradient = rng.normal(size=6)
    known = [lbfgs.Step(s, y, 1 / (s @ y), (s @ y) / (y @ y)) for s, y in pairs]
    return np.abs(two_loops(formulas, gradient, pairs) - lbfgs.direction(gradient, known)).max()


def test_the_two_loops_compute_the_direction_of_lbfgs():
    words = texts(DRAWINGS["lbfgs"])
    assert [word for word in words if "pair to the" in word] == [
        "1. From the newest pair to the oldest:",
        "2. From the oldest pair to the newest:",
    ]
    assert lbfgs_error(formulas_of_lbfgs()) < 1e-12
    for right, wrong in (("(a − b)", "(a + b)"), ("q − a y", "q + a y"), ("(y · y)", "(s · s)"), ("−r", "r")):
        twins = [formula.replace(right, wrong) for formula in formulas_of_lbfgs()]
        assert lbfgs_error(twins) > 0.01


def test_the_pipeline_names_its_stations_in_order():
    words = " ".join(texts(DRAWINGS["pipeline"]))
    stations = (
        *("photograph", "painting", "load, resize, preprocess", "initial", "content target", "style targets"),
        *("forward and backward", "gradient", "optimizer step", "deprocess, save"),
    )
    places = [words.index(station) for station in stations]
    assert places == sorted(places)


def receptive_fields():
    """How many pixels one value of each layer of VGG-19 depends on, in one direction."""
    fields, field, step = {}, 1, 1
    for name in LAYERS["vgg19"]:
        window = 3 if name.startswith("conv") else 2
        field += step * (window - 1)
        step *= 1 if name.startswith("conv") else 2
        fields[name] = field
    return fields


def check_fields(svg):
    """Raise ValueError unless its receptive fields are right, and drawn to scale."""
    words, fields = texts(svg), receptive_fields()
    named = {word.split(": ")[0]: word for word in words if " × " in word}
    if set(named) != {*Settings.style_layers, *Settings.content_layers}:
        raise ValueError("other layers")
    for name, word in named.items():
        if word != f"{name}: {fields[name]} × {fields[name]}":
            raise ValueError(word)
    sides = [float(box.get("width")) for box, classes in shapes(svg, "rect") if "tint" in classes]
    largest = max(sides)
    if sides != [float(f"{largest * fields[name] / fields['conv5_1']:.1f}") for name in named]:
        raise ValueError("not to scale")
    counts = {name: int(count) for name, count in zip(words, words[1:]) if count.isdigit()}
    # From one value of conv2_1 down: three for a convolution, two for each in a pooling.
    if list(counts.items()) != [("conv2_1", 1), ("pool1", 3), ("conv1_2", 6), ("conv1_1", 8), ("image", 10)]:
        raise ValueError("other counts")
    rows = Counter(box.get("y") for box, classes in shapes(svg, "rect") if "box" in classes)
    if list(rows.values()) != list(counts.values()) or counts["image"] != fields["conv2_1"]:
        raise ValueError("other numbers of boxes")


def test_the_receptive_fields_are_right():
    svg, fields = DRAWINGS["receptive-field"], receptive_fields()
    assert [fields[name] for name in ("conv1_1", "conv1_2", "pool1", "conv2_1")] == [3, 5, 6, 10]
    check_fields(svg)
    for right, wrong in (
        ("84 × 84", "82 × 82"),
        ('width="36"', 'width="37"'),
        (">8<", ">7<"),
        ("conv3_1", "conv3_2"),
    ):
        assert right in svg
        with pytest.raises(ValueError):
            check_fields(svg.replace(right, wrong))


def numbers_in(svg):
    """All whole numbers in the texts of a drawing."""
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", " ".join(texts(svg)))]


def test_the_numbers_of_shared_weights_are_right():
    svg = DRAWINGS["shared-weights"]
    inputs = outputs = 6
    pixels = 224 * 224
    assert [number for number in numbers_in(svg) if number in (36, 3, 27) or number > 1000] == [
        *(inputs * outputs, 3, 3 * pixels * pixels, 3 * 3 * 3)
    ]
    lines = Counter()
    for path, classes in shapes(svg, "path"):
        if "heavy" not in classes:
            for ink in classes & {"ink-grey", "ink-blue", "ink-purple", "ink-red"}:
                lines[ink] += path.get("d").count("M")
    # Of each of three weights one line to an output, but none from outside.
    assert lines == {"ink-grey": inputs * outputs, "ink-blue": 5, "ink-purple": 6, "ink-red": 5}


def points(path):
    """The corners of a path of absolute lines."""
    return np.array(re.findall(r"([\d.]+) ([\d.]+)", path.get("d")), float)


def difference_error(svg):
    """How far, in units of the drawing, its truncation error is from h^2 / 6, and its secant from the curve."""
    ticks = {}
    for text, _ in shapes(svg, "text"):
        power = re.fullmatch("10\N{MINUS SIGN}(\\d+)", "".join(text.itertext()))
        if power:
            ticks.setdefault(text.get("y") if float(text.get("y")) > 500 else "up", []).append(
                (-int(power[1]), float(text.get("x")), float(text.get("y")) - 5)
            )
    (along,) = (np.array(marks) for place, marks in ticks.items() if place != "up")
    up = np.array(ticks["up"])
    x_of = np.poly1d(np.polyfit(along[:, 0], along[:, 1], 1))
    y_of = np.poly1d(np.polyfit(up[:, 0], up[:, 2], 1))
    (truncation,) = (points(path) for path, its in shapes(svg, "path") if {"heavy", "ink-blue"} <= its)
    exponents = (truncation[:, 0] - x_of(0)) / (x_of(1) - x_of(0))
    small = (exponents > -4.1) & (exponents < -1)  # where rounding is small, and so is the next term
    assert small.sum() > 10
    wanted = y_of(2 * exponents[small] - np.log10(6))  # exp is its own third derivative
    return np.abs(truncation[small, 1] - wanted).max()


def test_the_truncation_error_of_the_centred_difference_is_right():
    svg = DRAWINGS["finite-difference"]
    assert difference_error(svg) < 0.5
    for step in (1, -1):  # labels at the wrong powers
        twin = re.sub(
            r">\N{MINUS SIGN}(\d+)<", lambda m, step=step: f">\N{MINUS SIGN}{int(m[1]) + step}<", svg
        )
        assert difference_error(twin) > 5


def test_the_secant_has_its_ends_at_equal_distances():
    left, right, middle = (float(dot.get("cx")) for dot, _ in shapes(DRAWINGS["finite-difference"], "circle"))
    assert abs((left + right) / 2 - middle) < 0.1


def test_the_search_for_content_is_equations_1_and_2():
    words = texts(DRAWINGS["content-search"])
    assert "½ Σ (F − P)2" in words and "∂L / ∂F = F − P" in words
    F, P = np.arange(8.0).reshape(2, 2, 2), np.ones((2, 2, 2))
    loss, gradient = losses.content_loss(F, P)
    assert loss == ((F - P) ** 2).sum() / 2 and np.array_equal(gradient, F - P)


def test_the_scales_are_those_of_the_package():
    tools = pytest.importorskip("lessons.tools")  # needs Matplotlib
    svg = DRAWINGS["coarse-to-fine"]
    words, border = texts(svg), Settings.border
    boxes = [box for box, classes in shapes(svg, "rect") if "dashed" in classes]
    pictures = [box for box, classes in shapes(svg, "rect") if "tint" in classes]
    scales = list(Settings(size=512).with_scales(341).each_scale())
    assert len(scales) == len(boxes) == len(pictures) == 3
    unit = float(pictures[-1].get("width")) / 512
    for scale, box, picture in zip(scales, boxes, pictures):
        height, width, _ = tools.photo(scale.size).shape
        assert f"{width} × {height}" in words and f"{scale.iterations} iterations" in words
        for side, length in (("width", width), ("height", height)):
            assert abs(float(picture.get(side)) - unit * length) < 0.1
            assert abs(float(box.get(side)) - unit * (length + 2 * border)) < 0.1
    assert any(f"border of {border} px" in word for word in words)


def test_the_numbers_of_winograds_algorithm_are_right():
    words = texts(DRAWINGS["winograd"])
    x = np.array([[0, 0, 2, 1], [3, 2, 0, 3], [1, 1, 0, 1], [1, 1, 2, 0]])
    kernel = np.array([[-1, -1, -2], [2, 0, 2], [1, 1, 2]])
    B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])  # twice what it should be
    A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
    tile, four_kernels = B @ x @ B.T, G @ kernel @ G.T
    products = tile * four_kernels // 4
    y = A @ products @ A.T
    directly = layers.conv(x[..., None], kernel[..., None, None], 0)[0][1:3, 1:3, 0]  # whole windows
    assert np.array_equal(y, directly) and not (four_kernels % 4).any()
    for matrix in (x, kernel, tile, four_kernels // 4, products, y):
        assert has_run(words, matrix)
    assert not has_run(words, y.T)
    assert (
        f"directly: {y.size} outputs × {kernel.size} weights = {y.size * kernel.size} multiplications"
        in words
    )
    assert f"by Winograd's algorithm: 4 × 4 = {products.size}" in words


def hog_of_the_drawing(svg):
    """The slope, the two bins and the shares of four cells that a drawing of HOG tells, and their right values."""
    hog = parts_of(
        "l15_inverting_representations",
        ["CELL", "DIRECTIONS", "CIRCLE", "slopes", "orientations", "shares"],
    )
    told = "\n".join(texts(svg))
    up, down, left, right = (int(number) for number in re.findall(r"^(\d+)$", told, re.MULTILINE))
    pixels = np.zeros((3, 3))
    pixels[0, 1], pixels[1, 0], pixels[1, 2], pixels[2, 1] = up, left, right, down
    slope = [values[1:2, 1:2] for values in hog.slopes(pixels)]
    bins, _ = hog.orientations(*slope)
    vertical, horizontal = hog.shares(16)[:, 10] * hog.CELL, hog.shares(16)[:, 6] * hog.CELL
    (pixel,) = (box for box, its in shapes(svg, "rect") if "solid" in its)
    x, y, unit = (float(pixel.get(name)) for name in ("x", "y", "width"))
    (corner,) = (points(path)[0] for path, its in shapes(svg, "path") if path.get("d").startswith("M50 308h"))
    place = [round((y - corner[1]) / unit), round((x - corner[0]) / unit)]
    wanted = [
        *(down - up, right - left, round(float(np.hypot(*slope).item()), 1)),
        *(round(float(value), 1) for value in bins[0, 0, :2]),
        *np.rint(100 * np.outer(vertical, horizontal).ravel()),
        *place,
    ]
    patterns = (r"down: .* = (\d+)", r"right: .* = (\d+)", r"length ([\d.]+)", r"^(\d+\.\d)$", r"^(\d+) %$")
    found = [float(number) for pattern in patterns for number in re.findall(pattern, told, re.MULTILINE)]
    return found + [10, 6], [float(number) for number in wanted]


def test_the_numbers_of_hog_are_right():
    found, wanted = hog_of_the_drawing(DRAWINGS["hog"])
    assert found == wanted
    for right, wrong in ((">110<", ">120<"), (">11.5<", ">11.6<"), (">56 %<", ">46 %<"), ("67.1", "67.2")):
        twin = DRAWINGS["hog"].replace(right, wrong)
        found, wanted = hog_of_the_drawing(twin)
        assert twin != DRAWINGS["hog"] and found != wanted


def towers_of_the_lesson():
    """For each layer of AlexNet: its name, what half of it is, what a filter sees, and whether it sees both towers."""
    lesson = parts_of("l14_how_a_network_learns", ["positions", "POOL", "ALEXNET", "describe"])
    options, channels = dict(lesson.ALEXNET), 3
    for name, (height, width, filters, parameters) in lesson.describe(lesson.ALEXNET, 227, 227, 3).items():
        seen = parameters // filters - 1
        is_conv = name.startswith("conv")
        size = options[name].get("size")
        half = f"{filters // 2} maps, {height} × {width}" if is_conv else f"{filters // 2} units"
        sees = f"{size} × {size} × {seen // size**2}" if is_conv else str(seen)
        yield name, half, sees, options[name].get("groups", 1) == 1 and channels != 3
        channels = filters


def check_towers(svg):
    """Raise ValueError unless the two towers are those of lesson 14's table."""
    *layers, (last, _, seen_by_last, _) = towers_of_the_lesson()
    expected = [word for name, half, sees, _ in layers for word in (name, half, half, sees)]
    words = texts(svg)
    if words[4:-3] != expected or words[-3:] != [last, "1000 scores", seen_by_last]:
        raise ValueError("other layers")
    (crossing,) = (path for path, classes in shapes(svg, "path") if "dashed" in classes)
    starts = [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)L", crossing.get("d"))][::2]
    boxes = [float(box.get("y")) for box, classes in shapes(svg, "rect") if "ink-blue" in classes]
    above = {boxes.index(max(y for y in boxes if y < start)) + 1 for start in starts}
    if above != {place for place, (*_, sees_both) in enumerate(layers) if sees_both}:
        raise ValueError("other layers see both towers")


def test_the_two_towers_are_those_of_the_table():
    svg = DRAWINGS["two-towers"]
    check_towers(svg)
    for right, wrong in (("5 × 5 × 48", "5 × 5 × 96"), ("2048 units", "4096 units"), ("fc7", "fc8")):
        with pytest.raises(ValueError):
            check_towers(svg.replace(right, wrong))
    (crossing,) = (path.get("d") for path, classes in shapes(svg, "path") if "dashed" in classes)
    with pytest.raises(ValueError):
        check_towers(svg.replace(crossing, crossing[: len(crossing) // 3]))


def check_classifier(svg):
    """Raise ValueError unless these are the sizes of lesson 16's descriptions."""
    lesson = (LESSONS / "l16_recognising_style.py").read_text(encoding="utf-8")
    mixtures = int(re.search(r"^MIXTURES = (\d+)$", lesson, re.MULTILINE)[1])
    size = int(re.search(r"^SIZE = (\d+)  # px$", lesson, re.MULTILINE)[1])
    content = nnstyle.load_weights()["conv4_2"][1].size
    gram = len(Settings.style_layers) * mixtures * (mixtures + 1) // 2
    described = [("colour", 4 * 14 * 14), ("orientation", 3 * 16 * 8), ("content", content), ("Gram", gram)]
    words = texts(svg)
    if f"picture, {size} × {size} px" not in words:
        raise ValueError("another size of the picture")
    for name, numbers in described:
        if not has_run(words, [name, numbers]):
            raise ValueError(f"{name} has {numbers} numbers")


def test_the_classifier_of_styles_has_the_sizes_of_the_lesson():
    svg = DRAWINGS["style-classifier"]
    check_classifier(svg)
    for right, wrong in (
        ("784", "748"),
        ("384", "348"),
        ("256", "512"),
        ("2640", "2604"),
        ("80 × 80", "64 × 64"),
    ):
        assert right in svg
        with pytest.raises(ValueError):
            check_classifier(svg.replace(right, wrong))
