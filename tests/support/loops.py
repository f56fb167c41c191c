"""The slow twins: every operation once more as plain loops, to be compared with the fast ones."""

import numpy as np


def conv(x, kernel, bias):
    height, width, _ = x.shape
    y = np.zeros((height, width, kernel.shape[-1]), dtype=x.dtype)
    for i, j in np.ndindex(height, width):
        y[i, j] = bias
        for a, b in np.ndindex(3, 3):
            row, column = i + a - 1, j + b - 1
            if 0 <= row < height and 0 <= column < width:
                y[i, j] += x[row, column] @ kernel[a, b]
    return y


def conv_backward(dy, kernel):
    height, width, _ = dy.shape
    dx = np.zeros((height, width, kernel.shape[2]), dtype=dy.dtype)
    for i, j in np.ndindex(height, width):
        for a, b in np.ndindex(3, 3):
            row, column = i + a - 1, j + b - 1
            if 0 <= row < height and 0 <= column < width:
                dx[row, column] += kernel[a, b] @ dy[i, j]
    return dx


def relu(x):
    y = x.copy()
    for index in np.ndindex(x.shape):
        if x[index] < 0:
            y[index] = 0
    return y


def relu_backward(dy, x):
    dx = np.zeros_like(dy)
    for index in np.ndindex(x.shape):
        if x[index] > 0:
            dx[index] = dy[index]
    return dx


def windows(shape):
    """(i, j, c, the four places of window (i, j) in channel c in reading order)."""
    for i, j, c in np.ndindex(shape[0] // 2, shape[1] // 2, shape[2]):
        yield i, j, c, [(2 * i + a, 2 * j + b, c) for a in (0, 1) for b in (0, 1)]


def max_pool(x):
    y = np.zeros((x.shape[0] // 2, x.shape[1] // 2, x.shape[2]), dtype=x.dtype)
    for i, j, c, places in windows(x.shape):
        y[i, j, c] = max(x[place] for place in places)
    return y


def max_pool_backward(dy, x):
    dx = np.zeros_like(x)
    for i, j, c, places in windows(x.shape):
        dx[max(places, key=lambda place: x[place])] = dy[i, j, c]  # max keeps the first of equals
    return dx


def average_pool(x):
    y = np.zeros((x.shape[0] // 2, x.shape[1] // 2, x.shape[2]), dtype=x.dtype)
    for i, j, c, places in windows(x.shape):
        y[i, j, c] = sum(x[place] for place in places) / 4
    return y


def average_pool_backward(dy, x):
    dx = np.zeros_like(x)
    for i, j, c, places in windows(x.shape):
        for place in places:
            dx[place] = dy[i, j, c] / 4
    return dx


def gram_matrix(features):
    height, width, filters = features.shape
    gram = np.zeros((filters, filters), dtype=features.dtype)
    for k, m in np.ndindex(filters, filters):
        for i, j in np.ndindex(height, width):
            gram[k, m] += features[i, j, k] * features[i, j, m]
    return gram


def total_variation(image):
    height, width, channels = image.shape
    total = 0.0
    for i, j, c in np.ndindex(height, width, channels):
        if i + 1 < height:
            total += (image[i + 1, j, c] - image[i, j, c]) ** 2
        if j + 1 < width:
            total += (image[i, j + 1, c] - image[i, j, c]) ** 2
    return total
