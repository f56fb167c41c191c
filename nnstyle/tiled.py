"""Equation (7) for pictures that are too large for the network: tile by tile, and exact (appendix C).

A style term needs only sums over positions, and these add up over tiles. So the picture goes through the network
twice: once for the sums; and once more, now that the sums of the whole are known, for the gradient. There each
tile starts with the derivatives at its own positions, and what comes back is added to the gradient
of all pixels that these positions see. Nothing is approximated, and no seam can show.
"""

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import losses
from .arrays import Array, array_module, to_host
from .engine.tiles import Tile, checked_tile, halo_of, strides, tiles_of
from .errors import InputError, shown
from .network import Network
from .objective import ContentTerm, GramSum, Objective, StyleTerm, Term, shares_of, show


class TiledObjective(Objective):
    """What `Objective` is, in the memory of one tile (appendix C).

    Beside one window it keeps the image's gradient and, in a temporary file, the features that the content
    terms compare with. In an evaluation every window, halo and all, goes forward twice and backward once.

    Parameters
    ----------
    network : Network
    terms : sequence of Term
        `ContentTerm` and `StyleTerm`, or terms that see the image itself. Their targets are set by this objective's
        own `set_targets`.
    tile : int
        About how long the edge of a tile is, px; at least 16.

    Raises
    ------
    InputError
        If a term sees a layer and is of another kind, even one derived from these: it need not be a sum over
        positions. Or if the tile is no such number.
    """

    def __init__(self, network: Network, terms: Sequence[Term], tile: int = 1024):
        super().__init__(network, terms)
        check_tileable(self.terms)
        self.tile = checked_tile(tile)
        self.style_terms = [term for term in self.terms if isinstance(term, StyleTerm)]
        self.stored = StoredFeatures()
        deepest = max(map(network.layers.index, self.layers), default=0)
        self.used_layers = network.layers[: deepest + 1]
        self.strides = strides(self.used_layers)

    def tiles(self, picture: Array) -> list[Tile]:
        """The tiles of a picture."""
        height, width, _ = picture.shape
        return tiles_of(height, width, self.tile, *halo_of(self.used_layers))

    def set_targets(self, content: Array, style: Array | Iterable[Array]) -> None:
        """Show each term the picture that it compares with, tile by tile.

        Parameters
        ----------
        content, style
            As for `nnstyle.set_targets`.

        Raises
        ------
        InputError
            If the temporary file cannot be written.
        """
        self.set_content(content)
        at_image = self.terms_at(None)
        show(content, [term for term in at_image if term.target == "content"], self.network)
        for term in self.style_terms:
            term.style = None
        styles: Iterable[Array] = [style] if hasattr(style, "shape") else style
        for index, picture in enumerate(styles):
            self.add_style(picture, index)
            seeing = [term for term in at_image if term.target == "style" and index in shares_of(term)]
            show(picture, seeing, self.network)

    def set_content(self, picture: Array) -> None:
        """Keep the features of the content image: the whole of a layer may be larger than the memory."""
        self.stored = StoredFeatures()
        layers = {term.layer for term in self.terms if isinstance(term, ContentTerm)}
        for index, tile in enumerate(self.tiles(picture) if layers else []):
            features = self.features(picture, tile, layers)
            for layer in layers:
                self.stored.put((layer, index), to_host(features[layer]))

    def add_style(self, picture: Array, index: int) -> None:
        """Add one of the styles to the targets of the terms that have a share of it."""
        terms = [term for term in dict.fromkeys(self.style_terms) if index in term.shares]
        sums: dict[StyleTerm, GramSum] = {}
        for tile in self.tiles(picture) if terms else []:
            features = self.features(picture, tile, {term.layer for term in terms})
            for term in terms:
                here = term.target_statistics(features[term.layer])
                sums[term] = sums[term] + here if term in sums else here
        for term, whole in sums.items():
            term.add_target_statistics(whole, term.shares[index])

    def features(self, picture: Array, tile: Tile, layers: Iterable[str]) -> dict[str, Array]:
        """The features of some layers at a tile's own positions."""
        found, _ = self.network.forward(picture[tile.window], layers)
        return {layer: found[layer][tile.own(self.strides[layer])] for layer in layers}

    def gradient_through_network(self, image: Array) -> Array:
        """Gradient of the image, of all terms that see a layer: tile by tile, added up."""
        tiles = self.tiles(image)
        sums, passed = self.statistics(image, tiles)
        gradient = array_module(image).zeros_like(image)
        for index in reversed(range(len(tiles))):  # the last one has just been through the network
            tile = tiles[index]
            features, cache = passed or self.network.forward(image[tile.window], self.layers)
            passed = None
            gradients: dict[str, Array | Callable[[], Array]] = {
                layer: partial(self.gradient_at_own, layer, features, tile, index, sums)
                for layer in self.layers
            }
            gradient[tile.window] += self.network.backward(gradients, cache)
        for term in self.style_terms:  # equation (5), once for the whole image
            self.losses[term.name] += term.layer_weight * term.gram_loss(sums[term])[0]
        return gradient

    def statistics(self, image: Array, tiles: Sequence[Tile]) -> tuple[dict[StyleTerm, GramSum], Any]:
        """What the style terms need to know of the whole image, and the last tile's features with their cache."""
        sums: dict[StyleTerm, GramSum] = {}
        passed = None
        for tile in tiles if self.style_terms else []:
            passed = None  # free its memory first
            passed = self.network.forward(image[tile.window], self.layers)
            for term in dict.fromkeys(self.style_terms):
                own = passed[0][term.layer][tile.own(self.strides[term.layer])]
                here = self.part(term, tile).statistics(own)
                sums[term] = sums[term] + here if term in sums else here
        return sums, passed

    def part(self, term: StyleTerm, tile: Tile) -> StyleTerm:
        """A style term for a tile."""
        return term.part(tile.whole(self.strides[term.layer]))

    def gradient_at_own(
        self,
        layer: str,
        features: dict[str, Array],
        tile: Tile,
        index: int,
        sums: Mapping[StyleTerm, GramSum],
    ) -> Array:
        """Gradient at a layer's window: at the tile's own positions that of all terms, around them 0.

        It takes the place of the features, which nobody needs any more.
        """
        window, own = features.pop(layer), tile.own(self.strides[layer])
        here, total = window[own], None
        for term in self.terms_at(layer):
            if isinstance(term, StyleTerm):
                _, gradient = self.part(term, tile).loss_and_gradient(here, sums[term])
            else:
                loss, gradient = losses.content_loss(here, self.content_at(layer, index))
                self.losses[term.name] += term.layer_weight * loss
            gradient *= term.weight * term.layer_weight
            total = gradient if total is None else total + gradient
        window[...] = 0
        window[own] = total
        return window

    def content_at(self, layer: str, index: int) -> Array:
        """The content image's features at a tile's own positions."""
        return self.network.engine.asarray(self.stored.get((layer, index)), self.network.dtype)


