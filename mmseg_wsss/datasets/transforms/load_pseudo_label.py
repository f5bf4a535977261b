from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from mmcv.transforms import BaseTransform

from mmseg_wsss.registry import TRANSFORMS

from ..label_maps import LabelRule, read_label_map
from ..soft_maps import read_soft_map

UNREADABLE = (OSError, ValueError, KeyError, IndexError, BadZipFile)


@TRANSFORMS.register_module()
class LoadPseudoLabel(BaseTransform):
    """Load an exported pseudo-label or soft map.

    Reads the files of ``tools/export_pseudo_labels.py`` and of the pipeline
    (``tools/wsss_pipeline.py``). They have the name of the image in ``WeakDataset`` and
    ``SemiDataset``: its path below the image folder without suffix; with other
    datasets, the stem of its path. A pseudo-label (``NAME.png``) becomes
    ``pseudo_label``, to which geometric transforms apply; it does not count as a mask,
    so ``WeakDataset`` accepts it in training. A soft map (``NAME.npz``) becomes
    ``cam_seed``.

    Args:
        folder: Folder of the files.
        num_classes: Number C of classes, including the background.
        soft: Whether to load the soft map instead of the pseudo-label.

    Raises:
        ValueError: If a file is missing or broken, contains other labels, or differs
            from the image in size; the message names it.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from mmseg_wsss.datasets.label_maps import write_label_map
        >>> with TemporaryDirectory() as folder:
        ...     label = np.array([[0, 1], [255, 1]], np.uint8)
        ...     write_label_map(Path(folder, 'a.png'), label)
        ...     load = LoadPseudoLabel(folder, num_classes=2)
        ...     results = load({'img_path': 'images/a.jpg', 'ori_shape': (2, 2)})
        >>> results['pseudo_label'].tolist()
        [[0, 1], [255, 1]]
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
        if not path.is_file():
            raise ValueError(
                f'{path} does not exist: expected the file of {results["img_path"]} in '
                'the folder of an export (tools/export_pseudo_labels.py); correct '
                'folder, or export this image, too'
            )
        if self.soft:
            try:
                results['cam_seed'] = read_soft_map(path, self.num_classes)
            except UNREADABLE as error:
                raise ValueError(f'{path}: unreadable soft map: {error}') from error
            found = results['cam_seed'].shape[1:]
        else:
            labels = read_label_map(path)
            problem = LabelRule(self.num_classes, False).problem(np.unique(labels))
            if problem:
                raise ValueError(f'{path}: {problem}; num_classes={self.num_classes}')
            results['pseudo_label'] = labels.astype(np.uint8)
            results.setdefault('seg_fields', []).append('pseudo_label')
            found = results['pseudo_label'].shape
        if found != size:
            raise ValueError(
                f'{path}: expected the size {size} of the image, found {found}; '
                'export the pseudo-labels of this dataset again'
            )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({vars(self)})'
