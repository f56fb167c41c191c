"""The same evaluation in PyTorch, the yardstick. Needs the extra ``bench``."""

from ..errors import InputError
from ..settings import Settings
from .work import make_images, make_weights


def import_torch():
    """The module torch; raises InputError where it is not installed."""
    try:
        import torch
    except ImportError:
        raise InputError("PyTorch is not installed: pip install torch==2.13.0") from None
    return torch


def evaluation(network, size, threads, channels_last):
    """A function that evaluates the loss and its gradient, and returns both as `Objective` does."""
    torch = import_torch()
    torch.set_num_threads(threads)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    settings = Settings(size=size).for_picture(size, size)
    weights = {
        name: (torch.tensor(kernel.transpose(3, 2, 0, 1)).to(memory_format=layout), torch.tensor(bias))
        for name, (kernel, bias) in make_weights(network).items()
    }
    content, style, image = (
        torch.tensor(picture.transpose(2, 0, 1)[None]).to(memory_format=layout)
        for picture in make_images(size)
    )
    with torch.no_grad():
        content_targets = forward(torch, weights, settings.content_layers, content)
        style_features = forward(torch, weights, settings.style_layers, style)
        grams = {name: gram(feature) for name, feature in style_features.items()}

    def evaluate():
        x = image.clone(memory_format=torch.preserve_format).requires_grad_()
        features = forward(torch, weights, {*settings.content_layers, *settings.style_layers}, x)
        loss = equation_7(features, content_targets, grams, settings)
        loss.backward()
        return loss.item(), x.grad[0].permute(1, 2, 0).numpy()

    return evaluate


def equation_7(features, content_targets, grams, settings):
    """alpha L_content + beta L_style."""
    loss = 0
    for name, target in content_targets.items():
        loss = loss + settings.alpha / 2 * (features[name] - target).square().sum()
    for name, w in zip(settings.style_layers, settings.layer_weights):
        error = (gram(features[name]) - grams[name]).square().sum() / (4 * features[name].shape[1] ** 2)
        loss = loss + settings.beta * w * error
    return loss


def forward(torch, weights, names, x):
    """The named layers' features, with average pooling, as `Network.forward`."""
    features = {}
    for name, (kernel, bias) in weights.items():
        if name.endswith("_1") and name != "conv1_1":
            x = torch.nn.functional.avg_pool2d(x, 2)
        x = torch.nn.functional.conv2d(x, kernel, bias, padding=1).relu_()
        if name in names:
            features[name] = x
        if len(features) == len(names):
            return features


def gram(features):
    """G / M: the Gram matrix by positions, in the form that is fastest for the layout."""
    F = features[0].flatten(1)  # (N, M)
    return F @ F.T / F.shape[1]
