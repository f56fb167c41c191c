"""Which arrays of a file are which layer's: told by their names, else by their order."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...errors import InputError
from ...network import LAYERS
from ...pictures.preprocessing import Preprocessing
from .contents import CAFFE, CONVOLUTIONS, TORCHVISION, Arrays, Contents, Layers, StoredArray

# conv3_1 as in Caffe or block3_conv1 as in Keras, as a part of a name: conv3_1.weight, conv3_1_W and so on.
LAYER_PART = re.compile(
    r"(?:^|(?<=[./]))(?:conv([1-5])_([1-4])|block([1-5])_conv([1-4]))(?=$|[./:]|_(?:[Wwb]|weights?|bias(?:es)?)\b|_[Wb]_\d)"
)
# A number in a torch.nn.Sequential: features.0.weight, slice1.0.weight, or 0.weight.
NUMBERED = re.compile(r"(?P<place>(?:.*\.)?)(?P<number>\d{1,3})\.(?P<kind>weight|bias)")
SLICE = re.compile(r"slice\d\.$")  # where a Sequential was cut, the numbers go on
# What the names of a layer's two arrays differ in.
PARTNER = re.compile(r"(?:weight|kernel|bias|_W|_b)(?=(?:_\d+)?(?::0)?$)")
PARTNERS = {"weight": "bias", "kernel": "bias", "bias": "weight", "_W": "_b", "_b": "_W"}
# Of a whole model. A file that has more is no model, and would take long to search.
FEWEST_KERNELS = 3  # fewer do not show that it is a VGG
MOST_KERNELS, MOST_PLACES, MOST_DEPTH = 500, 20, 12
OUTPUTS_FIRST = (2, 3, 1, 0)  # from (out, in, h, w) to (h, w, in, out)


@dataclass(frozen=True)
class Found:
    """What the names of a file's arrays told.

    Attributes
    ----------
    layers : dict, as in `Contents`
    implied : Preprocessing
        What files with such names expect.
    before : pair of StoredArray, optional
        A convolution of one pixel before the first layer, kernel (3, 3, 1, 1) and bias.
    maybe_flipped : bool
        Whether the kernels are in Theano's order.
    """

    layers: Layers
    implied: Preprocessing
    before: tuple[StoredArray, StoredArray] | None = None
    maybe_flipped: bool = False


NOTHING = "it has no layer called features.0.weight, conv1_1.weight or block1_conv1/kernel, as VGG's would be"


def find_layers(arrays: Arrays, nothing: str = NOTHING) -> Found:
    """Sort named arrays into layers.

    Parameters
    ----------
    arrays : dict of str to StoredArray
        Names with "/" or "." between their parts: ``features.0.weight`` or ``0.weight`` as in
        PyTorch, ``conv1_1.weight`` as in the file of the paper's first author, ``conv1_1_W``,
        ``block1_conv1/kernel`` as in Keras, ``layers/conv2d/vars/0`` as in Keras 3. Other names
        may stand before them, where the VGG is a part of a larger model. Arrays with other names
        (fully connected layers, for example) are ignored.
    nothing : str
        What to say where there is no VGG.

    Raises
    ------
    InputError
        If there is no VGG, more than one, or no kernel or no bias for a layer.
    """
    for find in (named_layers, numbered_layers, ordered_layers):
        found = find(arrays)
        if found:
            return found
    raise InputError(nothing)


def contents_from_names(layout: str, arrays: Arrays, stated: Mapping[str, Any] | None = None) -> Contents:
    """The `Contents` of a file of named arrays; see `find_layers`."""
    found = find_layers(arrays)
    return Contents(
        layout,
        found.layers,
        found.implied,
        stated or {},
        before=found.before,
        maybe_flipped=found.maybe_flipped,
    )


def named_layers(arrays: Arrays) -> Found | None:
    """Layers whose names have a part like conv3_1 or block3_conv1."""
    places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in arrays:
        match = LAYER_PART.search(name)
        if match and not name.startswith(("/optimizer", "optimizer")):
            block, number = match[1] or match[3], match[2] or match[4]
            places[name[: match.start()]][f"conv{block}_{number}"].append(name)
    layers = [layer for place in places.values() for layer in place]
    if len(layers) > len(set(layers)):  # only one of the places can be meant
        first = {place: place_layers.get("conv1_1", []) for place, place_layers in places.items()}
        begins = [
            place for place in places if any(takes_pictures(arrays[name].shape) for name in first[place])
        ]
        place = the_only(begins or places)
        places = {place: places[place]}
    names = {layer: place[layer] for place in places.values() for layer in place}
    pairs = {layer: kernel_and_bias(layer, names[layer], arrays) for layer in CONVOLUTIONS if layer in names}
    is_torch = all(name.endswith((".weight", ".bias")) for group in names.values() for name in group)
    return with_our_axes(pairs, CAFFE, is_torch) if pairs else None


def is_layer(name: str) -> bool:
    """Whether a whole name is a layer's: conv3_1 or block3_conv1."""
    match = LAYER_PART.match(name)
    return match is not None and match.end() == len(name)


