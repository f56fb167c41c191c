"""Everything that decides what a stylization looks like, in one place, with its defaults."""

import math
import numbers
from dataclasses import dataclass, replace

from .errors import InputError
from .images import SMALLEST
from .network import POOLING

# The default beta for each pixel of the picture. Equation (1) sums over positions while (4)
# averages, so at a constant beta a larger picture would be less of a painting.
BETA_PER_PIXEL = 1000
MOST_ITERATIONS = 1_000_000
FIRST_IMAGES = ("content", "noise", "style")
OPTIMIZERS = ("lbfgs", "lbfgs-device")


@dataclass(frozen=True)
class Settings:
    """The settings of a stylization; lesson 12 shows what they do.

    Attributes
    ----------
    size : int
        Long edge of the picture, px. The style image is scaled to the same.
    iterations : int
        Of L-BFGS, over all scales. The paper does not say how many it took.
    scales : int
        Above 1, coarse to fine: a picture of half the size (of a quarter, ..) comes first,
        and the larger one starts from it. All scales get the same share of the iterations;
        beta is that of the full size, and goes down with the number of pixels.
    alpha, beta : float
        Weights of the content and the style loss in equation (7). Without a beta, it is
        1000 times the number of pixels. The paper's alpha / beta is 1e-5 to 1e-2.
    tv_weight : float
        Above 0, noise is penalised. The paper has no such term.
    content_layers, style_layers : tuple of str
        The paper's: conv4_2, and conv1_1 .. conv5_1.
    layer_weights : tuple of float, optional
        w_l in equation (5), one for each style layer. The paper's: all equal, sum 1. With the
        paper's five layers a weights file may state its own (`for_network`).
    first_image : "content", "noise" or "style"
        The paper starts from white noise.
    seed : int
        Of the noise.
    rescale : bool
        Whether weights whose file does not call them rescaled are rescaled over the two
        pictures (`nnstyle.weights.rescale`), so that a beta means the same in all networks.
    pooling : "max" or "average"
        VGG was trained with max; for making images the paper prefers average, and so do we:
        strokes become bolder and noise disappears.
    bounded : bool
        Keep pixels between 0 and 255 during the optimization, not only at its end. Only
        SciPy's L-BFGS-B can.
    optimizer : "lbfgs" or "lbfgs-device", optional
        SciPy's L-BFGS-B in float64 on the host, or the same method written out where the
        picture is, in float32 (`nnstyle.lbfgs`). By default the first on a processor and for
        bounded pictures, else the second.

    Raises
    ------
    InputError
        If a value cannot be used.
    """

    size: int = 512
    iterations: int = 300
    scales: int = 1
    alpha: float = 1.0
    beta: float | None = None
    tv_weight: float = 0.0
    content_layers: tuple = ("conv4_2",)
    style_layers: tuple = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    layer_weights: tuple | None = None
    first_image: str = "content"
    seed: int = 0
    rescale: bool = True
    pooling: str = "average"
    bounded: bool = False
    optimizer: str | None = None

    def __post_init__(self):
        for name in ("content_layers", "style_layers"):
            layers = getattr(self, name)
            layers = (layers,) if isinstance(layers, str) else tuple(layers)
            if not layers or len(set(layers)) < len(layers):
                raise InputError(f"{name} must name at least one layer, and each only once")
            object.__setattr__(self, name, layers)
        if self.layer_weights is None:
            count = len(self.style_layers)
            object.__setattr__(self, "layer_weights", (1 / count,) * count)
        self._check_numbers()
        self._check_choices()

    def _check_numbers(self):
        for name, smallest in (("size", SMALLEST), ("iterations", 1), ("scales", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or value < smallest:
                raise InputError(f"{name} must be a whole number, at least {smallest}, not {value}")
        if self.iterations > MOST_ITERATIONS:
            raise InputError(f"iterations must be at most {MOST_ITERATIONS}: no picture needs more")
        if self.size >> self.scales - 1 < SMALLEST:
            raise InputError(
                f"the smallest of {self.scales} scales would have fewer than {SMALLEST} pixels: use fewer"
            )
        if self.iterations < self.scales:
            raise InputError(
                f"{self.scales} scales need at least {self.scales} iterations, not {self.iterations}"
            )
        weights = {"alpha": self.alpha, "beta": self.beta or 0, "tv_weight": self.tv_weight}
        weights |= {
            f"the layer weight of {layer}": w for layer, w in zip(self.style_layers, self.layer_weights)
        }
        for name, value in weights.items():
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} must be a finite number, not negative, not {value}")

    def _check_choices(self):
        if len(self.layer_weights) != len(self.style_layers):
            raise InputError(
                f"{len(self.style_layers)} style layers need as many layer weights, not {len(self.layer_weights)}"
            )
        if self.alpha == 0 and (self.beta == 0 or not any(self.layer_weights)):
            raise InputError("alpha and beta (or all layer weights) are 0: there is nothing to optimize")
        if self.pooling not in POOLING:
            raise InputError(f"pooling must be one of {', '.join(POOLING)}, not {self.pooling!r}")
        if self.first_image not in FIRST_IMAGES:
            raise InputError(
                f"first_image must be one of {', '.join(FIRST_IMAGES)}, not {self.first_image!r}"
            )
        if self.optimizer not in (None, *OPTIMIZERS):
            raise InputError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.bounded and self.optimizer == "lbfgs-device":
            raise InputError("bounded pictures need the optimizer lbfgs: the other one knows no bounds")

    @classmethod
    def for_network(cls, weights, **settings):
        """Settings in which the layer weights that a network states stand where none are given.

        Parameters
        ----------
        weights : Weights
        **settings
            As for the class. Given `layer_weights` win, and so do other `style_layers` than the paper's.
        """
        given = cls(**settings)
        if settings.get("layer_weights") is None and weights.style_layer_weights:
            if given.style_layers == cls.style_layers:
                return replace(given, layer_weights=weights.style_layer_weights)
        return given

    def for_picture(self, height, width):
        """These settings with beta decided for a picture of this size."""
        return self if self.beta is not None else replace(self, beta=float(BETA_PER_PIXEL * height * width))

    def on_device(self, device):
        """These settings with the optimizer decided for a device."""
        return replace(self, optimizer=self.optimizer or ("lbfgs" if self.bounded else device.optimizer))

    def each_scale(self):
        """The settings of each scale, from the smallest; beta goes with the number of pixels."""
        for halvings in reversed(range(self.scales)):
            yield replace(
                self,
                scales=1,
                size=self.size >> halvings,
                iterations=self.iterations // self.scales + (self.iterations % self.scales > halvings),
                beta=self.beta and self.beta / 4**halvings,
            )
