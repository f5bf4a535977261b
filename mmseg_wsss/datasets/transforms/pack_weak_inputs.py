from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import LabelData, PixelData
from mmseg.datasets.transforms import PackSegInputs

from mmseg_wsss.registry import TRANSFORMS


def bounding_box(valid_map: np.ndarray) -> tuple[int, int, int, int]:
    """Smallest (row0, row1, col0, col1), ends exclusive, that holds every 1 or True."""
    shown = valid_map == 1  # mmseg's transforms fill what they add to a map with 255
    rows, cols = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    if rows.size == 0:
        return 0, 0, 0, 0
    return int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1


@TRANSFORMS.register_module()
class PackWeakInputs(PackSegInputs):
    """mmseg's ``PackSegInputs`` for images that have tags, or no label at all.

    Adds to the data sample ``gt_tags.label`` (K,) float32 in {0, 1} where there are
    tags, ``valid_map`` (a ``PixelData`` with ``data`` (1, H, W) bool, True inside the
    image) and, in the meta information, ``img_box`` = (row0, row1, col0, col1), the
    bounding box of the valid area. ``full_img`` (3, H, W) uint8 is there where
    ``KeepFullImage`` ran, and where ``LoadPseudoLabel`` did, ``cam_seed`` (C, H, W)
    float32 or ``pseudo_label`` (1, H, W) int64.

    Args:
        meta_keys: Keys of the meta information, as in ``PackSegInputs``.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            'img_path',
            'seg_map_path',
            'ori_shape',
            'img_shape',
            'pad_shape',
            'scale_factor',
            'flip',
            'flip_direction',
            'reduce_zero_label',
        ),
    ) -> None:
        super().__init__(meta_keys=meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack ``img``, ``gt_seg_map`` (if loaded), ``gt_tags`` and ``valid_map``."""
        packed = super().transform(results)
        data_sample = packed['data_samples']
        if 'gt_tags' in results:
            label = torch.as_tensor(results['gt_tags'], dtype=torch.float32)
            data_sample.gt_tags = LabelData(label=label)
        if 'full_img' in results:
            full_img = np.ascontiguousarray(results['full_img'].transpose(2, 0, 1))
            data_sample.full_img = PixelData(data=torch.from_numpy(full_img))
        if 'pseudo_label' in results:
            pseudo = torch.from_numpy(results['pseudo_label'].astype(np.int64))
            data_sample.pseudo_label = PixelData(data=pseudo[None])
        if 'cam_seed' in results:
            data_sample.cam_seed = PixelData(data=torch.from_numpy(results['cam_seed']))
        valid_map = results.get('valid_map')
        if valid_map is None:
            return packed
        if valid_map.shape != results['img'].shape[:2]:
            raise ValueError(
                f'{results.get("img_path")}: the valid area has shape '
                f'{valid_map.shape}, the image {results["img"].shape[:2]}; a '
                "transform changed the size without it, as mmcv's Pad does; take "
                'RandomCropPad, or the size of the data preprocessor'
            )
        shown = torch.from_numpy(valid_map == 1)
        data_sample.valid_map = PixelData(data=shown[None])
        data_sample.set_metainfo({'img_box': bounding_box(valid_map)})
        return packed
