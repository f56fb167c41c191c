"""The total loss, equation (7), as a sum of terms, with its gradient.

A term sees one feature map, or the image itself, and gives a loss and its gradient there. The
paper's two losses are made of terms, and so is any loss of your own: see `Term`.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from . import losses
from .arrays import Array, array_module
from .network import Network
from .regions import ONE_STYLE, Region, mask_at_layers

if TYPE_CHECKING:
    from .settings import Settings


class Term:
    """One term of the total loss; make a loss of your own by deriving from it (lesson 9).

    Attributes
    ----------
    name : str
        What its loss is called in `Objective.losses` and `nnstyle.Record.losses`. Terms of the
        same name add up: the style loss is one sum over several layers.
    weight : float
        Its factor in equation (7): alpha or beta. Terms of one name must have the same weight.
    layer_weight : float
        Its share in the sum over terms of its name: w_l in equation (5).
    layer : str or None
        The layer whose feature map it sees; None for the preprocessed image itself.
    target : "content", "style" or None
        The picture that it compares with, if any.
    shares : mapping of int to float
        Which of several style images it compares with, by their places in the list of styles, and the share
        of each. In a job of several styles, a term of your own is used once for each.

    Examples
    --------
    >>> class Brightness(Term):
    ...     name, layer, target = "brightness", "conv1_1", "style"
    ...
    ...     def set_target(self, features):
    ...         self.mean = features.mean((0, 1))
    ...
    ...     def __call__(self, features):
    ...         difference = features.mean((0, 1)) - self.mean
    ...         gradient = np.ones_like(features) * 2 * difference / features[..., 0].size
    ...         return float((difference**2).sum()), gradient
    """

    name = "loss"
    weight = 1.0
    layer_weight = 1.0
    layer: str | None = None
    target: str | None = None
    shares: Mapping[int, float] = MappingProxyType({0: 1.0})

    def set_target(self, features: Array) -> None:
        """Take what is needed from the target picture's features at `layer`, or from that picture."""

    def __call__(self, features: Array) -> tuple[float, Array]:
        """Return the loss, and its gradient with respect to the features; neither is weighted."""
        raise NotImplementedError


class ContentTerm(Term):
    """Equation (1) at one layer."""

    name, target = "content", "content"
    layer: str

    def __init__(self, layer: str, weight: float = 1.0):
        self.layer, self.weight = layer, weight

    def set_target(self, features: Array) -> None:
        self.features = features

    def __call__(self, features: Array) -> tuple[float, Array]:
        return losses.content_loss(features, self.features)


@dataclass(frozen=True)
class GramSum:
    """A Gram matrix and the number of positions that it was summed over.

    Both are sums over positions, so those of two parts of a picture add up to those of the whole.
    """

    matrix: Array
    positions: float

    def __add__(self, other: "GramSum") -> "GramSum":
        return GramSum(self.matrix + other.matrix, self.positions + other.positions)


