"""MatConvNet"""

import contextlib

from ..errors import InputError


@contextlib.contextmanager
def open_matconvnet(path):
    raise InputError("not read yet")
    yield
