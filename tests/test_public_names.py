"""Every public name has a docstring, and says what types it takes and returns."""

import inspect
import types

import pytest

import nnstyle

MODULES = [nnstyle.layers, nnstyle.losses, nnstyle.pictures]
NAMES = [name for name in nnstyle.__all__ if name != "__version__"]


def functions_of(name):
    """The functions behind a name: itself, a module's, or a class's methods."""
    thing = getattr(nnstyle, name)
    if isinstance(thing, types.FunctionType):
        return {name: thing}
    if isinstance(thing, types.ModuleType):
        public = getattr(thing, "__all__", [key for key in vars(thing) if not key.startswith("_")])
        found = {f"{name}.{key}": getattr(thing, key) for key in public}
        return {key: value for key, value in found.items() if isinstance(value, types.FunctionType)}
    found = inspect.getmembers(thing, inspect.isfunction)
    own = ("__init__", "__call__")
    return {
        f"{name}.{key}": function
        for key, function in found
        if function.__module__.startswith("nnstyle") and (key in own or not key.startswith("_"))
    }


def test_all_names_are_there_and_sorted():
    assert sorted(nnstyle.__all__) == list(nnstyle.__all__)
    assert all(hasattr(nnstyle, name) for name in nnstyle.__all__)
    assert set(nnstyle.__all__) <= set(dir(nnstyle))


@pytest.mark.parametrize("name", NAMES)
def test_it_has_a_docstring(name):
    thing = getattr(nnstyle, name)
    assert len(inspect.getdoc(thing) or "") > 20
    for key, function in functions_of(name).items():
        method = key.rpartition(".")[2]
        in_class = isinstance(thing, type) and method != "__init__"
        text = inspect.getdoc(getattr(thing, method)) if in_class else function.__doc__
        assert method in ("__init__", "__call__") or text, key


@pytest.mark.parametrize("name", NAMES)
def test_it_is_annotated(name):
    for key, function in functions_of(name).items():
        if "__create_fn__" in function.__qualname__:
            continue
        signature = inspect.signature(function)
        for parameter in signature.parameters.values():
            if parameter.name != "self":
                assert parameter.annotation is not inspect.Parameter.empty, f"{key}: {parameter.name}"
        if not key.endswith("__init__"):
            assert signature.return_annotation is not inspect.Signature.empty, key
