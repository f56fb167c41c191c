"""The book of lessons, guides and reference: ``python -m sphinx -W lessons/book lessons/book/html``."""

import os
import sys
from pathlib import Path

# The lessons' matrices are small, and the package's convolutions have threads of their own: a second one of BLAS would
# mostly wait, at the price of a core. Must be set before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]  # for `import lessons`, and for our own extensions

project = "nnstyle: the paper, read with code"
author = "the nnstyle maintainers"
extensions = [
    "sphinx_gallery.gen_gallery",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "myst_parser",
    "downloads",
    "drawing",
    "mathml",
    "overview",
    "repository",
    "slider",
    "solutions",
    "usage",
]
exclude_patterns = ["html", "handout", "downloads", "chapters/*.py"]
default_role = "py:obj"  # `Network` in a docstring is a link to its page

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more: shapes, ranges, units
autodoc_preserve_defaults = True  # as the source has them
autodoc_default_options = {"members": True, "special-members": "__call__"}
numfig = True  # figures and drawings with a caption
smartquotes = False  # they make a dash of --
napoleon_google_docstring = False
napoleon_use_ivar = True
myst_heading_anchors = 3

html_theme = "furo"
html_title = "The paper, read with code" + (" (handout)" if tags.has("handout") else "")  # noqa: F821, Sphinx's
html_static_path = ["static"]
html_css_files = ["book.css"]
html_math_renderer = "mathml"
html_show_sphinx = html_show_copyright = html_copy_source = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "monokai"

sphinx_gallery_conf = {
    "examples_dirs": "..",
    "gallery_dirs": "chapters",
    "filename_pattern": r"/(l\d\d|a\d)_",
    "ignore_pattern": r"(__init__|alexnet_file|paper_figures|strict_arrays|tools)\.py$",
    "within_subsection_order": "order.LessonsThenAppendices",
    "abort_on_example_error": True,
    "parallel": True,  # as many lessons at once as sphinx is told by -j; those that compare times run alone, before
    "remove_config_comments": True,
    "capture_repr": (),  # only what is printed
    "show_signature": False,
    "show_memory": False,
    "download_all_examples": False,
    "notebook_extensions": set(),  # downloads.py makes them
    "matplotlib_animations": False,
    "reset_modules": (),  # lessons.tools sets the style of figures once, for all of them
    "image_scrapers": ("matplotlib",),
    "image_srcset": ["2x"],  # for fine screens
    "min_reported_time": 0,
    "write_computation_times": False,  # its page asks for scripts from elsewhere
}