def takes_pictures(shape: tuple[int, ...]) -> bool:
    """Whether it is that of a kernel for three channels, in either order of axes."""
    return len(shape) == 4 and (3, 3, 3) in (shape[:3], shape[1:])


def the_only(places: Iterable[str]) -> str:
    """The one place of a VGG in a file."""
    found = sorted(places)
    if len(found) > 1:
        where = " and ".join(place or "the top" for place in found)
        raise InputError(f"it has more than one VGG, at {where:.200}: save one of them by itself")
    return found[0]


def kernel_and_bias(layer: str, names: list[str], arrays: Arrays) -> tuple[StoredArray, StoredArray]:
    """The two arrays of a layer, told apart by their rank, as names differ."""
    found = sorted(names, key=lambda name: -len(arrays[name].shape))
    if len(found) == 1 and PARTNER.search(found[0]):
        partner = PARTNER.sub(lambda match: PARTNERS[match[0]], found[0])
        raise InputError(f"{layer} lacks its {partner}")
    where = place_of(os.path.commonprefix(found)).rstrip("./") or layer
    if len(found) != 2:
        raise InputError(f"{where} should hold one kernel and one bias, not {len(found)} arrays")
    kernel, bias = found
    axes = len(arrays[kernel].shape)
    if axes != 4:
        raise InputError(
            f"{where} should hold one kernel and one bias: {kernel} should have 4 axes, not {axes}"
        )
    return arrays[kernel], arrays[bias]


def with_our_axes(pairs: Layers, implied: Preprocessing, is_torch: bool) -> Found:
    """Kernels as (h, w, in, out). Where their order is not PyTorch's, the first kernel's shape tells it.

    PyTorch and Caffe have (out, in, h, w), Keras has (h, w, in, out). The first with Keras's
    names is Theano's order; Theano's kernels may be flipped.
    """
    shape = next(iter(pairs.values()))[0].shape
    is_outputs_first = is_torch if shape == (3, 3, 3, 3) else shape[1:] == (3, 3, 3)
    if is_torch and shape[:3] != (3, 3, 3) or is_outputs_first:
        pairs = {layer: (kernel.transposed(*OUTPUTS_FIRST), bias) for layer, (kernel, bias) in pairs.items()}
    return Found(pairs, implied, maybe_flipped=is_outputs_first and not is_torch)


def numbered_layers(arrays: Arrays) -> Found | None:
    """Layers of a torch.nn.Sequential, which numbers convolutions, what lies between, and poolings."""
    places = numbered_names(arrays)
    begins = [place for place, members in places.items() if begins_with_pictures(members, arrays)]
    begins = begins or [place for place in places if place == "features."]
    if not begins:
        return None
    if len(begins) > MOST_PLACES:
        the_only(begins)
    fits = {place: numbers_of_layers(numbers_at(place, places[place], arrays)) for place in begins}
    place = the_only([place for place in begins if fits[place]] or begins)
    members, numbers = places[place], fits[place]
    if any(name.startswith(place) and name.endswith(".running_mean") for name in arrays):
        raise InputError("it has batch normalisation, which is not read here: use a VGG without it")
    if not numbers:
        raise InputError(f"its {place}N.weight do not lie where those of VGG-16 or VGG-19 do")
    pairs = {layer: kernel_and_bias(layer, members[number], arrays) for layer, number in numbers.items()}
    found = with_our_axes(pairs, TORCHVISION, is_torch=True)
    before = [number for number in members if number < min(numbers.values())]
    if before:
        return replace(found, before=kernel_and_bias("what lies before conv1_1", members[before[0]], arrays))
    return found


def numbered_names(arrays: Arrays) -> dict[str, dict[int, list[str]]]:
    """``{place: {number: names}}``. Where a Sequential was cut into slices, its numbers go on."""
    places: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in arrays:
        match = NUMBERED.fullmatch(name)
        if match:
            places[SLICE.sub("", match["place"])][int(match["number"])].append(name)
    return places


def begins_with_pictures(members: dict[int, list[str]], arrays: Arrays) -> bool:
    """Whether the first convolution of 3 x 3 takes three channels."""
    names = [name for number in sorted(members) for name in members[number]]
    shapes = [arrays[name].shape for name in names if arrays[name].shape[2:] == (3, 3)]
    return bool(shapes) and shapes[0][1] == 3


