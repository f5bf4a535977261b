import numpy as np
import torch
from mmengine.structures import LabelData, PixelData
from mmseg.datasets.transforms import PackSegInputs

from mmseg_wsss.registry import TRANSFORMS

from .valid_area import add_valid_map, bounding_box


@TRANSFORMS.register_module()
class PackWeakInputs(PackSegInputs):
    """mmseg's ``PackSegInputs`` for images with tags, or without any label.

    Adds to the data sample:

    * ``valid_map``: ``PixelData`` with ``data`` (1, H, W) bool, True inside the image;
      True everywhere if no transform added it, as in test pipelines with mmseg's own
      ``LoadImageFromFile``;
    * ``img_box``, in the meta information: (row0, row1, col0, col1), the bounding box
      of the valid area, ends exclusive;
    * ``gt_tags``: ``LabelData`` with ``label`` (K,) float32 in {0, 1}, if there are
      tags;
    * ``full_img`` (3, H, W) uint8, if ``KeepFullImage`` ran;
    * ``cam_seed`` (C, H, W) float32 or ``pseudo_label`` (1, H, W) int64, if
      ``LoadPseudoLabel`` ran.

    Args:
        meta_keys: Keys of the meta information, as in ``PackSegInputs``.
    """

    def transform(self, results: dict) -> dict:
        """Pack ``img``, ``gt_seg_map`` (if loaded) and the fields listed above.

        Raises:
            ValueError: If the valid area and the image differ in size.
        """
        add_valid_map(results)
        valid_map, size = results['valid_map'], results['img'].shape[:2]
        if valid_map.shape != size:
            raise ValueError(
                f'{results.get("img_path")}: the valid area has shape '
                f"{valid_map.shape}, the image {size}; a transform such as mmcv's Pad "
                'changed the size of the image alone; use RandomCropPad, or the size '
                'of the data preprocessor'
            )
        packed = super().transform(results)
        sample = packed['data_samples']
        sample.valid_map = PixelData(data=torch.from_numpy(valid_map == 1)[None])
        sample.set_metainfo({'img_box': bounding_box(valid_map)})
        if 'gt_tags' in results:
            label = torch.as_tensor(results['gt_tags'], dtype=torch.float32)
            sample.gt_tags = LabelData(label=label)
        if 'full_img' in results:
            full_img = np.ascontiguousarray(results['full_img'].transpose(2, 0, 1))
            sample.full_img = PixelData(data=torch.from_numpy(full_img))
        if 'pseudo_label' in results:
            pseudo = torch.from_numpy(results['pseudo_label'].astype(np.int64))
            sample.pseudo_label = PixelData(data=pseudo[None])
        if 'cam_seed' in results:
            sample.cam_seed = PixelData(data=torch.from_numpy(results['cam_seed']))
        return packed
