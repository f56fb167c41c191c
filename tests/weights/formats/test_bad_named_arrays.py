"""What is wrong in a .npz or .safetensors is refused, whatever its headers promise."""

import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from nnstyle import InputError
from nnstyle.weights.formats.named_arrays import open_npz
from tests.support.tiny import tiny_weights
from tests.support.weight_files import assert_refused, damage, named, write_npz, write_safetensors

WEIGHTS = tiny_weights(last="conv1_2")
ARRAYS = named(WEIGHTS, "author")


class Hostile:
    """Unpickling it would end the process."""

    def __reduce__(self):
        return (exit, (3,))


@pytest.mark.parametrize(
    ("name", "shape"), [("conv1_1.weight", (4, 3, 3, 3)), ("conv1_2.bias", (4,)), ("channel_order", ())]
)
def test_an_array_of_objects_is_not_unpickled(tmp_path, name, shape):
    path = write_npz(tmp_path / "x.npz", WEIGHTS, "author", extra={name: np.full(shape, Hostile())})
    assert_refused(path, f"{name} holds object")


def forge(path, name, content, file_size=None, flags=0):
    """A .npz with one member replaced, and its size or flags in the archive's directory falsified."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, array in ARRAYS.items():
            with archive.open(f"{other}.npy", "w") as file:
                file.write(content) if other == name else np.save(file, array)
        member = archive.getinfo(f"{name}.npy")
        member.file_size = file_size or member.file_size
        member.flag_bits |= flags
    return path


def npy(shape, data=b"", version=b"\x01\x00", descr="<f4"):
    """A .npy with this shape in its header."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return (
        b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(header)) + header + data
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "conv1_2.bias is damaged or no array"),
        (b"not an array", "conv1_2.bias is damaged or no array"),
        (npy("(4,)")[:30], "conv1_2.bias is damaged or no array"),
        (npy("(4,)", bytes(16), b"\x03\x00"), "conv1_2.bias is damaged or no array"),
        (npy("(4,)", bytes(16), b"\x09\x00"), "conv1_2.bias is damaged or no array"),
        (npy("(" * 500 + ")" * 500), "conv1_2.bias is damaged or no array"),
        (npy("[4]", bytes(16)), "conv1_2.bias is damaged or no array"),
        (npy("('4',)", bytes(16)), "conv1_2.bias is damaged or no array"),
        (npy("(4,)", bytes(16), descr="nonsense"), "conv1_2.bias is damaged or no array"),
        (npy("(4,)", bytes(16), descr="<f4' + 'x"), "conv1_2.bias is damaged or no array"),
        (npy(f"({2**62}, {2**62})"), "conv1_2.bias has .* bytes where its header tells of"),
        (npy("(4,)", bytes(12)), "conv1_2.bias has .* bytes where its header tells of"),
        (npy("(4,)", bytes(20)), "conv1_2.bias has .* bytes where its header tells of"),
        (npy("(-4,)", bytes(16)), "conv1_2.bias has .* bytes where its header tells of"),
        (npy("(-4, -1)", bytes(16)), "conv1_2 has kernel"),
        (npy("(2, 2)", bytes(16)), "conv1_2 has kernel"),
        (npy("(4,)", bytes(32), descr="<c8"), "conv1_2.bias holds complex64"),
        (npy("(4,)", bytes(4), descr="<i1"), "conv1_2.bias holds int8"),
        (npy("(4,)", bytes(0), descr="|V0"), "conv1_2.bias holds"),
    ],
)
def test_a_member_that_is_no_array_of_its_size(tmp_path, content, words):
    assert_refused(forge(tmp_path / "x.npz", "conv1_2.bias", content), words)


@pytest.mark.parametrize(
    ("content", "file_size", "words"),
    [
        (npy("(500000000,)"), len(npy("(500000000,)")) + 2_000_000_000, "conv1_2 has kernel"),
        (npy("(4,)", bytes(12)), len(npy("(4,)")) + 16, "damaged"),
        (npy("(4,)", bytes(10**7)), len(npy("(4,)")) + 16, "damaged"),
    ],
    ids=["promises more", "ends early", "inflates to more"],
)
def test_a_directory_that_promises_what_is_not_there(tmp_path, content, file_size, words):
    path = forge(tmp_path / "x.npz", "conv1_2.bias", content, file_size)
    tracemalloc.start()
    assert_refused(path, words)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_an_encrypted_member(tmp_path):
    content = npy("(4,)", bytes(16))
    assert_refused(forge(tmp_path / "x.npz", "conv1_2.bias", content, flags=1), "encrypted")


