"""HDF5 in Keras's layout, the embedded network's as well: groups ``block1_conv1`` and so on."""

import contextlib
import errno
import itertools
import os
import zlib
from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ...errors import InputError
from ...files import whole_file
from ...network import POOLINGS
from .contents import PREPROCESSING, Contents, StoredArray, check_claim, keras_group, text
from .naming import find_layers, is_layer

if TYPE_CHECKING:
    from ..weights import Weights

# The attributes that mean something here.
STATED = (*PREPROCESSING, "name", "pooling", "beta_per_pixel", "style_layer_weights", "backend")

# What a file of a network may have at most: VGG-19 in a large model has some hundred arrays, four deep.
MOST_ITEMS, MOST_DEPTH, LONGEST_PATH = 20_000, 16, 1000
MOST_NUMBERS = 16  # of one attribute
LONGEST_TEXT = 4096  # bytes, of one attribute
# Of one array: the library takes 4 KB for each, and h5py makes some hundred of a large kernel.
MOST_CHUNKS = 10_000
# The filters that are undone here. What lzf has compressed may grow almost a hundredfold.
DEFLATE, SHUFFLE, CHECKSUM, LZF = (
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    32000,
)
FILTER_ORDER = {SHUFFLE: 0, DEFLATE: 1, LZF: 1, CHECKSUM: 2}
LARGEST_LZF = 1 << 22  # bytes of a chunk; h5py makes them of 1 MB at most
CHECKSUM_SIZE = 4  # bytes


@contextlib.contextmanager
def open_hdf5(path: str | os.PathLike) -> Iterator[Contents]:
    """The `Contents` of an HDF5 file."""
    with open_file(path) as file:
        yield contents_of(file, "Keras's layout in HDF5")


def open_file(source: Any) -> h5py.File:
    """An HDF5 file, open for reading: from a path, or from a file that is open."""
    try:
        return h5py.File(source, "r")
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise
        raise InputError(f"it is not a readable HDF5 file: {error}") from None


def contents_of(file: h5py.File, layout: str) -> Contents:
    """The `Contents` of an open HDF5 file."""
    found = find_layers(arrays_in(file), "it has no group block1_conv1, as VGG in Keras's layout would")
    layers, backend, stated = found.layers, stated_backend(file), attributes_of(file)
    if backend == "theano":
        layers = {layer: (kernel.flipped(), bias) for layer, (kernel, bias) in layers.items()}
    return Contents(
        layout,
        layers,
        found.implied,
        stated={name: stated[name] for name in PREPROCESSING if name in stated},
        before=found.before,
        maybe_flipped=found.maybe_flipped and not backend,
        name=text(stated["name"]) if "name" in stated else None,
        rescaled="rescaled" in file.attrs,
        style_layer_weights=stated_layer_weights(stated),
        pooling=stated_pooling(stated),
        beta_per_pixel=stated_beta(stated),
    )


