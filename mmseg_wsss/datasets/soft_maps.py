"""Soft maps of images as files."""

import os

import numpy as np


def read_soft_map(path: str | os.PathLike[str], num_classes: int) -> np.ndarray:
    """Read an exported soft map as float32 of shape (C, H, W)."""
    with np.load(path, allow_pickle=False) as file:
        prob, channels = file['prob'], file['channels']
    full = np.zeros((num_classes, *prob.shape[1:]), dtype=np.float32)
    full[channels] = prob
    return full