def test_a_truncated_npz_has_no_directory(tmp_path):
    path = write_npz(tmp_path / "x.npz", WEIGHTS)
    path.write_bytes(path.read_bytes()[:-100])
    assert_refused(path, "not a weights file in any format known here")
    with pytest.raises(InputError, match="it is damaged"), open_npz(path):
        pass


STATEMENTS = [
    {"channel_order": "GRB"},
    {"mean": (1.0, 2.0)},
    {"mean": (1.0, 2.0, np.nan)},
    {"mean": 5.0},
    {"mean": "grey"},
    {"mean": ""},
    {"scale": 0.0},
    {"scale": (1.0, 2.0)},
    {"scale": "inf"},
]


@pytest.mark.parametrize("stated", STATEMENTS, ids=str)
def test_a_preprocessing_that_makes_no_sense(tmp_path, stated):
    assert_refused(write_npz(tmp_path / "x.npz", WEIGHTS, **stated), f"its .*{next(iter(stated))}")
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in stated.items()}
    assert_refused(write_safetensors(tmp_path / "x", WEIGHTS, **texts), f"its .*{next(iter(stated))}")


def test_a_preprocessing_of_unlikely_size(tmp_path):
    for stated in ({"mean": np.zeros(10**6)}, {"channel_order": "R" * 10_000}):
        assert_refused(write_npz(tmp_path / "x.npz", WEIGHTS, **stated), "far more than it needs")


def tensors(path, edit=None, data=None, header=None, dtype=np.float32):
    """A .safetensors whose header was edited, or replaced."""
    whole = io.BytesIO(write_safetensors(path, WEIGHTS, "author", dtype).read_bytes())
    (size,) = struct.unpack("<Q", whole.read(8))
    found = json.loads(whole.read(size))
    found["conv1_1.bias"] |= edit or {}
    text = json.dumps(found).encode() if header is None else header
    path.write_bytes(struct.pack("<Q", len(text)) + text + (whole.read() if data is None else data))
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"edit": {"dtype": "BF16"}, "dtype": np.float16}, "conv1_1.bias holds BF16: only F16, F32, F64"),
        ({"edit": {"dtype": "F8_E4M3", "shape": [16]}}, "conv1_1 has kernel"),
        ({"edit": {"dtype": "I32"}}, "conv1_1.bias holds I32: only F16, F32, F64"),
        ({"edit": {"dtype": "F33"}}, "no valid safetensors"),
        ({"edit": {"shape": [5]}}, "no valid safetensors"),
        ({"edit": {"shape": [2**40, 2**40]}}, "no valid safetensors"),
        ({"edit": {"shape": [-4]}}, "no valid safetensors"),
        ({"edit": {"data_offsets": [0, 10**12]}}, "no valid safetensors"),
        ({"edit": {"data_offsets": [16, 0]}}, "no valid safetensors"),
        ({"data": b""}, "no valid safetensors"),
        ({"data": bytes(10**5)}, "no valid safetensors"),
        ({"header": b"{}", "data": b""}, "it has no layer called"),
        ({"header": b"{" * 1000}, "no valid safetensors"),
        ({"header": b'{"a":' * 1000 + b"1" + b"}" * 1000}, "no valid safetensors"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_header_that_promises_what_is_not_there(tmp_path, changes, words):
    assert_refused(tensors(tmp_path / "x", **changes), words)


@pytest.mark.parametrize("size", [9, 50, 1000, -1])
def test_a_truncated_safetensors(tmp_path, size):
    path = write_safetensors(tmp_path / "x", WEIGHTS)
    path.write_bytes(path.read_bytes()[:size])
    assert_refused(path, "no valid safetensors")


def test_damaged_anywhere(tmp_path):
    damage(write_safetensors(tmp_path / "x", WEIGHTS, mean="1, 2, 3", scale="2", channel_order="BGR"))
    damage(write_npz(tmp_path / "x.npz", WEIGHTS, mean=(1, 2, 3), scale=2, channel_order="BGR"))