def attributes_of(item: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """What an item of the file states of itself; of this, nothing is read that takes much memory."""
    found = [name for name in STATED if name in item.attrs]
    for name in found:
        if not is_small(item.attrs.get_id(name)):
            raise InputError(f"its {name} should be a text or a few numbers")
    return {name: item.attrs[name] for name in found}


def is_small(attribute: h5py.h5a.AttrID) -> bool:
    """Whether an attribute is a single text, or a few numbers or texts of fixed length."""
    count = attribute.get_space().get_simple_extent_npoints()
    kind = attribute.get_type()
    if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str():
        return count == 1
    plain = isinstance(kind, (h5py.h5t.TypeStringID, h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID))
    return plain and 0 < count <= MOST_NUMBERS and kind.get_size() <= LONGEST_TEXT


def stated_backend(file: h5py.File) -> str:
    """What computed in Keras 2, as it states beside the weights; empty if it is not stated."""
    places = [attributes_of(file)]
    if isinstance(file.get("model_weights", getlink=True), h5py.HardLink):
        places.append(attributes_of(file["model_weights"]))
    for attributes in places:
        if "backend" in attributes:
            return text(attributes["backend"])
    return ""


def stated_layer_weights(stated: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The w_l that a file states for conv1_1 .. conv5_1: a tuple of 5 floats, or None."""
    if "style_layer_weights" not in stated:
        return None
    numbers = np.asarray(stated["style_layer_weights"])
    if numbers.dtype.kind not in "fiu" or numbers.shape != (5,):
        raise InputError("its style_layer_weights should be 5 numbers, for conv1_1 .. conv5_1")
    if not (np.isfinite(numbers).all() and (numbers >= 0).all() and numbers.any()):
        raise InputError("its style_layer_weights should be finite, not negative, and not all 0")
    return tuple(numbers.astype(float).tolist())


def stated_pooling(stated: Mapping[str, Any]) -> str | None:
    """The pooling that a file states, or None."""
    if "pooling" not in stated:
        return None
    pooling = text(stated["pooling"])
    if pooling not in POOLINGS:
        raise InputError(f"its pooling should be one of {', '.join(POOLINGS)}")
    return pooling


def stated_beta(stated: Mapping[str, Any]) -> float | None:
    """The style weight of each pixel that a file states, or None."""
    if "beta_per_pixel" not in stated:
        return None
    number = np.asarray(stated["beta_per_pixel"])
    if number.dtype.kind not in "fiu" or number.size != 1 or not 0 < number.item() < np.inf:
        raise InputError("its beta_per_pixel should be a finite number above 0")
    return float(number.item())


def arrays_in(file: h5py.File) -> dict[str, StoredArray]:
    """All arrays of a file, by their paths. Links are not followed: they may lead out of the file.

    Keras 3 numbers its layers; newer versions state a layer's name beside. Where that is a VGG's,
    as block1_conv1, it takes the number's place.
    """
    arrays: dict[str, StoredArray] = {}
    waiting: list[tuple[str, h5py.Group]] = [("/", file)]
    count = 0
    while waiting:
        path, group = waiting.pop()
        for name in group:
            count += 1
            if count > MOST_ITEMS or path.count("/") > MOST_DEPTH or len(path) + len(name) > LONGEST_PATH:
                raise InputError("it has far more groups than a network needs, or longer names")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                refuse_layer(path + name, "is a link, which is not followed")
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset):
                arrays[path + name] = stored_dataset(path + name, item)
            elif isinstance(item, h5py.Group):
                waiting.append((named_path(path, name, item), item))
    return arrays


def named_path(path: str, name: str, group: h5py.Group) -> str:
    """The path of a group, with the name that Keras 3 states in place of conv2d_1."""
    stated = text(attributes_of(group).get("name", "")) if name == "vars" else ""
    if is_layer(stated) and path.count("/") > 1:
        return f"{path[: path.rstrip('/').rfind('/') + 1]}{stated}/"
    if is_layer(name) and not len(group):
        refuse_layer(path + name, "should hold one kernel and one bias, and is empty")
    return f"{path}{name}/"


def refuse_layer(path: str, why: str) -> None:
    """Complain of what has a layer's name, but is none."""
    if is_layer(path.rpartition("/")[2]):
        raise InputError(f"{path} {why}")


def stored_dataset(path: str, dataset: h5py.Dataset) -> StoredArray:
    """A dataset as a stored array, if its numbers are in this file."""
    how = dataset.id.get_create_plist()
    if how.get_layout() == h5py.h5d.VIRTUAL or how.get_external_count():
        raise InputError(f"{path} is kept in other files, which are not read")

    def read():
        if dataset.dtype.kind != "f":
            group, _, name = path.rpartition("/")
            raise InputError(
                f"{group} should hold one kernel and one bias, floating-point arrays, and {name} is {dataset.dtype}"
            )
        # The library reads whole chunks, and one may be larger than the array.
        largest = max(dataset.nbytes, chunk_bytes(dataset))
        check_claim(path, largest, dataset.id.get_storage_size())
        check_filters(path, dataset)
        if dataset.chunks:
            check_chunks(path, dataset)
        return dataset[()]

    return StoredArray(dataset.shape or (), read)


def chunk_bytes(dataset: h5py.Dataset) -> int:
    """Bytes of one chunk in memory; 0 where the numbers lie in one piece."""
    return dataset.dtype.itemsize * prod(dataset.chunks) if dataset.chunks else 0


def filters_of(dataset: h5py.Dataset) -> list[int]:
    """The filters that each chunk went through when it was written, in their order."""
    how = dataset.id.get_create_plist()
    return [how.get_filter(number)[0] for number in range(how.get_nfilters())]


def check_filters(path: str, dataset: h5py.Dataset) -> None:
    """Raise InputError unless the numbers went through known filters only, each once and in the usual order."""
    filters = filters_of(dataset)
    places = [FILTER_ORDER.get(name, -1) for name in filters]
    if -1 in places or places != sorted(set(places)):
        raise InputError(f"{path} is compressed in a way that is not read here: gzip is")
    if LZF in filters and chunk_bytes(dataset) + CHECKSUM_SIZE > LARGEST_LZF:
        raise InputError(f"{path} is compressed with lzf in larger chunks than are read here: gzip is read")


def check_chunks(path: str, dataset: h5py.Dataset) -> None:
    """Raise InputError if there are very many chunks, or one holds more than it should: all would be inflated."""
    steps = [range(0, length, step) for length, step in zip(dataset.shape, dataset.chunks, strict=True)]
    if prod(map(len, steps)) > MOST_CHUNKS:
        raise InputError(f"{path} is in far more pieces than are read here")
    filters = filters_of(dataset)
    if not filters:
        return
    most = chunk_bytes(dataset) + CHECKSUM_SIZE
    for corner in itertools.product(*steps):
        stored = dataset.id.get_chunk_info_by_coord(corner)
        is_too_large = stored.size > 2 * most + 100  # noise grows a little
        if not is_too_large and stored.size and is_deflated(filters, stored.filter_mask):
            _, data = dataset.id.read_direct_chunk(corner)
            is_too_large = len(zlib.decompressobj().decompress(data, most + 1)) > most
        if is_too_large:
            raise InputError(f"{path} is damaged: a compressed part of it holds more than it should")


def is_deflated(filters: list[int], skipped: int) -> bool:
    """Whether a chunk is compressed with gzip's method.

    Parameters
    ----------
    filters : list of int
        Of the dataset.
    skipped : int
        Its bits tell which of them this chunk did not go through.
    """
    return DEFLATE in filters and not skipped & 1 << filters.index(DEFLATE)


def write_hdf5(path: str | os.PathLike, weights: "Weights", dtype: type = np.float32) -> None:
    """Write weights in Keras's layout, with their preprocessing stated: whole, or not at all.

    Parameters
    ----------
    path : path
    weights : Weights
    dtype : NumPy floating type
        Of all kernels but the first; float16 halves the file. The first kernel and the biases are
        small, and float32 in any case.

    Raises
    ------
    InputError
        If a number is too large for its type.
    """
    with whole_file(path) as whole, h5py.File(whole, "w") as file:
        for layer, (kernel, bias) in weights.items():
            group = keras_group(layer)
            with np.errstate(over="ignore"):  # looked for below
                its_dtype = np.float32 if layer == "conv1_1" else dtype
                stored: np.ndarray = kernel.astype(its_dtype, copy=False)
                biases = bias.astype(np.float32, copy=False)
            for numbers in (stored, biases):
                if not np.isfinite(numbers).all():
                    hint = ": write float32" if numbers.dtype == np.float16 else ""
                    raise InputError(f"{layer} has weights too large for {numbers.dtype}{hint}")
            file[f"{group}/{group}_W_1:0"] = stored
            file[f"{group}/{group}_b_1:0"] = biases
        what = weights.preprocessing
        file.attrs.update(
            name=weights.name, channel_order=what.channel_order, mean=what.mean, scale=what.scale
        )
        if weights.rescaled:
            file.attrs["rescaled"] = "filters divided by their mean activations over a set of pictures"
        if weights.style_layer_weights:
            file.attrs["style_layer_weights"] = weights.style_layer_weights
        if weights.pooling:
            file.attrs["pooling"] = weights.pooling
        if weights.beta_per_pixel:
            file.attrs["beta_per_pixel"] = weights.beta_per_pixel
