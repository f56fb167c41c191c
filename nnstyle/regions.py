"""Which part of a picture is painted in which style.

Without masks there is one region, the whole picture, in the weighted mean of all styles. Each mask is
a region of its own. Gatys, Ecker, Bethge, Hertzmann and Shechtman, "Controlling Perceptual Factors in
Neural Style Transfer" (2017), call this spatial control, and its Gram matrices guided.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .arrays import Array
from .layers import average_pool

if TYPE_CHECKING:
    from .styles import Style


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the picture, and the styles in which it is painted.

    Attributes
    ----------
    shares : dict of int to float
        The share of each style in the region's target, by its place in the list of styles. Their sum is 1.
    strength : float
        Factor of the region's style loss. It is 1 if there is no other region and no mask.
    mask : float array, shape (h, w, 1), or None
        At the size of the canvas: 1 inside, 0 outside. None is 1 everywhere. It is of the type and on the
        device of the features.
    """

    shares: dict[int, float]
    strength: float = 1.0
    mask: Array | None = None


ONE_STYLE = Region({0: 1.0})


def regions_of(styles: Sequence["Style"], masks: Sequence[np.ndarray | None]) -> list[Region]:
    """The regions of some styles.

    Styles with equal masks, or with none, share a region. E_l, equation (4), does not grow with the
    number of positions, so the strength of a region is proportional to its area: then each pixel is
    painted as strongly as without masks.

    Parameters
    ----------
    styles : sequence of Style
    masks : sequence of float arrays, shape (h, w, 1), or None
        One for each style, at the size of the canvas.
    """
    members: dict[bytes | None, list[int]] = {}
    for index, mask in enumerate(masks):
        members.setdefault(None if mask is None else mask.tobytes(), []).append(index)
    usual = sum(style.weight for style in styles) / len(members)
    regions = []
    for indices in members.values():
        weight = sum(styles[index].weight for index in indices)
        shares = {index: styles[index].weight / weight for index in indices}
        mask = masks[indices[0]]
        area = 1.0 if mask is None else float(mask.mean())
        regions.append(Region(shares, weight / usual * area, mask))
    return regions


def mask_at_layers(mask: Array, names: Iterable[str]) -> dict[str, Array]:
    """A mask at the sizes of some layers: pooled as often as the image has been there.

    Parameters
    ----------
    mask : float array, shape (h, w, 1)
    names : iterable of str
        Names of layers: ``conv3_1`` comes after two poolings, ``pool3`` after three.

    Returns
    -------
    dict of str to array, shape (h', w', 1)
        The mean of the mask over the pixels that are pooled together.
    """
    pooled = [mask]
    for _ in range(5):
        pooled.append(average_pool(pooled[-1])[0])
    return {name: pooled[poolings_before(name)] for name in names}


def poolings_before(name: str) -> int:
    """How many poolings there are up to a layer of a VGG, itself included."""
    block = int(name[4])
    return block if name.startswith("pool") else block - 1