def check_tileable(terms: Iterable[Term]) -> None:
    """Raise InputError if one of these terms cannot be computed tile by tile."""
    for term in terms:
        if not is_sum_over_positions(term):
            raise InputError(
                f"the term {shown(term.name)} cannot be computed by tiles, because it sees a whole layer: leave out"
                " the tile, or the term"
            )


def is_sum_over_positions(term: Term) -> bool:
    """Whether a term can be computed by tiles: if it is one of the paper's as it stands, or sees the image."""
    if getattr(term, "layer", None) is None:
        return True
    return type(term) in (ContentTerm, StyleTerm) and term.target == type(term).target


class StoredFeatures:
    """Arrays in a temporary file, which vanishes with this object."""

    def __init__(self) -> None:
        self.file: Any = None
        self.places: dict[Any, tuple[int, tuple[int, ...], np.dtype]] = {}

    def put(self, key: Any, array: np.ndarray) -> None:
        """Keep an array.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        try:
            if self.file is None:
                self.file = tempfile.TemporaryFile(buffering=0)
                weakref.finalize(self, self.file.close)
            start = self.file.seek(0, os.SEEK_END)
            write_all(self.file, np.ascontiguousarray(array))
        except OSError as error:
            raise InputError(
                f"the tiles' features cannot be kept in a temporary file ({error.strerror or error}):"
                " name a folder with more space in the environment variable TMPDIR"
            ) from None
        self.places[key] = start, array.shape, array.dtype

    def get(self, key: Any) -> np.ndarray:
        """The array that was kept.

        Raises
        ------
        ValueError
            If there is none.
        """
        if key not in self.places:
            raise ValueError(
                "the targets have not been set for this picture: call set_targets of this objective"
            )
        start, shape, dtype = self.places[key]
        self.file.seek(start)
        array = np.empty(shape, dtype)
        view = array.data.cast("B")
        while view:
            count = self.file.readinto(view)
            if not count:
                raise InputError("the temporary file with the tiles' features was cut short")
            view = view[count:]
        return array


def write_all(file: Any, array: np.ndarray) -> None:
    """Write an array: the system may take less at a time."""
    view = array.data.cast("B")
    while view:
        view = view[file.write(view) :]
