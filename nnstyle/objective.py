"""Equation (7): what a picture loses against its content and its style, and the gradient."""

from functools import partial

from . import losses


class Objective:
    """Equation (7) for one pair of images: a function image -> (loss, gradient) (lesson 10).

    Parameters
    ----------
    network : Network
    content, style : arrays, shape (H, W, 3), preprocessed; their sizes may differ
    settings : Settings, its beta decided

    Attributes
    ----------
    parts : (content, style, total variation)
        Losses of the latest call, before they are weighted.
    """

    def __init__(self, network, content, style, settings):
        self.network, self.settings = network, settings
        # A loss of weight 0 is not computed, nor are layers that only it needs.
        content_layers = settings.content_layers if settings.alpha else ()
        style_layers = settings.style_layers if settings.beta else ()
        # Without their caches: nothing goes backward from the targets.
        self.content_targets = network.forward(content, content_layers)[0]
        style_features = network.forward(style, style_layers)[0]
        self.style_targets = {
            layer: (losses.gram_matrix(features, network.workers), features[..., 0].size)
            for layer, features in style_features.items()
        }
        self.layer_weights = dict(zip(settings.style_layers, settings.layer_weights))
        self.layers = {*content_layers, *style_layers}

    def __call__(self, image):
        features, cache = self.network.forward(image, self.layers)
        self.content = self.style = 0.0
        # A layer's losses are computed when backward comes to it; then its features are let go.
        gradients = {layer: partial(self.gradient_at, layer, features) for layer in self.layers}
        gradient = self.network.backward(gradients, cache)
        variation, weight = 0.0, self.settings.tv_weight
        if weight:
            variation, its_gradient = losses.total_variation(image)
            gradient = gradient + weight * its_gradient
        self.parts = self.content, self.style, variation
        # Equation (7), with the one term that the paper has not.
        total = self.settings.alpha * self.content + self.settings.beta * self.style + weight * variation
        return total, gradient

    def gradient_at(self, layer, features):
        """Add this layer's share to L_content and to L_style, equation (5); return its gradient."""
        F, total = features.pop(layer), None
        if layer in self.content_targets:
            loss, gradient = losses.content_loss(F, self.content_targets[layer])
            self.content += loss
            gradient *= self.settings.alpha
            total = gradient
        if layer in self.style_targets:
            w = self.layer_weights[layer]
            loss, gradient = losses.style_loss(F, *self.style_targets[layer], self.network.workers)
            self.style += w * loss
            gradient *= self.settings.beta * w
            total = gradient if total is None else total + gradient
        return total
