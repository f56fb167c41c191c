"""Bytes that are taken in order: as they are in a file, or inflated from it.

For `nnstyle.weights.formats.matlab5`, and our own for its reason: SciPy's reader inflates whatever a
file asks for.
"""

import zlib

from ...errors import InputError

# Bytes kept of what is inflated: VGG-19's kernels are 80 MB, or twice that in double precision.
MOST_KEPT = 2**28
MOST_INFLATED = 2**31  # bytes in all: a whole VGG-19 in double precision is 1.2 GB
PIECE = 2**18

ENDS_EARLY = "it is truncated or damaged: it ends in the middle of a variable"


class Stored:
    """Bytes as they are: taking them costs nothing until they are looked at.

    Parameters
    ----------
    data : memoryview of bytes

    Attributes
    ----------
    position : int
        How many bytes were taken or skipped.
    """

    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, size):
        """The next `size` bytes. Raises InputError if there are fewer."""
        self.skip(size)
        return self.data[self.position - size : self.position]

    def skip(self, size):
        """Go on by `size` bytes."""
        self.position += size
        if self.position > len(self.data):
            raise InputError(ENDS_EARLY)

    def finish(self):
        """There is nothing to check at the end."""


class Inflated:
    """What zlib's compressed bytes become, never more of it at once than is taken; else like `Stored`.

    Parameters
    ----------
    file : file, open for reading bytes
        Read from where it stands: mapped bytes would all count as the process's memory.
    size : int
        How many compressed bytes there are.
    most : int
        How many bytes they may become.
    """

    def __init__(self, file, size, most=MOST_INFLATED):
        self.file, self.left, self.most, self.waiting = file, size, most, b""
        self.inflater, self.position, self.kept = zlib.decompressobj(), 0, 0

    def take(self, size):
        """The next `size` bytes. Raises InputError if there are fewer, or too many in all."""
        self.kept += size
        if self.kept > MOST_KEPT:
            raise InputError("it is damaged: it has far larger kernels than a VGG")
        return b"".join(self.pieces(size))

    def skip(self, size):
        """Go on by `size` bytes."""
        for _ in self.pieces(size):
            pass

    def finish(self):
        """Go to the end, where zlib compares its checksum."""
        if not self.piece(1) and not self.inflater.eof:
            raise InputError(ENDS_EARLY)

    def pieces(self, size):
        """The next `size` bytes, piece by piece."""
        end = self.position + size
        while self.position < end:
            piece = self.piece(min(end - self.position, PIECE))
            if not piece:
                raise InputError(ENDS_EARLY)
            yield piece

    def piece(self, most):
        """At most so many of the next bytes; none where they end."""
        try:
            while True:
                piece = self.inflater.decompress(self.waiting, most)
                self.waiting = self.inflater.unconsumed_tail
                self.position += len(piece)
                if self.position > self.most:
                    raise InputError("it is damaged: its compressed data become far more than a network")
                if piece or self.inflater.eof or not (self.waiting or self.left):
                    return piece
                if not self.waiting:
                    self.waiting = self.file.read(min(PIECE, self.left))
                    self.left -= min(PIECE, self.left)
        except zlib.error:
            raise InputError("it is damaged: its compressed data cannot be inflated") from None
