"""Masks: grey pictures that say where something is to be done."""

import numpy as np
from PIL import Image


def as_grey(image: np.ndarray) -> np.ndarray:
    """Turn a uint8 picture (H, W, 3) into grey, uint8 (H, W), by luma: 0.299 R + 0.587 G + 0.114 B."""
    return np.array(Image.fromarray(image).convert("L"))


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale a mask, uint8 (H, W), to (height, width). Nothing overshoots: what was 0 all around stays 0."""
    return np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR))
