"""The same network, losses and image in PyTorch, where it is installed: a yardstick only."""

import numpy as np
import pytest

from nnstyle import Engine, Network, Objective, Settings, layers, losses, set_targets
from nnstyle.objective import paper_terms
from tests.support.tiny import tiny_weights

torch = pytest.importorskip("torch")
F = torch.nn.functional
torch.set_num_threads(1)  # for arrays as small as these, a second thread only makes them wait

NAMES = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1"]
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-9}


def torch_features(weights, image, pooling):
    """Feature maps (1, C, H, W) of every layer, by PyTorch's own operations."""
    pool = {"max": F.max_pool2d, "average": F.avg_pool2d}[pooling]
    features, x = {}, image.permute(2, 0, 1)[None]
    for name, (kernel, bias) in weights.items():
        if name.endswith("_1") and name != "conv1_1":
            x = pool(x, 2)
        kernel = torch.tensor(np.array(kernel), dtype=image.dtype).permute(3, 2, 0, 1)
        x = features[name] = F.relu(
            F.conv2d(x, kernel, torch.tensor(np.array(bias), dtype=image.dtype), padding=1)
        )
    return features


def torch_loss(weights, images, settings, pooling):
    """Equation (7) as a scalar tensor, written from the paper alone."""
    generated, content, style = (torch_features(weights, image, pooling) for image in images)
    loss = 0
    for layer in settings.content_layers:
        loss = loss + settings.alpha * ((generated[layer] - content[layer]) ** 2).sum() / 2
    for layer, w in zip(settings.style_layers, settings.layer_weights):
        (G, N, M), (A, _, M_style) = gram(generated[layer]), gram(style[layer])
        loss = loss + settings.beta * w * ((G / M - A / M_style) ** 2).sum() / (4 * N**2)
    return loss


def gram(features):
    F_matrix = features[0].flatten(1)
    return F_matrix @ F_matrix.T, *F_matrix.shape


def relative(ours, theirs):
    """Norm of the difference relative to the norm."""
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("engine", [layers, Engine(threads=1)], ids=["plain", "fast"])
def test_features_and_image_gradient(dtype, pooling, engine):
    rng, weights = np.random.default_rng(1), tiny_weights(widths=(16, 24, 32, 32, 32))
    pictures = [rng.normal(size=size).astype(dtype) for size in ((45, 38, 3), (45, 38, 3), (37, 50, 3))]
    tensors = [torch.tensor(picture, requires_grad=i == 0) for i, picture in enumerate(pictures)]
    settings = Settings(alpha=1.0, beta=1e4).decided(weights, 45, 38)
    network = Network(weights, pooling, dtype, engine)

    ours, _ = network.forward(pictures[0], NAMES)
    theirs = torch_features(weights, tensors[0], pooling)
    for name in NAMES:
        expected = theirs[name][0].permute(1, 2, 0).detach().numpy()
        assert relative(ours[name], expected) <= TOLERANCE[dtype]

    terms = paper_terms(settings, losses if engine is layers else engine)
    set_targets(terms, network, *pictures[1:])
    loss, gradient = Objective(network, terms)(pictures[0])
    expected = torch_loss(weights, tensors, settings, pooling)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=TOLERANCE[dtype])
    assert relative(gradient, tensors[0].grad.numpy()) <= TOLERANCE[dtype]
