"""From a lesson to the reference and its source, and back."""

import re

import pytest

import nnstyle
from lessons.book import usage
from nnstyle import layers, losses
from tests.support import site
from tests.support.small_book import build


def test_names_are_read_from_imports_attributes_and_roles():
    source = '''
r"""See :func:`conv <nnstyle.layers.conv>` and :class:`~nnstyle.Network`."""
import numpy as np
import nnstyle
from nnstyle import layers as plain
from nnstyle.pictures import resize

plain.relu(np.ones(3))
nnstyle.stylize
resize(picture, 3)
other.layers.max_pool
'''
    names = {name for name in usage.names_in(source) if name.startswith("nnstyle.")}
    assert names == {
        "nnstyle.layers.conv",
        "nnstyle.Network",
        "nnstyle.layers",
        "nnstyle.layers.relu",
        "nnstyle.pictures.resize",
        "nnstyle.stylize",
    }


def test_a_name_is_found_wherever_it_is_imported_from():
    assert usage.object_named("nnstyle.Network.backward") is nnstyle.Network.backward
    assert usage.object_named("nnstyle.network.Network") is nnstyle.Network
    assert usage.object_named("nnstyle.gone") is usage.object_named("numpy.ones") is None


def test_the_reference_says_which_lessons_use_a_function():
    said = usage.sentence(losses.gram_matrix)
    link = r":doc:`[\dA-Z]+ </chapters/[la]\d+_\w+>`"
    some = rf"{link}((, | and ){link})*"
    assert re.fullmatch(rf"Used in lessons? {some}( and appendi(x|ces) {some})?\.", said)
    assert "`9 </chapters/l09_style>`" in said and "l01_pictures" not in said
    assert not usage.sentence(lambda: 0)


def test_lessons_and_appendices_are_told_apart(monkeypatch, tmp_path):
    files = [tmp_path / name for name in ("l03_x.py", "a1_y.py")]
    for file in files:
        file.write_text("from nnstyle import layers\nlayers.conv\n")
    monkeypatch.setattr(usage, "lessons", lambda: files)
    usage.users.cache_clear()
    said = usage.sentence(layers.conv)
    usage.users.cache_clear()
    assert said == "Used in lesson :doc:`3 </chapters/l03_x>` and appendix :doc:`A </chapters/a1_y>`."


def test_source_leads_back_also_where_a_module_has_two_names(tmp_path):
    pytest.importorskip("sphinx")
    page = "Names\n=====\n\n.. autoclass:: nnstyle.Record\n\n.. autoclass:: nnstyle.checkpoint.State\n"
    viewcode = ["sphinx.ext.autodoc", "sphinx.ext.viewcode"]
    for ours in ([], ["usage"]):
        built = build(tmp_path / str(ours), {"index.rst": page}, viewcode + ours)
        dead = [link for page, link in site.dead_links(built) if page.startswith("_modules/")]
        assert dead == ([] if ours else ["../../index.html#nnstyle.State"])
