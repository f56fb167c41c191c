"""Everything that decides what a stylization looks like, with its defaults."""

import contextlib
import dataclasses
import math
import numbers
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

from .errors import InputError, shown
from .network import POOLINGS
from .optimizers import BOUNDED, MOST_PIXELS_FOR_SCIPY, OPTIMIZERS, WITH_RATE
from .optimizers.adam import LEARNING_RATE
from .pictures import LARGEST, SMALLEST
from .pictures.preprocessing import WRITTEN, Preprocessing, parse_preprocessing, spell_preprocessing

if TYPE_CHECKING:
    from .weights import Weights

# The defaults for a network that states none. Beta is for each pixel: equation (1) is a sum over positions
# and equation (4) is not, so at a constant beta a larger picture would be less of a painting.
POOLING = "max"
BETA_PER_PIXEL = 4000
BETA_PER_PIXEL_FROM_NOISE = 30  # for any network: there the photograph has to come through first
GRAIN = 10  # levels: enough against straight streaks, and few enough to keep the photograph (guide "choices")
LEAST_PAINTED = 0.1  # of the default beta: with less, the picture is nearly the photograph
MOST_ITERATIONS = 1_000_000
MOST_SEED = 2**128 - 1  # what NumPy asks of a good seed
SMALLEST_SCALE = 115  # px: here conv5_1, which sees 156 px, sees most of the picture
MOST_STYLE_SCALE = 100
MOST_BORDER = 512  # px: more than the deepest layer sees
BITS = (8, 16)
INITIAL_IMAGES = ("recoloured", "content", "noise", "style")
TRANSPARENCIES = ("keep", "white")
COLOURS = ("style", "content", "luminance", "match")

PICTURE = "picture"
LOSS = "loss: alpha L_content + beta L_style, the paper's equation (7)"
NETWORK = "network"


def setting(default: Any, group: str, help: str, shown: str | None = None, **options: Any) -> Any:
    """A field of `Settings`, with all that the command line needs to know of it.

    Parameters
    ----------
    default : the default value
    group : str
        Heading of its options in ``--help``.
    help : str
        A line about it.
    shown : str, optional
        The default in words, where the value does not say it.
    **options
        Passed to `argparse.ArgumentParser.add_argument`.
    """
    metadata = {"group": group, "help": help, "shown": shown, "options": options}
    return dataclasses.field(default=default, metadata=metadata)


