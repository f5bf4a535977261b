from typing import Any

from mmseg.datasets import BaseSegDataset

from mmseg_wsss.registry import DATASETS


@DATASETS.register_module()
class ToyVOCDataset(BaseSegDataset):
    """Generated images in VOC layout; images and masks are PNG files.

    Generate the files with ``python -m mmseg_wsss.datasets.toy.toy_voc OUT_DIR`` and
    set ``data_root=OUT_DIR``. The defaults are those of the training split.

    Args:
        ann_file: Split list relative to ``data_root``.
        data_prefix: Folders of images and masks relative to ``data_root``.
        **kwargs: Arguments of mmseg's ``BaseSegDataset``.
    """

    METAINFO = dict(
        classes=('background', 'beetle', 'bottle', 'kite', 'bell', 'bone', 'star'),
        palette=[
            [0, 0, 0],
            [128, 0, 0],
            [0, 128, 0],
            [128, 128, 0],
            [0, 0, 128],
            [128, 0, 128],
            [0, 128, 128],
        ],
    )

    def __init__(
        self,
        ann_file: str = 'ImageSets/Segmentation/train.txt',
        data_prefix: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        if data_prefix is None:
            data_prefix = dict(img_path='JPEGImages', seg_map_path='SegmentationClass')
        super().__init__(
            ann_file=ann_file,
            data_prefix=data_prefix,
            img_suffix='.png',
            seg_map_suffix='.png',
            **kwargs,
        )