class StyleTerm(Term):
    """E_l, equation (4), at one layer; `Objective` multiplies it by w_l, equation (5).

    Of several styles, the target is the weighted mean of their Gram matrices per position. With a mask t,
    both sums over positions are weighted with it: ``G = sum t F F^T`` and ``M = sum t``.

    Parameters
    ----------
    layer : str
    weight : float
        The paper's beta.
    layer_weight : float
        The paper's w_l.
    engine : Engine, optional
        What computes Gram matrices: by default the plain functions of `nnstyle.losses`.
    shares : mapping of int to float, optional
        The share of each style image in the target, by its place in the list of styles.
    mask : array, shape (height, width, 1), optional
        From 0 to 1, of the layer's size and of the features' type.
    """

    name, target = "style", "style"
    layer: str

    def __init__(
        self,
        layer: str,
        weight: float = 1.0,
        layer_weight: float = 1.0,
        engine: Any = None,
        shares: Mapping[int, float] | None = None,
        mask: Array | None = None,
    ):
        self.layer, self.weight, self.layer_weight, self.engine = layer, weight, layer_weight, engine
        self.shares, self.mask = dict(shares or Term.shares), mask
        self.root = None if mask is None else array_module(mask).sqrt(mask)
        self.mask_sum = None if mask is None else float(mask.sum())
        self.style: GramSum | None = None

    def set_target(self, features: Array) -> None:
        self.style = self.target_statistics(features)

    def add_target(self, features: Array, share: float) -> None:
        """Add one of several styles to the target."""
        self.add_target_statistics(self.target_statistics(features), share)

    def add_target_statistics(self, gram: GramSum, share: float) -> None:
        """Add one of several styles to the target, given its statistics."""
        per_position = GramSum(gram.matrix * (share / gram.positions), share)
        self.style = self.style + per_position if self.style else per_position

    def target_statistics(self, features: Array) -> GramSum:
        """`statistics` of a style image, all of which counts."""
        return self.statistics(features) if self.mask is None else self.gram_sum(features, None)

    def part(self, positions: tuple[slice, slice]) -> "StyleTerm":
        """The same term for a part of the picture: with its mask there."""
        if self.mask is None or self.root is None:
            return self
        part = copy.copy(self)
        part.mask, part.root = self.mask[positions], self.root[positions]
        part.mask_sum = float(part.mask.sum())
        return part

    def statistics(self, features: Array) -> GramSum:
        """What the loss needs to know of the features, as a sum over positions."""
        return self.gram_sum(self.guided(features), self.mask_sum)

    def gram_sum(self, guided: Array, positions: float | None) -> GramSum:
        """Equation (3), and M."""
        gram = (self.engine or losses).gram_matrix(guided)
        return GramSum(gram, guided[..., 0].size if positions is None else positions)

    def guided(self, features: Array) -> Array:
        """The features times sqrt(t), whose Gram matrix is ``sum t F F^T``."""
        return features if self.root is None else features * self.root

    def loss_and_gradient(self, features: Array, whole: GramSum) -> tuple[float, Array]:
        """Loss of the whole picture, and its gradient at these features: those of all or a part of it."""
        return self.guided_loss_and_gradient(self.guided(features), whole)

    def guided_loss_and_gradient(self, guided: Array, whole: GramSum) -> tuple[float, Array]:
        """`loss_and_gradient`, given the features times sqrt(t)."""
        loss, dG = self.gram_loss(whole)
        gradient = (self.engine or losses).gram_matrix_backward(dG, guided)
        return loss, self.guided(gradient)  # the chain rule: again times sqrt(t)

    def gram_loss(self, whole: GramSum) -> tuple[float, Array]:
        """Equation (4), and its derivative with respect to G."""
        assert self.style is not None, "its target has not been set"
        A = self.style.matrix * (whole.positions / self.style.positions)
        return losses.gram_loss(whole.matrix, A, whole.positions)

    def __call__(self, features: Array) -> tuple[float, Array]:
        if self.mask is None:
            return self.loss_and_gradient(features, self.statistics(features))
        guided = self.guided(features)  # once
        return self.guided_loss_and_gradient(guided, self.gram_sum(guided, self.mask_sum))


class TotalVariationTerm(Term):
    """Total variation of the image; the paper has no such term."""

    name = "total variation"

    def __init__(self, weight: float = 1.0):
        self.weight = weight

    def __call__(self, image: Array) -> tuple[float, Array]:
        return losses.total_variation(image)


PAPER_TERMS = (ContentTerm, StyleTerm, TotalVariationTerm)


def paper_terms(
    settings: "Settings", engine: Any = None, regions: Sequence[Region] = (ONE_STYLE,)
) -> list[Term]:
    """The terms of equation (7) for these settings, with beta and layer weights decided.

    A term of weight 0 is left out, and so is what only it would need.

    Parameters
    ----------
    settings : Settings
    engine : Engine, optional
        As for `StyleTerm`.
    regions : sequence of Region
        Which part is painted in which style.

    Raises
    ------
    ValueError
        If beta or the layer weights are undecided (`Settings.decided`).
    """
    alpha, beta, tv_weight = settings.alpha, settings.beta, settings.tv_weight
    layer_weights = settings.layer_weights
    if beta is None or layer_weights is None:
        raise ValueError("beta and the layer weights are undecided: see Settings.decided")
    terms: list[Term] = [ContentTerm(layer, alpha) for layer in settings.content_layers if alpha]
    for region in regions:
        masks = {} if region.mask is None else mask_at_layers(region.mask, settings.style_layers)
        for layer, layer_weight in zip(settings.style_layers, layer_weights, strict=True):
            mask, w_l = masks.get(layer), layer_weight * region.strength
            if beta * w_l and (mask is None or mask.any()):
                terms.append(StyleTerm(layer, beta, w_l, engine, region.shares, mask))
    if tv_weight:
        terms.append(TotalVariationTerm(tv_weight))
    return terms


def set_targets(
    terms: Iterable[Term], network: Network, content: Array, style: Array | Iterable[Array]
) -> None:
    """Show each term the picture that it compares with.

    Parameters
    ----------
    terms : iterable of Term
    network : Network
    content : array, shape (H, W, 3)
        Preprocessed.
    style : array, shape (H, W, 3), or several
        Likewise; their sizes may differ. Of several, a term sees those of which it has a share.
    """
    terms = list(terms)
    show(content, [term for term in terms if term.target == "content"], network)
    for term in terms:
        if isinstance(term, StyleTerm):
            term.style = None
    styles: Iterable[Array] = [style] if hasattr(style, "shape") else style
    for index, picture in enumerate(styles):
        seeing = [term for term in terms if term.target == "style" and index in shares_of(term)]
        show(picture, seeing, network, index)


