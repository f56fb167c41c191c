"""The first kernels of widely used networks, by which their files are recognized.

The numbers are those of the published files, rounded: of each network the first three filters of
conv1_1, as (filter, h, w, channel in RGB).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..pictures.preprocessing import MATCONVNET, TORCHVISION, Preprocessing
from .formats.hdf5 import open_hdf5
from .known import POCKET_PATHS

# Of VGG-19. VGG-16's are much alike, since both were trained on from one smaller network.
OXFORD = np.array(
    [
        [
            [[0.394, 0.464, 0.341], [0.377, 0.418, 0.340], [-0.046, -0.048, -0.045]],
            [[0.267, 0.305, 0.232], [0.100, 0.104, 0.090], [-0.341, -0.373, -0.303]],
            [[-0.076, -0.076, -0.073], [-0.280, -0.311, -0.247], [-0.416, -0.465, -0.337]],
        ],
        [
            [[-0.084, 0.034, 0.096], [-0.079, 0.053, 0.134], [-0.116, -0.007, 0.065]],
            [[-0.080, 0.057, 0.134], [-0.062, 0.089, 0.185], [-0.134, -0.007, 0.080]],
            [[-0.078, 0.039, 0.101], [-0.071, 0.060, 0.141], [-0.115, -0.006, 0.066]],
        ],
        [
            [[-0.036, 0.102, 0.018], [-0.048, 0.098, 0.021], [-0.145, -0.022, -0.076]],
            [[0.060, 0.217, 0.121], [0.074, 0.239, 0.153], [-0.115, 0.022, -0.039]],
            [[-0.035, 0.100, 0.013], [-0.039, 0.104, 0.026], [-0.147, -0.027, -0.081]],
        ],
    ]
)
TORCHVISION_VGG16 = np.array(
    [
        [
            [[-0.554, 0.176, 0.313], [0.143, 0.010, -0.166], [0.529, -0.081, -0.428]],
            [[-0.583, 0.044, 0.475], [0.357, -0.070, -0.083], [0.766, -0.260, -0.487]],
            [[-0.690, 0.132, 0.632], [-0.048, -0.173, 0.019], [0.484, -0.132, -0.278]],
        ],
        [
            [[0.232, -0.141, -0.314], [0.127, -0.219, -0.370], [0.186, 0.150, -0.131]],
            [[-0.428, -0.841, -0.471], [-0.244, -0.352, -0.155], [0.246, 0.564, 0.346]],
            [[-0.251, -0.242, 0.054], [0.142, 0.519, 0.587], [-0.006, 0.539, 0.496]],
        ],
        [
            [[0.177, 0.309, 0.316], [0.522, 0.671, 0.423], [0.010, 0.020, -0.350]],
            [[-0.272, -0.466, 0.086], [-0.717, -1.070, -0.465], [0.313, 0.335, 0.012]],
            [[-0.076, -0.080, 0.105], [-0.221, -0.305, -0.146], [0.335, 0.545, -0.016]],
        ],
    ]
)


@dataclass(frozen=True)
class FirstKernels:
    """The first layer of a known network.

    Attributes
    ----------
    name : str
    filters : array (3, 3, 3, 3)
        Its first three filters: (filter, h, w, RGB).
    width : int
        How many filters there are.
    bias : float
        A bias's magnitude over its kernel's norm, the median of the filters.
    preprocessing : Preprocessing
        Of its input in RGB.
    """

    name: str
    filters: np.ndarray
    width: int
    bias: float
    preprocessing: Preprocessing


@lru_cache
def known_networks() -> tuple[FirstKernels, ...]:
    """The networks that can be recognized; the embedded one is read from its file."""
    published = (  # their biases' size is known roughly, and only compared roughly
        FirstKernels("Oxford's VGG", OXFORD, 64, 0.5, MATCONVNET),
        FirstKernels("torchvision's VGG-16", TORCHVISION_VGG16, 64, 0.3, TORCHVISION),
    )
    own = next((path for path in POCKET_PATHS if path.exists()), None)
    return published if own is None else (*published, embedded(own))


def embedded(path: Path) -> FirstKernels:
    """The embedded network's first layer."""
    with open_hdf5(path) as contents:
        kernel, bias = (array.read().astype(float) for array in contents.layers["conv1_1"])
    filters = kernel[..., :3].transpose(3, 0, 1, 2)
    return FirstKernels(
        "the embedded network", filters, kernel.shape[-1], relative_bias(kernel, bias), MATCONVNET
    )


def relative_bias(kernel: np.ndarray, bias: np.ndarray) -> float:
    """A bias's magnitude over its kernel's norm, the median of the filters: rescaling does not change it."""
    return float(np.median(np.abs(bias) / np.maximum(filter_norms(kernel), 1e-30)))


def filter_norms(kernel: np.ndarray) -> np.ndarray:
    """The norm of each filter of a kernel (3, 3, in, out): an array (out,)."""
    return np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]).astype(float), axis=0)