def numbers_at(place: str, members: dict[int, list[str]], arrays: Arrays) -> list[int]:
    """The numbers of the layers at a place, without a convolution of one pixel before the others."""
    deeper = (re.match(r"\d{1,3}(?=\.)", name[len(place) :]) for name in arrays if name.startswith(place))
    numbers = sorted({int(match[0]) for match in deeper if match} | set(members))
    if not members.keys() >= set(numbers):
        return []  # other things than layers lie between
    is_before = any(arrays[name].shape == (3, 3, 1, 1) for name in members.get(numbers[0], []))
    return numbers[1:] if is_before else numbers


def numbers_of_layers(numbers: list[int]) -> dict[str, int]:
    """``{layer: number}``, if convolutions lie as in a VGG; else nothing.

    From a convolution to the next it is 2, or 3 where each has a layer of padding; over a pooling
    it is one more. Something may stand before them all.
    """
    first = min(numbers, default=0)
    for start, step in ((0, 2), (first, 2), (first, 3)):
        for layers in LAYERS.values():
            expected, number = {}, start
            for layer in layers:
                if layer in CONVOLUTIONS:
                    expected[number] = layer
                number += step if layer in CONVOLUTIONS else 1
            if set(numbers) <= set(expected):
                return {expected[number]: number for number in numbers}
    return {}


def ordered_layers(arrays: Arrays) -> Found | None:
    """Layers whose names say nothing, such as conv2d and conv2d_1: their order and their widths tell."""
    kernels = sorted((name for name in arrays if is_kernel(arrays[name].shape)), key=natural_order)
    if len(kernels) > MOST_KERNELS or any(depth_of(name) > MOST_DEPTH for name in kernels):
        return None
    vectors = defaultdict(list)
    for name, array in arrays.items():
        if len(array.shape) == 1:
            vectors[place_of(name)].append(name)
    biases = {name: vectors[place_of(name)] for name in kernels}
    places = {name[: cut.end()] for name in kernels for cut in re.finditer(r"[./]", name)} | {""}
    for depth in range(MOST_DEPTH + 1):
        fits: dict[str, Found] = {}
        for place in places:
            if depth_of(place) == depth:
                found = chain({name: biases[name] for name in kernels if name.startswith(place)}, arrays)
                fits |= {place: found} if found else {}
        if fits:
            return fits[the_only(fits)]
    return None


def is_kernel(shape: tuple[int, ...]) -> bool:
    """Whether it is that of a convolution of 3 x 3, in either order of axes."""
    return len(shape) == 4 and (shape[:2] == (3, 3) or shape[2:] == (3, 3))


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key to sort by: conv2d_2 comes before conv2d_10."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in re.split(r"([0-9]+)", name)]


def place_of(name: str) -> str:
    """What stands before the last part of a name."""
    return name[: max(name.rfind("."), name.rfind("/")) + 1]


def depth_of(place: str) -> int:
    """How many names stand before a name."""
    return len(re.findall(r"[./]", place))


def chain(biases: dict[str, list[str]], arrays: Arrays) -> Found | None:
    """Convolutions in order as those of a VGG, if their widths grow where VGG-16's or VGG-19's do.

    Parameters
    ----------
    biases : dict of str to list of str
        For the name of each kernel, those of the vectors beside it.
    """
    is_torch = all(kernel.endswith("weight") for kernel in biases)
    if len(biases) < FEWEST_KERNELS or any(len(names) != 1 for names in biases.values()):
        return None
    for layers in LAYERS.values():
        names = [layer for layer in layers if layer in CONVOLUTIONS][: len(biases)]
        pairs = {
            layer: (arrays[kernel], arrays[bias])
            for layer, (kernel, [bias]) in zip(names, biases.items(), strict=False)
        }
        found = with_our_axes(pairs, TORCHVISION if is_torch else CAFFE, is_torch)
        if len(names) == len(biases) and is_vgg(found.layers):
            return found
    return None


def is_vgg(layers: Layers) -> bool:
    """Whether each layer takes what the one before gives, and the widths change from block to block.

    VGG's fifth block is as wide as its fourth, but another network's may differ.
    """
    channels, block = 3, "0"
    for layer, (kernel, _) in layers.items():
        width = kernel.shape[-1]
        is_next_block = layer[4] != block
        if (
            kernel.shape[:3] != (3, 3, channels)
            or layer != "conv5_1"
            and is_next_block != (width != channels)
        ):
            return False
        channels, block = width, layer[4]
    return True
