"""Tags, masks and images of a batch, for the weakly supervised methods."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.utils.labels import IGNORE_INDEX


def stack_tags(data_samples: Sequence[Any]) -> Tensor:
    """Stack the tags of data samples.

    Args:
        data_samples: N data samples with ``gt_tags``.

    Returns:
        Tags (N, K), float32 in {0, 1}.

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


def given_or_made(
    made: Tensor, data_samples: Sequence[Any], field: str = 'gt_sem_seg'
) -> Tensor:
    """Replace the pseudo-labels of images that have a mask by their masks.

    Every final pseudo-label of the weakly supervised methods passes through this
    function, so that a mask replaces it in all losses.

    Args:
        made: Pseudo-labels (N, H, W) int64, or probabilities (N, C, H, W).
        data_samples: N data samples; in those with ``field``, it is a mask (1, H, W),
            255 for ignored pixels.
        field: Field of the masks.

    Returns:
        ``made``, with whole masks for the images that have one. In probabilities, masks
        are one-hot, and 0 for all classes at ignored pixels.

    Raises:
        ValueError: If a mask differs from the batch in size; the message names the
            image.

    Example:
        >>> from mmengine.structures import PixelData
        >>> from mmseg.structures import SegDataSample
        >>> mask = PixelData(data=torch.tensor([[[2, 255]]]))
        >>> samples = [SegDataSample(gt_sem_seg=mask), SegDataSample()]
        >>> given_or_made(torch.tensor([[[0, 1]], [[0, 1]]]), samples)
        tensor([[[  2, 255]],
        <BLANKLINE>
                [[  0,   1]]])
    """
    if not any(field in sample for sample in data_samples):
        return made
    rows = list(made)
    for i, sample in enumerate(data_samples):
        if field not in sample:
            continue
        mask = sample.get(field).data[0]
        if mask.shape != made.shape[-2:]:
            raise ValueError(
                f'{sample.get("img_path")}: {field} has {tuple(mask.shape)} pixels, '
                f'the batch {tuple(made.shape[-2:])}; load masks before transforms '
                'that change the size, and let the data preprocessor pad them'
            )
        if made.dim() == 4:
            classes = torch.arange(made.shape[1], device=made.device)
            mask = mask == classes[:, None, None]
        rows[i] = mask.to(made)
    return torch.stack(rows)


def denormalize(inputs: Tensor, data_preprocessor: Any) -> Tensor:
    """Undo the normalization of a data preprocessor.

    Args:
        inputs: Normalized images (N, 3, H, W).
        data_preprocessor: Module with ``mean`` and ``std``; without them, ``inputs``
            are taken to be colors.

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
    labeled = (label != IGNORE_INDEX) & valid
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
