from collections.abc import Sequence

import torch
from mmseg.structures import SegDataSample
from torch import Tensor


def valid_maps(data_samples: Sequence[SegDataSample], inputs: Tensor) -> Tensor:
    """Return masks of the pixels of a batch that belong to an image, not to padding.

    Args:
        data_samples: N data samples with ``valid_map``; without it the image fills
            ``img_shape``, from the top left.
        inputs: Batch (N, C, H, W), which may be larger than the samples.

    Returns:
        Valid maps (N, H, W) bool.
    """
    valid = inputs.new_zeros((len(inputs), *inputs.shape[2:]), dtype=torch.bool)
    for row, sample in zip(valid, data_samples):
        if 'valid_map' in sample:
            height, width = sample.valid_map.shape
            row[:height, :width] = sample.valid_map.data[0]
        else:
            height, width = sample.metainfo.get('img_shape', row.shape)[:2]
            row[:height, :width] = True
    return valid
