"""Parts of a lesson, without running all of it."""

import ast
from pathlib import Path
from types import SimpleNamespace

import numpy as np

LESSONS = Path(__file__).parents[2] / "lessons"


def parts_of(lesson, names):
    """What these top-level names of a lesson are: functions, and constants that need NumPy alone."""
    path = LESSONS / f"{lesson}.py"
    tree, parts = ast.parse(path.read_text(encoding="utf-8")), {"np": np}
    for node in tree.body:
        if set(names) & set(names_bound_by(node)):
            exec(compile(ast.Module([node], []), path.name, "exec"), parts)
    return SimpleNamespace(**{name: parts[name] for name in names})


def names_bound_by(node):
    """The names that a statement defines."""
    if isinstance(node, ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))
