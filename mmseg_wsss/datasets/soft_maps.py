"""Read soft maps that ``tools/export_pseudo_labels.py --soft`` has written."""

import os

import numpy as np


def read_soft_map(path: str | os.PathLike[str], num_classes: int) -> np.ndarray:
    """Read an exported soft map.

    The ``.npz`` file holds ``prob`` (c, H, W), float16, of the c classes that are not
    zero everywhere, and ``channels`` (c,), their indices.

    Args:
        path: The file.
        num_classes: Number C of classes, including the background.

    Returns:
        Map of shape (C, H, W), float32; channels that are not stored are 0.

    Raises:
        OSError, ValueError, KeyError, IndexError, BadZipFile: If the file is missing or
            broken, or contains other classes.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, 'a.npz')
        ...     prob = np.full((1, 2, 2), 0.5, np.float16)
        ...     np.savez(path, prob=prob, channels=np.array([2]))
        ...     full = read_soft_map(path, num_classes=3)
        >>> full[:, 0, 0]
        array([0. , 0. , 0.5], dtype=float32)
    """
    with np.load(path, allow_pickle=False) as file:
        prob, channels = file['prob'], file['channels']
    full = np.zeros((num_classes, *prob.shape[1:]), dtype=np.float32)
    full[channels] = prob
    return full
