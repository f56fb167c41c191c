"""The wire format of Protocol Buffers, as far as a file of arrays needs it.

A message is a sequence of fields, each with a key, ``number << 3 | wire type``, before its
value (protobuf.dev/programming-guides/encoding). What a number means is defined elsewhere, in a
``.proto`` file. Nothing is copied here: values are views of the file.

These lines are our own because the protobuf package needs a compiled schema, and copies every
array. They execute nothing.
"""

from collections.abc import Iterator

import numpy as np

from ...errors import InputError

VARINT, BYTES = 0, 2
FIXED: dict[int, np.dtype] = {
    1: np.dtype("<f8"),
    5: np.dtype("<f4"),
}  # integers of fixed width have no use here

MOST_FIELDS = 100_000  # in a file: a network has some hundreds
ENDS_EARLY = "it is truncated or damaged: a field reaches beyond the end"


class Budget:
    """How many more fields are read of a file, whatever nests in what."""

    def __init__(self) -> None:
        self.left = MOST_FIELDS

    def spend(self) -> None:
        """Take one."""
        if self.left == 0:
            raise InputError(f"it is damaged: it has more than {MOST_FIELDS} fields")
        self.left -= 1


def fields(message: memoryview, budget: Budget) -> Iterator[tuple[int, int | memoryview | np.ndarray]]:
    """The fields of a message, in order.

    Parameters
    ----------
    message : memoryview of bytes
    budget : Budget
        Of the file.

    Yields
    ------
    number : int
    value : int, memoryview or array
        By wire type: a varint; a text, message or packed array; numbers of 8 or 4 bytes. Numbers
        that follow one another, as in an array that is not packed, come as one array.

    Raises
    ------
    InputError
        For what is not a message.
    """
    position = 0
    while position < len(message):
        budget.spend()
        key, start = varint(message, position)
        number, wire_type = key >> 3, key & 7
        value: int | memoryview | np.ndarray
        if wire_type == VARINT:
            value, position = varint(message, start)
        elif wire_type == BYTES:
            length, start = varint(message, start)
            position = start + length
            value = message[start:position]
        elif wire_type in FIXED:
            value, position = run(message, position, start, FIXED[wire_type])
        else:
            raise InputError(f"it is damaged: there is no wire type {wire_type}")
        if position > len(message):
            raise InputError(ENDS_EARLY)
        yield number, value


def varint(message: memoryview, position: int) -> tuple[int, int]:
    """An unsigned integer, seven bits a byte, lowest first; and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position == len(message):
            raise InputError(ENDS_EARLY)
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise InputError("it is damaged: an integer has more than ten bytes")


def run(message: memoryview, position: int, start: int, dtype: np.dtype) -> tuple[np.ndarray, int]:
    """The numbers of fixed width that follow one another under the same key, and the position after them."""
    step = start - position + dtype.itemsize
    count = 1
    if start - position == 1:  # a field number to 15, as of any array of ours
        keys, block = np.frombuffer(message, np.uint8)[position::step], 64
        while (same := keys[count : count + block] == keys[0]).size:
            count += same.size if same.all() else int(same.argmin())
            if not same.all():
                break
            block *= 2  # a short run looks at little, a long one is found in few steps
    position += count * step
    if position > len(message):
        raise InputError(ENDS_EARLY)
    return np.ndarray(count, dtype, message, start, (step,)), position


def varints(message: memoryview) -> list[int]:
    """A packed array of unsigned integers, as a list."""
    values, position = [], 0
    while position < len(message):
        value, position = varint(message, position)
        values.append(value)
    return values
