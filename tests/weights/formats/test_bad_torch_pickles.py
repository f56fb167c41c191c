"""Hostile and senseless pickles in PyTorch files: refused, and nothing is executed, changed or filled."""

import builtins
import os
import pickle
import re
import time
import tracemalloc

import pytest

from nnstyle import load_weights
from nnstyle.weights.formats import torch_pickle, torch_tensor
from tests.support import torch_files as made
from tests.support.torch_files import SHORT, forms
from tests.support.weight_files import assert_refused, assert_same

FLOATS = made.storage("0", 144)
SHAPE, STRIDES, ZERO = made.plain((12, 12)), made.plain((12, 1)), made.plain(0)
BUILD = made.plain((None, {"text": "os.system", "kind": "Double", "__class__": 1, "__code__": 2})) + b"b"


class Call:
    """Pickled, it is a call."""

    def __init__(self, function, argument):
        self.function, self.argument = function, argument

    def __reduce__(self):
        return self.function, (self.argument,)


@forms
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec], ids=["system", "eval", "exec"])
def test_what_would_run_something(tmp_path, form, protocol, function):
    canary = tmp_path / "canary"
    command = f"mkdir {canary}" if function is os.system else f"__import__('os').mkdir({str(canary)!r})"
    pickled = pickle.dumps({"state_dict": Call(function, command)}, protocol)
    pickle.loads(pickled)  # it works
    canary.rmdir()
    (made.write_zip if form == "zip" else made.write_legacy)(tmp_path / "vgg.pth", pickled, {})
    # Protocols 0 and 1 have instructions of their own.
    assert_refused(tmp_path / "vgg.pth", "asks for .*, which no state dict needs|the instruction \\w+, which")
    assert not canary.exists()


@forms
def test_a_chain_of_attributes(tmp_path, form):
    canary = tmp_path / "canary"
    module = made.call("builtins __import__", made.plain("os"))
    system = made.call("builtins getattr", module, made.plain("system"))
    hostile = system + made.plain((f"touch {canary}",)) + b"R"
    pickle.loads(b"\x80\x02" + hostile + b".")  # it works
    canary.unlink()
    assert_refused(made.write_one(tmp_path / "vgg.pth", form, hostile), "asks for 'builtins.getattr'")
    assert not canary.exists()


@forms
@pytest.mark.parametrize(
    "name",
    [
        "os system",
        "torch load",
        "torch.hub load",
        "torch FloatStorage.from_file",
        "torch._utils _rebuild_tensor_v2.__globals__",
        "torch.os systemStorage",
        "torchvision.models.vgg VGG",
        "collections OrderedDict.fromkeys",
        "nnstyle.weights.formats.torch_pickle allowed",
    ],
)
def test_a_name_that_no_tensor_needs(tmp_path, form, name):
    module, attribute = name.split(" ")
    words = (
        re.escape(f"it asks for '{module}.{attribute}', which no state dict needs") + ".*save its state_dict"
    )
    assert_refused(made.write_one(tmp_path / "vgg.pth", form, made.name(name)), words)
    stacked = made.plain(module) + made.plain(attribute) + b"\x93"
    assert_refused(made.write_one(tmp_path / "vgg.pth", form, stacked), words)


@pytest.mark.parametrize(
    "piece",
    [b"(K\1o", b"(ios\nsystem\n", b"\x82\1", b"Pos.system\n", b"N0N", b"N2", b"(1N", b"\x8f"]
    + [b"\x96" + bytes(8), b"Vx\n", b"I1\n", made.name("collections OrderedDict") + b")}\x92"],
    ids=["OBJ", "INST", "EXT1", "PERSID", "POP", "DUP", "POP_MARK", "EMPTY_SET"]
    + ["BYTEARRAY8", "UNICODE", "INT", "NEWOBJ_EX"],
)
def test_an_instruction_that_pytorch_does_not_write(tmp_path, piece, request):
    instruction = request.node.callspec.id
    words = f"the instruction {instruction}, which PyTorch does not write"
    assert_refused(made.write_one(tmp_path / "vgg.pth", "zip", piece), words)