def shares_of(term: Term) -> Mapping[int, float]:
    """Which style images a term compares with: those that it names, or the first."""
    return getattr(term, "shares", Term.shares)


def show(picture: Array, terms: Sequence[Term], network: Network, index: int = 0) -> None:
    """Show terms a picture that they compare with: the only one, or one of several styles."""
    layers = {term.layer for term in terms if term.layer is not None}
    # The cache is dropped: nothing goes backward from a target.
    features = network.forward(picture, layers)[0]
    for term in terms:
        seen = features[term.layer] if term.layer else network.engine.asarray(picture, network.dtype)
        if isinstance(term, StyleTerm) and len(term.shares) > 1:
            term.add_target(seen, term.shares[index])
        else:
            term.set_target(seen)


class Objective:
    """Equation (7): a function image -> (loss, gradient) (lesson 10).

    Parameters
    ----------
    network : Network
    terms : sequence of Term
        With their targets set (`set_targets`).

    Attributes
    ----------
    losses : dict of str to float
        By the terms' names, as of the latest call: "content" is L_content, equation (1), "style" is
        L_style, equation (5), and so on. They are not weighted.

    Raises
    ------
    ValueError
        If there are no terms, or terms of one name have different weights.
    InputError
        If a term names a layer that the network does not have.
    """

    def __init__(self, network: Network, terms: Sequence[Term]):
        self.network, self.terms = network, list(terms)
        self.weights = weights_by_name(self.terms)
        # The deepest of them is as deep as the network has to go.
        self.layers = {term.layer for term in self.terms if term.layer is not None}
        network.check_names(self.layers)
        self.losses: dict[str, float] = {}

    def __call__(self, image: Array) -> tuple[float, Array]:
        image = self.network.engine.asarray(image, self.network.dtype)
        self.losses = dict.fromkeys(self.weights, 0.0)
        gradient = self.gradient_through_network(image) if self.layers else 0
        for term in self.terms_at(None):
            gradient = gradient + self.weighted_gradient(term, image)
        # Equation (7)
        total = sum(weight * self.losses[name] for name, weight in self.weights.items())
        return total, gradient

    def gradient_through_network(self, image: Array) -> Array:
        """Gradient of the image, of all terms that see a layer."""
        features, cache = self.network.forward(image, self.layers)
        # Computed when backward comes to a layer; then the layer's features are dropped.
        gradients: dict[str, Callable[[], Array]] = {
            layer: partial(self.gradient_at, layer, features) for layer in self.layers
        }
        return self.network.backward(gradients, cache)

    def gradient_at(self, layer: str, features: dict[str, Array]) -> Array:
        """Gradient at a layer, of all terms that see it."""
        here, total = features.pop(layer), None
        for term in self.terms_at(layer):
            gradient = self.weighted_gradient(term, here)
            total = gradient if total is None else self.network.engine.add(total, gradient)
        return total

    def weighted_gradient(self, term: Term, features: Array) -> Array:
        """Gradient of a term with its weights in equations (5) and (7); its loss is added up."""
        loss, gradient = term(features)
        if gradient.shape != features.shape:
            raise ValueError(
                f"the gradient of the term {term.name!r} is {gradient.shape}, where it sees {features.shape}"
            )
        if hasattr(loss, "item"):  # a number of an array library's, perhaps on a GPU
            loss = loss.item()
        self.losses[term.name] += term.layer_weight * loss  # equation (5)
        factor = term.weight * term.layer_weight
        if type(term) in PAPER_TERMS:  # their gradients are new arrays
            gradient *= factor
        else:
            gradient = gradient * factor
        return self.network.engine.asarray(gradient, self.network.dtype)

    def terms_at(self, layer: str | None) -> list[Term]:
        """The terms that see this layer, or the image."""
        return [term for term in self.terms if term.layer == layer]


def weights_by_name(terms: Sequence[Term]) -> dict[str, float]:
    """The factors of equation (7), one for each name of terms."""
    if not terms:
        raise ValueError("an objective needs at least one term of a weight above 0")
    weights: dict[str, float] = {}
    for term in terms:
        if weights.setdefault(term.name, term.weight) != term.weight:
            raise ValueError(f"the terms named {term.name!r} must all have the same weight")
    return weights
