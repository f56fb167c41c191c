"""``.. slider:: FILES``: pictures that were made beforehand, chosen by two sliders; without scripts, a table of them.

The argument is the files' name with ``{row}`` and ``{column}`` in it, from this page's folder or, with a
slash, from the book's. A script of our own (``static/slider.js``) shows one picture at a time::

    .. slider:: /figures/figure3_{row}_{column}.webp
       :rows: conv1_1, conv2_1
       :rows-label: Style from the layers up to
       :columns: 1 = strong, 2 = weak
       :columns-label: Style
       :start: conv2_1, 1
       :alt: The photograph, style up to {row}, {column}

       The caption.

``a = b`` is shown as b and called a in the file's name.
"""

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from drawing import caption_of


class choices(nodes.General, nodes.Element):
    """The pictures of a slider."""


def pairs(text):
    """ "1 = strong, 2" as [("1", "strong"), ("2", "2")]: in the file's name, and as it is shown."""
    found = []
    for part in text.split(","):
        name, _, shown = (word.strip() for word in part.partition("="))
        found.append((name, shown or name))
    return found


class Slider(Directive):
    required_arguments = 1
    has_content = True
    option_spec = {
        **dict.fromkeys(
            ("rows", "rows-label", "columns", "columns-label", "alt"), directives.unchanged_required
        ),
        **dict.fromkeys(("start", "name"), directives.unchanged),
    }

    def run(self):
        for option in ("rows", "rows-label", "columns", "columns-label", "alt"):
            if option not in self.options:
                raise self.error(f"a slider needs :{option}:")
        rows, columns = pairs(self.options["rows"]), pairs(self.options["columns"])
        start = [
            word.strip() for word in self.options.get("start", f"{rows[0][0]},{columns[0][0]}").split(",")
        ]
        names = [row for row, _ in rows], [column for column, _ in columns]
        if len(start) != 2 or start[0] not in names[0] or start[1] not in names[1]:
            raise self.error(":start: is a row and a column of this slider, with a comma between")
        pictures = choices(
            rows=rows,
            columns=columns,
            labels=(self.options["rows-label"], self.options["columns-label"]),
            start=(names[0].index(start[0]), names[1].index(start[1])),
        )
        for row, row_shown in rows:
            for column, column_shown in columns:
                uri = self.arguments[0].format(row=row, column=column)
                alt = self.options["alt"].format(row=row_shown, column=column_shown)
                pictures += nodes.image(uri=uri, alt=alt, loading="lazy")
        figure = nodes.figure("", pictures, classes=["slider"])
        figure += caption_of(self)
        self.add_name(figure)
        return [figure]


def visit_choices(translator, node):
    rows, columns = ("|".join(shown for _, shown in node[kind]) for kind in ("rows", "columns"))
    row, column = node["start"]
    attributes = {"data-rows": rows, "data-columns": columns, "data-row": row, "data-column": column}
    attributes |= {"data-rows-label": node["labels"][0], "data-columns-label": node["labels"][1]}
    attributes |= {"style": f"--columns: {len(node['columns'])}"}
    translator.body.append(translator.starttag(node, "div", CLASS="choices", **attributes))


def depart_choices(translator, node):
    translator.body.append("</div>")


def setup(app):
    app.add_node(choices, html=(visit_choices, depart_choices))
    app.add_directive("slider", Slider)
    app.add_js_file("slider.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
