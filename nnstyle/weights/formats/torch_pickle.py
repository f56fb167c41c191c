"""The pickle inside a PyTorch file, read without executing anything that it asks for.

A pickle is a program for a stack machine, and Python's unpickler calls what it names. Allowing it
only some names (``pickle.Unpickler.find_class``) stops that, but neither a memo index that makes it
fill gigabytes from nine bytes, nor a key of nested tuples whose hash takes for ever. So this machine
is our own. It knows the instructions that PyTorch writes, calls nothing that a file names, sets no
attribute, and makes nothing but numbers, texts, tuples, lists, dicts, `Name`, `Storage` and `Tensor`.

The standard library's `pickletools` takes the bytes apart and documents each instruction. What
PyTorch writes is in its ``torch/serialization.py`` (`persistent_id`) and ``torch/_utils.py``.
"""

import io
import pickletools
import re
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

from ...errors import InputError
from .torch_tensor import Storage, Tensor, describe_tensor

T = TypeVar("T")

LARGEST_PICKLE = 2**20  # bytes; that of a VGG takes 4 KB
MOST_INSTRUCTIONS = 300_000  # that of a VGG has some thousand

# The first of each pair until 2018.
REBUILD_TENSOR = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
REBUILD_PARAMETER = ("torch.nn.parameter.Parameter", "torch._utils._rebuild_parameter")
ALLOWED = ("collections.OrderedDict", *REBUILD_TENSOR, *REBUILD_PARAMETER)
STORAGE_TYPE = re.compile(r"torch\.(?:cuda\.)?([A-Z]\w{1,30})Storage", re.ASCII)

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict}
INTEGERS = ("BININT", "BININT1", "BININT2", "LONG1")
TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINSTRING", "BINSTRING")  # the last two from Python 2


class Name(NamedTuple):
    """What the pickle would import, as a mere name."""

    text: str


def read_pickle(stream: io.BytesIO) -> tuple[Any, dict[str, Storage]]:
    """Read one pickle.

    Parameters
    ----------
    stream : io.BytesIO
        Positioned at the first byte of the pickle, and afterwards behind its last.

    Returns
    -------
    object
        It may contain itself: do not compare, hash or print what has not been looked at.
    storages : dict of key to Storage
        All that it mentions.

    Raises
    ------
    InputError
        If it is damaged, or asks for anything that a state dict does not need.
    """
    machine = Machine()
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
            if count == MOST_INSTRUCTIONS:
                raise InputError("its pickle has far more instructions than a state dict needs")
            machine.step(instruction.name, argument)
        return machine.stack.pop(), machine.storages
    except (InputError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 (of many kinds: a damaged byte makes another instruction)
        raise InputError("its pickle is damaged, cut off, or larger than 1 MB") from None


class Machine:
    """A stack, what was put aside at each MARK, the memo, and the storages met so far."""

    def __init__(self):
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def pop(self, count: int) -> list[Any]:
        """Take the last so many items off the stack."""
        return [self.stack.pop() for _ in range(count)][::-1]

    def pop_to_mark(self) -> list[Any]:
        """Take everything since the last MARK off the stack."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name in ("PROTO", "FRAME", "STOP"):
            return
        if name == "MARK":
            self.outer.append(self.stack)
            self.stack = []
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif name in ("APPEND", "APPENDS"):
            items = self.pop(1) if name == "APPEND" else self.pop_to_mark()
            exactly(list, self.stack[-1]).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self.pop(2) if name == "SETITEM" else self.pop_to_mark()
            set_items(exactly(dict, self.stack[-1]), zip(items[::2], items[1::2], strict=True))
        elif name == "BUILD":  # would set attributes: an OrderedDict's _metadata, a Parameter's flags
            self.pop(1)
        else:
            value = self.value(name, argument)  # first: a TUPLE changes what self.stack is
            self.stack.append(value)

    def value(self, name: str, argument: Any) -> Any:
        """What an instruction puts on the stack."""
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in EMPTY:
            return EMPTY[name]()
        if name in TEXTS or name == "BINFLOAT":
            return argument
        if name in INTEGERS:
            return int_of_64_bits(argument)
        if name in ("BINGET", "LONG_BINGET"):
            return self.memo[argument]
        if name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            return tuple(self.pop_to_mark() if name == "TUPLE" else self.pop(int(name[-1])))
        if name == "GLOBAL":
            return allowed(argument.replace(" ", "."))
        if name == "STACK_GLOBAL":
            return allowed(".".join(self.pop(2)))
        if name in ("REDUCE", "NEWOBJ"):
            return rebuild(*self.pop(2))
        if name == "BINPERSID":
            return self.keep(describe_storage(*self.pop(1)))
        raise InputError(f"its pickle has the instruction {name}, which PyTorch does not write")

    def keep(self, storage: Storage) -> Storage:
        """Remember a storage; the same again is fine."""
        if self.storages.setdefault(storage.key, storage) != storage:
            raise InputError(f"it describes its storage {storage.key[:30]!r} in two ways")
        return storage


def exactly(kind: type[T], value: Any) -> T:
    """The value if it is of this very type, not of a derived one (as bool is of int); else TypeError."""
    if type(value) is not kind:
        raise TypeError
    return value


def int_of_64_bits(number: int) -> int:
    """The integer if it is as small as a tensor's must be; huge ones would take long to multiply."""
    if number.bit_length() > 63:
        raise OverflowError
    return number


def set_items(target: dict[Any, Any], pairs: Iterable[Any]) -> None:
    """Set a dict's items. Keys must be texts or numbers: a nested tuple might take for ever to hash."""
    for key, value in pairs:
        if type(key) not in (str, int):
            raise TypeError
        target[key] = value


def allowed(name: str) -> Name:
    """The `Name`, if state dicts need it."""
    if name not in ALLOWED and not STORAGE_TYPE.fullmatch(name):
        raise InputError(
            f"it asks for {name[:100]!r}, which no state dict needs and which is never executed here: "
            "if it is a whole network, save its state_dict() instead"
        )
    return Name(name)


def rebuild(name: Any, arguments: Any) -> Any:
    """What calling the name would have made of the arguments."""
    name, arguments = exactly(Name, name).text, exactly(tuple, arguments)
    if name in REBUILD_TENSOR:
        return describe_tensor(*arguments)
    if name in REBUILD_PARAMETER:
        return exactly(Tensor, arguments[0])
    if name != "collections.OrderedDict" or len(arguments) > 1:
        raise TypeError
    made: dict[Any, Any] = {}
    for pairs in arguments:  # Python 2 gives one list of [key, value]
        set_items(made, exactly(list, pairs))
        pairs.clear()  # so that a small file cannot ask for a million copies
    return made


def describe_storage(identity: Any) -> Storage:
    """The `Storage` that a persistent id stands for."""
    word, name, key, _device, count, *view = exactly(tuple, identity)
    kind = STORAGE_TYPE.fullmatch(exactly(Name, name).text)
    if word != "storage" or not kind or exactly(int, count) < 0:
        raise TypeError
    if view not in ([], [None]):
        raise InputError("it has a storage within another: load and save it once with today's PyTorch")
    return Storage(kind[1], exactly(str, key), count)