def attributes_in_reach():
    """Those of the modules, classes and functions that a pickle's objects might lead to."""
    modules = builtins, torch_pickle, torch_tensor
    reached = [*modules, *(item for module in modules for item in vars(module).values())]
    return [dict(vars(item)) for item in reached if hasattr(item, "__dict__")]


@forms
def test_setting_attributes_changes_nothing(tmp_path, form):
    before = attributes_in_reach()
    pieces, storages = made.pieces_of(made.torchvision_arrays(SHORT), form)
    pieces = {key: piece + BUILD for key, piece in pieces.items()}
    for name in "collections OrderedDict", "torch FloatStorage", "torch._utils _rebuild_tensor_v2":
        pieces[name] = made.name(name) + BUILD
    pieces["storage"] = made.storage("0", storages["0"].size) + BUILD
    pieces["list"], pieces["dict"], pieces["text"] = b"]" + BUILD, b"}" + BUILD, made.plain("x") + BUILD
    path = made.write(tmp_path / "vgg.pth", form, made.dictionary(pieces) + BUILD, storages)
    assert_same(load_weights(path), SHORT)
    assert attributes_in_reach() == before


@pytest.mark.parametrize(
    "piece",
    [
        made.call("torch._utils _rebuild_parameter"),
        made.call("torch._utils _rebuild_parameter", FLOATS),
        made.call("torch FloatStorage", b"K\1"),
        made.call("collections OrderedDict", b"]", b"]"),
        made.call("collections OrderedDict", b"}"),
        made.call("collections OrderedDict", b"]Na"),
        made.name("collections OrderedDict") + b"]R",
        made.storage("0", 144, "collections OrderedDict"),
        *(made.storage("0", count) for count in (-1, True, 144.0, "144")),
        *(made.storage(key, 144) for key in (0, ("0",))),
        made.storage("0", 144).replace(b"storage", b"modules"),
        *(
            b"NQ",
            b"K\1)R",
            b"}(K\1u",
            b"}(K\1K\1t}N",
            b"})Ns",
            b"NNs",
            b"NNa",
            b"]NNs",
            b"]K\1aK\0Ns",
            b"}Na",
        ),
        *(b"h\xff", b"t", b"\x93", b"X\xff\xff\xff\x7f", b"\x8a\xff", b"\xff", b""),
    ],
    ids=repr,
)
def test_instructions_that_do_not_fit_one_another(tmp_path, piece):
    assert_refused(
        made.write_one(tmp_path / "vgg.pth", "zip", piece), "its pickle is damaged, cut off, or larger"
    )


NESTED = b")q\0" + b"".join(b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(32))  # 2^32 tuples

PAIRS = b"".join(b"]M" + key.to_bytes(2, "little") + b"aNa" for key in range(10_000))


@pytest.mark.parametrize(
    "piece",
    [
        b"Nr" + b"\xff" * 4,  # Python's own unpickler would make room for four billion objects
        b"}" + NESTED + b"Ns",
        NESTED + b"Q",
        made.call("torch._utils _rebuild_tensor_v2", NESTED, ZERO, SHAPE, STRIDES),
        b"](" + PAIRS + b"eq\0" + made.call("collections OrderedDict", b"h\0") * 1000,
        made.call(
            "torch._utils _rebuild_tensor", FLOATS, b"(" + b"J\xff\xff\xff\x7f" * 150_000 + b"t", SHAPE
        ),
    ],
    ids=["memo", "hash", "storage", "tensor", "copies", "axes"],
)
def test_small_files_that_would_take_for_ever_or_fill_the_memory(tmp_path, piece):
    path = made.write_one(tmp_path / "vgg.pth", "zip", piece)
    started = time.perf_counter()
    tracemalloc.start()
    try:
        assert_refused(path, "")
        assert tracemalloc.get_traced_memory()[1] < 100e6 and time.perf_counter() - started < 20
    finally:
        tracemalloc.stop()
