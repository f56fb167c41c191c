"""PyTorch legacy"""

import contextlib

from ..errors import InputError


@contextlib.contextmanager
def open_torch_legacy(path):
    raise InputError("not read yet")
    yield


MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
