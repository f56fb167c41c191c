"""The weights of a network: frozen, with what must be known to use them."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..arrays import read_only
from ..errors import InputError
from ..pictures.preprocessing import Preprocessing

Layer = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Weights(Mapping[str, Layer]):
    """``weights[name]`` is ``(kernel, bias)``: read-only arrays (3, 3, in, out) and (out,).

    Nothing of it can be changed. ``weights | {"conv1_1": (kernel, bias)}`` is a network with another
    conv1_1 and otherwise the same; ``{"conv5_1": (kernel, bias)} | weights`` adds a conv5_1 where there is none.

    Attributes
    ----------
    layers : mapping of layer name to (kernel, bias)
        float32 from a file; other floating types are kept, for gradient checks.
    name : str
        What to call the network: from the file, else the file's name.
    preprocessing : Preprocessing
        What the network expects of its input.
    rescaled : bool
        Whether the filters were divided by their mean activations (`nnstyle.weights.rescale`),
        as far as the file tells.
    style_layer_weights : tuple of 5 floats, optional
        The w_l of equation (5), for conv1_1 .. conv5_1, with which this network paints best, as far
        as the file tells. `nnstyle.stylize` uses them unless it is given layers or weights.
    pooling : "average" or "max", optional
        The pooling with which it paints best, as far as the file tells.
    beta_per_pixel : float, optional
        The same for the style weight of each pixel.
    path : Path, optional
        The file that it was read from.
    preprocessing_reason : str
        For people: why this preprocessing was taken, such as "stated in the file".

    Raises
    ------
    InputError
        If a layer is not a pair of floating-point arrays.
    """

    layers: Mapping[str, Layer]
    name: str
    preprocessing: Preprocessing
    rescaled: bool = False
    style_layer_weights: tuple[float, ...] | None = None
    pooling: str | None = None
    beta_per_pixel: float | None = None
    path: Path | None = None
    preprocessing_reason: str = "given with the numbers"

    def __post_init__(self):
        layers = {name: read_only_layer(name, layer) for name, layer in self.layers.items()}
        object.__setattr__(self, "layers", MappingProxyType(layers))

    def __getitem__(self, name: str) -> Layer:
        return self.layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __or__(self, other: Mapping[str, Layer]) -> "Weights":
        if not isinstance(other, Mapping):
            return NotImplemented
        return dataclasses.replace(self, layers={**self.layers, **other})

    def __ror__(self, other: Mapping[str, Layer]) -> "Weights":
        if not isinstance(other, Mapping):
            return NotImplemented
        return dataclasses.replace(self, layers={**self, **other, **self})  # self first: for the order

    def __repr__(self) -> str:
        return f"<Weights {self.name!r}: {', '.join(self)}>"

    def __eq__(self, other: object) -> bool:
        """Whether the layers are the same, number by number."""
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.keys() == other.keys() and all(
            np.array_equal(mine, its)
            for name in self
            for mine, its in zip(self[name], other[name], strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self):
        """Pickle what `__init__` takes: arrays that were unpickled can be written to until it froze them."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Weights, tuple((values | {"layers": dict(self.layers)}).values())

    @cached_property
    def sha256(self) -> str:
        """Digest of names and numbers, in hexadecimal: the same whatever file they were read from."""
        digest = hashlib.sha256()
        for name in sorted(self):  # conv1_1 .. conv5_4: the order of the layers
            for array in self[name]:
                digest.update(f"{name} {array.shape}\n".encode())
                digest.update(np.ascontiguousarray(array, "<f4").tobytes())
        return digest.hexdigest()


def read_only_layer(name: str, layer: Layer) -> Layer:
    """Kernel and bias as arrays that nobody can change."""
    try:
        kernel, bias = (read_only(np.asarray(array)) for array in layer)
    except (TypeError, ValueError):
        raise InputError(f"{name} should be a kernel and a bias, two arrays") from None
    if kernel.dtype.kind != "f" or bias.dtype.kind != "f":
        raise InputError(f"{name} should hold floating-point numbers, not {kernel.dtype} and {bias.dtype}")
    return kernel, bias
