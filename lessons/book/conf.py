"""The lessons as a book: ``python -m sphinx -W lessons/book lessons/book/html``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]  # for `import lessons`, and for our two extensions

project = "nnstyle: the paper, read with code"
author = "the nnstyle maintainers"
extensions = ["sphinx_gallery.gen_gallery", "mathml", "solutions"]
exclude_patterns = ["html", "chapters/*.py"]

html_theme = "furo"
html_title = "The paper, read with code"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_math_renderer = "mathml"
html_show_sphinx = html_show_copyright = html_copy_source = False
pygments_style, pygments_dark_style = "tango", "monokai"

sphinx_gallery_conf = {
    "examples_dirs": "..",
    "gallery_dirs": "chapters",
    "filename_pattern": r"/l\d\d_",
    "ignore_pattern": r"(__init__|elsewhere|tools)\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "capture_repr": (),  # only what is printed
    "show_signature": False,
    "show_memory": False,
    "download_all_examples": False,
    "notebook_extensions": set(),  # a lesson needs the whole folder
    "matplotlib_animations": False,
    "reset_modules": (),  # lessons.tools sets the style of figures once, for all of them
    "image_scrapers": ("matplotlib",),
    "min_reported_time": 0,
    "write_computation_times": False,  # its page asks for scripts from elsewhere
}
