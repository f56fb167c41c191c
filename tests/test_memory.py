"""What one evaluation of the full-width network costs in memory, in a process of its own."""

import subprocess
import sys

import pytest

from .command import ENVIRONMENT

ITERATION = """
import resource, sys
import numpy as np
from nnstyle import Network, Settings
from nnstyle.transfer import Objective
from nnstyle.workers import Workers
from tests.tiny import tiny_weights

image = np.random.default_rng(0).normal(0, 50, (512, 512, 3)).astype(np.float32)
with Workers() as workers:
    network = Network(tiny_weights(widths=(64, 128, 256, 512, 512)), workers=workers)
    Objective(network, image, image, Settings().for_picture(512, 512))(image + 1)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak if sys.platform == "darwin" else 1024 * peak)  # bytes there, KiB on Linux
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no module resource")
def test_forward_and_backward_of_vgg19_at_512_px_stay_below_a_gigabyte():
    result = subprocess.run(
        [sys.executable, "-c", ITERATION], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 1.0e9
