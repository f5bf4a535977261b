from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from mmcv.transforms import BaseTransform

from mmseg_wsss.registry import TRANSFORMS

from ..label_maps import read_label_map
from ..soft_maps import read_soft_map

UNREADABLE = (OSError, ValueError, KeyError, IndexError, BadZipFile)


@TRANSFORMS.register_module()
class LoadPseudoLabel(BaseTransform):
    """Load what ``tools/export_pseudo_labels.py`` or the pipeline wrote of an image.

    Files bear the image's name in ``WeakDataset``: its path below the image folder
    without the suffix (with another data set: the stem of its path). A label
    (``NAME.png``) becomes ``pseudo_label``, which geometric transforms carry along; it
    is no mask, so ``WeakDataset`` lets it pass in training. A soft map (``NAME.npz``)
    becomes ``cam_seed``.

    Args:
        folder: Folder of the files.
        num_classes: Number C of classes, with the background.
        soft: Whether the soft map is loaded, in place of the label.

    Raises:
        ValueError: If a file is missing, cannot be read, or has another size than the
            image; the message names it.
    """

    def __init__(self, folder: str, num_classes: int, soft: bool = False) -> None:
        self.folder = folder
        self.num_classes = num_classes
        self.soft = soft

    def transform(self, results: dict) -> dict:
        """Add ``pseudo_label`` (H, W) uint8, or ``cam_seed`` (C, H, W) float32."""
        name = results.get('image_name') or Path(results['img_path']).stem
        path = Path(self.folder, f'{name}.npz' if self.soft else f'{name}.png')
        size = tuple(results['ori_shape'])
        if self.soft:
            try:
                results['cam_seed'] = read_soft_map(path, self.num_classes)
            except UNREADABLE as error:
                raise ValueError(f'{path}: unreadable soft map: {error}') from error
            found = results['cam_seed'].shape[1:]
        else:
            results['pseudo_label'] = read_label_map(path).astype(np.uint8)
            results.setdefault('seg_fields', []).append('pseudo_label')
            found = results['pseudo_label'].shape
        if found != size:
            raise ValueError(
                f'{path}: expected the size {size} of the image, found {found}'
            )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({vars(self)})'