def names(text: str) -> tuple[str, ...]:
    """``conv1_1,conv2_1`` as a tuple of names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def floats(text: str) -> tuple[float, ...]:
    """``1,0.5`` as a tuple of floats."""
    return tuple(float(number) for number in text.split(","))


floats.__name__ = "numbers"  # argparse shows it: "invalid numbers value"


@dataclass(frozen=True)
class Settings:
    """The settings of a stylization; lesson 12 shows what they do.

    Raises
    ------
    InputError
        If a value cannot be used.

    Attributes
    ----------
    """

    size: int = setting(
        512,
        PICTURE,
        "long edge of the picture; the painting's as well, times --style-scale",
        type=int,
        metavar="PX",
    )
    # The paper does not say how many it took.
    iterations: int = setting(
        200, PICTURE, "iterations of the optimizer, over all scales", type=int, metavar="N"
    )
    # The paper has one.
    scales: int | None = setting(
        None,
        PICTURE,
        "coarse to fine: 3 begins at a quarter of the size, then half of it; the paper: 1",
        shown="as many as begin with 82 to 163 px",
        type=int,
        metavar="N",
    )
    style_scale: float = setting(
        1.0,
        PICTURE,
        "size of the painting relative to the picture: smaller has finer strokes, larger broader ones",
        type=float,
        metavar="FACTOR",
    )
    # The paper has none: where its convolutions see zeros around the picture, a frame is painted.
    border: int = setting(
        32,
        PICTURE,
        "paint so many px more on every side, a mirror image, and crop them: no frame; the paper: 0",
        type=int,
        metavar="PX",
    )
    # The paper starts from white noise.
    init: str = setting(
        "recoloured",
        PICTURE,
        "the initial image: recoloured, the photograph in the painting's colours; content, the photograph;"
        " noise, white noise; style, the painting; or the file of any picture; the paper: noise",
        metavar="IMAGE",
    )
    # The paper's initial image is all noise.
    grain: float | None = setting(
        None,
        PICTURE,
        "grey noise added where each scale begins, its standard deviation in levels of 0..255: without it, even areas"
        " get straight streaks",
        shown=f"{GRAIN:g} coarse to fine from a photograph with average pooling and at least a tenth of the default beta, else 0",
        type=float,
        metavar="LEVELS",
    )
    seed: int = setting(
        0, PICTURE, "seed of the noise: the same number gives the same picture", type=int, metavar="N"
    )
    # The paper's pictures have the painting's.
    colour: str = setting(
        "style",
        PICTURE,
        "whose colours: style, the painting's; content, the photograph's, under the lightness that was"
        " painted; luminance, the same, and only lightness is compared; match, the painting's colours are"
        " first matched to the photograph's",
        choices=COLOURS,
    )
    transparency: str = setting(
        "keep",
        PICTURE,
        "what happens to transparent parts of the photograph: keep, they stay transparent; white, they are"
        " painted as white ones",
        shown="keep; in a JPEG white",
        choices=TRANSPARENCIES,
    )
    optimizer: str | None = setting(
        None,
        PICTURE,
        "lbfgs: SciPy's L-BFGS-B, in float64 on the processor; lbfgs-nnstyle: our own L-BFGS, in float32"
        " where the picture is; adam: Adam, likewise, and the picture is an average of its latest",
        shown=f"lbfgs; on a GPU, and above {MOST_PIXELS_FOR_SCIPY / 1e6:g} million pixels, lbfgs-nnstyle",
        choices=tuple(OPTIMIZERS),
    )
    learning_rate: float | None = setting(
        None,
        PICTURE,
        "of adam: how far a pixel moves in an iteration, in levels of 0..255",
        shown=f"{LEARNING_RATE:g}",
        type=float,
        metavar="LEVELS",
    )
    bounded: bool = setting(
        False,
        PICTURE,
        "keep pixels within 0..255 in every iteration, not only at the end (slower)",
        action="store_true",
    )
    bits: int = setting(
        8,
        PICTURE,
        "bits of each channel in the output: 16, in PNG and TIFF, survive heavier editing without banding",
        choices=BITS,
        type=int,
    )
    # The paper's alpha / beta is 1e-5 to 1e-2.
    alpha: float = setting(1.0, LOSS, "content weight", type=float, metavar="WEIGHT")
    beta: float | None = setting(
        None,
        LOSS,
        "style weight: higher is more painting, less photograph",
        shown="--beta-per-pixel x the number of pixels, border and all",
        type=float,
        metavar="WEIGHT",
    )
    beta_per_pixel: float | None = setting(
        None,
        LOSS,
        "style weight for each pixel, border and all: the same for pictures of any size",
        shown=f"what the weights file states, 1000 for pocket, else {BETA_PER_PIXEL}; with --init noise"
        f" {BETA_PER_PIXEL_FROM_NOISE}",
        type=float,
        metavar="WEIGHT",
    )
    # The paper has no such term.
    tv_weight: float = setting(
        0.0, LOSS, "weight of total variation: above 0 smooths; the paper: none", type=float, metavar="WEIGHT"
    )
    content_layers: tuple[str, ...] = setting(
        ("conv4_2",), LOSS, "layers of L_content", type=names, metavar="NAME,.."
    )
    style_layers: tuple[str, ...] = setting(
        ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
        LOSS,
        "layers of L_style",
        type=names,
        metavar="NAME,..",
    )
    # The paper's are all equal, with the sum 1.
    layer_weights: tuple[float, ...] | None = setting(
        None,
        LOSS,
        "w_l, one for each style layer",
        shown="what the weights file states, else all equal, sum 1",
        type=floats,
        metavar="W,..",
    )
    rescale: bool = setting(
        True,
        NETWORK,
        "rescale a network that is not yet: each filter's mean activation over the two pictures becomes 1,"
        " and then the same alpha and beta balance alike in all networks",
        shown="--rescale",
    )
    rescale_over: str | None = setting(
        None, NETWORK, "the same, over all pictures in a folder, and in any case", metavar="FOLDER"
    )
    preprocessing: str | None = setting(
        None,
        NETWORK,
        f"what the network expects of its input: {WRITTEN}",
        shown="as the weights file says, or its numbers or layout tell",
        metavar="TEXT",
    )
    # VGG was trained with max, and coarse to fine the real ones paint the better pictures with it.
    pooling: str | None = setting(
        None,
        NETWORK,
        "the paper: average",
        shown=f"what the weights file states, as pocket does, else {POOLING}",
        choices=POOLINGS,
    )

    def __post_init__(self) -> None:
        for name in ("content_layers", "style_layers"):
            self._set(name, layer_tuple(name, getattr(self, name)))
        if self.layer_weights is not None:
            self._set("layer_weights", weight_tuple(self.layer_weights))
        if self.rescale_over is not None:
            self._set(
                "rescale_over", path_text("rescale_over must be the path of a folder", self.rescale_over)
            )
        names = ", ".join(INITIAL_IMAGES)
        self._set("init", path_text(f"init must be one of {names}, or the path of a picture", self.init))
        if isinstance(self.preprocessing, Preprocessing):
            self._set("preprocessing", spell_preprocessing(self.preprocessing))
        elif self.preprocessing is not None:
            parse_preprocessing(self.preprocessing)
        self._check_whole_numbers()
        self._check_choices()
        self._check_weights()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the way round `frozen`

    def _check_whole_numbers(self) -> None:
        smallest_values = {"size": SMALLEST, "iterations": 1, "scales": 1, "border": 0, "seed": 0, "bits": 1}
        for name, smallest in smallest_values.items():
            value = getattr(self, name)
            if name == "scales" and value is None:
                continue
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < smallest:
                raise InputError(f"{name} must be a whole number, at least {smallest}, not {shown(value)}")
            self._set(name, int(value))  # NumPy's integers do not fit into JSON
        if self.bits not in BITS:
            raise InputError(f"bits must be 8 or 16, not {shown(self.bits)}")
        if self.iterations > MOST_ITERATIONS:
            raise InputError(f"iterations must be at most {MOST_ITERATIONS}: no picture needs more")
        if self.seed > MOST_SEED:
            raise InputError("seed must be below 2**128")
        if self.size > LARGEST:
            raise InputError(f"the size must be from {SMALLEST} to {LARGEST} pixels, not {shown(self.size)}")
        if self.border > MOST_BORDER:
            raise InputError(f"border must be at most {MOST_BORDER}: more makes no difference")
        if self.scales is None:
            return
        if self.size >> self.scales - 1 < SMALLEST:
            raise InputError(
                f"the smallest of {shown(self.scales)} scales would have fewer than {SMALLEST} pixels: use fewer"
            )
        if self.iterations < self.scales:
            raise InputError(
                f"{self.scales} scales need at least {self.scales} iterations, not {self.iterations}"
            )

    def _check_weights(self) -> None:
        for name in ("style_scale", "alpha", "tv_weight"):
            self._set(name, weight_value(name, getattr(self, name)))
        if not 0 < self.style_scale <= MOST_STYLE_SCALE:
            raise InputError(f"style_scale must be above 0 and at most {MOST_STYLE_SCALE}")
        for name in ("beta", "beta_per_pixel", "grain"):
            if getattr(self, name) is not None:
                self._set(name, weight_value(name, getattr(self, name)))
        if self.grain is not None and self.grain > 255:
            raise InputError("grain must be at most 255")
        if self.learning_rate is not None:
            self._set("learning_rate", weight_value("learning_rate", self.learning_rate))
            if not 0 < self.learning_rate <= 255:
                raise InputError("learning_rate must be above 0 and at most 255")
            if self.optimizer not in WITH_RATE:
                raise InputError(
                    "a learning_rate is for the optimizer adam: choose it, or leave the rate out"
                )
        if self.beta is not None and self.beta_per_pixel is not None:
            raise InputError("give either beta or beta_per_pixel, not both")
        if self.layer_weights is None:
            return
        if len(self.layer_weights) != len(self.style_layers):
            raise InputError(
                f"{len(self.style_layers)} style layers need as many layer weights,"
                f" not {len(self.layer_weights)}"
            )
        for layer, weight in zip(self.style_layers, self.layer_weights, strict=True):
            weight_value(f"the layer weight of {layer}", weight)

    def _check_choices(self) -> None:
        choices = {
            "colour": COLOURS,
            "transparency": TRANSPARENCIES,
            "pooling": (None, *POOLINGS),
            "optimizer": (None, *OPTIMIZERS),
        }
        for name, allowed in choices.items():
            value = getattr(self, name)
            if not (value is None or isinstance(value, str)) or value not in allowed:
                known = ", ".join(filter(None, allowed))
                raise InputError(f"{name} must be one of {known}, not {shown(value)}")
        for name in ("rescale", "bounded"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} must be True or False, not {shown(getattr(self, name))}")
        if self.bounded and self.optimizer not in (None, *BOUNDED):
            raise InputError(
                f"bounded pictures need the optimizer {' or '.join(BOUNDED)}: this one knows no bounds"
            )

    def with_scales(self, shortest_edge: int) -> "Settings":
        """These settings with the number of scales decided, where it was left open.

        The smallest is the one nearest to 115 px, as a ratio: from 82 to 163 px. There are fewer where the
        photograph is too narrow, or where there are fewer iterations.

        Parameters
        ----------
        shortest_edge : int
            Of the photograph at the full size, px.
        """
        if self.scales is not None:
            return self
        wanted = round(math.log2(self.size / SMALLEST_SCALE))
        needed = SMALLEST + 1  # a pixel may be lost by rounding
        possible = int(math.log2(max(shortest_edge, needed) / needed))
        return replace(self, scales=min(1 + max(wanted, 0), 1 + possible, self.iterations))

    def decided(self, weights: "Weights | None", height: int, width: int) -> "Settings":
        """These settings with grain, beta, layer weights, pooling and learning rate decided, where left open.

        Parameters
        ----------
        weights : Weights or None
            What it states of itself is used; its layer weights only for the paper's five style layers.
            None is a network that states nothing.
        height, width : int
            Of the picture, px.
        """
        beta, layer_weights = self.beta, self.layer_weights
        if beta is None and self.beta_per_pixel is not None:
            beta = self.beta_per_pixel * self.canvas_pixels(height, width)
            weight_value("beta_per_pixel x the number of pixels", beta)
        usual_beta = self.usual_beta(weights, height, width)
        if beta is None:
            beta = usual_beta
        if layer_weights is None and weights is not None and self.style_layers == Settings.style_layers:
            layer_weights = weights.style_layer_weights
        if layer_weights is None:
            count = len(self.style_layers)
            layer_weights = (1 / count,) * count
        stated = None if weights is None else weights.pooling
        pooling = self.pooling or stated or POOLING
        grain = self.grain
        if grain is None:
            is_coarse_photograph = self.init in ("recoloured", "content") and (self.scales or 1) > 1
            # With a smaller beta the grain would be all that is seen. The default is for rescaled networks.
            is_rescaled = self.rescale or (weights is not None and weights.rescaled)
            is_painted = not is_rescaled or beta >= self.alpha * usual_beta * LEAST_PAINTED
            grain = GRAIN if is_coarse_photograph and is_painted and pooling == "average" else 0.0
        rate = self.learning_rate or (LEARNING_RATE if self.optimizer in WITH_RATE else None)
        return replace(
            self,
            grain=grain,
            beta=beta,
            beta_per_pixel=None,
            layer_weights=layer_weights,
            pooling=pooling,
            learning_rate=rate,
        )

    def usual_beta(self, weights: "Weights | None", height: int, width: int) -> float:
        """The default beta for this network and a picture of this size, for an alpha of 1."""
        per_pixel: float = BETA_PER_PIXEL
        if weights is not None and weights.beta_per_pixel is not None:
            per_pixel = weights.beta_per_pixel
        if self.init == "noise":
            per_pixel = BETA_PER_PIXEL_FROM_NOISE
        return float(per_pixel * self.canvas_pixels(height, width))

    def canvas_pixels(self, height: int, width: int) -> int:
        """The number of pixels that are painted for a picture of this size, border and all."""
        return (height + 2 * self.border) * (width + 2 * self.border)

    def each_scale(self) -> Iterator["Settings"]:
        """Size and iterations of each scale, from the smallest, in settings that are else the same.

        Raises
        ------
        ValueError
            If the number of scales is undecided (`with_scales`).
        """
        if self.scales is None:
            raise ValueError("the number of scales is undecided: see Settings.with_scales")
        for halvings in reversed(range(self.scales)):
            iterations = self.iterations_until(halvings) - self.iterations_until(halvings + 1)
            yield replace(self, scales=1, size=self.size >> halvings, iterations=iterations)

    def iterations_until(self, halvings: int) -> int:
        """How many iterations are done when the scale of so many halvings is.

        Smaller scales get more of them: three scales share them as 4 to 3 to 2, and the last one still
        takes more time than the others together. Each scale gets at least one.
        """
        count = self.scales or 1
        shares = [2 + later for later in range(count)]
        spare = self.iterations - count
        return count - halvings + round(spare * sum(shares[halvings:]) / sum(shares))


class Options(TypedDict, total=False):
    """The fields of `Settings` as keyword arguments, for type checkers and editors."""

    size: int
    iterations: int
    scales: int | None
    style_scale: float
    border: int
    init: str | os.PathLike
    grain: float | None
    seed: int
    colour: str
    transparency: str
    optimizer: str | None
    learning_rate: float | None
    bounded: bool
    bits: int
    alpha: float
    beta: float | None
    beta_per_pixel: float | None
    tv_weight: float
    content_layers: str | Sequence[str]
    style_layers: str | Sequence[str]
    layer_weights: Sequence[float] | None
    rescale: bool
    rescale_over: str | os.PathLike | None
    preprocessing: str | Preprocessing | None
    pooling: str | None


def layer_tuple(name: str, layers: str | Iterable[str]) -> tuple[str, ...]:
    """Layer names, given as one or several, as a tuple."""
    try:
        layers = (layers,) if isinstance(layers, str) else tuple(layers)
        if not all(isinstance(layer, str) for layer in layers):
            raise TypeError
        if not layers or len(set(layers)) < len(layers):
            raise InputError(f"{name} must name at least one layer, and each only once")
    except TypeError:
        raise InputError(f"{name} must be names of layers, not {shown(layers)}") from None
    return layers


def weight_value(name: str, value: Any) -> float:
    """A weight of the loss as a float."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            weight = float(value)
            if math.isfinite(weight) and weight >= 0:
                return weight
    raise InputError(f"{name} must be a finite number, not negative, not {shown(value)}")


def weight_tuple(weights: Iterable[float]) -> tuple[float, ...]:
    """Layer weights of any kind of sequence as a tuple of floats."""
    try:
        if isinstance(weights, str):
            raise TypeError
        return tuple(float(weight) for weight in weights)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"layer_weights must be numbers, not {shown(weights)}") from None


def path_text(expected: str, path: Any) -> str:
    """A path as a str; if it is none, the message begins with what is expected."""
    try:
        return os.fsdecode(path)
    except TypeError:
        raise InputError(f"{expected}, not {shown(path)}") from None


def _describe_fields() -> str:
    """The fields as numpydoc's list of attributes, made of what each says of itself."""
    text = ""
    for field in dataclasses.fields(Settings):
        default = field.metadata["shown"] or repr(field.default)
        kind = getattr(field.type, "__name__", field.type)
        text += f"    {field.name} : {kind}\n        {field.metadata['help']} (default: {default})\n"
    return text


Settings.__doc__ = f"{(Settings.__doc__ or '').rstrip()}\n{_describe_fields()}    "
