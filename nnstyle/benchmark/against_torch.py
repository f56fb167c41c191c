"""The same evaluation in PyTorch, the yardstick. Needs the extra ``bench``."""

from ..errors import InputError
from ..settings import Settings
from .work import make_images, make_weights


def import_torch(device="cpu"):
    """The module torch; raises InputError where it is not installed, or does not know the device."""
    try:
        import torch
    except ImportError:
        raise InputError("PyTorch is not installed: pip install torch==2.13.0") from None
    if device != "cpu" and not torch.cuda.is_available():
        raise InputError("PyTorch sees no graphics card: install a build of it for CUDA (see pytorch.org)")
    return torch


def evaluation(
    network, size, threads, channels_last, device="cpu", compiled=False, tf32=False, double=False, seed=1
):
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
        Whether a card may keep only ten bits of what it multiplies.
    double : bool
        In float64.
    """
    torch = import_torch(device)
    torch.set_num_threads(threads)
    if device != "cpu":
        torch.cuda.set_device(device)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    dtype = torch.float64 if double else torch.float32
    put = lambda array: torch.tensor(array).to(device, dtype, memory_format=layout)
    weights = {
        name: (put(kernel.transpose(3, 2, 0, 1)), torch.tensor(bias).to(device, dtype))
        for name, (kernel, bias) in make_weights(network).items()
    }
    content, style, image = (put(picture.transpose(2, 0, 1)[None]) for picture in make_images(size, seed))
    set_arithmetic(torch, tf32)
    loss_of = loss_function(torch, weights, content, style, Settings(size=size).for_picture(size, size))
    if compiled:
        # Wholly, or it fails; and what was compiled for other shapes does not count against a limit.
        loss_of = torch.compile(loss_of, dynamic=False, fullgraph=True, isolate_recompiles=True)

    def evaluate():
        set_arithmetic(torch, tf32)  # the others may have changed it
        x = image.clone(memory_format=torch.preserve_format).requires_grad_()
        loss = loss_of(x)
        loss.backward()
        return loss.item(), x.grad[0].permute(1, 2, 0)

    return evaluate


def set_arithmetic(torch, tf32):
    """TF32 or float32 on a card; cuDNN tries its algorithms at the first call, and takes the fastest."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def loss_function(torch, weights, content, style, settings):
    """Equation (7) for these pictures, as a function of the image."""
    with torch.no_grad():
        content_targets = forward(torch, weights, settings.content_layers, content)
        style_features = forward(torch, weights, settings.style_layers, style)
        grams = {name: gram(feature) for name, feature in style_features.items()}
    names = {*settings.content_layers, *settings.style_layers}
    return lambda x: equation_7(forward(torch, weights, names, x), content_targets, grams, settings)


def memory_peak(network, size, device):
    """Bytes that PyTorch's allocator takes of a card at most, eager and in float32; None if it is too small."""
    torch = import_torch(device)
    torch.cuda.init()
    torch.cuda.reset_peak_memory_stats(device)
    try:
        function = evaluation(network, size, 1, channels_last=True, device=device)
        function(), function()
        return torch.cuda.max_memory_reserved(device)
    except torch.OutOfMemoryError:
        return None


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
