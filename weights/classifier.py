"""The network that is trained: VGG-19's first thirteen convolutions, slim, and a head that is thrown away."""

import torch
from torch import nn
from torch.nn import functional as F

from nnstyle import Weights
from nnstyle.network import layers_of
from nnstyle.pictures import Preprocessing

NAMES = layers_of(["conv5_1", "conv3_4"])  # VGG-19's, up to conv5_1
WIDTHS = (32, 64, 128, 256, 256)  # channels of each block
MEAN, SPREAD = (123.68, 116.779, 103.939), 64.0  # of pixels, RGB


class Classifier(nn.Module):
    """Pictures (batch, 3, H, W), RGB 0 to 255 -> (batch, classes).

    Two more convolutions follow conv5_1, so that it need not itself tell the classes apart:
    it is a style layer, and should know textures. Batch normalisation makes so narrow and deep a
    network trainable; `folded` puts it into the convolutions.

    Parameters
    ----------
    classes : int
    widths : tuple of int
        Channels of the five blocks.
    """

    def __init__(self, classes, widths=WIDTHS):
        super().__init__()
        self.convolutions, self.norms = nn.ModuleDict(), nn.ModuleDict()
        channels = 3
        for name in [*NAMES, "conv5_2", "conv5_3"]:
            if name.startswith("conv"):
                width = widths[int(name[4]) - 1]
                self.convolutions[name] = nn.Conv2d(channels, width, 3, padding=1, bias=False)
                self.norms[name] = nn.BatchNorm2d(width)
                nn.init.kaiming_normal_(self.convolutions[name].weight, mode="fan_out")
                channels = width
        self.linear = nn.Linear(channels, classes)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))

    def features(self, x, last):
        """The feature map of a convolution, after its ReLU."""
        x = (x - self.mean) / SPREAD
        for name in [*NAMES, "conv5_2", "conv5_3"]:
            if name.startswith("pool"):
                x = F.max_pool2d(x, 2)
            else:
                x = F.relu(self.norms[name](self.convolutions[name](x)))
            if name == last:
                return x

    def forward(self, x):
        return self.linear(self.features(x, "conv5_3").mean((2, 3)))


def folded(model):
    """The convolutions up to conv5_1, normalisation and spread inside them, as nnstyle's Weights.

    With a filter's running mean m and variance v, and the learned g and b, batch normalisation of
    w * x is  (w * x - m) g / s + b,  where s = sqrt(v + eps):  a convolution by w g / s,
    and a bias b - m g / s. In float64.
    """
    layers = {}
    for name in NAMES:
        if name.startswith("conv"):
            w, norm = model.convolutions[name].weight.double(), model.norms[name]
            factor = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
            kernel = (w * factor.view(-1, 1, 1, 1)).permute(2, 3, 1, 0)  # (3, 3, in, out)
            kernel = kernel / SPREAD if name == "conv1_1" else kernel
            bias = norm.bias.double() - norm.running_mean.double() * factor
            layers[name] = tuple(a.detach().cpu().numpy().astype("float32") for a in (kernel, bias))
    return Weights(layers, "pocket", Preprocessing("RGB", MEAN, 1.0))


def distort(pictures, size, generator):
    """Another view of each picture: moved, turned, stretched, mirrored; its colours as they are.

    Geometry varies, because it should not matter; colour does not, beyond brightness within
    20 %, because a painting's palette should.

    Parameters
    ----------
    pictures : tensor, shape (batch, 3, 64, 64)
    size : int
        Of the result, px.
    generator : torch.Generator
        On the processor, whatever device the pictures are on: the same numbers everywhere.
    """
    uniform = lambda low, high: low + (high - low) * torch.rand(len(pictures), generator=generator)
    scale, stretch, angle = uniform(0.6, 1), torch.exp(uniform(-0.15, 0.15)), uniform(-0.2, 0.2)
    mirror = torch.sign(uniform(-1, 1))
    sx, sy = scale * stretch, scale / stretch
    cos, sin = torch.cos(angle), torch.sin(angle)
    shifts = [(1 - s).clamp(min=0) * uniform(-1, 1) for s in (sx, sy)]
    rows = [sx * cos * mirror, -sy * sin, shifts[0]], [sx * sin * mirror, sy * cos, shifts[1]]
    affine = torch.stack([torch.stack(row, -1) for row in rows], 1).to(pictures.device)
    grid = F.affine_grid(affine, (len(pictures), 3, size, size), align_corners=False)
    views = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    return views * uniform(0.8, 1.2).view(-1, 1, 1, 1).to(pictures.device)
