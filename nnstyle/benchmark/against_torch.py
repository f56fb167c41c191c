"""The same evaluation in PyTorch, the yardstick. Needs the extra ``bench``."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import InputError
from ..settings import Settings
from .work import make_images, make_settings, make_weights


def import_torch(device: str = "cpu") -> Any:
    """The module torch; raises InputError where it is not installed, or does not know the device."""
    try:
        import torch
    except ImportError:
        raise InputError("PyTorch is not installed: pip install torch==2.13.0") from None
    if device != "cpu" and not torch.cuda.is_available():
        raise InputError("PyTorch sees no GPU: install a build of it for CUDA (see pytorch.org)")
    return torch


def evaluation(
    network: str,
    size: int,
    threads: int,
    channels_last: bool,
    device: str = "cpu",
    compiled: bool = False,
    tf32: bool = False,
    double: bool = False,
    seed: int = 1,
) -> Callable[[], tuple[float, Any]]:
    """A function that evaluates the loss and its gradient; it returns both as `Objective` does.

    Parameters
    ----------
    network, size, seed : as for `nnstyle.benchmark.work.evaluation`
    threads : int
        For a processor.
    channels_last : bool
        The layout in memory.
    device : "cpu", "cuda:0" and so on
        Where the gradient stays, too.
    compiled : bool
        By `torch.compile`, for these shapes only.
    tf32 : bool
        Whether a GPU may keep only ten bits of what it multiplies.
    double : bool
        In float64.
    """
    torch = import_torch(device)
    torch.set_num_threads(threads)
    if device != "cpu":
        torch.cuda.set_device(device)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    dtype = torch.float64 if double else torch.float32

    def to_device(array: np.ndarray) -> Any:
        return torch.tensor(array).to(device, dtype, memory_format=layout)

    loaded = make_weights(network)
    weights = {
        name: (to_device(kernel.transpose(3, 2, 0, 1)), torch.tensor(bias).to(device, dtype))
        for name, (kernel, bias) in loaded.items()
    }
    images = make_images(size, seed)
    content, style, image = (to_device(picture.transpose(2, 0, 1)[None]) for picture in images)
    set_arithmetic(torch, tf32)
    loss_of = loss_function(torch, weights, content, style, make_settings(loaded, size))
    if compiled:
        # Wholly, or it fails; and what was compiled for other shapes does not count against a limit.
        loss_of = torch.compile(loss_of, dynamic=False, fullgraph=True, isolate_recompiles=True)

    def evaluate() -> tuple[float, Any]:
        set_arithmetic(torch, tf32)  # the others may have changed it
        x = image.clone(memory_format=torch.preserve_format).requires_grad_()
        loss = loss_of(x)
        loss.backward()
        return loss.item(), x.grad[0].permute(1, 2, 0)

    return evaluate


def set_arithmetic(torch: Any, tf32: bool) -> None:
    """TF32 or float32 on a GPU; cuDNN tries its algorithms at the first call, and takes the fastest."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def loss_function(
    torch: Any, weights: dict[str, Any], content: Any, style: Any, settings: Settings
) -> Callable[[Any], Any]:
    """Equation (7) for these pictures, as a function of the image."""
    with torch.no_grad():
        content_targets = forward(torch, weights, settings.content_layers, content)
        style_features = forward(torch, weights, settings.style_layers, style)
        grams = {name: gram(feature) for name, feature in style_features.items()}
    names = {*settings.content_layers, *settings.style_layers}
    return lambda x: equation_7(forward(torch, weights, names, x), content_targets, grams, settings)


def memory_peak(network: str, size: int, device: str) -> int | None:
    """Bytes that PyTorch's allocator takes of a GPU at most, eager and in float32; None if it is too small."""
    torch = import_torch(device)
    torch.cuda.init()
    torch.cuda.reset_peak_memory_stats(device)
    try:
        function = evaluation(network, size, 1, channels_last=True, device=device)
        function(), function()
        return torch.cuda.max_memory_reserved(device)
    except torch.OutOfMemoryError:
        return None


def equation_7(
    features: dict[str, Any], content_targets: dict[str, Any], grams: dict[str, Any], settings: Settings
) -> Any:
    """alpha L_content + beta L_style."""
    assert settings.beta is not None and settings.layer_weights is not None  # `make_settings` decides them
    loss = 0
    for name, target in content_targets.items():
        loss = loss + settings.alpha / 2 * (features[name] - target).square().sum()
    for name, w in zip(settings.style_layers, settings.layer_weights, strict=True):
        error = (gram(features[name]) - grams[name]).square().sum() / (4 * features[name].shape[1] ** 2)
        loss = loss + settings.beta * w * error
    return loss


def forward(torch: Any, weights: dict[str, Any], names: Iterable[str], x: Any) -> dict[str, Any]:
    """The named layers' features, with average pooling, as `Network.forward`."""
    wanted = set(names)
    features: dict[str, Any] = {}
    for name, (kernel, bias) in weights.items():
        if name.endswith("_1") and name != "conv1_1":
            x = torch.nn.functional.avg_pool2d(x, 2)
        x = torch.nn.functional.conv2d(x, kernel, bias, padding=1).relu_()
        if name in wanted:
            features[name] = x
        if len(features) == len(wanted):
            break
    return features


def gram(features: Any) -> Any:
    """G / M: the Gram matrix by positions, in the form that is fastest for the layout."""
    F = features[0].flatten(1)  # (N, M)
    return F @ F.T / F.shape[1]
