"""What the weakly supervised methods read from a batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def stack_tags(data_samples: Sequence[Any]) -> Tensor:
    """Stack the tags (N, K) float32 in {0, 1} of data samples.

    Raises:
        KeyError: If a data sample has no tags; the message names its image.
    """
    missing = [s.get('img_path') for s in data_samples if 'gt_tags' not in s]
    if missing:
        raise KeyError(
            f'{missing[0]} has no gt_tags; wrap its dataset in WeakDataset and end '
            'the pipeline with PackWeakInputs'
        )
    return torch.stack([s.gt_tags.label for s in data_samples])


def denormalize(inputs: Tensor, data_preprocessor: Any) -> Tensor:
    """Undo the normalization of a data preprocessor.

    Args:
        inputs: Normalized images (N, 3, H, W).
        data_preprocessor: Module with ``mean`` and ``std``, or without them if it does
            not normalize.

    Returns:
        Colors (N, 3, H, W) float32, whole values in 0..255.
    """
    img = inputs.float()
    if hasattr(data_preprocessor, 'mean'):
        img = img * data_preprocessor.std + data_preprocessor.mean
    return img.round().clamp(0, 255)


def label_ratios(label: Tensor, valid: Tensor) -> dict[str, Tensor]:
    """Compute diagnostics of a pseudo-label.

    Args:
        label: Pseudo-label (N, H, W) int64, 255 for unlabeled pixels.
        valid: Pixels (N, H, W) bool of the image, not padding.

    Returns:
        ``ratio_labeled``, the ratio of labeled pixels among the valid ones, and
        ``ratio_foreground``, the ratio of foreground among these.
    """
    labeled = (label != 255) & valid
    count = labeled.sum().clamp(min=1)
    return {
        'ratio_labeled': labeled.sum() / valid.sum().clamp(min=1),
        'ratio_foreground': (labeled & (label > 0)).sum() / count,
    }


def check_background(model: Any) -> None:
    """Raise a ValueError if a segmentor has no background class."""
    if not model.has_background:
        num_classes = model.cam_head.num_classes
        raise ValueError(
            f'{type(model).__name__} needs a background class: {num_classes + 1} '
            f'classes in place of {num_classes}'
        )
