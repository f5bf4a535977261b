"""The data set class of COCO's objects, which mmseg lacks."""

from typing import Any

from mmseg.datasets import BaseSegDataset

from mmseg_wsss.registry import DATASETS

CLASSES = (
    'background, person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, '
    'traffic light, fire hydrant, stop sign, parking meter, bench, bird, cat, dog, '
    'horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag, '
    'tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, '
    'baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, '
    'fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, '
    'hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, '
    'toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, '
    'toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, '
    'toothbrush'
)


@DATASETS.register_module()
class COCOObjectsDataset(BaseSegDataset):
    """COCO with its 80 classes of objects and the background, in the order of the ids.

    Make the masks and lists with ``tools/dataset_converters/coco_objects.py``, and the
    tags with ``tools/dataset_converters/image_tags.py``.

    Args:
        img_suffix: End of names of images.
        seg_map_suffix: End of names of masks.
        **kwargs: Arguments of mmseg's ``BaseSegDataset``.
    """

    METAINFO = dict(classes=tuple(CLASSES.split(', ')))

    def __init__(
        self, img_suffix: str = '.jpg', seg_map_suffix: str = '.png', **kwargs: Any
    ) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)
